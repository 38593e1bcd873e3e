// Elements of the page, made and filled without any HTML in strings.

import { text } from "./texts.js";

/**
 * An element with these attributes and children.
 *
 * `text` is its text; functions become listeners (`onclick`); true is an attribute without a
 * value, and false or null none.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Give the elements below `root` the texts that they name: `data-text`, `data-text-aria-label`. */
export function fill(root) {
  for (const found of root.querySelectorAll("[data-text]")) {
    found.textContent = text(found.dataset.text);
  }
  for (const found of root.querySelectorAll("[data-text-aria-label]")) {
    found.setAttribute("aria-label", text(found.dataset.textAriaLabel));
  }
}

/** Set a property only if it changes, so that nothing is drawn or read out again. */
export function set(target, name, value) {
  if (target[name] !== value) target[name] = value;
}

/** Say something to who cannot see it. */
export function say(words) {
  set(document.querySelector("#said"), "textContent", words);
}
