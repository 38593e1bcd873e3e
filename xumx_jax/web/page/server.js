// The server's HTTP interface, and whether the server can be reached.

import { keep, kept } from "./kept.js";
import { text } from "./texts.js";

const ROOT = "/api/v1";
const TOKEN = "xumx.token";
const TIMEOUT = 15_000; // ms, of an answer in JSON
const LEAST_WAIT = 1_000;
const MOST_WAIT = 15_000;
// What proxies say of a server that is not there, or that is going.
const AWAY = [502, 503, 504];

/** What the server, or the way to it, says is wrong: `code` for programs, `message` for people. */
export class ServerError extends Error {
  constructor(code, message, status = 0, retryAfter = null) {
    super(message);
    this.name = "ServerError";
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter; // seconds
  }
}

/**
 * Talks to the server that the page came from.
 *
 * Events: "away" when it cannot be reached (then it is tried again, later and later), "back" when
 * it answers again, "token" when it wants a token, or another one.
 */
export class Server extends EventTarget {
  #token = kept(TOKEN) ?? "";
  #list = { tag: null, jobs: [] };
  #away = false;
  #failures = 0;
  #timer = 0;
  #next = 0;

  /** What the server wants of those who send; it is kept by this browser. */
  get token() {
    return this.#token;
  }

  set token(value) {
    this.#token = value;
    this.#list.tag = null;
    keep(TOKEN, value || null);
  }

  /** Whether the server could not be reached when it was last tried. */
  get away() {
    return this.#away;
  }

  /** Seconds until an unreachable server is tried again. */
  get wait() {
    return this.#away ? Math.max(0, (this.#next - Date.now()) / 1000) : 0;
  }

  /** All jobs, in the server's order. */
  async jobs() {
    const headers = this.#list.tag ? { "If-None-Match": this.#list.tag } : {};
    const response = await this.#fetch(`${ROOT}/jobs`, { headers, timeout: TIMEOUT });
    if (response.status !== 304) {
      const { jobs } = await response.json();
      this.#list = { tag: response.headers.get("ETag"), jobs };
    }
    return this.#list.jobs;
  }

  async job(id) {
    return this.#json(`${ROOT}/jobs/${encodeURIComponent(id)}`);
  }

  async models() {
    return this.#json(`${ROOT}/models`);
  }

  async limits() {
    return this.#json(`${ROOT}/limits`);
  }

  /** Cancel a job, and remove all there is of it. */
  async remove(id) {
    const path = `${ROOT}/jobs/${encodeURIComponent(id)}`;
    await this.#fetch(path, { method: "DELETE", timeout: TIMEOUT });
  }

  /** Put a job that waits before another one, or (null) at the end of the queue. */
  async move(id, before = null) {
    const query = before === null ? "" : `?${new URLSearchParams({ before })}`;
    return this.#json(`${ROOT}/jobs/${encodeURIComponent(id)}/move${query}`, { method: "POST" });
  }

  /** The response to a GET of this server. Throws ServerError, and AbortError by `signal`. */
  async get(url, { signal, headers = {} } = {}) {
    return this.#fetch(url, { signal, headers });
  }

  /** Send a file as a new job -> JobOut. `onProgress` gets the share that was sent, 0 to 1. */
  send(file, options = {}, { onProgress = () => {}, signal } = {}) {
    // An XMLHttpRequest, since fetch does not tell how much of a body was sent.
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const query = new URLSearchParams({ ...options, name: file.name });
      const stop = () => request.abort();
      request.open("POST", `${ROOT}/jobs?${query}`);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      if (this.#token) request.setRequestHeader("Authorization", `Bearer ${this.#token}`);
      request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
      request.onabort = () => reject(new DOMException("stopped", "AbortError"));
      request.onerror = () => reject(new ServerError("cut_off", text("was_cut_off")));
      request.onload = () => {
        const retry = request.getResponseHeader("Retry-After");
        const said = parsed(request.responseText);
        const error = errorOf(request.status, said, retry);
        if (!error) return resolve(said);
        this.#note(error);
        return reject(error);
      };
      request.onloadend = () => signal?.removeEventListener("abort", stop);
      if (signal?.aborted) return request.onabort();
      signal?.addEventListener("abort", stop);
      return request.send(file);
    });
  }

  /** Try at once whether the server is there -> whether it is. */
  async retry() {
    clearTimeout(this.#timer);
    this.#next = 0;
    try {
      await this.limits();
    } catch (error) {
      if (isAway(error)) return false;
    }
    return true;
  }

  async #json(path, options = {}) {
    const response = await this.#fetch(path, { timeout: TIMEOUT, ...options });
    return response.json();
  }

  async #fetch(path, { timeout, signal, headers = {}, method = "GET" } = {}) {
    const signals = [signal, timeout && AbortSignal.timeout(timeout)].filter(Boolean);
    const options = { method, cache: "no-store", signal: AbortSignal.any(signals) };
    options.headers = this.#token
      ? { Authorization: `Bearer ${this.#token}`, ...headers }
      : headers;
    let error;
    try {
      const response = await fetch(path, options);
      if (response.ok || response.status === 304) {
        this.#reached();
        return response;
      }
      const said = parsed(await response.text());
      error = errorOf(response.status, said, response.headers.get("Retry-After"));
    } catch (fault) {
      if (signal?.aborted) throw fault;
      error = new ServerError("away", text("unreachable"));
    }
    this.#note(error);
    throw error;
  }

  #note(error) {
    if (isAway(error)) return this.#lost();
    this.#reached();
    if (error.code === "no_token") this.#tell("token");
    return undefined;
  }

  #reached() {
    clearTimeout(this.#timer);
    this.#failures = 0;
    if (!this.#away) return;
    this.#away = false;
    this.#tell("back");
  }

  #lost() {
    if (this.#away && Date.now() < this.#next) return; // what was asked before it was lost
    clearTimeout(this.#timer);
    const wait = Math.min(MOST_WAIT, LEAST_WAIT * 2 ** this.#failures);
    this.#failures += 1;
    this.#next = Date.now() + wait;
    this.#timer = setTimeout(() => this.retry(), wait);
    this.#away = true;
    this.#tell("away");
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}

/** Whether an error says that the server is not there, rather than what is wrong. */
export function isAway(error) {
  return error instanceof ServerError && (error.code === "away" || error.code === "draining");
}

function errorOf(status, said, retryAfter) {
  if (status >= 200 && status < 300 && said) return null; // what lies between may say anything
  const retry = Number(retryAfter) || null;
  const { code, message } = said?.error ?? {};
  if (code) return new ServerError(code, message, status, retry);
  const away = status === 0 || AWAY.includes(status);
  const line = text(away ? "unreachable" : "odd_answer", { status });
  return new ServerError(away ? "away" : "unknown_answer", line, status, retry);
}

function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}
