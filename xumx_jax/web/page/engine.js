// Plays all stems of a song sample-exact from one clock, while their pieces are being fetched.

import { Clock } from "./clock.js";
import { Pieces } from "./pieces.js";
import { Pitch } from "./pitch.js";
import { margin, ratio, Run } from "./run.js";
import { Balance, Ramp } from "./strip.js";

export { openContext } from "./clock.js";

const AHEAD_SECONDS = 6; // more than a piece: then the end of one suffices to schedule the next
const AHEAD_LOOP_SECONDS = 2; // of short loops, which are many sources
const ENOUGH_SECONDS = 0.5; // to begin with
const ENOUGH_LIVE_SECONDS = 2; // of a song that is still being separated
const SHORTEST_LOOP_SECONDS = 0.02;
const TICK_SECONDS = 0.25;
const TAIL_SECONDS = 0.5; // after which nothing is left of what faded

/**
 * The player without its face. Everything counts in frames of the song.
 *
 * Events: "state" (detail: "playing", "paused", "waiting" or "ended") and "error" (an Error).
 */
export class Engine extends EventTarget {
  #clock;
  #song;
  #pieces;
  #master;
  #volume;
  #balance;
  #pitch = null;
  #opening = false;
  #run = null; // what is scheduled
  #wanted = false;
  #state = "paused";
  #position = 0; // where it goes on if nothing is scheduled
  #loop = null;
  #speed = 1;
  #semitones = 0;
  #timer = null;
  #asked = []; // resolve what play() has returned
  #gone = false;

  constructor(context, song) {
    super();
    this.#clock = new Clock(context, () => this.#wanted && this.pause());
    this.#song = song;
    this.#balance = new Balance(song);
    this.#master = new GainNode(context);
    this.#master.connect(context.destination);
    this.#volume = new Ramp(this.#clock, this.#master.gain, 1);
    this.#pieces = new Pieces(context, song, margin(song.rate, context.sampleRate));
    this.#pieces.onload = () => this.#pump();
    this.#pieces.onerror = (error) => this.#fail(error);
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
    if (!this.#run) return Math.round(this.#position);
    const { heard } = this.#clock;
    const { before, at, latency } = this.#run;
    const run = before && heard - latency < at ? before : this.#run;
    return Math.round(run.position(heard - run.latency));
  }

  get loop() {
    return this.#loop && { ...this.#loop };
  }

  /** How many frames are in memory. */
  get held() {
    return this.#pieces.held;
  }

  /** Whether speed and transposition work: a page from another machine needs HTTPS for them. */
  get stretches() {
    return Pitch.possible(this.#clock.context);
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
    if (!this.#wanted && this.#position >= this.#end) this.#position = 0;
    this.#wanted = true;
    this.#pump();
    await Promise.all([awake, begun]);
  }

  pause() {
    this.#halt("paused");
  }

  seek(frame) {
    const most = this.#song.frames ?? this.#song.ready;
    this.#stop();
    this.#position = Math.min(Math.max(0, Math.round(frame)), most);
    if (this.#state === "ended") this.#become("paused");
    this.#pump();
  }

  /** Gain 0 to 10 and pan -1 to 1 of a stem; what is left out stays. */
  setStem(name, { gain, pan }) {
    this.#balance.set(name, { gain, pan });
    this.#run?.balance(this.#balance.all());
  }

  setMaster(gain) {
    this.#volume.set(gain);
  }

  /** Play from frame `start` to before frame `end` again and again; 0.02 s at least. */
  setLoop(start, end) {
    const least = Math.ceil(SHORTEST_LOOP_SECONDS * this.#song.rate);
    const most = this.#song.frames ?? this.#song.ready;
    const first = Math.max(0, Math.min(Math.round(start), most - least));
    this.#loop = { start: first, end: Math.min(most, Math.max(first + least, Math.round(end))) };
    this.#plan();
  }

  clearLoop() {
    this.#loop = null;
    this.#plan();
  }

  /** 0.5 to 2 times as fast, in steps of 0.05; the pitch stays. */
  setSpeed(rate) {
    this.#bend(Math.min(40, Math.max(10, Math.round(20 * rate))) / 20, this.#semitones);
  }

  /** -12 to 12 semitones; the speed stays. */
  setTranspose(semitones) {
    this.#bend(this.#speed, Math.min(12, Math.max(-12, semitones)));
  }

  /** More of the song is ready, or it is complete. */
  update(song) {
    this.#song = this.#pieces.song = song;
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
      this.#pitch?.close();
    }, 1000 * TAIL_SECONDS);
  }

  // The frame at which the song ends; nobody knows of one that still grows.
  get #end() {
    return this.#song.complete ? this.#song.frames : Infinity;
  }

  // Where what is played from a frame on has to stop: at the loop's end or the song's.
  #most(frame) {
    return this.#loop && frame < this.#loop.end ? this.#loop.end : this.#end;
  }

  get #shifted() {
    return this.#speed !== 1 || this.#semitones !== 0;
  }

  // What the pitch shifter has to do: speed alone would move the pitch.
  get #shift() {
    return this.#semitones - 12 * Math.log2(this.#speed);
  }

  // Do what is due: begin, schedule what comes next, load what is missing.
  #pump() {
    clearTimeout(this.#timer);
    if (this.#gone) return;
    if (!this.#wanted) {
      if (!this.#pieces.find(this.#position)) this.#pieces.load(this.#position, 0);
      return;
    }
    const left = this.#left();
    if (left <= 0) {
      this.#run = null;
      this.#position = this.#end;
      this.#halt("ended");
      return;
    }
    if (this.#run?.missed(this.#clock.soon)) this.#stop();
    if (this.#run) this.#extend();
    else this.#begin();
    if (this.#clock.offline) return;
    const seconds = Math.max(0.01, Math.min(TICK_SECONDS, this.#left()));
    this.#timer = setTimeout(() => this.#pump(), 1000 * seconds);
  }

  // How many seconds are left to hear, once the end of the song is scheduled.
  #left() {
    const run = this.#run;
    return run?.last ? (run.end + run.latency - this.#clock.heard) / this.#clock.rate : Infinity;
  }

  #begin() {
    const from = this.#position;
    if (this.#shifted && !this.#pitch) {
      this.#become("waiting");
      this.#open();
      return;
    }
    const seconds = this.#song.complete ? ENOUGH_SECONDS : ENOUGH_LIVE_SECONDS;
    const enough = Math.min(this.#most(from), from + seconds * this.#song.rate);
    const reach = this.#pieces.reach(from, enough);
    if (reach < enough) {
      this.#become("waiting");
      this.#pieces.load(reach, (reach - from) / this.#song.rate);
      return;
    }
    this.#run = this.#made(this.#clock.soon, from);
    this.#become("playing");
    this.#extend();
  }

  #made(at, from, before = null) {
    const run = new Run(this.#clock, {
      at,
      from,
      before,
      ratio: ratio(this.#song.rate, this.#clock.rate, this.#speed),
      speed: this.#speed,
      latency: this.#shifted ? this.#pitch.latency : 0,
      output: this.#shifted ? this.#pitch.input : this.#master,
      balances: this.#balance.all(),
    });
    run.onended = () => this.#pump();
    if (this.#shifted) this.#pitch.set(this.#shift, at);
    return run;
  }

  #extend() {
    const run = this.#run;
    const { now, heard, rate, offline, context } = this.#clock;
    const short = this.#loop && this.#loop.end - this.#loop.start < this.#song.rate;
    const ahead = (short ? AHEAD_LOOP_SECONDS : AHEAD_SECONDS) * rate;
    const horizon = offline ? context.length : now + ahead;
    run.heard(heard);
    for (;;) {
      if (this.#loop && run.next === this.#loop.end) run.next = this.#loop.start;
      if (run.next >= this.#end) {
        run.close();
        break;
      }
      const piece = this.#pieces.find(run.next);
      if (!piece) this.#pieces.load(run.next, (run.end - now) / rate);
      if (!piece || run.end >= horizon) break;
      run.add(piece, this.#most(run.next));
    }
    run.guard();
    if (!offline || run.last || run.end >= horizon) this.#answer();
    if (offline || !run.overtaken()) return;
    this.#clock.hurry();
    this.#stop();
    this.#begin();
  }

  // The loop has changed: what is heard goes on, what would follow is planned anew.
  #plan() {
    const run = this.#run;
    const frame = this.#clock.soon;
    if (run && !run.missed(frame)) {
      run.forget(frame);
      const loop = this.#loop;
      if (loop && (run.position(frame) >= loop.end || !run.limit(loop.end, frame))) {
        this.seek(loop.start);
        return;
      }
    }
    this.#pump();
  }

  #bend(speed, semitones) {
    if (speed === this.#speed && semitones === this.#semitones) return;
    if (!this.stretches) {
      this.#tell("error", Object.assign(new Error("needs HTTPS"), { code: "no_stretch" }));
      return;
    }
    const same = speed === this.#speed && this.#shifted;
    this.#speed = speed;
    this.#semitones = semitones;
    if (this.#shifted && !this.#pitch) this.#open();
    else if (same && this.#shifted) this.#pitch.set(this.#shift, this.#clock.soon);
    else this.#turn();
  }

  async #open() {
    if (this.#opening) return;
    this.#opening = true;
    try {
      this.#pitch = await Pitch.open(this.#clock.context);
      this.#pitch.connect(this.#master);
    } catch (error) {
      this.#speed = 1;
      this.#semitones = 0;
      this.#tell("error", error);
    }
    this.#opening = false;
    if (this.#gone) this.#pitch?.close();
    else if (this.#shifted) this.#turn();
    else this.#pump();
  }

  // Another run goes on where this one is, at another speed; both are heard for a moment.
  #turn() {
    const old = this.#run;
    if (!old) {
      this.#pump();
      return;
    }
    const later = old.latency - (this.#shifted ? this.#pitch.latency : 0);
    const point = old.point(this.#clock.soon + Math.max(0, -later));
    if (!point || !this.#pieces.find(point.from)) {
      this.seek(this.position);
      return;
    }
    old.cut(point.at);
    this.#run = this.#made(point.at + later, point.from, old);
    this.#extend();
  }

  #stop() {
    if (!this.#run) return;
    const frame = this.#clock.soon;
    this.#position = Math.round(this.#run.position(frame));
    this.#run.cut(frame);
    this.#run = null;
  }

  #halt(state) {
    clearTimeout(this.#timer);
    this.#stop();
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
