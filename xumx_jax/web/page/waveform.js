// The waveform of a stem: drawn once, with the played part, the loop and the playhead laid over it.

import { element } from "./dom.js";

export const STRETCH = 512; // frames of a pair of peaks
const FULL = 127;
const CLICK = 5; // px that a click may move

/** Draws a stem's peaks and, when pointed at, seeks or marks a loop on the desk. */
export class Waveform {
  #desk;
  #canvas = element("canvas", { "aria-hidden": "true" });
  #ahead = element("div", { class: "ahead" }); // begins with the playhead
  #peaks = new Int8Array(0);
  #scale = 1;
  #drag = null;

  constructor(desk) {
    this.#desk = desk;
    const edges = ["start", "end"].map((name) =>
      element("div", { class: "edge", "data-edge": name }),
    );
    this.element = element(
      "div",
      { class: "wave" },
      this.#canvas,
      this.#ahead,
      element("div", { class: "missing" }),
      element("div", { class: "loop" }, ...edges),
    );
    const on = (name, act) => this.element.addEventListener(name, act);
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", () => this.#give());
  }

  /** Show how much was heard. A transform: nothing is laid out or drawn for it. */
  place(share) {
    this.#ahead.style.transform = `translateX(${100 * share}%)`;
  }

  /** Show these pairs of peaks, magnified. */
  show(peaks, scale) {
    this.#peaks = peaks;
    this.#scale = scale;
    this.draw();
  }

  /** Draw it, in the colour and at the size that it has now. */
  draw() {
    const { clientWidth, clientHeight } = this.#canvas;
    const width = Math.round(clientWidth * devicePixelRatio);
    const height = Math.round(clientHeight * devicePixelRatio);
    if (!width || !height) return;
    this.#canvas.width = width;
    this.#canvas.height = height;
    const context = this.#canvas.getContext("2d");
    context.fillStyle = getComputedStyle(this.#canvas).color;
    const pairs = this.#peaks.length / 2;
    const { frames, ready } = this.#desk.song;
    const all = Math.max(pairs, (frames ?? ready) / STRETCH);
    const least = Math.max(1, Math.round(devicePixelRatio));
    for (let x = 0; x < width; x += 1) {
      const first = Math.floor((x * all) / width);
      if (first >= pairs) break;
      const [low, high] = this.#extremes(first, Math.ceil(((x + 1) * all) / width));
      const top = ((1 - high) * height) / 2;
      const tall = Math.max(least, ((high - low) * height) / 2);
      context.fillRect(x, Math.min(top, (height - least) / 2), 1, tall);
    }
  }

  #extremes(first, end) {
    let [low, high] = [0, 0];
    for (let at = 2 * first; at < Math.min(2 * end, this.#peaks.length); at += 2) {
      low = Math.min(low, this.#peaks[at]);
      high = Math.max(high, this.#peaks[at + 1]);
    }
    const bounded = (value) => Math.max(-1, Math.min(1, (value * this.#scale) / FULL));
    return [bounded(low), bounded(high)];
  }

  #frame(event) {
    const { left, width } = this.element.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - left) / width));
    return Math.round(share * (this.#desk.song.frames ?? this.#desk.song.ready));
  }

  #down(event) {
    if (event.button !== 0 || this.#drag) return;
    this.element.setPointerCapture(event.pointerId);
    const loop = this.#desk.settings.loop;
    const edge = loop && event.target.dataset.edge;
    // The edge that stays is where a loop is dragged from.
    const fixed = edge ? loop[edge === "start" ? 1 : 0] : this.#frame(event);
    this.#drag = { edge, fixed, from: event.clientX, moved: false };
  }

  #move(event) {
    const drag = this.#drag;
    if (!drag) return;
    drag.moved ||= Math.abs(event.clientX - drag.from) > CLICK;
    if (drag.moved) this.#desk.draft([drag.fixed, this.#frame(event)]);
  }

  #up(event) {
    const drag = this.#drag;
    if (!drag) return;
    this.#drag = null;
    if (drag.moved) this.#desk.setLoop(drag.fixed, this.#frame(event));
    else if (!drag.edge) this.#desk.seek(this.#frame(event));
  }

  #give() {
    this.#drag = null;
    this.#desk.draft(null);
  }
}
