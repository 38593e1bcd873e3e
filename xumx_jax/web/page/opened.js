// One song in the player: its desk and engine, what is shown of it, and what becomes of it.

import { Desk } from "./desk.js";
import { Downloads, songName } from "./downloads.js";
import { element } from "./dom.js";
import { Engine } from "./engine.js";
import { Media } from "./media.js";
import { Peaks } from "./peaks.js";
import { Song } from "./pieces.js";
import { Memory, link, recall } from "./remembered.js";
import { Rows } from "./rows.js";
import { text } from "./texts.js";
import { Transport } from "./transport.js";
import { percent } from "./words.js";

const STEPS = 4096; // of the place: what moves by less is not drawn anew

/** Whether an error says that there are no stems any more. */
export const isGone = (error) => error.status === 404 || error.status === 410;

/** Why there are none, for people. */
export const lineOf = (error) => text(error.status === 410 ? "expired" : "gone");

/** A song that is open in `element`; `job` is done, or runs and has `live`. */
export class Opened {
  #element;
  #server;
  #end = new AbortController();
  #peaks;
  #rows;
  #transport;
  #downloads = null;
  #media = null;
  #memory;
  #note = element("p", { class: "note", hidden: true });
  #line = element("p", { class: "note", role: "alert", hidden: true });
  #head;
  #parts;
  #live;
  #frame = 0;
  #gone = false;
  #share = null; // of the song, that is shown as heard

  constructor(job, { element: place, server, context }) {
    this.#element = place;
    this.#server = server;
    this.job = job;
    this.#live = job.state !== "done";
    const song = new Song(job, server);
    this.engine = new Engine(context, song);
    this.desk = new Desk(song, this.engine, recall(job.id, song.stems, song.frames));
    this.#memory = new Memory(job.id, this.desk.settings, { quiet: job.example });
    this.#peaks = new Peaks(server, this.#end.signal);
    this.#rows = new Rows(this.desk);
    this.#transport = new Transport(this.desk);
    this.#build();
    this.#listen();
    this.#state("paused");
    this.update(job);
  }

  /** Show what has become of the job. */
  update(job) {
    if (this.#gone) return;
    const before = this.job;
    this.job = job;
    if (job.state !== "done" && job.state !== "running" && job.state !== "queued") {
      this.gone(job.error?.message ?? text(job.state));
      return;
    }
    const grown = job.state === "running" && job.live && job.live.ready !== before.live?.ready;
    const ended = job.state === "done" && before.state !== "done";
    if (job.state !== "done" && !job.live) this.#peaks.clear(); // the server was restarted
    if (grown || ended) {
      this.desk.song.update(job);
      this.engine.update(this.desk.song);
    }
    this.#load(job);
    this.#showJob();
    this.#place();
    this.#mark();
  }

  play() {
    this.engine.play();
  }

  /** The keyboard's focus goes to the play button. */
  focus() {
    this.#element.scrollIntoView({ block: "nearest" });
    this.#transport.focus();
  }

  /** Read the settings of the address again. */
  recall() {
    const { id } = this.job;
    const { song } = this.desk;
    this.desk.take(recall(id, song.stems, song.frames));
  }

  /** Write down what was not written yet. */
  flush() {
    this.#remember();
    this.#memory.flush();
  }

  /** There are no stems any more: what is buffered ends. */
  gone(line) {
    this.#gone = true;
    this.#stop();
    this.#memory.leave();
    for (const part of this.#parts) part.inert = true;
    this.#head.replaceChildren(this.#head.firstChild); // the title
    this.#note.hidden = true;
    this.#state("gone");
    this.#tell(line);
  }

  close() {
    if (!this.#gone) this.flush();
    this.#memory.leave();
    this.#stop();
    this.#rows.close();
    delete this.#element.engine;
    this.#element.replaceChildren();
  }

  #build() {
    const title = element("h2", { id: "player-title", text: songName(this.job.name) });
    const copy = element("button", {
      type: "button",
      class: "quiet",
      text: text("copy_link"),
      onclick: () => this.#copy(),
    });
    const balance = element("button", {
      type: "button",
      class: "quiet",
      text: text("reset_balance"),
      onclick: () => this.desk.reset(),
    });
    this.#head = element("div", { class: "head" }, title, balance, copy);
    this.#element.setAttribute("aria-labelledby", "player-title");
    this.#parts = [this.#transport.element, this.#transport.knobs, this.#rows.element];
    this.#element.replaceChildren(this.#head, this.#note, this.#line, ...this.#parts);
    this.#element.dataset.job = this.job.id;
    this.#element.engine = this.engine; // for tests, which can reach nothing else
  }

  #listen() {
    this.engine.addEventListener("state", ({ detail }) => {
      if (this.#gone) return;
      this.#state(detail === "ended" ? "paused" : detail);
      if (detail === "playing") this.#media ??= new Media(this.desk, songName(this.job.name));
      if (detail === "playing" || detail === "waiting") this.#line.hidden = true;
      this.#media?.show(this.engine.playing);
      this.#remember();
      this.#memory.note();
    });
    this.engine.addEventListener("error", ({ detail }) => this.#fail(detail));
    this.desk.addEventListener("trouble", ({ detail }) => this.#tell(detail));
    for (const name of ["change", "place"]) {
      this.desk.addEventListener(name, () => {
        this.#memory.note();
        this.#place();
        this.#mark();
        this.#media?.show(this.engine.playing);
      });
    }
  }

  // A song that has ended begins anew.
  #remember() {
    const { position, song } = this.desk;
    this.desk.settings.at = position === song.frames ? 0 : position;
  }

  #fail(error) {
    if (this.#gone) return;
    if (isGone(error)) {
      this.gone(lineOf(error));
      return;
    }
    if (error.code === "no_stretch") { // the song plays on without it
      this.desk.unbend();
      this.#tell(text("no_stretch"));
      return;
    }
    this.#state("error");
    this.#tell(error.message);
  }

  #state(state) {
    this.#element.dataset.state = state;
    const playing = state === "playing" || state === "waiting";
    this.#transport.playing = playing;
    cancelAnimationFrame(this.#frame);
    this.#place();
    if (playing) this.#tick();
  }

  #tick() {
    this.#frame = requestAnimationFrame(() => {
      this.#place();
      this.#remember();
      this.#memory.notePlace();
      this.#tick();
    });
  }

  // Where it is: this is called for every picture.
  #place() {
    const { song } = this.desk;
    const share = this.#transport.showPlace() / Math.max(1, song.frames ?? song.ready);
    const rounded = Math.round(Math.min(1, share) * STEPS) / STEPS;
    if (rounded === this.#share) return;
    this.#share = rounded;
    this.#rows.place(rounded);
  }

  // What is there, and the loop: the style sheet draws them.
  #mark() {
    const { song, shownLoop } = this.desk;
    const whole = Math.max(1, song.frames ?? song.ready);
    const share = (frame) => String(Math.min(1, frame / whole));
    const { style } = this.#element;
    style.setProperty("--ready", share(song.ready));
    const [start, end] = shownLoop ?? [0, 0];
    style.setProperty("--loop-start", share(start));
    style.setProperty("--loop-end", share(end ?? start));
    this.#element.toggleAttribute("data-loop", shownLoop !== null);
    this.#element.toggleAttribute("data-live", song.ready < whole);
  }

  #showJob() {
    const { job } = this;
    const done = job.state === "done";
    const words = done
      ? job.example && text("example_about")
      : text(job.live ? "still_separated" : "separated_again", { percent: percent(job.progress) });
    this.#note.hidden = !words;
    if (words && this.#note.textContent !== words) this.#note.textContent = words;
    if (!done || this.#downloads) return;
    this.#downloads = new Downloads(job, this.desk, this.#rows, {
      server: this.#server,
      tell: (line) => this.#tell(line),
      signal: this.#end.signal,
    });
    this.#head.append(this.#downloads.element);
    this.#rows.complete(job);
  }

  async #load(job) {
    try {
      const peaks = await this.#peaks.load(job);
      if (peaks) this.#rows.setPeaks(peaks, this.#live ? 1 : job.gain);
    } catch (error) {
      // Else there is no outline, which is asked for again at the next look.
      if (isGone(error)) this.#fail(error);
    }
  }

  async #copy() {
    const address = link(this.job.id, this.desk.settings);
    try {
      await navigator.clipboard.writeText(address);
      this.#tell(text("copied"));
    } catch {
      // Over plain HTTP there is no clipboard: whoever wants the link copies it.
      const label = text("copy_this");
      const field = element("input", { readonly: true, "aria-label": label, value: address });
      this.#line.replaceChildren(text("copy_this"), " ", field);
      this.#line.hidden = false;
      field.select();
      field.focus();
    }
  }

  #tell(line) {
    this.#line.replaceChildren(line);
    this.#line.hidden = false;
  }

  #stop() {
    cancelAnimationFrame(this.#frame);
    this.#end.abort();
    this.engine.destroy();
    this.#media?.close();
    this.#media = null;
  }
}
