// The songs: what is sent, what waits and what is ready. Ties together the modules of the list.

import { watchFiles } from "./choosing.js";
import { Frame } from "./frame.js";
import { isActive, isHeard, Jobs, linked } from "./jobs.js";
import { List } from "./list.js";
import { Notices } from "./notices.js";
import { Options } from "./options.js";
import { text } from "./texts.js";
import { Uploads } from "./uploads.js";
import { viewOfGone, viewOfJob, viewOfUpload } from "./views.js";
import { duration, size } from "./words.js";

const HOURS = 24; // of a day

/**
 * What is above the player.
 *
 * Events: "play" with a JobOut as `detail` (`sound`: somebody asked to hear it); "jobs" with all
 * JobOuts after each look at them; "removed" with the id of a job that is removed here.
 */
export class Songs extends EventTarget {
  #server;
  #send;
  #section;
  #list;
  #jobs;
  #uploads;
  #frame;
  #options;
  #notices;
  #loading = null;
  #opened = null; // the job in the player
  #sent = new Set(); // ids of what this page has sent
  #active = 0; // jobs that were to end at the last look
  #troubles = new Map(); // why a button did not work, by the job's id

  constructor({ send, list, server }) {
    super();
    this.#server = server;
    this.#send = send;
    this.#section = list;
    this.#list = new List(list.querySelector("ul"), (action, key) => this.#act(action, key));
    this.#jobs = new Jobs(server);
    this.#uploads = new Uploads(server);
    this.#frame = new Frame(server);
    this.#options = new Options(send.querySelector("#options"));
    this.#notices = new Notices(list.querySelector("#notify"));
  }

  /** Begin to look at the server, and to take files. */
  start() {
    watchFiles(this.#send, (files) => this.#uploads.add(files, this.#chosen()));
    this.#uploads.addEventListener("change", () => this.#show());
    this.#uploads.addEventListener("sent", ({ detail }) => this.#wasSent(detail));
    this.#jobs.addEventListener("jobs", () => this.#looked());
    this.#frame.addEventListener("unlocked", () => {
      this.#jobs.unlock();
      this.#uploads.resume();
    });
    this.#server.addEventListener("back", () => (this.#loading = null)); // it may offer others now
    addEventListener("hashchange", () => this.#jobs.look());
    // The seconds that are left to what waits for room.
    setInterval(() => this.#uploads.all.some((one) => one.until) && this.#show(), 1000);
    this.#jobs.look();
  }

  /** Options of files that are chosen now, maybe before it is known what the server offers. */
  #chosen() {
    const { query } = this.#options;
    if (query) return () => query;
    return async () => {
      await (this.#loading ??= this.#load());
      return this.#options.query ?? {}; // the server says what is wrong
    };
  }

  #looked() {
    const { all } = this.#jobs;
    if (!this.#frame.locked) this.#loading ??= this.#load();
    this.#frame.loaded();
    this.#notices.update(all);
    this.#show();
    this.#tell("jobs", all);
    this.#openOne();
    // What ended makes room for what waits; how much there is, only the server knows.
    const active = all.filter(isActive).length;
    if (active < this.#active) this.#uploads.room();
    this.#active = active;
  }

  async #load() {
    try {
      const server = this.#server;
      const [models, limits] = await Promise.all([server.models(), server.limits()]);
      this.#uploads.limits = limits;
      this.#options.fill(models, limits);
      document.querySelector("#version").textContent = limits.version;
      const days = limits.keep_seconds / 3600 / HOURS;
      const count = Math.round(days < 1 ? days * HOURS : days);
      const about = this.#send.querySelector("#drop-about");
      about.dataset.usual = text(days < 1 ? "drop_about_hours" : "drop_about", {
        size: size(limits.max_bytes),
        time: duration(limits.max_seconds),
        count,
      });
      about.textContent = about.dataset.usual;
      this.#send.dataset.state = "ready";
    } catch {
      this.#loading = null; // tried again after the next look
    }
  }

  /** Show all rows: what is active, what is being sent, what has ended, and last the example. */
  #show() {
    const uploads = this.#uploads.all;
    const jobs = this.#jobs.all.filter((job) => !this.#uploads.isSending(job));
    const own = jobs.filter((job) => !job.example);
    const view = (job) => [job.id, this.#viewOf(job)];
    const any = this.#list.show([
      ...own.filter(isActive).map(view),
      ...uploads.map((upload) => [upload.key, viewOfUpload(upload)]),
      ...own.filter((job) => !isActive(job)).map(view),
      ...[...this.#jobs.gone].map((id) => [id, viewOfGone(id)]),
      ...jobs.filter((job) => job.example).map(view),
    ]);
    this.#section.hidden = !any;
    this.#list.mark(this.#opened?.id);
  }

  #viewOf(job) {
    const view = viewOfJob(job, { queue: this.#queue(), locked: this.#frame.locked });
    const trouble = this.#troubles.get(job.id);
    return trouble ? { ...view, warnings: [...view.warnings, trouble] } : view;
  }

  /** The ids of what waits, in order, if it can be moved. */
  #queue() {
    if (!this.#jobs.listed) return [];
    return this.#jobs.all
      .filter((job) => job.state === "queued" && !job.example)
      .map((job) => job.id);
  }

  #wasSent({ upload, job }) {
    this.#sent.add(job.id);
    this.#list.rename(upload.key, job.id);
    this.#jobs.add(job);
    this.#show();
    this.#jobs.look();
  }

  /** Open what the address names; else what was sent here; else, for newcomers, the example. */
  #openOne() {
    const { all } = this.#jobs;
    const address = linked();
    const own = all.find((job) => this.#sent.has(job.id) && job.state === "done");
    if (own && (!this.#opened || this.#opened.example)) return this.#open(own);
    if (address) return this.#open(all.find((job) => job.id === address));
    if (this.#opened || all.some((job) => !job.example)) return undefined;
    return this.#open(all.find((job) => job.example));
  }

  #open(job, sound = false) {
    if (!job || !isHeard(job) || (job.id === this.#opened?.id && !sound)) return;
    this.#opened = job;
    this.#list.mark(job.id);
    this.#tell("play", job, { sound });
  }

  async #act(action, key) {
    const upload = this.#uploads.all.find((one) => one.key === key);
    if (upload && action === "again") return this.#uploads.again(upload);
    if (upload) return this.#uploads.remove(upload);
    const job = this.#jobs.all.find((one) => one.id === key);
    if (!job) return this.#forget(key);
    if (action === "play" || action === "live") {
      if (linked() !== key) this.#leave(linked()); // it would be opened as soon as it is ready
      return this.#open(job, true);
    }
    this.#troubles.delete(key);
    try {
      if (action === "up" || action === "down") await this.#move(key, action);
      else await this.#remove(job);
    } catch (error) {
      // Faster than we: it runs now, so that it cannot be moved.
      if (error.code !== "not_queued") this.#troubles.set(key, error.message);
      this.#show();
    }
    return this.#jobs.look();
  }

  async #move(id, action) {
    const queue = this.#queue();
    const at = queue.indexOf(id);
    await this.#server.move(id, (action === "up" ? queue[at - 1] : queue[at + 2]) ?? null);
  }

  async #remove(job) {
    this.#close(job.id); // first, so that nothing is asked of it that is not there any more
    this.#jobs.left.add(job.id);
    try {
      await this.#server.remove(job.id);
    } catch (error) {
      this.#jobs.left.delete(job.id);
      if (error.status !== 404) throw error; // else somebody else was faster
    }
    this.#forget(job.id);
  }

  #forget(id) {
    this.#close(id);
    this.#jobs.forget(id);
    this.#show();
  }

  #close(id) {
    this.#sent.delete(id);
    if (this.#opened?.id === id) this.#opened = null;
    this.#tell("removed", id);
    this.#leave(id);
  }

  /** Let the address name this job no longer. */
  #leave(id) {
    if (linked() === id) history.replaceState(null, "", location.pathname);
  }

  #tell(name, detail, more = {}) {
    this.dispatchEvent(Object.assign(new CustomEvent(name, { detail }), more));
  }
}
