// The clock that everything is scheduled by: that of an audio context, in its frames.

const LEAD_SECONDS = 0.03;
const MOST_LEAD_SECONDS = 0.5;
const REST_SECONDS = 10; // after which a context that plays nothing sleeps
const PATIENCE_SECONDS = 2;
// The clock that a context runs for: one song after the other has it.
const users = new WeakMap();

/** A context for a song, at its rate if the browser can do that. */
export function openContext(rate) {
  try {
    return new AudioContext({ sampleRate: rate, latencyHint: "balanced" });
  } catch {
    return new AudioContext({ latencyHint: "balanced" }); // it resamples
  }
}

/** A context's time; the context sleeps while it is not needed. */
export class Clock {
  #lead = LEAD_SECONDS;
  #timer = null;
  #waking = false;

  /** `onsleep` is called when the context stops though nobody here has asked for it. */
  constructor(context, onsleep) {
    this.context = context;
    this.rate = context.sampleRate;
    // an OfflineAudioContext computes a time that is known beforehand, as fast as it can
    this.offline = context.length !== undefined;
    this.onsleep = onsleep;
    users.set(context, this);
    this.changed = () => {
      if (context.state !== "running" && !this.#waking) this.onsleep();
    };
    if (!this.offline) context.addEventListener("statechange", this.changed);
  }

  /** The frame that is computed now. */
  get now() {
    return this.context.currentTime * this.rate;
  }

  /** The frame that is heard now. */
  get heard() {
    return this.now - (this.context.outputLatency || this.context.baseLatency || 0) * this.rate;
  }

  /** The first frame for which something can still be scheduled. */
  get soon() {
    if (this.offline) return Math.ceil(this.now);
    const seconds = this.#lead + (this.context.baseLatency || 0);
    return Math.ceil((this.context.currentTime + seconds) * this.rate);
  }

  /** Something was scheduled too late: leave more time from now on. */
  hurry() {
    this.#lead = Math.min(MOST_LEAD_SECONDS, 2 * this.#lead);
  }

  /** Let the context run -> whether it does. Browsers want a gesture for the first time. */
  async wake() {
    clearTimeout(this.#timer);
    if (this.offline || this.context.state === "running") return true;
    this.#waking = true;
    const patience = new Promise((resolve) => setTimeout(resolve, 1000 * PATIENCE_SECONDS));
    await Promise.race([this.context.resume().catch(() => {}), patience]);
    this.#waking = false;
    return this.context.state === "running";
  }

  /** Nothing is played. */
  rest() {
    if (this.offline) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (users.get(this.context) !== this || this.context.state !== "running") return;
      this.context.suspend();
    }, 1000 * REST_SECONDS);
  }

  /** Nothing is played any more: a context that no other clock has got sleeps soon. */
  close() {
    this.rest();
    this.context.removeEventListener("statechange", this.changed);
  }
}
