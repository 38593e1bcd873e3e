// What was set for each song: kept by this browser, and in the address, so that a link shares it.

import { keep, kept } from "./kept.js";
import { fromText, toText } from "./settings.js";

const KEY = "xumx.player";
const MOST_KEPT = 100; // songs
const REST = 300; // ms without a change, after which it is written
const PLACE = 5_000; // ms between two writings of the place while it plays

/** Settings of a song: those of the address if it has any, else those that were kept. */
export function recall(id, stems, frames) {
  const { job, rest } = address();
  const own = job === id && rest ? rest : null;
  return fromText(own ?? songs().find(([one]) => one === id)?.[1] ?? "", stems, frames);
}

/** A link to a song with these settings. */
export function link(id, settings) {
  const url = new URL(location.href);
  url.hash = fragment(id, toText(settings));
  return url.href;
}

/** The job that the address names, or null. */
export function addressed() {
  return address().job;
}

/** Writes settings down, not at once, since a slider changes them many times a second. */
export class Memory {
  #id;
  #settings;
  #timer = 0;
  #left = false;
  #placed = 0;

  /** `quiet`: leave the address alone until something is changed. */
  constructor(id, settings, { quiet = false } = {}) {
    this.#id = id;
    this.#settings = settings;
    if (!quiet) this.#write();
  }

  /** Something was changed. */
  note() {
    if (this.#left) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), REST);
  }

  /** Only the place has changed. */
  notePlace() {
    if (Date.now() - this.#placed < PLACE) return;
    this.#placed = Date.now();
    this.note();
  }

  /** Write what was not written yet. */
  flush() {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#write();
  }

  /** Write nothing any more, and leave the address. */
  leave() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#left = true; // what ends now may still note something
    if (addressed() === this.#id) history.replaceState(null, "", location.pathname);
  }

  #write() {
    const text = toText(this.#settings);
    const others = songs().filter(([id]) => id !== this.#id);
    keep(KEY, [[this.#id, text], ...others].slice(0, MOST_KEPT));
    // An address that was just changed to another song's is not ours any more.
    if (![this.#id, null].includes(addressed())) return;
    history.replaceState(null, "", `#${fragment(this.#id, text)}`);
  }
}

function fragment(id, text) {
  return `job=${id}${text ? `&${text}` : ""}`;
}

function address() {
  const said = new URLSearchParams(location.hash.slice(1));
  const job = said.get("job");
  said.delete("job");
  return { job, rest: said.toString() };
}

/** [id, text], the latest first. */
function songs() {
  const found = kept(KEY);
  const good = (one) => Array.isArray(one) && one.every((part) => typeof part === "string");
  return Array.isArray(found) ? found.filter(good) : [];
}
