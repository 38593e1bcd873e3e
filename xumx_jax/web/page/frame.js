// The state of the page as a whole: whether the server is there, and whether it wants a token.

import { say, set } from "./dom.js";
import { ServerError } from "./server.js";
import { text } from "./texts.js";
import { duration } from "./words.js";

/** `html[data-state]`, the line `#away` and the form `#token`. Event: "unlocked". */
export class Frame extends EventTarget {
  #server;
  #away = document.querySelector("#away");
  #form = document.querySelector("#token");
  #wanted = false;
  #loaded = false;
  #clock = 0;

  constructor(server) {
    super();
    this.#server = server;
    server.addEventListener("away", () => this.#show());
    server.addEventListener("back", () => {
      say(text("back"));
      this.#show();
    });
    server.addEventListener("token", () => {
      this.#wanted = true;
      this.#show();
    });
    this.#away.querySelector("button").addEventListener("click", () => server.retry());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#unlock();
    });
  }

  /** Whether a token is wanted that we do not have. */
  get locked() {
    return this.#wanted;
  }

  /** The first answer has come. */
  loaded() {
    this.#loaded = true;
    this.#show();
  }

  async #unlock() {
    const [field, about] = [this.#form.querySelector("input"), this.#form.querySelector("p")];
    const [before, typed] = [this.#server.token, field.value.trim()];
    try {
      // Others cannot be sent in a header, which would look like a server that is away.
      if (/[^!-~]/.test(typed)) throw new ServerError("no_token", text("token_wrong"));
      this.#server.token = typed;
      await this.#server.limits();
    } catch (error) {
      this.#server.token = before;
      if (error.code !== "no_token") return; // the server is away, and the page says so
      about.textContent = text("token_wrong");
      say(about.textContent);
      field.setAttribute("aria-invalid", "true");
      field.select();
      return;
    }
    this.#wanted = false;
    this.#show();
    this.dispatchEvent(new Event("unlocked"));
    document.querySelector("#choose-files").focus();
  }

  #show() {
    const { away } = this.#server;
    const usual = this.#loaded ? "ready" : "loading";
    set(document.documentElement.dataset, "state", away ? "away" : this.#wanted ? "token" : usual);
    this.#form.hidden = !this.#wanted;
    document.querySelector("#send").hidden = this.#wanted;
    if (away && this.#away.hidden) say(text("away_now"));
    this.#away.hidden = !away;
    clearInterval(this.#clock);
    if (!away) return;
    this.#count();
    this.#clock = setInterval(() => this.#count(), 1000);
  }

  #count() {
    const wait = Math.ceil(this.#server.wait);
    const words = wait ? text("away", { time: duration(wait) }) : text("away_now");
    set(this.#away.querySelector("span"), "textContent", words);
  }
}
