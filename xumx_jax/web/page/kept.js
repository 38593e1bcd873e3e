// What this browser keeps for the page; without a place to keep it, it is forgotten.

/** The value of a key, or null. */
export function kept(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null; // storage is forbidden, or somebody else's text is in it
  }
}

/** Keep a value, or (null) nothing. */
export function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // forbidden or full
  }
}
