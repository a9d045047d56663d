// The parts of an editor are one file of assets/vendor: see vendor.mjs.
declare module "codemirror" {
  export { Decoration, EditorView, keymap, lineNumbers, drawSelection, highlightActiveLine, placeholder } from "@codemirror/view";
  export { EditorState, StateEffect, StateField, StateEffectType } from "@codemirror/state";
  export { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
  export { HighlightStyle, syntaxHighlighting, bracketMatching } from "@codemirror/language";
  export { sql, SQLDialect, keywordCompletionSource } from "@codemirror/lang-sql";
  export { autocompletion, completionKeymap, closeBrackets, closeBracketsKeymap, snippetCompletion } from "@codemirror/autocomplete";
  export { tags } from "@lezer/highlight";
}
