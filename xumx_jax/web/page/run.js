// All stems from one frame of the song on, without a break, as sources scheduled by one clock.

import { Strip } from "./strip.js";

const FADE_SECONDS = 0.008;

const MOST_SONG = 32768;

/**
 * The frames of the song in `song` frames that are heard in `out` frames of the context.
 *
 * Pieces meet exactly where both are whole, that is after multiples of these.
 */
export function ratio(songRate, contextRate, speed) {
  const [song, out] = [songRate * Math.round(20 * speed), contextRate * 20]; // speeds are k / 20
  const common = divisor(song, out);
  if (song / common <= MOST_SONG) return { song: song / common, out: out / common };
  // rates that have little in common: seams are off by less than a frame
  return { song: Math.round((4096 * song) / out), out: 4096 };
}

/** How many frames beyond the end of a piece may be read, at any speed. */
export function margin(songRate, contextRate) {
  const most = (40 * songRate) / divisor(songRate, contextRate);
  return 64 + Math.min(MOST_SONG, most); // browsers look ahead while they interpolate
}

function divisor(a, b) {
  while (b > 0) [a, b] = [b, a % b];
  return a;
}

/** What is played from a start, a seek or a change of speed to the next one. */
export class Run {
  #clock;
  #strips = new Map();
  #ratio;
  #speed;
  #rise; // fades in
  #fall; // fades out
  #fade; // frames
  #parts = []; // what is scheduled: { at, out, from, to, sources }, in order
  #guard = null; // the frame at which it fades unless there is more
  #cut = Infinity; // the frame at which it fades for good
  #first = Infinity; // the frame at which the first begins of what was scheduled last

  /** It begins at frame `at` of the context with frame `from` of the song. */
  constructor(clock, { at, from, ratio, speed, latency, output, balances, before = null }) {
    const { context } = clock;
    this.#clock = clock;
    this.#ratio = ratio;
    this.#speed = speed;
    this.#fade = Math.round(FADE_SECONDS * clock.rate);
    this.at = this.end = at; // of what is scheduled, in frames of the context
    this.from = this.next = from; // the frame of the song that follows what is scheduled
    this.latency = latency;
    this.before = before; // the run that is heard until this one is
    if (before) before.before = null;
    this.last = false; // whether the song ends with it
    this.#rise = new GainNode(context, { gain: from > 0 ? 0 : 1 });
    this.#fall = new GainNode(context);
    this.#rise.connect(this.#fall).connect(output);
    if (from > 0) this.#ramp(this.#rise.gain, 0, 1, at); // the song's own beginning is its own
    for (const [name, balance] of balances) {
      this.#strips.set(name, new Strip(clock, this.#rise, balance));
    }
  }

  /** Set gains and pans, [[stem, { gain, pan, wide }]]. */
  balance(balances) {
    for (const [name, balance] of balances) this.#strips.get(name).set(balance);
    this.before?.balance(balances);
  }

  /** Schedule a piece from `next` to its end, or to frame `most` if that comes first. */
  add(piece, most) {
    const from = this.next;
    const { song, out } = this.#ratio;
    const turns = Math.ceil((piece.end - from) / song);
    let [to, frames] = [from + turns * song, turns * out];
    if (to > most) [to, frames] = [most, this.#outOf(most - from)];
    const { context, rate } = this.#clock;
    const at = this.end;
    const sources = [];
    for (const [name, buffer] of piece.buffers) {
      const source = new AudioBufferSourceNode(context, {
        buffer,
        playbackRate: this.#speed,
      });
      source.connect(this.#strips.get(name).input);
      source.start(at / rate, (from - piece.start) / buffer.sampleRate);
      source.stop((at + frames) / rate);
      sources.push(source);
    }
    sources[0].onended = () => this.onended?.();
    this.#parts.push({ at, out: frames, from, to, sources });
    this.end = at + frames;
    this.next = to;
    this.#first = Math.min(this.#first, at);
  }

  /** Whether the clock has overtaken what was just scheduled: stems may not be in step then. */
  overtaken() {
    const first = this.#first;
    this.#first = Infinity;
    return first < this.#clock.now;
  }

  /** Schedule a fade at the end of what there is, for the case that nothing more comes in time. */
  guard() {
    if (this.last || this.#guard === this.end - this.#fade) return;
    this.#unguard();
    this.#guard = this.end - this.#fade;
    this.#ramp(this.#fall.gain, 1, 0, this.#guard);
  }

  /** Whether it is too late to go on behind its end, seen from a frame of the context. */
  missed(frame) {
    return this.#guard !== null && frame > this.#guard;
  }

  /** The song ends where this run ends. */
  close() {
    this.#unguard();
    this.last = true;
  }

  /** Fade out at a frame of the context -> the frame at which it does: there may be no more. */
  cut(frame) {
    this.before?.cut(frame);
    if (this.missed(frame)) return this.#guard;
    if (this.#cut <= frame) return this.#cut;
    this.#unguard();
    this.#cut = frame;
    this.#ramp(this.#fall.gain, 1, 0, frame);
    const end = frame + this.#fade;
    this.#stop(end);
    this.onended = () => {
      if (this.#clock.now >= end) this.#fall.disconnect();
    };
    return frame;
  }

  /** Forget what begins after a frame of the context; from there on it can be planned anew. */
  forget(frame) {
    while (this.#parts.length > 0 && this.#parts.at(-1).at >= frame) this.#drop(this.#parts.pop());
    const part = this.#parts.at(-1);
    this.end = part ? part.at + part.out : this.at;
    this.next = part ? part.to : this.from;
    this.last = false;
  }

  /** End what is scheduled with a frame of the song -> whether that can still be done. */
  limit(most, frame) {
    const part = this.#parts.at(-1);
    if (!part || part.to <= most) return true;
    const out = this.#outOf(most - part.from);
    if (out <= 0 || part.at + out < frame) return false;
    part.out = out;
    part.to = this.next = most;
    this.end = part.at + out;
    for (const source of part.sources) source.stop(this.end / this.#clock.rate);
    return true;
  }

  /** The frame of the song at a frame of the context, both as they were scheduled. */
  position(frame) {
    if (frame < this.at) return this.from;
    const part = this.#parts.findLast((one) => one.at <= frame) ?? this.#parts[0];
    if (!part) return this.from;
    const { song, out } = this.#ratio;
    return Math.min(part.to, part.from + ((frame - part.at) * song) / out);
  }

  /** The first point from a frame on where both are whole: { at, from }, or null. */
  point(frame) {
    const { song, out } = this.#ratio;
    for (const part of this.#parts) {
      const turns = Math.max(0, Math.ceil((frame - part.at) / out));
      const at = part.at + turns * out;
      if (at < part.at + part.out) return { at, from: part.from + turns * song };
    }
    return null;
  }

  /** Forget what was heard, and the run before, once a frame of the context has been heard. */
  heard(frame) {
    const computed = frame - this.latency;
    while (this.#parts.length > 1 && this.#parts[1].at <= computed) this.#parts.shift();
    if (computed >= this.at) this.before = null;
  }

  #outOf(frames) {
    return Math.ceil((frames * this.#ratio.out) / this.#ratio.song);
  }

  #ramp(param, from, to, frame) {
    const { rate } = this.#clock;
    // half a frame early, so that rounding leaves none out
    param.setValueAtTime(from, Math.max(0, frame - 0.5) / rate);
    param.linearRampToValueAtTime(to, (frame + this.#fade) / rate);
  }

  #unguard() {
    if (this.#guard === null) return;
    this.#fall.gain.cancelScheduledValues((this.#guard - 0.5) / this.#clock.rate);
    this.#guard = null;
  }

  #stop(frame) {
    while (this.#parts.length > 0 && this.#parts.at(-1).at >= frame) this.#drop(this.#parts.pop());
    for (const part of this.#parts) {
      if (part.at + part.out <= frame) continue;
      for (const source of part.sources) source.stop(frame / this.#clock.rate);
    }
  }

  #drop(part) {
    for (const source of part.sources) {
      source.onended = null;
      source.stop();
      source.disconnect();
      source.buffer = null; // browsers keep such sources until they would have ended
    }
  }
}
