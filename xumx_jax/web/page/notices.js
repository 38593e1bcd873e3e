// What is told without being looked at: the title, what is read out, and notifications if wanted.

import { say, set } from "./dom.js";
import { isActive } from "./jobs.js";
import { keep, kept } from "./kept.js";
import { text } from "./texts.js";
import { percent } from "./words.js";

const KEPT = "xumx.notify";
const STEP = 0.1; // of progress, between two times that it is read out

/** Follows the jobs, and tells of those that end while the page is open. */
export class Notices {
  #box;
  #label;
  #before = new Map();
  #said = new Map();
  #ready = null;

  constructor(box) {
    this.#box = box;
    this.#label = box.nextElementSibling;
    // Only where the page may ask: over HTTPS, or on the server's machine.
    box.parentElement.hidden = !("Notification" in window) || !isSecureContext;
    box.checked = kept(KEPT) === true && Notification.permission === "granted";
    box.addEventListener("change", () => this.#asked());
    for (const name of ["pointerdown", "keydown", "visibilitychange"]) {
      document.addEventListener(name, () => this.#seen());
    }
  }

  /** Tell what has changed. */
  update(jobs) {
    for (const job of jobs) {
      const before = this.#before.get(job.id);
      this.#before.set(job.id, job.state);
      if (job.state === "running") this.#running(job);
      else if (before && isActive({ state: before }) && !isActive(job)) this.#ended(job);
    }
    this.#show(jobs.find((job) => job.state === "running"));
  }

  #running({ id, name, progress }) {
    const step = Math.floor(progress / STEP);
    const before = this.#said.get(id);
    this.#said.set(id, step);
    if (before === undefined || step <= before) return;
    say(text("said_runs", { name, percent: percent(step * STEP) }));
  }

  #ended({ state, name, error }) {
    if (state === "failed") say(text("said_failed", { name, message: error?.message ?? "" }));
    if (state !== "done") return;
    this.#ready = name;
    say(text("said_ready", { name }));
    if (this.#box.checked && document.visibilityState === "hidden") notify(name);
  }

  #show(running) {
    const shown = running ? text("title_runs", { percent: percent(running.progress) }) : null;
    const ready = this.#ready === null ? text("title") : text("title_ready", { name: this.#ready });
    set(document, "title", shown ?? ready);
  }

  #seen() {
    if (document.visibilityState === "hidden" || this.#ready === null) return;
    this.#ready = null;
    this.#show(undefined);
  }

  async #asked() {
    const wanted = this.#box.checked;
    const allowed = wanted && (await Notification.requestPermission()) === "granted";
    this.#box.checked = allowed;
    keep(KEPT, allowed);
    if (wanted && !allowed) {
      this.#label.textContent = text("notify_refused");
      say(this.#label.textContent);
    }
  }
}

function notify(name) {
  try {
    new Notification(text("title_ready", { name }), { icon: "/page/icon.svg" });
  } catch {
    // Chromium on Android has notifications for service workers alone.
  }
}
