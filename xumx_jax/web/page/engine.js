// Plays all stems of a song sample-exact from one clock, while their pieces are being fetched.

import { Clock } from "./clock.js";
import { Pieces } from "./pieces.js";
import { Stretch } from "./pitch.js";
import { margin } from "./run.js";
import { Schedule } from "./schedule.js";
import { Balance, Ramp } from "./strip.js";

export { openContext } from "./clock.js";

const TICK_SECONDS = 0.25;
const TAIL_SECONDS = 0.5; // after which nothing is left of what faded

/**
 * The player without its face. Everything counts in frames of the song.
 *
 * Events: "state" (detail: "playing", "paused", "waiting" or "ended") and "error" (an Error).
 */
export class Engine extends EventTarget {
  #clock;
  #pieces;
  #master;
  #volume;
  #balance;
  #stretch;
  #schedule;
  #wanted = false;
  #state = "paused";
  #timer = null;
  #asked = []; // resolve what play() has returned
  #gone = false;

  constructor(context, song) {
    super();
    this.#clock = new Clock(context, () => this.#wanted && this.pause());
    this.#master = new GainNode(context);
    this.#master.connect(context.destination);
    this.#volume = new Ramp(this.#clock, this.#master.gain, 1);
    this.#balance = new Balance(song);
    this.#stretch = new Stretch(context, this.#master);
    this.#pieces = new Pieces(context, song, margin(song.rate, context.sampleRate));
    this.#pieces.onload = () => this.#pump();
    this.#pieces.onerror = (error) => this.#fail(error);
    this.#schedule = new Schedule({
      clock: this.#clock,
      pieces: this.#pieces,
      stretch: this.#stretch,
      balance: this.#balance,
      output: this.#master,
    });
    this.#schedule.onended = () => this.#pump();
    this.#clock.rest();
    this.#pump();
  }

  /** Whether it is meant to be heard: also while it waits for more. */
  get playing() {
    return this.#wanted;
  }

  get state() {
    return this.#state;
  }

  /** The frame that is heard now. */
  get position() {
    return this.#schedule.position;
  }

  get loop() {
    return this.#schedule.loop && { ...this.#schedule.loop };
  }

  /** How many frames are in memory. */
  get held() {
    return this.#pieces.held;
  }

  /** Whether speed and transposition work: a page from another machine needs HTTPS for them. */
  get stretches() {
    return this.#stretch.possible;
  }

  /**
   * Play from where it is; from the beginning if it is at the end. Call it from a gesture.
   *
   * It waits until sound is scheduled, or until nothing will come.
   */
  async play() {
    if (this.#gone) return;
    const awake = this.#clock.wake().then((runs) => runs || this.pause());
    const begun = new Promise((resolve) => this.#asked.push(resolve));
    if (this.position >= this.#schedule.end) this.#schedule.position = 0;
    this.#wanted = true;
    this.#pump();
    await Promise.all([awake, begun]);
    // offline no time goes by in which the shifter gets to know what it has to do
    if (this.#clock.offline) await this.#stretch.settled;
  }

  pause() {
    this.#halt("paused");
  }

  seek(frame) {
    this.#schedule.position = frame;
    if (this.#state === "ended") this.#become("paused");
    this.#pump();
  }

  /** Gain 0 to 10 and pan -1 to 1 of a stem; what is left out stays. */
  setStem(name, { gain, pan }) {
    this.#balance.set(name, { gain, pan });
    this.#schedule.rebalance();
  }

  setMaster(gain) {
    this.#volume.set(gain);
  }

  /** Play from frame `start` to before frame `end` again and again; 0.02 s at least. */
  setLoop(start, end) {
    this.#schedule.repeat(start, end);
    this.#pump();
  }

  clearLoop() {
    this.#schedule.repeat(null);
    this.#pump();
  }

  /** 0.5 to 2 times as fast, in steps of 0.05; the pitch stays. */
  setSpeed(rate) {
    const speed = Math.min(40, Math.max(10, Math.round(20 * rate))) / 20;
    this.#bend(speed, this.#stretch.semitones);
  }

  /** -12 to 12 semitones; the speed stays. */
  setTranspose(semitones) {
    this.#bend(this.#stretch.speed, Math.min(12, Math.max(-12, semitones)));
  }

  /** More of the song is ready, or it is complete. */
  update(song) {
    this.#pieces.song = song;
    this.#pump();
  }

  /** Fade out and let go of everything but the context. */
  destroy() {
    this.#halt("paused");
    this.#gone = true;
    this.#pieces.cancel();
    this.#clock.close();
    setTimeout(() => {
      this.#master.disconnect();
      this.#stretch.close();
    }, 1000 * TAIL_SECONDS);
  }

  // Do what is due, and come back when something else is.
  #pump() {
    clearTimeout(this.#timer);
    if (this.#gone) return;
    if (!this.#wanted) {
      this.#schedule.prepare();
      return;
    }
    const state = this.#schedule.advance();
    if (state === "ended") {
      this.#halt(state);
      return;
    }
    if (this.#clock.offline ? this.#schedule.full : state === "playing") this.#answer();
    this.#become(state);
    if (this.#clock.offline) return;
    const seconds = Math.max(0.01, Math.min(TICK_SECONDS, this.#schedule.left));
    this.#timer = setTimeout(() => this.#pump(), 1000 * seconds);
  }

  async #bend(speed, semitones) {
    let change;
    try {
      change = this.#stretch.set(speed, semitones, this.#clock.soon);
      if (change === "opening") await this.#stretch.open();
    } catch (error) {
      if (!this.#gone) this.#tell("error", error);
      return;
    }
    if (this.#gone || change === "same") return;
    this.#schedule.turn();
    this.#pump();
  }

  #halt(state) {
    clearTimeout(this.#timer);
    this.#schedule.stop();
    this.#wanted = false;
    this.#answer();
    this.#become(state);
    this.#clock.rest();
  }

  #fail(error) {
    this.#halt("paused");
    this.#tell("error", error);
  }

  #answer() {
    for (const resolve of this.#asked.splice(0)) resolve();
  }

  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#tell("state", state);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
