// A row of the list. It keeps its elements, and with them the focus, whatever is shown in it.

import { element, set } from "./dom.js";
import { text } from "./texts.js";
import { percent } from "./words.js";

const BUTTONS = ["play", "live", "again", "up", "down", "cancel", "remove", "dismiss"];
const LABELS = { live: "play_live" };

/** A row; `act(action, row)` is called for its buttons. */
export class Row {
  #name = element("span", { class: "name", dir: "auto" });
  #words = element("span", { class: "words" });
  #warnings = element("ul", { class: "warnings small" });
  #bar = element("progress", { max: 1 });
  #zip = element("a", { class: "button", download: true });
  #buttons = {};
  #shown = "";

  /** `key` tells which upload or job is shown. */
  constructor(key, act) {
    this.key = key;
    for (const name of BUTTONS) {
      const kind = name === "play" || name === "live" ? "main" : "";
      const onclick = () => act(name, this);
      this.#buttons[name] = element("button", { type: "button", class: kind, onclick });
      this.#buttons[name].dataset.action = name;
    }
    const { play, live, again, ...others } = this.#buttons;
    this.element = element(
      "li",
      {},
      element("div", { class: "what" }, this.#name, this.#words, this.#bar, this.#warnings),
      element("div", { class: "buttons" }, play, live, again, this.#zip, ...Object.values(others)),
    );
  }

  /** Show a view (see views.js). */
  show(view) {
    const shown = JSON.stringify([this.key, view]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const { dataset } = this.element;
    dataset.job = this.key;
    dataset.state = view.state;
    if (view.code) dataset.code = view.code;
    else delete dataset.code;
    set(this.#name, "textContent", view.name);
    set(this.#name, "title", view.name);
    set(this.#words, "textContent", view.words);
    this.#showBar(view);
    this.#showWarnings(view.warnings ?? []);
    this.#showButtons(view);
  }

  #showBar({ share, name }) {
    const bar = this.#bar;
    bar.hidden = typeof share !== "number";
    if (bar.hidden) return;
    bar.value = share;
    bar.setAttribute("aria-label", text("progress_of", { name }));
    bar.setAttribute("aria-valuetext", percent(share));
  }

  #showWarnings(lines) {
    this.#warnings.hidden = !lines.length;
    this.#warnings.replaceChildren(...lines.map((line) => element("li", { text: line })));
  }

  #showButtons({ buttons, zip, name }) {
    const focused = this.element.contains(document.activeElement);
    for (const [key, button] of Object.entries(this.#buttons)) {
      button.hidden = !buttons[key];
      label(button, text(LABELS[key] ?? key), name);
    }
    this.#zip.hidden = !zip;
    if (zip) this.#zip.href = zip;
    label(this.#zip, text("download"), name);
    // What had the focus may be hidden now: "Cancel" when there is nothing left to cancel.
    if (focused && document.activeElement.hidden) this.focus();
  }

  /** Put the focus on the first of its buttons. */
  focus() {
    this.element.querySelector(".buttons > :not([hidden])")?.focus();
  }
}

function label(button, words, name) {
  set(button, "textContent", words);
  set(button, "ariaLabel", text("button_of", { button: words, name }));
}
