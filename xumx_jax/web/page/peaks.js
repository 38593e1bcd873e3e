// The peaks of a song's stems, fetched once; of a job that runs, as they come.

import { STRETCH } from "./waveform.js";

/** Holds the pairs of peaks of each stem. */
export class Peaks {
  #server;
  #signal;
  #found = {};
  #busy = false;
  #complete = false;

  constructor(server, signal) {
    this.#server = server;
    this.#signal = signal;
  }

  /** Fetch what there is more of a job -> {stem: int8 pairs}, or null if nothing is new. */
  async load(job) {
    if (this.#busy || this.#complete) return null;
    const done = job.state === "done";
    const stems = done ? job.stems : (job.live?.stems ?? []);
    const pairs = done ? Math.ceil(job.frames / STRETCH) : Math.floor(job.live?.ready / STRETCH);
    const missing = stems.filter(({ name }) => 2 * pairs > this.#length(name));
    this.#busy = true;
    try {
      await Promise.all(missing.map((stem) => this.#fetch(stem)));
      this.#complete = done;
      if (missing.length === 0) return null;
    } finally {
      this.#busy = false;
    }
    return this.#found;
  }

  /** The job is separated anew. */
  clear() {
    this.#found = {};
  }

  #length(name) {
    return this.#found[name]?.length ?? 0;
  }

  async #fetch({ name, peaks }) {
    const have = this.#length(name);
    const headers = have ? { Range: `bytes=${have}-` } : {};
    let response;
    try {
      response = await this.#server.get(peaks, { headers, signal: this.#signal });
    } catch (error) {
      if (error.status === 416) return; // there is nothing more
      throw error;
    }
    const more = new Int8Array(await response.arrayBuffer());
    const whole = new Int8Array((response.status === 206 ? have : 0) + more.length);
    if (response.status === 206) whole.set(this.#found[name]);
    whole.set(more, whole.length - more.length);
    this.#found[name] = whole;
  }
}
