// The mixing desk: a song's settings, and all that can be done to them, by whatever means.

import { SEMITONES, asSpeed, heard, plain } from "./settings.js";

const SHORTEST = 0.02; // seconds, of a loop

/**
 * Events: "change" when a setting has changed, "place" when another place was chosen, and "trouble"
 * with a line for people.
 */
export class Desk extends EventTarget {
  #mark = null; // where a loop begins whose end is not set
  #draft = null; // a loop that is being dragged

  /** `song` may be replaced as more of it becomes ready. */
  constructor(song, engine, settings) {
    super();
    this.song = song;
    this.engine = engine;
    this.settings = settings;
    this.#sendAll();
  }

  /** Set all that these settings say. */
  take(settings) {
    Object.assign(this.settings, settings);
    this.#mark = this.#draft = null;
    this.#sendAll();
    this.#tell("change");
  }

  /** The frame that is heard. */
  get position() {
    return this.engine.position;
  }

  /** The loop as it is to be shown: [start, end], [start, null] if only its start is set, null. */
  get shownLoop() {
    return this.#draft ?? this.settings.loop ?? (this.#mark === null ? null : [this.#mark, null]);
  }

  toggle() {
    if (this.engine.playing) this.engine.pause();
    else this.engine.play();
  }

  seek(frame) {
    const last = this.song.frames ?? this.song.ready;
    this.engine.seek(Math.round(Math.min(last, Math.max(0, frame))));
    this.settings.at = this.position;
    this.#tell("place");
  }

  /** Go forward, or back, by some seconds. */
  move(seconds) {
    this.seek(this.position + seconds * this.song.rate);
  }

  /** The gain at which a stem is heard. */
  heard(name) {
    return heard(this.settings, name);
  }

  setGain(name, gain) {
    this.settings.parts[name].gain = gain;
    this.#apply();
  }

  setPan(name, pan) {
    this.settings.parts[name].pan = pan;
    this.#apply();
  }

  /** Mute a stem, or let it be heard again. */
  mute(name) {
    this.settings.parts[name].mute = !this.settings.parts[name].mute;
    this.#apply();
  }

  /** Hear this stem alone, or with others that are soloed. */
  solo(name) {
    this.settings.parts[name].solo = !this.settings.parts[name].solo;
    this.#apply();
  }

  /** All stems as they were separated. */
  reset() {
    Object.assign(this.settings.parts, plain(this.song.stems).parts);
    this.#apply();
  }

  setVolume(gain) {
    this.settings.volume = gain;
    this.engine.setMaster(gain);
    this.#tell("change");
  }

  setSpeed(rate) {
    if (!this.engine.stretches) return;
    this.settings.speed = asSpeed(rate);
    this.engine.setSpeed(this.settings.speed);
    this.#tell("change");
  }

  setTranspose(semitones) {
    if (!this.engine.stretches) return;
    this.settings.transpose = Math.min(SEMITONES, Math.max(-SEMITONES, Math.round(semitones)));
    this.engine.setTranspose(this.settings.transpose);
    this.#tell("change");
  }

  /** Repeat what is between two frames, in either order; too little for a loop changes nothing. */
  setLoop(one, other) {
    const last = this.song.frames ?? this.song.ready;
    const bounded = [one, other].map((frame) => Math.round(Math.min(last, Math.max(0, frame))));
    const [start, end] = bounded.sort((a, b) => a - b);
    this.#draft = null;
    if (end - start >= Math.min(last, SHORTEST * this.song.rate) && end > start) {
      this.#mark = null;
      this.settings.loop = [start, end];
      this.engine.setLoop(start, end);
    }
    this.#tell("change");
  }

  clearLoop() {
    this.#mark = this.#draft = this.settings.loop = null;
    this.engine.clearLoop();
    this.#tell("change");
  }

  /** Let a loop be seen while it is dragged; null: it is given up. */
  draft(loop) {
    this.#draft = loop && [Math.min(...loop), Math.max(...loop)];
    this.#tell("change");
  }

  /** Set the start of a loop here. */
  markStart() {
    const here = this.position;
    const end = this.settings.loop?.[1];
    if (end > here) return this.setLoop(here, end);
    this.clearLoop();
    this.#mark = here;
    return this.#tell("change");
  }

  /** Set the end of a loop here. */
  markEnd() {
    this.setLoop(this.#mark ?? this.settings.loop?.[0] ?? 0, this.position);
  }

  /** One key for it all: the start, then the end, then no loop. */
  mark() {
    if (this.settings.loop) this.clearLoop();
    else if (this.#mark === null) this.markStart();
    else this.markEnd();
  }

  /** Speed and key turn out to stay as they were separated. */
  unbend() {
    Object.assign(this.settings, { speed: 1, transpose: 0 });
    this.#tell("change");
  }

  #sendAll() {
    const { engine, settings } = this;
    if (!engine.stretches) Object.assign(settings, { speed: 1, transpose: 0 });
    for (const name of this.song.stems) this.#send(name);
    engine.setMaster(settings.volume);
    engine.setSpeed(settings.speed);
    engine.setTranspose(settings.transpose);
    if (settings.loop) engine.setLoop(...settings.loop);
    else engine.clearLoop();
    if (settings.at !== engine.position) engine.seek(settings.at);
  }

  #apply() {
    for (const name of this.song.stems) this.#send(name);
    this.#tell("change");
  }

  #send(name) {
    this.engine.setStem(name, { gain: this.heard(name), pan: this.settings.parts[name].pan });
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}
