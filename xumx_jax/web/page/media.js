// The keys of keyboards, headphones and lock screens, by the browser's media session.

const STEP = 10; // seconds, if the device does not say how many

/**
 * Lets these keys act on a desk.
 *
 * Browsers give them only to pages with a media element that plays, which Web Audio is not: so one
 * with silence plays along.
 */
export class Media {
  #desk;
  #silence = null;

  constructor(desk, title) {
    this.#desk = desk;
    if (!navigator.mediaSession) return;
    navigator.mediaSession.metadata = new MediaMetadata({ title, artist: "xumx_jax" });
    const move = (sign) => (details) => desk.move(sign * (details.seekOffset ?? STEP));
    this.#listen({
      play: () => desk.engine.play(),
      pause: () => desk.engine.pause(),
      stop: () => desk.engine.pause(),
      seekto: (details) => desk.seek(details.seekTime * desk.song.rate),
      seekbackward: move(-1),
      seekforward: move(1),
      previoustrack: () => desk.seek(0),
    });
  }

  /** Tell whether it plays, and where it is. */
  show(playing) {
    if (!navigator.mediaSession) return;
    navigator.mediaSession.playbackState = playing ? "playing" : "paused";
    if (playing && !this.#silence) {
      this.#silence = new Audio("/page/silence.wav");
      this.#silence.loop = true;
    }
    // It is refused where nobody has pressed a key yet; then there is nothing to be controlled.
    if (playing) this.#silence.play().catch(() => {});
    else this.#silence?.pause();
    const { song, settings } = this.#desk;
    const duration = (song.frames ?? song.ready) / song.rate;
    if (!duration) return;
    const position = Math.min(duration, Math.max(0, this.#desk.position / song.rate));
    navigator.mediaSession.setPositionState({ duration, position, playbackRate: settings.speed });
  }

  close() {
    this.#silence?.pause();
    this.#silence = null;
    if (!navigator.mediaSession) return;
    navigator.mediaSession.metadata = null;
    navigator.mediaSession.playbackState = "none";
    navigator.mediaSession.setPositionState();
    const names = ["play", "pause", "stop", "seekto", "seekbackward", "seekforward"];
    this.#listen(Object.fromEntries([...names, "previoustrack"].map((name) => [name, null])));
  }

  #listen(actions) {
    for (const [name, act] of Object.entries(actions)) {
      try {
        navigator.mediaSession.setActionHandler(name, act);
      } catch {
        // a browser need not know them all
      }
    }
  }
}
