// Files on their way to the server, one after the other.

import { ServerError, isAway } from "./server.js";
import { text } from "./texts.js";

const TRIES = 3; // of an upload that is cut off though the server is there
const WAIT = 30; // seconds, where the server does not say how long
const SKEW = 60_000; // ms, between our clock and the server's
const MEGABYTE = 2 ** 20;

/**
 * A file that is sent.
 *
 * `state` is "waiting", "sending" or "failed" (then there is an `error`). What waits may have a
 * `reason`: "room" (the server's queue is full; tried again at `until`, in ms), "server", "token".
 */
export class Upload {
  static #made = 0;
  key = `upload-${++Upload.#made}`;
  state = "waiting";
  reason = null;
  until = 0;
  share = 0;
  error = null;
  tries = 0;
  unwanted = false; // its job is to be removed as soon as there is one
  stop = new AbortController();

  constructor(file, options) {
    this.file = file;
    this.size = file.size; // browsers look at the file only when asked; it may not change then
    this.options = options;
    this.name = cleaned(file.name);
  }
}

/** The queue of this page. Events: "change", and "sent" with detail `{ upload, job }`. */
export class Uploads extends EventTarget {
  limits = null;
  #server;
  #all = [];
  #began = new Map(); // when a file was sent last, in ms, by its name
  #busy = false;
  #timer = 0;

  constructor(server) {
    super();
    this.#server = server;
    server.addEventListener("back", () => this.resume());
    addEventListener("beforeunload", (event) => {
      if (this.active) event.preventDefault();
    });
  }

  /** Those that are not with the server yet, in their order. */
  get all() {
    return this.#all;
  }

  /** Whether something is lost if the page is closed. */
  get active() {
    return this.#all.some((upload) => upload.state !== "failed");
  }

  /** Send files with the options of a job, which a function gives when they are sent. */
  add(files, options) {
    this.#all.push(...files.map((file) => new Upload(file, options)));
    this.#run();
  }

  /** Forget one, and stop sending it. */
  remove(upload) {
    this.#all = this.#all.filter((one) => one !== upload);
    // Once all is sent, the server makes a job of it, whether we listen or not.
    upload.unwanted = upload.share === 1;
    if (!upload.unwanted) upload.stop.abort();
    this.#run(); // others may have waited for it
  }

  /** Send one again that failed. */
  again(upload) {
    Object.assign(upload, { state: "waiting", error: null, tries: 0, share: 0 });
    this.#run();
  }

  /** Go on: there is a server, a token or room again. */
  resume() {
    clearTimeout(this.#timer);
    for (const upload of this.#all) Object.assign(upload, { reason: null, until: 0 });
    this.#run();
  }

  /** There is room again for what was refused. */
  room() {
    if (this.#all.some((upload) => upload.reason === "room")) this.resume();
  }

  /** Whether a job of the server is a file that is being sent here, or was until just now. */
  isSending(job) {
    const began = this.#began.get(job.name);
    return job.state === "uploading" && job.created * 1000 > began - SKEW;
  }

  async #run() {
    this.#changed();
    if (this.#busy) return;
    this.#busy = true;
    const waiting = () => this.#all.find((one) => one.state === "waiting");
    for (let next = waiting(); next && !next.reason; next = waiting()) {
      if (this.#server.away) next.reason = "server";
      else await this.#send(next);
      this.#changed();
    }
    this.#busy = false;
  }

  async #send(upload) {
    const { file, stop } = upload;
    Object.assign(upload, { state: "sending", share: 0 });
    this.#began.set(upload.name, Date.now());
    this.#changed();
    const onProgress = (share) => {
      upload.share = share;
      this.#changed();
    };
    try {
      this.#check(upload);
      await readable(file);
      const options = await upload.options();
      const job = await this.#server.send(file, options, { onProgress, signal: stop.signal });
      if (upload.unwanted) return await this.#server.remove(job.id);
      this.#all = this.#all.filter((one) => one !== upload);
      this.dispatchEvent(new CustomEvent("sent", { detail: { upload, job } }));
    } catch (error) {
      if (this.#all.includes(upload)) await this.#failed(upload, error);
    }
    return undefined;
  }

  async #failed(upload, error) {
    if (error.code === "too_many") {
      const wait = (error.retryAfter ?? WAIT) * 1000;
      this.#wait(upload, "room");
      upload.until = Date.now() + wait;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.resume(), wait);
    } else if (error.code === "no_token") this.#wait(upload, "token");
    else if (isAway(error)) this.#wait(upload, "server");
    else if (error.code === "cut_off" && error.status === 0) await this.#cutOff(upload);
    else this.#end(upload, error);
  }

  /** The connection ended: because of the file, the server, or something between. */
  async #cutOff(upload) {
    upload.tries += 1;
    try {
      await readable(upload.file);
    } catch (error) {
      return this.#end(upload, error);
    }
    if (!(await this.#server.retry())) return this.#wait(upload, "server");
    if (upload.tries < TRIES) return this.#wait(upload, null);
    return this.#end(upload, new ServerError("cut_off", text("cut_off")));
  }

  #wait(upload, reason) {
    Object.assign(upload, { state: "waiting", reason, share: 0 });
  }

  #end(upload, error) {
    Object.assign(upload, { state: "failed", error, share: 0 });
  }

  #check({ size }) {
    const most = this.limits?.max_bytes ?? Infinity;
    if (size <= most) return;
    const megabytes = Number((most / MEGABYTE).toPrecision(6)); // as the server writes it
    throw new ServerError("too_large", text("too_large", { most: megabytes }));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** A file's name as the server keeps it: one line without marks that turn the text around. */
function cleaned(name) {
  const visible = name.replace(/\s+/g, " ").replace(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}]/gu, "");
  return [...visible.trim()].slice(0, 255).join("");
}

/** Throw ServerError if a file is not what it was when it was chosen, or is gone. */
async function readable(file) {
  try {
    await (file.size ? file.slice(0, 1) : file).arrayBuffer(); // of nothing, anything can be read
  } catch {
    throw new ServerError("changed", text("changed"));
  }
}
