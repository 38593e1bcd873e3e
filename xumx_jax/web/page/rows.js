// The stems, one below the other: name, mute, solo, volume, pan, waveform and download.

import { element, set } from "./dom.js";
import { icon, labelled } from "./icons.js";
import { decibels } from "./levels.js";
import { MOST_GAIN } from "./settings.js";
import { FIRST } from "./stems.js";
import { text } from "./texts.js";
import { Waveform } from "./waveform.js";

const COLOURS = 8; // --stem-5 to --stem-8 are those of other stems

/** The rows of a song's stems. */
export class Rows {
  element = element("ul", { class: "rows" });
  #desk;
  #rows = [];
  #watch = new ResizeObserver(() => this.draw());
  #scheme = matchMedia("(prefers-color-scheme: dark)");
  #redraw = () => requestAnimationFrame(() => this.draw());

  constructor(desk) {
    this.#desk = desk;
    let other = FIRST.length;
    for (const [index, name] of desk.song.stems.entries()) {
      const known = FIRST.includes(name);
      if (!known) other = other === COLOURS ? FIRST.length + 1 : other + 1;
      const row = new Row(desk, name, index + 1);
      row.element.style.setProperty("--stem", `var(--stem-${known ? name : other})`);
      this.#rows.push(row);
      this.element.append(row.element);
    }
    this.#watch.observe(this.element);
    this.#scheme.addEventListener("change", this.#redraw);
    desk.addEventListener("change", () => this.show());
    this.show();
  }

  /** The row of a stem. */
  of(name) {
    return this.#rows.find((row) => row.name === name);
  }

  show() {
    for (const row of this.#rows) row.show();
  }

  draw() {
    for (const row of this.#rows) row.wave.draw();
  }

  /** Show how much of the song was heard, 0 to 1. */
  place(share) {
    for (const row of this.#rows) row.wave.place(share);
  }

  /** Draw these peaks, {stem: pairs}, all at the same scale. */
  setPeaks(peaks, gain) {
    let most = 1;
    for (const pairs of Object.values(peaks)) {
      for (const value of pairs) most = Math.max(most, Math.abs(value));
    }
    // Quiet songs are magnified, but silence is not.
    const scale = Math.min(8, 120 / (most * gain)) * gain;
    for (const row of this.#rows) if (peaks[row.name]) row.wave.show(peaks[row.name], scale);
  }

  /** The job is done: there are spectrograms, too. */
  complete(job) {
    for (const row of this.#rows) row.complete(job);
  }

  close() {
    this.#watch.disconnect();
    this.#scheme.removeEventListener("change", this.#redraw);
  }
}

class Row {
  #desk;
  #title;
  #mute;
  #solo;
  #gain;
  #level = element("output", { class: "level" });
  #pan;
  #spectrum;
  #picture = null;
  #address = "";
  download = element("a", { class: "button small-button", download: "" }, icon("download"));

  constructor(desk, name, number) {
    this.#desk = desk;
    this.name = name;
    this.wave = new Waveform(desk);
    const key = number < 10 ? ` (${number})` : "";
    const keySolo = number < 10 ? ` (⇧${number})` : "";
    const toggle = (word, letter, act, keys) =>
      labelled(text(word, { name }), letter, act, {
        class: `toggle ${word}`,
        "aria-pressed": "false",
        title: text(word, { name }) + keys,
      });
    this.#mute = toggle("mute", text("mute_letter"), () => desk.mute(name), key);
    this.#solo = toggle("solo", text("solo_letter"), () => desk.solo(name), keySolo);
    this.#gain = slider(text("gain_of", { name }), 0, MOST_GAIN, 0.01, 1, (value) =>
      desk.setGain(name, value),
    );
    this.#gain.classList.add("gain");
    this.#pan = slider(text("pan_of", { name }), -1, 1, 0.05, 0, (value) =>
      desk.setPan(name, value),
    );
    this.#pan.classList.add("pan");
    this.#spectrum = labelled(text("spectrum_of", { name }), icon("spectrum"), () => this.#swap(), {
      class: "small-button spectrum",
      "aria-pressed": "false",
    });
    this.#spectrum.hidden = this.download.hidden = true;
    this.#title = element("span", { class: "name", text: name, title: name });
    this.element = element(
      "li",
      { class: "row", "data-stem": name },
      element("div", { class: "what" }, this.#title, this.#mute, this.#solo),
      element("div", { class: "knob" }, this.#gain, this.#level),
      element(
        "div",
        { class: "knob pans" },
        element("span", { "aria-hidden": "true", text: text("left_letter") }),
        this.#pan,
        element("span", { "aria-hidden": "true", text: text("right_letter") }),
      ),
      this.wave.element,
      element("div", { class: "ends" }, this.#spectrum, this.download),
    );
  }

  show() {
    const { gain, pan, mute, solo } = this.#desk.settings.parts[this.name];
    this.#mute.setAttribute("aria-pressed", String(mute));
    this.#solo.setAttribute("aria-pressed", String(solo));
    set(this.#gain, "value", String(gain));
    this.#gain.setAttribute("aria-valuetext", decibels(gain));
    set(this.#level, "textContent", decibels(gain));
    set(this.#pan, "value", String(pan));
    this.#pan.setAttribute("aria-valuetext", panned(pan));
    this.#pan.title = panned(pan);
    this.element.toggleAttribute("data-silent", this.#desk.heard(this.name) === 0);
  }

  /** Of a job that is done there are a file and a spectrogram. */
  complete(job) {
    this.#address = `/api/v1/jobs/${job.id}/stems/${encodeURIComponent(this.name)}.png`;
    this.#spectrum.hidden = this.download.hidden = false;
  }

  #swap() {
    const on = this.#picture === null;
    this.#spectrum.setAttribute("aria-pressed", String(on));
    this.element.toggleAttribute("data-spectrum", on);
    if (!on) {
      this.#picture.remove();
      this.#picture = null;
      return;
    }
    const { clientWidth, clientHeight } = this.wave.element;
    const pixels = (length) => Math.max(64, Math.round(length * Math.min(2, devicePixelRatio)));
    const alt = text("spectrum_alt", { name: this.name });
    const size = `width=${pixels(clientWidth)}&height=${pixels(clientHeight)}`;
    const picture = element("img", { class: "picture", alt, draggable: "false" });
    this.#picture = picture;
    picture.onerror = () => {
      if (this.#picture !== picture) return; // it was given up before it came
      this.#swap();
      const detail = text("no_spectrum", { name: this.name });
      this.#desk.dispatchEvent(new CustomEvent("trouble", { detail }));
    };
    this.#picture.src = `${this.#address}?${size}`;
    this.wave.element.prepend(this.#picture);
  }
}

/** A slider that goes back to its plain value on a double click. */
export function slider(label, min, max, step, plain, act) {
  const made = element("input", { type: "range", "aria-label": label, min, max, step });
  made.addEventListener("input", () => act(Number(made.value)));
  made.addEventListener("dblclick", () => act(plain));
  made.style.setProperty("--plain", String((plain - min) / (max - min))); // there is a mark
  return made;
}

function panned(pan) {
  if (pan === 0) return text("centre");
  const percent = Math.round(100 * Math.abs(pan));
  return text(pan < 0 ? "to_left" : "to_right", { percent });
}
