// What tests of the engine do inside a page, where it becomes `window.rig`.

(async () => {
  const { Engine, openContext } = await import("/page/engine.js");
  const { Song } = await import("/page/pieces.js");
  const { Server } = await import("/page/server.js");

  const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
    process([input]) {
      const silence = new Float32Array(128);
      const block = [0, 1].map((one) => (input[one] ?? input[0] ?? silence).slice());
      this.port.postMessage({ frame: currentFrame, block });
      return true;
    }
  });`;

  const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

  async function until(condition, seconds = 15) {
    const end = performance.now() + 1000 * seconds;
    while (!condition()) {
      if (performance.now() > end) throw new Error(`waited in vain for ${condition}`);
      await sleep(0.005);
    }
  }

  /** The job's song, as the page opens it. */
  async function song(id) {
    const server = new Server();
    return new Song(await server.job(id), server);
  }

  /** A song that needs no server: the stems are functions of the frame. */
  class Made {
    constructor(stems, { rate = 44100, seconds = 20, channels = 2 } = {}) {
      Object.assign(this, { id: "made", rate, channels, complete: true, makers: stems, asked: [] });
      this.stems = Object.keys(stems);
      this.frames = this.ready = Math.round(seconds * rate);
      this.delay = () => 0; // seconds, of a piece
    }

    async piece(stem, start, frames, signal, into) {
      this.asked.push({ stem, start, frames });
      await sleep(this.delay(start));
      signal?.throwIfAborted();
      const made = into ?? Array.from({ length: this.channels }, () => new Float32Array(frames));
      for (let at = 0; at < frames; at += 1) {
        const sample = this.makers[stem](start + at);
        for (const samples of made) samples[at] = sample;
      }
      return made;
    }
  }

  const tone = (frequency, rate = 44100) => (frame) =>
    0.5 * Math.sin((2 * Math.PI * frequency * frame) / rate);

  /** Play offline, as `prepare(engine)` says -> { engine, channels }. */
  async function offline(song, frames, prepare = () => {}, { rate = song.rate } = {}) {
    const context = new OfflineAudioContext(2, frames, rate);
    const engine = new Engine(context, song);
    await prepare(engine, context);
    await Promise.race([engine.play(), sleep(20)]);
    if (engine.state !== "playing") throw new Error("it was never scheduled");
    const buffer = await context.startRendering();
    return { engine, channels: [0, 1].map((one) => buffer.getChannelData(one)) };
  }

  /** An engine, and all that it has given to the destination so far: { frame, channels }. */
  async function live(song) {
    const context = new AudioContext({ sampleRate: song.rate });
    await context.resume();
    await context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(TAP)}`);
    const tap = new AudioWorkletNode(context, "tap");
    const got = [];
    tap.port.onmessage = ({ data }) => got.push(data);
    tap.connect(context.destination);
    const input = new GainNode(context, { channelCount: 2, channelCountMode: "explicit" });
    input.connect(tap);
    Object.defineProperty(context, "destination", { value: input });
    const engine = new Engine(context, song);
    const states = [];
    engine.addEventListener("state", ({ detail }) => states.push(detail));
    engine.addEventListener("error", ({ detail }) => states.push(`error: ${detail.message}`));
    const tapped = () => {
      const channels = [0, 1].map((one) => {
        const samples = new Float32Array(128 * got.length);
        got.forEach(({ block }, at) => samples.set(block[one], 128 * at));
        return samples;
      });
      // no block is missing, but the first ones, and some under load, are told a wrong frame
      return { frame: got.at(-1).frame - 128 * (got.length - 1), channels };
    };
    return { context, engine, states, tapped };
  }

  /** The largest difference of two signals. */
  function difference(a, b) {
    if (a.length !== b.length) throw new Error(`${a.length} frames beside ${b.length}`);
    return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at])), 0);
  }

  /** The largest step from a sample to the next, from frame `from` to `to`. */
  function step(samples, from = 0, to = samples.length) {
    let most = 0;
    for (let at = from + 1; at < to; at += 1) {
      most = Math.max(most, Math.abs(samples[at] - samples[at - 1]));
    }
    return most;
  }

  /** The frequency of a tone, by its rising zeros. */
  function frequency(samples, rate) {
    const zeros = [];
    for (let at = 1; at < samples.length; at += 1) {
      const [a, b] = [samples[at - 1], samples[at]];
      if (a < 0 && b >= 0) zeros.push(at - b / (b - a));
    }
    return (rate * (zeros.length - 1)) / (zeros.at(-1) - zeros[0]);
  }

  /** Samples for Python: base64 of float32. */
  function sent(samples) {
    const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) {
      text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return btoa(text);
  }

  window.rig = {
    Engine, Song, Server, Made, openContext,
    sleep, until, song, tone, offline, live, difference, step, frequency, sent,
  };
})()
