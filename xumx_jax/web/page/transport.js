// Play and pause, the place, the loop, speed, key and volume of the song.

import { element, set } from "./dom.js";
import { icon, labelled } from "./icons.js";
import { decibels, place, precise, signed, times } from "./levels.js";
import { slider } from "./rows.js";
import { SeekBar } from "./seekbar.js";
import { MOST_GAIN, SEMITONES, SPEEDS } from "./settings.js";
import { text } from "./texts.js";

/** The controls of the whole song: `element` holds what narrow screens keep in sight. */
export class Transport {
  #desk;
  #play;
  #here = element("span", { class: "here" });
  #end = element("span", { class: "end" });
  #loop = element("output", { class: "loop-times" });
  #clear;
  #knobs;

  constructor(desk) {
    this.#desk = desk;
    this.bar = new SeekBar(desk);
    this.#play = element("button", {
      type: "button",
      class: "play",
      "aria-label": text("play"),
      onclick: () => desk.toggle(),
    });
    this.#play.append(icon("play"), icon("pause"));
    this.element = element(
      "div",
      { class: "transport" },
      this.#play,
      element("div", { class: "time", "aria-hidden": "true" }, this.#here, " / ", this.#end),
      this.bar.element,
    );
    this.#clear = labelled(text("loop_clear"), icon("close"), () => desk.clearLoop(), {
      class: "small-button",
    });
    const loop = element(
      "div",
      { class: "group loops", role: "group", "aria-label": text("loop") },
      element("span", { class: "label", "aria-hidden": "true", text: text("loop") }),
      labelled(text("loop_start_here"), text("loop_start_letter"), () => desk.markStart()),
      labelled(text("loop_end_here"), text("loop_end_letter"), () => desk.markEnd()),
      this.#clear,
      this.#loop,
    );
    const knob = (word, range, plain, read, write, say) =>
      new Knob(desk, text(word), range, plain, { read, write, say });
    this.#knobs = [
      knob("speed", [SPEEDS.least, SPEEDS.most, SPEEDS.step], 1,
        (settings) => settings.speed, (value) => desk.setSpeed(value), times),
      knob("transpose", [-SEMITONES, SEMITONES, 1], 0,
        (settings) => settings.transpose, (value) => desk.setTranspose(value), signed),
      knob("volume", [0, MOST_GAIN, 0.01], 1,
        (settings) => settings.volume, (value) => desk.setVolume(value), decibels),
    ];
    if (!desk.engine.stretches) for (const one of this.#knobs.slice(0, 2)) one.refuse();
    const knobs = this.#knobs.map((one) => one.element);
    this.knobs = element("div", { class: "knobs" }, loop, ...knobs);
    desk.addEventListener("change", () => this.show());
    this.show();
  }

  /** Let it show what is set. */
  show() {
    const { shownLoop, song } = this.#desk;
    for (const knob of this.#knobs) knob.show();
    const said = shownLoop?.map((frame) => (frame === null ? "…" : precise(frame / song.rate)));
    set(this.#loop, "textContent", said?.join(" – ") ?? "");
    set(this.#clear, "disabled", !shownLoop);
  }

  /** Whether it plays. */
  set playing(yes) {
    const label = text(yes ? "pause" : "play");
    this.#play.setAttribute("aria-label", label);
    this.#play.title = label;
  }

  /** Show the place that is heard, or that the bar is dragged to. */
  showPlace() {
    const { song } = this.#desk;
    const frame = this.bar.shown;
    this.bar.show(frame);
    set(this.#here, "textContent", place(frame, song));
    const end = place(song.frames ?? song.ready, song);
    set(this.#end, "textContent", song.frames === null ? `${end} …` : end);
    return frame;
  }

  focus() {
    this.#play.focus({ preventScroll: true });
  }
}

// A slider with its value, which is a button that sets it back.
class Knob {
  #desk;
  #label;
  #read;
  #say;
  #slider;
  #value;

  constructor(desk, label, [min, max, step], plain, { read, write, say }) {
    this.#desk = desk;
    this.#label = label;
    this.#read = read;
    this.#say = say;
    this.#slider = slider(label, min, max, step, plain, write);
    const title = text("set_back", { name: label });
    this.#value = element("button", { type: "button", class: "value", title });
    this.#value.addEventListener("click", () => write(plain));
    const said = element("span", { class: "label", "aria-hidden": "true", text: label });
    this.element = element("div", { class: "group" }, said, this.#slider, this.#value);
  }

  /** The browser cannot do that. */
  refuse() {
    this.#slider.disabled = this.#value.disabled = true;
    this.element.title = text("needs_https");
  }

  show() {
    const value = this.#read(this.#desk.settings);
    const said = this.#say(value);
    set(this.#slider, "value", String(value));
    this.#slider.setAttribute("aria-valuetext", said);
    set(this.#value, "textContent", said);
    this.#value.setAttribute("aria-label", text("value", { value: said, name: this.#label }));
  }
}
