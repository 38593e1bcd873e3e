// The order of stems, which is the same wherever they are shown.

/** Those of most models. */
export const FIRST = ["vocals", "drums", "bass", "other"];

/** These names, first those of most models, then the others as they come. */
export function ordered(names) {
  const known = FIRST.filter((name) => names.includes(name));
  return [...known, ...names.filter((name) => !FIRST.includes(name))];
}
