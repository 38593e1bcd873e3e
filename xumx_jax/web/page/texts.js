// Every text that the page shows. To translate the page, translate this file.

export const TEXTS = {
  // -- songs: what is sent and what waits
  // -- player
};

/** The text of a key, with the values that it names in {braces}. */
export function text(key, values = {}) {
  const found = TEXTS[key];
  if (found === undefined) throw new Error(`no text ${key}`);
  return found.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
