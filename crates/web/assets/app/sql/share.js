/** A text in an address: behind `#`, so that no proxy's log has it. */

/** @param {string} text */
export async function encodeText(text) {
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} coded */
export async function decodeText(coded) {
  const bytes = Uint8Array.from(atob(coded.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  return new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw")));
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {GenericTransformStream} change */
async function through(bytes, change) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(/** @type {any} */ (change))).arrayBuffer());
}
