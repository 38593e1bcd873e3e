// The player: opens a song, follows what becomes of its job, and lets the keyboard act on it.

import { element } from "./dom.js";
import { openContext } from "./engine.js";
import { listen } from "./keys.js";
import { Opened, isGone, lineOf } from "./opened.js";
import { addressed } from "./remembered.js";

const FADED = 500; // ms
const CHECKED = 3_000; // ms between two questions for a job that the list does not have

/** Plays the stems of one song at a time. */
export class Player {
  #element;
  #server;
  #opened = null;
  #context = null;
  #rate = null; // that was asked for
  #checked = 0;

  constructor(place, server) {
    this.#element = place;
    this.#server = server;
    place.dataset.state = "empty";
    listen(() => (place.dataset.state === "gone" ? null : (this.#opened?.desk ?? null)));
    addEventListener("pagehide", () => this.#opened?.flush());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#opened?.flush();
    });
    addEventListener("hashchange", () => {
      if (this.#opened && addressed() === this.#opened.job.id) this.#opened.recall();
    });
  }

  /** Open a song; `sound`: play it, since somebody asked for that. */
  open(job, { sound = false } = {}) {
    const { state } = this.#element.dataset;
    if (this.#opened?.job.id !== job.id || state === "gone" || state === "error") this.#load(job);
    if (!sound || !this.#opened) return;
    this.#opened.focus();
    this.#opened.play();
  }

  /** What has become of all jobs, every time the page asks. */
  update(jobs) {
    if (!this.#opened || this.#element.dataset.state === "gone") return;
    const { id } = this.#opened.job;
    const job = jobs.find((one) => one.id === id);
    if (job) this.#opened.update(job);
    else this.#check(id);
  }

  /** Show no song. */
  close() {
    this.#opened?.close();
    this.#opened = null;
    this.#element.replaceChildren();
    this.#element.hidden = true;
    this.#element.dataset.state = "empty";
    delete this.#element.dataset.job;
  }

  #load(job) {
    this.close();
    this.#element.hidden = false;
    this.#element.dataset.state = "loading";
    this.#element.dataset.job = job.id;
    try {
      const context = this.#contextOf(job.rate ?? job.live.rate);
      this.#opened = new Opened(job, { element: this.#element, server: this.#server, context });
    } catch (error) {
      reportError(error);
      this.#element.dataset.state = "error";
      const line = element("p", { class: "note", role: "alert", text: error.message });
      this.#element.replaceChildren(line);
    }
  }

  // One context at a time, since browsers have only a few.
  #contextOf(rate) {
    if (this.#rate !== rate) {
      const before = this.#context;
      setTimeout(() => before?.close(), FADED); // what was played fades out in it
      this.#context = openContext(rate);
      this.#rate = rate;
    }
    return this.#context;
  }

  // A list may lack a job for a reason of its own: only the server knows whether it is gone.
  async #check(id) {
    if (Date.now() - this.#checked < CHECKED) return;
    this.#checked = Date.now();
    try {
      const job = await this.#server.job(id);
      if (this.#opened?.job.id === id) this.#opened.update(job);
    } catch (error) {
      if (isGone(error) && this.#opened?.job.id === id) this.#opened.gone(lineOf(error));
    }
  }
}
