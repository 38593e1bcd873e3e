// A song in pieces: fetched by Range, made into AudioBuffers, and kept while they are of use.

import { ordered } from "./stems.js";

const KEPT_SECONDS = 30; // of all stems, in memory
const FIRST_SECONDS = 1; // of the piece after a seek, so that it sounds at once
const MOST_SECONDS = 5;
const PATIENCE_SECONDS = 60; // with one request
const WAITS = [0.2, 0.5, 1, 2, 4, 8, 8, 8]; // seconds between attempts: a server that restarts
const PASSING = [0, 408, 425, 429]; // of the statuses below 500, those that may be better later

/** The stems of a job that is done, or that runs and can be heard as far as it is. */
export class Song {
  #server;
  #sources = new Map();

  constructor(job, server) {
    this.#server = server;
    this.id = job.id;
    this.live = job.state !== "done";
    this.update(job);
    const stems = this.live ? job.live.stems : job.stems;
    for (const stem of stems) this.#sources.set(stem.name, stem);
    this.stems = ordered(stems.map((stem) => stem.name));
  }

  /** More of it is there. A song that was opened live keeps to its floats, so to its level. */
  update(job) {
    this.complete = job.state === "done";
    const now = this.complete ? job : job.live;
    if (!now) return; // it failed or was cancelled: what is there can be heard
    this.rate = now.rate;
    this.channels = now.channels;
    this.frames = now.frames;
    this.ready = this.complete ? now.frames : now.ready;
  }

  /** Some frames of a stem, a Float32Array for each channel; in `into`, if that is given. */
  async piece(stem, start, frames, signal, into = null) {
    const source = this.#sources.get(stem);
    const size = frames * this.channels;
    let values;
    if (this.live) {
      const more = source.floats.includes("?") ? "&" : "?";
      const url = `${source.floats}${more}start=${start}&frames=${frames}`;
      values = new Float32Array(await this.#bytes(url, {}, 4 * size, signal));
    } else {
      const first = source.offset + 2 * this.channels * start;
      const headers = { Range: `bytes=${first}-${first + 2 * size - 1}` };
      values = new Int16Array(await this.#bytes(source.wav, headers, 2 * size, signal));
    }
    const scale = this.live ? 1 : 1 / 32768;
    const made = into ?? Array.from({ length: this.channels }, () => new Float32Array(frames));
    made.forEach((samples, channel) => {
      for (let to = 0, from = channel; to < frames; to += 1, from += this.channels) {
        samples[to] = values[from] * scale;
      }
    });
    return made;
  }

  async #bytes(url, headers, size, signal) {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(1000 * PATIENCE_SECONDS)]);
    const response = await this.#server.get(url, { signal: limited, headers });
    if (headers.Range && response.status !== 206) {
      throw new Error(`${url}: wanted a part of it, got status ${response.status}`);
    }
    const bytes = await response.arrayBuffer();
    if (bytes.byteLength !== size) {
      throw new Error(`${url}: wanted ${size} bytes, got ${bytes.byteLength}`);
    }
    return bytes;
  }
}

/**
 * The pieces of a song that are in memory: at most some 30 s, the latest used.
 *
 * A piece is `{ start, end, buffers }`, an AudioBuffer for each stem. Its buffers hold `margin`
 * frames more than it, since other speeds read a little beyond the end of what they play.
 */
export class Pieces {
  #context;
  #margin;
  #kept = []; // the latest used last
  #loading = null; // { start, end, abort }

  constructor(context, song, margin) {
    this.#context = context;
    this.#margin = margin;
    this.song = song;
    this.onload = () => {};
    this.onerror = () => {};
  }

  /** How many frames are in memory. */
  get held() {
    return this.#kept.reduce((sum, piece) => sum + piece.end - piece.start, 0);
  }

  /** The frame before which everything could be loaded now. */
  get edge() {
    return this.song.complete ? this.song.frames : Math.max(0, this.song.ready - this.#margin);
  }

  /** The piece with a frame, or undefined. */
  find(frame) {
    const found = this.#kept
      .filter((piece) => piece.start <= frame && frame < piece.end)
      .reduce((best, piece) => (best && best.end >= piece.end ? best : piece), undefined);
    if (found) {
      this.#kept.splice(this.#kept.indexOf(found), 1);
      this.#kept.push(found);
    }
    return found;
  }

  /** How far one could play from a frame on with what is in memory. */
  reach(frame, most) {
    let end = frame;
    for (let piece; end < most && (piece = this.find(end)); ) end = piece.end;
    return Math.min(end, most);
  }

  /** Load the piece that begins with a frame, to be heard in `seconds`. */
  load(frame, seconds) {
    if (this.#loading && this.#loading.start <= frame && frame < this.#loading.end) return;
    this.cancel();
    const { rate } = this.song;
    // twice as long as what there is to hear until it comes
    const frames = rate * Math.min(MOST_SECONDS, Math.max(FIRST_SECONDS, 2 * seconds));
    const next = this.#kept.filter((piece) => piece.start > frame).map((piece) => piece.start);
    const end = Math.min(frame + Math.round(frames), this.edge, ...next);
    if (end > frame) this.#load(frame, end);
  }

  /** What is being loaded is not wanted any more. */
  cancel() {
    this.#loading?.abort.abort();
    this.#loading = null;
  }

  async #load(start, end) {
    const { song } = this;
    const loading = { start, end, abort: new AbortController() };
    this.#loading = loading;
    const { signal } = loading.abort;
    const there = Math.min(end + this.#margin, song.ready);
    try {
      const made = song.stems.map(async (stem) => {
        const length = end - start + this.#margin;
        const buffer = this.#context.createBuffer(song.channels, length, song.rate);
        // straight into it: copies would lie around until they are collected
        const into = Array.from({ length: song.channels }, (_, at) => buffer.getChannelData(at));
        const ask = () => song.piece(stem, start, there - start, signal, into);
        await attempted(ask, signal);
        return [stem, buffer];
      });
      const buffers = new Map(await Promise.all(made));
      if (signal.aborted) return;
      this.#kept.push({ start, end, buffers });
      while (this.held > KEPT_SECONDS * song.rate && this.#kept.length > 1) this.#kept.shift();
    } catch (error) {
      if (signal.aborted) return;
      loading.abort.abort(); // the other stems of it
      this.#loading = null;
      this.onerror(error);
      return;
    }
    this.#loading = null;
    this.onload();
  }
}

/** What `ask` gives, which is asked again while errors may pass. */
async function attempted(ask, signal) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      // a song that is heard while it is made, and that a server which restarted begins anew
      const begun = error.code === "not_done";
      const passes = error.status === undefined || error.status >= 500;
      const worth = (passes || PASSING.includes(error.status)) && attempt < WAITS.length;
      if (signal.aborted || !(worth || begun)) throw error;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 1000 * (WAITS[attempt] ?? WAITS.at(-1)));
      signal.addEventListener("abort", resolve, { once: true });
    });
    signal.throwIfAborted();
  }
}
