// The rows of the list, in order: elements move only if they must, and keep the focus.

import { Row } from "./row.js";

/** The `<ul>` of the songs. */
export class List {
  #element;
  #act;
  #rows = new Map();

  /** `act(action, key)` is called for the rows' buttons. */
  constructor(element, act) {
    this.#element = element;
    this.#act = (action, row) => act(action, row.key);
  }

  /** Show these views, each `[key, view]`, in this order; -> whether there are any. */
  show(views) {
    const focused = document.activeElement;
    const place = [...this.#element.children].findIndex((one) => one.contains(focused));
    const keys = new Set(views.map(([key]) => key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    views.forEach(([key, view], at) => {
      const row = this.#row(key);
      row.show(view);
      const there = this.#element.children[at];
      if (there !== row.element) this.#element.insertBefore(row.element, there ?? null);
    });
    if (place >= 0 && !this.#element.contains(document.activeElement)) {
      this.#refocus(focused, place);
    }
    return views.length > 0;
  }

  /** What was shown under a key is shown under another one: an upload has become a job. */
  rename(key, other) {
    const row = this.#rows.get(key);
    if (!row) return;
    this.#rows.get(other)?.element.remove(); // a look at the jobs was faster
    this.#rows.delete(key);
    row.key = other;
    this.#rows.set(other, row);
  }

  /** Mark the row whose song is in the player. */
  mark(key) {
    for (const row of this.#rows.values()) {
      if (row.key === key) row.element.setAttribute("aria-current", "true");
      else row.element.removeAttribute("aria-current");
    }
  }

  #row(key) {
    if (!this.#rows.has(key)) this.#rows.set(key, new Row(key, this.#act));
    return this.#rows.get(key);
  }

  /** The focused row was moved, or is gone: then the one in its place takes the focus. */
  #refocus(focused, place) {
    if (this.#element.contains(focused)) {
      if (!focused.hidden) return focused.focus();
      return this.#rows.get(focused.closest("li").dataset.job).focus();
    }
    const at = Math.min(place, this.#element.children.length - 1);
    const key = this.#element.children[at]?.dataset.job;
    if (key !== undefined) return this.#rows.get(key).focus();
    return document.querySelector("#choose-files").focus();
  }
}
