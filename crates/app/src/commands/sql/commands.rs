//! Commands of the prompt, which begin with a backslash.

use crate::format::Format;
use clap::ValueEnum;

/// The commands: name, arguments, what they do.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    ("d", "", "list the view sets"),
    ("d", "VIEW_SET", "list the columns of a view set"),
    (
        "begin",
        "[TIME]",
        "limit queries to events at or after a time: RFC 3339, or a date; without TIME, no limit",
    ),
    ("end", "[TIME]", "limit queries to events at or before a time"),
    ("format", "FORMAT", "set the output format: table, json, ndjson, csv, arrow or parquet"),
    ("o", "[FILE]", "write results to a file; without FILE, to the terminal"),
    ("timing", "", "turn timing on or off"),
    ("h", "", "show this help"),
    ("q", "", "quit, as does Ctrl-D"),
];

/// A parsed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// List view sets, or the columns of one.
    Describe(Option<String>),
    /// Begin of the time range; `None` for the first event.
    Begin(Option<String>),
    /// End of the time range.
    End(Option<String>),
    /// Output format.
    Format(Format),
    /// Output file.
    Output(Option<String>),
    /// Whether durations are printed.
    Timing,
    /// Show the commands.
    Help,
    /// Quit.
    Quit,
}

impl std::str::FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        // a semicolon, typed out of habit
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = Some(argument.trim()).filter(|a| !a.is_empty());
        let owned = argument.map(str::to_owned);
        let command = match (name, argument) {
            ("d", _) => Self::Describe(owned),
            ("begin", _) => Self::Begin(owned),
            ("end", _) => Self::End(owned),
            ("format", Some(name)) => Self::Format(
                Format::from_str(name, true)
                    .map_err(|_| format!("unknown format '{name}'; available: {}", formats()))?,
            ),
            ("format", None) => return Err(format!("\\format takes one of {}", formats())),
            ("o", _) => Self::Output(owned),
            ("timing", None) => Self::Timing,
            ("h" | "?" | "help", _) => Self::Help,
            ("q", None) => Self::Quit,
            ("timing" | "q", Some(_)) => return Err(format!("\\{name} takes no argument")),
            _ => return Err(format!("unknown command \\{name}; \\h lists all commands")),
        };
        Ok(command)
    }
}

fn formats() -> String {
    let names = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    names.map(|v| v.get_name().to_owned()).collect::<Vec<_>>().join(", ")
}

/// The output of `\h`.
pub(super) fn help() -> String {
    let mut text = "Statements end with ';' and can span several lines. Tab completes names.\n".to_owned();
    for (name, arguments, about) in COMMANDS {
        text.push_str(&format!("  {:<18} {about}\n", format!("\\{name} {arguments}").trim_end()));
    }
    text.push_str("Ctrl-C cancels a running query, or clears the input.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_arguments() {
        let read = |line: &str| line.parse::<Command>();
        assert_eq!(read("d"), Ok(Command::Describe(None)));
        assert_eq!(read("d log_entries;"), Ok(Command::Describe(Some("log_entries".to_owned()))));
        assert_eq!(read("format  JSON"), Ok(Command::Format(Format::Json)));
        assert_eq!(read("o my file.csv"), Ok(Command::Output(Some("my file.csv".to_owned()))));
        assert_eq!(read("begin"), Ok(Command::Begin(None)));
        assert_eq!(read("q"), Ok(Command::Quit));
    }

    #[test]
    fn what_is_no_command_is_explained() {
        let wrong = |line: &str| line.parse::<Command>().unwrap_err();
        assert!(wrong("x").contains("\\h"));
        assert!(wrong("").contains("\\h"));
        assert!(wrong("format xml").contains("ndjson"));
        assert!(wrong("format").contains("ndjson"));
        assert!(wrong("timing on").contains("takes no argument"));
    }

    #[test]
    fn help_names_every_command() {
        let help = help();
        assert!(
            COMMANDS
                .iter()
                .all(|(name, _, about)| help.contains(&format!("\\{name}")) && help.contains(about))
        );
    }
}
