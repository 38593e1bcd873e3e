// Gain and pan of a stem, changed without a click, and without a trace where they change nothing.

const RAMP_SECONDS = 0.015;

/** A parameter that moves to its value in some milliseconds, or at once where nothing is heard. */
export class Ramp {
  #clock;
  #param;
  #value; // where it is once the ramps that are scheduled have ended
  #target;
  #end = 0;
  #timer = null;

  constructor(clock, param, value) {
    this.#clock = clock;
    this.#param = param;
    this.#value = this.#target = param.value = value;
  }

  set(value) {
    this.#target = value;
    if (this.#clock.context.state !== "running") {
      this.#param.cancelScheduledValues(0);
      this.#param.value = this.#value = value;
    } else if (this.#timer === null) this.#go();
  }

  // A ramp is never changed; another one follows when it has ended.
  #go() {
    if (this.#target === this.#value) return;
    const begin = Math.max(this.#clock.soon / this.#clock.rate, this.#end);
    this.#end = begin + RAMP_SECONDS;
    this.#param.setValueAtTime(this.#value, begin);
    this.#param.linearRampToValueAtTime(this.#target, this.#end);
    this.#value = this.#target;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#go();
    }, 1000 * (this.#end - this.#clock.now / this.#clock.rate));
  }
}

/**
 * What a stem goes through: gain, then past or through a panner.
 *
 * It goes past it unless `wide`, so that not a bit is changed. A mono stem is put to both sides at
 * its level there, and placed with equal power by the panner, as the server does it in a mix.
 */
export class Strip {
  #clock;
  #output;
  #gain;
  #past;
  #panner = null;
  #pan;
  #through;

  constructor(clock, output, { gain, pan, wide }) {
    const { context } = clock;
    this.#clock = clock;
    this.#output = output;
    this.input = new GainNode(context);
    this.#gain = new Ramp(clock, this.input.gain, gain);
    const past = new GainNode(context);
    this.#past = new Ramp(clock, past.gain, wide ? 0 : 1);
    this.input.connect(past).connect(output);
    if (wide) this.#widen(pan, 1);
  }

  set({ gain, pan, wide }) {
    this.#gain.set(gain);
    if (wide && !this.#panner) this.#widen(pan, 0);
    if (!this.#panner) return;
    this.#pan.set(pan);
    this.#past.set(wide ? 0 : 1);
    this.#through.set(wide ? 1 : 0);
  }

  #widen(pan, level) {
    const { context } = this.#clock;
    this.#panner = new StereoPannerNode(context);
    this.#pan = new Ramp(this.#clock, this.#panner.pan, pan);
    const through = new GainNode(context);
    this.#through = new Ramp(this.#clock, through.gain, level);
    this.input.connect(this.#panner).connect(through).connect(this.#output);
  }
}

/** Gain and pan of every stem. */
export class Balance {
  #mono;
  #stems = new Map();

  constructor(song) {
    this.#mono = song.channels === 1;
    for (const name of song.stems) this.#stems.set(name, { gain: 1, pan: 0 });
  }

  /** What is undefined stays. */
  set(name, { gain, pan }) {
    const stem = this.#stems.get(name);
    if (!stem) throw new RangeError(`no stem ${name}`);
    stem.gain = gain ?? stem.gain;
    stem.pan = pan ?? stem.pan;
  }

  /** [[stem, { gain, pan, wide }]]; a mono song is wide as a whole if a stem that is heard is. */
  all() {
    const stems = [...this.#stems];
    const panned = stems.some(([, { gain, pan }]) => gain !== 0 && pan !== 0);
    return stems.map(([name, { gain, pan }]) => [
      name,
      { gain, pan, wide: this.#mono ? panned : pan !== 0 },
    ]);
  }
}
