"""Measure the page's player with a song of 10 min and four stems, in a real Chromium.

    make bench-web         ARGS=--quick tries it out

The server runs as a process of its own; the song's files are made here, not separated. Beside the
player, in a Chromium of its own, a page that does what most players do: it fetches all four files
and decodes them as a whole, with `decodeAudioData`.

ready_seconds  from opening the page at the song's link until it can be played. At most 1.
ready_ratio    whole-file decoding, from its first request until all is decoded, over that.
seek_seconds   from a seek to where nothing was fetched yet until it is heard; median. Below 0.3.
memory_mb      the most of the page's renderer (PSS): ready, cold and quick seeks, playing. At most
               300.
memory_ratio   whole-file decoding over that.
page_kb        all that the page fetches as long as there is no song. Below 150.

The last line is JSON with the six, and exits with 1 if one is beyond its bound (not with
`--quick`, whose song is too short for that).
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
from serve import serving
from worker import machine

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from chromium import Failed, chromium  # noqa: E402

RATE, STEMS = 44_100, ("vocals", "drums", "bass", "other")
BOUNDS = {"ready_seconds": 1.0, "seek_seconds": 0.3, "memory_mb": 300.0, "page_kb": 150.0}
FLAGS = ["--autoplay-policy=no-user-gesture-required", "--mute-audio"]
# From the link to the first piece in memory; then from pressing play to sound.
READY = """async () => {
  // The navigation has only begun, so what is read so far may end before the player.
  const engine = () => document.querySelector("#player")?.engine;
  while (!(engine()?.held > 0)) await new Promise((resolve) => setTimeout(resolve, 5));
  return performance.now() / 1000;
}"""
SEEK = """async (frame) => {
  const { engine } = document.querySelector("#player");
  const begin = performance.now();
  engine.seek(frame);
  while (!(engine.state === "playing" && engine.position > frame)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return (performance.now() - begin) / 1000;
}"""
WHOLE = """async (urls) => {
  const begin = performance.now();
  const context = new AudioContext({ sampleRate: 44100 });
  window.kept = await Promise.all(urls.map(async (url) =>
    context.decodeAudioData(await (await fetch(url)).arrayBuffer())));
  return (performance.now() - begin) / 1000;
}"""


def store_song(folder: Path, seconds: float) -> str:
    """Put a job that is done into the data of a server that does not run yet -> its id."""
    from xumx_jax.web.jobs import Options, Result, Stem
    from xumx_jax.web.peaks import Peaks
    from xumx_jax.web.settings import Settings
    from xumx_jax.web.store import Store

    draw, frames = np.random.default_rng(0), round(seconds * RATE)
    with Store(Settings(folder, ("demo",))) as store:
        job = store.create("song.wav", Options("demo", niter=0), "me")
        store.uploaded(job.id, 1, seconds)
        store.take()
        place = store.folder(job.id)
        for stem in STEMS:
            block, peaks = draw.uniform(-0.2, 0.2, (10 * RATE, 2)).astype(np.float32), Peaks()
            with (
                soundfile.SoundFile(place / f"{stem}.wav", "w", RATE, 2, "PCM_16") as file,
                (place / f"{stem}.peaks").open("wb") as drawn,
            ):
                for at in range(0, frames, len(block)):
                    file.write(block[: frames - at])
                    drawn.write(peaks.push(block[: frames - at].T))
                drawn.write(peaks.finish())
        store.done(job.id, Result(RATE, 2, frames, 1.0, tuple(Stem(s, 44, 0.2) for s in STEMS)))
    return job.id


@contextlib.contextmanager
def browsing():
    """A Chromium of its own, so that nothing is in its memory yet."""
    from playwright.sync_api import sync_playwright

    flags = FLAGS + ["--no-sandbox"] * (os.name == "posix" and os.geteuid() == 0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
        try:
            yield browser
        finally:
            browser.close()


def renderer_mb() -> float:
    """The proportional set size (PSS) of the page's renderer, in MB.

    It is the largest of those that this process has started: others wait for further pages.
    """
    parents, renderers = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, StopIteration):  # it has ended
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if b"--type=renderer" in (path / "cmdline").read_bytes():
                lines = (path / "smaps_rollup").read_text().splitlines()
                pss = next(line for line in lines if line.startswith("Pss:"))
                renderers[int(path.name)] = int(pss.split()[1]) * 1024 / 1e6

    def is_ours(number):
        while number in parents and number != os.getpid():
            number = parents[number]
        return number == os.getpid()

    return max(size for number, size in renderers.items() if is_ours(number))


def measure_page(url: str) -> dict:
    """Open the page without a song, and count the bytes that it fetches."""
    sizes = []
    with browsing() as browser:
        page = browser.new_page()
        page.on("response", lambda response: sizes.append(len(response.body())))
        page.goto(url)
        page.wait_for_selector("html[data-state=ready]")
        page.wait_for_load_state("networkidle")
    return {"page_kb": sum(sizes) / 1000, "page_requests": len(sizes)}


def measure_player(url, id, frames: int, rounds: int, seeks: int, seconds: int) -> dict:
    """Open the song, play it, seek, and play for some seconds."""
    ready, memory = [], []
    with browsing() as browser:
        for _ in range(rounds):
            page = browser.new_context().new_page()
            page.goto(f"{url}/#job={id}", wait_until="commit")
            ready.append(page.evaluate(READY))
            memory.append(renderer_mb())
            if len(ready) < rounds:
                page.context.close()
        begin = time.perf_counter()
        page.evaluate("async () => document.querySelector('#player').engine.play()")
        sound = time.perf_counter() - begin
        took = []
        for place in np.linspace(0.05, 0.95, seeks)[np.random.default_rng(0).permutation(seeks)]:
            took.append(page.evaluate(SEEK, round(place * frames)))
            memory.append(renderer_mb())
        for place in np.linspace(0.9, 0.1, 8):  # quick ones: each overtakes the one before
            page.evaluate("f => document.querySelector('#player').engine.seek(f)", place * frames)
            page.wait_for_timeout(100)
            memory.append(renderer_mb())
        for _ in range(seconds):
            page.wait_for_timeout(1000)
            memory.append(renderer_mb())
    return {
        "ready_seconds": median(ready),
        "sound_seconds": sound,
        "seek_seconds": median(took),
        "seek_most_seconds": max(took),
        "memory_ready_mb": memory[0],
        "memory_mb": max(memory),
    }


def measure_whole(url: str, id: str) -> dict:
    """Fetch and decode the same files as a whole."""
    urls = [f"/api/v1/jobs/{id}/stems/{stem}.wav?bits=16" for stem in STEMS]
    with browsing() as browser:
        page = browser.new_page()
        page.set_default_timeout(300_000)
        page.goto(f"{url}/healthz")
        seconds = page.evaluate(WHOLE, urls)
        return {"whole_seconds": seconds, "whole_mb": renderer_mb()}


def main() -> int:
    """Measure all, print it, and compare with the bounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="half a minute, to try it out")
    quick = parser.parse_args().quick
    seconds, rounds, seeks, playing = (60, 1, 3, 1) if quick else (600, 5, 15, 10)
    load = os.getloadavg()[0]
    try:
        chromium()
    except Failed as failed:
        raise SystemExit(f"xumx: error: {failed}") from None
    with tempfile.TemporaryDirectory(prefix="xumx-bench-") as name:
        folder = Path(name)
        id = store_song(folder / "data", seconds)
        with serving(folder) as (_, client):
            found = measure_player(client.url, id, seconds * RATE, rounds, seeks, playing)
            print(json.dumps(found), flush=True)
            found |= measure_whole(client.url, id)
            client.remove(id)
            found |= measure_page(client.url)
    found["ready_ratio"] = found["whole_seconds"] / found["ready_seconds"]
    found["memory_ratio"] = found["whole_mb"] / found["memory_mb"]
    found = {name: round(value, 3) for name, value in found.items()}
    beyond = [name for name, most in BOUNDS.items() if found[name] > most]
    about = {"bench": "web", "quick": quick, "machine": machine(), "load": round(load, 2)}
    print(json.dumps({**about, **found, "beyond": beyond}))
    return 1 if beyond and not quick else 0


if __name__ == "__main__":
    sys.exit(main())
