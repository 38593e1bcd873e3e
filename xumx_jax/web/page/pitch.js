// Speed without a change of pitch, and the other way round: signalsmith-stretch behind the sources.

// By their context: all songs share one, since browsers let none go before its context.
const shifters = new WeakMap();
const VENDOR = new URL("./vendor/SignalsmithStretch.mjs", import.meta.url).href;

/**
 * What lies between the sources and the output: nothing, or a pitch shifter.
 *
 * Sources are played at `speed`, which moves their pitch; the shifter puts it where it belongs.
 */
export class Stretch {
  #context;
  #output;
  #shifter = null;
  #opening = null;

  constructor(context, output) {
    this.#context = context;
    this.#output = output;
    this.speed = 1;
    this.semitones = 0;
    this.settled = null; // a promise: the shifter knows what it has to do
  }

  /** Whether browsers let us: they do on this machine, and elsewhere with HTTPS only. */
  get possible() {
    return this.#context.audioWorklet !== undefined;
  }

  get active() {
    return this.speed !== 1 || this.semitones !== 0;
  }

  get ready() {
    return !this.active || this.#shifter !== null;
  }

  /** Frames of the context by which it is late. */
  get latency() {
    return this.active ? this.#shifter.latency : 0;
  }

  /** Where sources go in, or null where they go to the output. */
  get input() {
    return this.active ? this.#shifter.node : null;
  }

  /**
   * Change the settings.
   *
   * Returns what that means: "same": nothing else has to be done; "turn": what is heard has to be
   * scheduled anew; "opening": also that, after `open`. Throws an Error if it is not possible.
   */
  set(speed, semitones, frame) {
    if (speed === this.speed && semitones === this.semitones) return "same";
    if (!this.possible) {
      throw refusal("the browser changes speed and pitch with HTTPS only");
    }
    const gradual = speed === this.speed && this.active;
    this.speed = speed;
    this.semitones = semitones;
    if (!this.ready) return "opening";
    if (!gradual || !this.active) return "turn";
    this.apply(frame);
    return "same";
  }

  /** Load the shifter, since most songs are played as they are. Without it, all is as it was. */
  async open() {
    this.#opening ??= this.#open();
    try {
      await this.#opening;
    } catch (error) {
      this.#opening = null;
      this.speed = 1;
      this.semitones = 0;
      throw refusal(error.message);
    }
  }

  /** Transpose, as it is set, what comes in from a frame of the context on. */
  apply(frame) {
    if (!this.active) return;
    const outputTime = (frame + this.latency) / this.#context.sampleRate;
    const semitones = this.semitones - 12 * Math.log2(this.speed);
    this.settled = this.#shifter.node.schedule({ active: true, outputTime, semitones });
  }

  close() {
    this.#shifter?.node.disconnect(this.#output);
  }

  async #open() {
    const context = this.#context;
    if (!shifters.has(context)) shifters.set(context, made(context));
    try {
      this.#shifter = await shifters.get(context);
    } catch (error) {
      shifters.delete(context);
      throw error;
    }
    this.#shifter.node.connect(this.#output);
  }
}

/** A pitch shifter: { node, latency }. */
async function made(context) {
  const { default: SignalsmithStretch } = await import(VENDOR);
  SignalsmithStretch.moduleUrl = VENDOR; // else it makes a blob of itself, which the CSP refuses
  const node = await SignalsmithStretch(context, {
    numberOfInputs: 1,
    numberOfOutputs: 1,
    outputChannelCount: [2],
    channelCount: 2,
    channelCountMode: "explicit",
  });
  const latency = Math.round((await node.latency()) * context.sampleRate);
  // without any input it would drop the end of the last one
  const silence = new ConstantSourceNode(context, { offset: 0 });
  silence.connect(node);
  silence.start();
  return { node, latency };
}

function refusal(line) {
  return Object.assign(new Error(line), { code: "no_stretch" });
}
