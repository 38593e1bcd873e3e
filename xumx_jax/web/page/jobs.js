// The jobs, looked at again and again: all of the server's, or those that this browser knows.

import { keep, kept } from "./kept.js";

const KEPT = "xumx.jobs";
const SOON = 500; // ms
const LATER = 5_000;
const RARELY = 30_000;
const MOST = 200; // ids that are kept
const ACTIVE = ["uploading", "queued", "running"];
// Whoever may not see the list may still look at jobs whose ids they have.
const REFUSED = ["not_local", "no_token"];

/** Whether a job is still to end. */
export const isActive = (job) => ACTIVE.includes(job.state);

/** Whether a job can be listened to. */
export const isHeard = (job) =>
  job.state === "done" || (job.state === "running" && job.live?.ready > 0);

/** The id in the page's address, or null. */
export function linked() {
  const id = new URLSearchParams(location.hash.slice(1)).get("job");
  return /^[0-9a-f]{32}$/.test(id ?? "") ? id : null;
}

/** What the server has. Event: "jobs", after each look. */
export class Jobs extends EventTarget {
  /** JobOut of each, in the server's order. */
  all = [];
  /** Whether the server shows its list, in which jobs can then be moved; null: not asked yet. */
  listed = null;
  /** The ids that this browser knows and the server does not. */
  gone = new Set();
  /** The ids of what is removed here, which is not asked for any more. */
  left = new Set();
  #server;
  #known = known();
  #looked = new Map(); // when a job that has ended was last looked at, by its id
  #timer = 0;
  #looking = false;
  #again = false;

  constructor(server) {
    super();
    this.#server = server;
    server.addEventListener("back", () => this.look());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.look();
    });
    addEventListener("storage", (event) => {
      if (event.key !== KEPT) return;
      this.#known = known(); // another tab has sent or removed something
      this.look();
    });
  }

  /** Add a job that was sent here. Its id is kept: not everybody may see the list. */
  add(job) {
    this.#known.add(job.id);
    this.#keep();
    if (!this.all.some((one) => one.id === job.id)) this.all = [...this.all, job];
  }

  /** Drop an id. */
  forget(id) {
    this.left.add(id);
    this.#known.delete(id);
    this.gone.delete(id);
    this.all = this.all.filter((job) => job.id !== id);
    this.#keep();
  }

  /** Ask for the list anew: there is another token. */
  unlock() {
    this.listed = null;
    return this.look();
  }

  /** Look now, and then as often as something happens. */
  async look() {
    clearTimeout(this.#timer);
    this.#again = this.#looking;
    if (this.#looking) return;
    this.#looking = true;
    try {
      do {
        this.#again = false;
        const found = await this.#found();
        if (this.#again) continue; // something has changed since it was asked for
        this.all = found;
        this.dispatchEvent(new Event("jobs"));
      } while (this.#again);
    } catch {
      // The server is away, and says when it is back; any other fault may be over next time.
    }
    this.#looking = false;
    const busy = document.visibilityState === "visible" && this.all.some(isActive);
    if (!this.#server.away) this.#timer = setTimeout(() => this.look(), busy ? SOON : LATER);
  }

  async #found() {
    let jobs = null;
    if (this.listed !== false) {
      try {
        jobs = await this.#server.jobs();
        this.listed = true;
      } catch (error) {
        if (!REFUSED.includes(error.code)) throw error;
        this.listed = false;
      }
    }
    const there = new Set(jobs?.map((job) => job.id));
    const asked = [linked(), ...(jobs ? [] : this.#known)].filter(Boolean);
    const done = (id) => there.has(id) || this.gone.has(id) || this.left.has(id);
    const ids = new Set(asked.filter((id) => !done(id)));
    const others = await Promise.all([...ids].map((id) => this.#one(id)));
    return [...(jobs ?? []), ...others.filter(Boolean).sort(order)];
  }

  async #one(id) {
    const before = this.all.find((job) => job.id === id);
    const fresh = Date.now() - (this.#looked.get(id) ?? 0) < RARELY;
    if (before && !isActive(before) && fresh) return before;
    try {
      const job = await this.#server.job(id);
      this.#looked.set(id, Date.now());
      return job;
    } catch (error) {
      if (error.status !== 404) throw error;
      this.gone.add(id);
      return null;
    }
  }

  #keep() {
    keep(KEPT, [...this.#known].slice(-MOST));
  }
}

/** What is active first, in the queue's order; then the newest. */
function order(a, b) {
  if (isActive(a) !== isActive(b)) return isActive(a) ? -1 : 1;
  return isActive(a) ? a.ahead - b.ahead : b.created - a.created;
}

function known() {
  const ids = kept(KEPT);
  return new Set(Array.isArray(ids) ? ids : []);
}
