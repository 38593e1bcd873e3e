// What is heard when: runs of a song, each scheduled ahead, and what becomes of them.

import { ratio, Run } from "./run.js";

const AHEAD_SECONDS = 6; // more than a piece: then the end of one suffices to schedule the next
const AHEAD_LOOP_SECONDS = 2; // of short loops, which are many sources
const ENOUGH_SECONDS = 0.5; // to begin with
const ENOUGH_LIVE_SECONDS = 2; // of a song that is still being separated
const FEW_SECONDS = 2.5; // ahead, of a run that has just begun
const SETTLED_SECONDS = 0.75;
const SHORTEST_LOOP_SECONDS = 0.02;

/** Plays from a position on, as far as the pieces are there. */
export class Schedule {
  #clock;
  #pieces;
  #stretch;
  #balance;
  #output;
  #run = null;
  #position = 0; // where it goes on if there is no run
  #loop = null;

  constructor({ clock, pieces, stretch, balance, output }) {
    this.#clock = clock;
    this.#pieces = pieces;
    this.#stretch = stretch;
    this.#balance = balance;
    this.#output = output;
    this.onended = () => {}; // a piece was played
  }

  get #song() {
    return this.#pieces.song;
  }

  /** The frame at which the song ends; nobody knows of one that still grows. */
  get end() {
    return this.#song.complete ? this.#song.frames : Infinity;
  }

  get loop() {
    return this.#loop;
  }

  /** The frame that is heard now. */
  get position() {
    if (!this.#run) return this.#position;
    const { heard } = this.#clock;
    const { before, at, latency } = this.#run;
    const run = before && heard - latency < at ? before : this.#run;
    return Math.round(run.position(heard - run.latency));
  }

  set position(frame) {
    this.stop();
    const end = this.#song.frames ?? this.#song.ready;
    this.#position = Math.min(Math.max(0, Math.round(frame)), end);
  }

  /** How many seconds are left to hear, once the end of the song is scheduled. */
  get left() {
    const run = this.#run;
    return run?.last ? (run.end + run.latency - this.#clock.heard) / this.#clock.rate : Infinity;
  }

  /** Whether all is scheduled that can be by now; offline, to the end of what is computed. */
  get full() {
    return this.#run !== null && (this.#run.last || this.#run.end >= this.#horizon);
  }

  /** Do what is due: begin, go on, load -> "playing", "waiting" or "ended". */
  advance() {
    if (this.left <= 0) {
      this.#run = null;
      this.#position = this.end;
      return "ended";
    }
    if (this.#run?.missed(this.#clock.soon)) this.stop();
    if (!this.#run && !this.#begin()) return "waiting";
    this.#extend();
    return "playing";
  }

  /** Load what would be played first. */
  prepare() {
    if (!this.#pieces.find(this.#position)) this.#pieces.load(this.#position, 0);
  }

  /** Fade out; it goes on from here. */
  stop() {
    if (!this.#run) return;
    const frame = this.#run.cut(this.#clock.soon);
    this.#position = Math.round(this.#run.position(frame));
    this.#run = null;
  }

  /** Hear the balance as it is now. */
  rebalance() {
    this.#run?.balance(this.#balance.all());
  }

  /** Repeat from frame `start` to before frame `end`; null: nothing. What is heard goes on. */
  repeat(start, end) {
    this.#loop = start === null ? null : this.#bounds(start, end);
    const run = this.#run;
    const frame = this.#clock.soon;
    if (!run || run.missed(frame)) return;
    run.forget(frame);
    const loop = this.#loop;
    if (loop && (run.position(frame) >= loop.end || !run.limit(loop.end, frame))) {
      this.position = loop.start;
    }
  }

  /** Go on at another speed or pitch; both are heard for a moment. */
  turn() {
    const old = this.#run;
    if (!old) return;
    const later = old.latency - this.#stretch.latency;
    const point = old.point(this.#clock.soon + Math.max(0, -later));
    if (!point || !this.#pieces.find(point.from)) {
      this.stop();
      return;
    }
    old.cut(point.at);
    this.#run = this.#made(point.at + later, point.from, old);
  }

  #bounds(start, end) {
    const least = Math.ceil(SHORTEST_LOOP_SECONDS * this.#song.rate);
    const most = this.#song.frames ?? this.#song.ready;
    const first = Math.max(0, Math.min(Math.round(start), most - least));
    return { start: first, end: Math.min(most, Math.max(first + least, Math.round(end))) };
  }

  // Where what is played from a frame on has to stop: at the loop's end or the song's.
  #most(frame) {
    return this.#loop && frame < this.#loop.end ? this.#loop.end : this.end;
  }

  get #horizon() {
    if (this.#clock.offline) return this.#clock.context.length;
    const short = this.#loop && this.#loop.end - this.#loop.start < this.#song.rate;
    return this.#clock.now + (short ? AHEAD_LOOP_SECONDS : AHEAD_SECONDS) * this.#clock.rate;
  }

  #begin() {
    if (!this.#stretch.ready) return false;
    const from = this.#position;
    const seconds = this.#song.complete ? ENOUGH_SECONDS : ENOUGH_LIVE_SECONDS;
    const enough = Math.min(this.#most(from), from + seconds * this.#song.rate);
    const reach = this.#pieces.reach(from, enough);
    if (reach < enough) {
      this.#pieces.load(reach, (reach - from) / this.#song.rate);
      return false;
    }
    this.#run = this.#made(this.#clock.soon, from);
    return true;
  }

  #made(at, from, before = null) {
    const { speed, latency, input } = this.#stretch;
    const run = new Run(this.#clock, {
      at,
      from,
      before,
      ratio: ratio(this.#song.rate, this.#clock.rate, speed),
      speed,
      latency,
      output: input ?? this.#output,
      balances: this.#balance.all(),
    });
    run.onended = () => this.onended();
    this.#stretch.apply(at);
    return run;
  }

  #extend() {
    const run = this.#run;
    run.heard(this.#clock.heard);
    for (;;) {
      if (this.#loop && run.next === this.#loop.end) run.next = this.#loop.start;
      if (run.next >= this.end) {
        run.close();
        break;
      }
      const piece = this.#pieces.find(run.next);
      if (!piece) {
        this.#load(run);
        break;
      }
      if (run.end >= this.#horizon) break;
      run.add(piece, this.#most(run.next));
    }
    if (this.#clock.offline) return; // nothing comes too late
    run.guard();
    if (!run.overtaken()) return;
    this.#clock.hurry();
    this.stop();
    if (this.#begin()) this.#extend();
  }

  // What follows a run; not much at first, since who looks for a place seeks again and again.
  #load(run) {
    const { now, rate, offline } = this.#clock;
    const ahead = (run.end - now) / rate;
    if (offline || ahead < FEW_SECONDS || now - run.at > SETTLED_SECONDS * rate) {
      this.#pieces.load(run.next, ahead);
    }
  }
}
