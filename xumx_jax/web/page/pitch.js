// Puts the pitch back where it was after the speed has moved it, or moves it: signalsmith-stretch.

const VENDOR = new URL("./vendor/SignalsmithStretch.mjs", import.meta.url).href;

/** A node that transposes all that goes through it, some frames later. */
export class Pitch {
  #context;
  #node;
  #silence;

  /** Whether browsers let us: they do on this machine, and elsewhere with HTTPS only. */
  static possible(context) {
    return context.audioWorklet !== undefined;
  }

  /** Load it, since most songs are played as they are. */
  static async open(context) {
    const { default: SignalsmithStretch } = await import(VENDOR);
    SignalsmithStretch.moduleUrl = VENDOR; // else it makes a blob of itself, which the CSP refuses
    const node = await SignalsmithStretch(context, {
      numberOfInputs: 1,
      numberOfOutputs: 1,
      outputChannelCount: [2],
      channelCount: 2,
      channelCountMode: "explicit",
    });
    return new Pitch(context, node, await node.latency());
  }

  constructor(context, node, seconds) {
    this.#context = context;
    this.#node = node;
    this.latency = Math.round(seconds * context.sampleRate);
    // without any input it would drop the end of the last one
    this.#silence = new ConstantSourceNode(context, { offset: 0 });
    this.#silence.connect(node);
    this.#silence.start();
    this.set(0, 0);
  }

  /** Where what is to be transposed goes in. */
  get input() {
    return this.#node;
  }

  connect(output) {
    this.#node.connect(output);
  }

  disconnect() {
    this.#node.disconnect();
  }

  /** Transpose what comes in from a frame of the context on. */
  set(semitones, frame) {
    const outputTime = (frame + this.latency) / this.#context.sampleRate;
    this.#node.schedule({ active: true, outputTime, semitones });
  }

  close() {
    this.#silence.stop();
    this.#silence.disconnect();
    this.#node.disconnect();
  }
}
