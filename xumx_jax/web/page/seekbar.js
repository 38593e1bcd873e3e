// The seek bar: an input, and above it the loop with an edge at each end.

import { element } from "./dom.js";
import { place, precise } from "./levels.js";
import { text } from "./texts.js";

const NUDGES = { ArrowLeft: -0.1, ArrowDown: -0.1, ArrowRight: 0.1, ArrowUp: 0.1 }; // seconds
const LEAPS = { PageDown: -30, PageUp: 30 };

/** Where in the song it is, to see and to choose. */
export class SeekBar {
  #desk;
  #input = element("input", { type: "range", class: "seek", min: 0, step: "any" });
  #edges;
  #loop;
  #held = false; // somebody drags it
  #from = null; // where an edge was taken, in px
  #drop = () => {
    if (!this.#held) return;
    this.#held = false;
    this.#desk.seek(Number(this.#input.value));
  };
  #said = "";
  #at = "";

  constructor(desk) {
    this.#desk = desk;
    this.#input.setAttribute("aria-label", text("seek"));
    this.#input.addEventListener("input", () => this.#drag());
    this.#input.addEventListener("change", this.#drop);
    this.#input.addEventListener("keydown", (event) => {
      if (!(event.key in LEAPS)) return;
      event.preventDefault();
      desk.move(LEAPS[event.key]);
    });
    this.#edges = [0, 1].map((index) => this.#edge(index));
    this.#loop = element("div", { class: "loop" });
    const edges = element("div", { class: "edges" }, this.#loop, ...this.#edges);
    this.element = element("div", { class: "seek-bar" }, this.#input, edges);
    desk.addEventListener("change", () => this.showLoop());
    this.showLoop();
  }

  /** The frame that is shown, which is another than the one heard while the bar is dragged. */
  get shown() {
    return this.#held ? Number(this.#input.value) : this.#desk.position;
  }

  /** Show this frame. */
  show(frame) {
    const { song } = this.#desk;
    const whole = song.frames ?? song.ready;
    if (this.#input.max !== String(whole)) this.#input.max = String(whole);
    const at = (whole ? frame / whole : 0).toFixed(4);
    if (at !== this.#at) {
      this.#at = at;
      this.#input.style.setProperty("--at", at);
      if (!this.#held) this.#input.value = String(frame);
    }
    const said = text("place", { here: place(frame, song), end: place(whole, song) });
    if (said === this.#said) return;
    this.#said = said;
    this.#input.setAttribute("aria-valuetext", said);
  }

  showLoop() {
    const { settings, song } = this.#desk;
    const loop = settings.loop;
    for (const [index, edge] of this.#edges.entries()) {
      edge.hidden = loop === null;
      if (!loop) continue;
      edge.setAttribute("aria-valuemin", index ? loop[0] : 0);
      edge.setAttribute("aria-valuemax", index ? (song.frames ?? song.ready) : loop[1]);
      edge.setAttribute("aria-valuenow", loop[index]);
      edge.setAttribute("aria-valuetext", precise(loop[index] / song.rate));
    }
  }

  #drag() {
    this.#held = true;
    // Let go where it was taken, it has not changed.
    for (const name of ["pointerup", "pointercancel"]) {
      addEventListener(name, this.#drop, { once: true });
    }
    this.#desk.dispatchEvent(new Event("place"));
  }

  #edge(index) {
    const edge = element("div", {
      role: "slider",
      tabindex: "0",
      class: `edge ${index ? "end" : "start"}`,
      "aria-label": text(index ? "loop_end" : "loop_start"),
      title: text(index ? "loop_end" : "loop_start"),
    });
    edge.addEventListener("keydown", (event) => this.#nudge(event, index));
    edge.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      edge.setPointerCapture(event.pointerId);
      event.preventDefault();
      edge.focus();
      this.#from = event.clientX;
    });
    edge.addEventListener("pointermove", (event) => {
      const loop = this.#dragged(event, index);
      if (loop) this.#desk.draft(loop);
    });
    edge.addEventListener("pointerup", (event) => {
      const loop = this.#dragged(event, index);
      this.#from = null;
      if (loop) this.#desk.setLoop(...loop);
    });
    edge.addEventListener("pointercancel", () => {
      this.#from = null;
      this.#desk.draft(null);
    });
    return edge;
  }

  /** The loop whose edge is as far from its place as the pointer; null: nothing is dragged. */
  #dragged(event, index) {
    const { song, settings } = this.#desk;
    if (this.#from === null || !settings.loop) return null; // the key of the loop may end it
    const { width } = this.#loop.parentElement.getBoundingClientRect();
    const whole = song.frames ?? song.ready;
    const moved = settings.loop[index] + ((event.clientX - this.#from) / width) * whole;
    return [settings.loop[1 - index], Math.round(Math.min(whole, Math.max(0, moved)))];
  }

  #nudge(event, index) {
    const { song, settings } = this.#desk;
    const seconds = NUDGES[event.key] * (event.shiftKey ? 0.1 : 1);
    if (Number.isNaN(seconds) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const moved = Math.round(settings.loop[index] + seconds * song.rate);
    // An edge does not pass the other one.
    if (index ? moved > settings.loop[0] : moved < settings.loop[1]) {
      this.#desk.setLoop(settings.loop[1 - index], moved);
    }
  }
}
