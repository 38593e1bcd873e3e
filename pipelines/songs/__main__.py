"""Writes generated songs as folders of stems: `python -m pipelines.songs OUT --songs 240`."""

import json
import multiprocessing
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import soundfile

from xumx_jax import files
from xumx_jax.commands.console import Parser, run_program, say
from xumx_jax.errors import UserError

from . import material, sampler, wordbank
from .material import Stock
from .mixing import choose, render
from .score import SOURCES


def write(seed: int, out: Path, rate: int, seconds: float, engine: str, stock=None) -> bool:
    """Renders one song into OUT/song_SEED, whole or not at all; False where it was there."""
    target = out / f"song_{seed:06d}"
    if target.exists():
        return False
    song = render(seed, rate, seconds, engine, stock=stock)
    with files.replacing_folder(target) as folder:
        for name, wave in zip(SOURCES, song.stems, strict=True):
            soundfile.write(folder / f"{name}.wav", wave.T, rate, subtype="PCM_16")
        (folder / "song.json").write_text(json.dumps(song.description, indent=1) + "\n")
    return True


def generate(
    out: Path, seeds: range, rate: int, seconds: float, engine: str, processes: int,
    stock: Stock | None = None,
):  # fmt: skip
    """Writes the songs of all seeds that are not there yet, in several processes.

    `stock` holds recordings to make them of (`material`).
    """
    engine = choose(engine)
    out.mkdir(parents=True, exist_ok=True)
    for left in [*out.glob(".song_*.part"), *out.glob(".song_*.partial")]:  # of a killed run
        files.remove_quietly(left)
    wanted = [seed for seed in seeds if not (out / f"song_{seed:06d}").exists()]
    if engine == "sampled" and wanted:
        # Loaded before the fork, so that the processes share one copy.
        sampler.load()
        for voice in wordbank.voices() if stock else wordbank.VOICES:
            if not wordbank.path(voice).is_file():
                wordbank.build(voice, processes)
            wordbank.load(voice)
    print(f"{len(seeds) - len(wanted)} songs there, {len(wanted)} to make ({engine})", flush=True)
    task = partial(write, out=out, rate=rate, seconds=seconds, engine=engine, stock=stock)
    if processes < 2:
        _follow(map(task, wanted), len(wanted))
        return
    # An import of jax would make forking unsafe; nothing here imports it.
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        _follow(pool.imap_unordered(task, wanted), len(wanted))


def _follow(songs, total: int) -> None:
    """Runs through the songs and says how far they are: in one line, or in a log every 8 songs."""
    begun = time.monotonic()
    live = sys.stdout.isatty()
    for count, _ in enumerate(songs, 1):
        minutes = (time.monotonic() - begun) / 60
        line = f"{count}/{total} songs, {count / max(minutes, 1e-9):.1f} per minute"
        if live or count % 8 == 0 or count == total:
            print(line, end="\r" if live and count < total else "\n", flush=True)


def main(argv=None) -> int:
    """The command line; 0, or 2 after one line that says what was wrong."""
    parser = Parser("python -m pipelines.songs", description=__doc__)
    parser.add_argument("out", type=Path, help="folder for song_000000, song_000001, ...")
    parser.add_argument("--songs", type=int, default=240)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--rate", type=int, default=22050)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--engine", choices=("auto", "sampled", "plain"), default="auto")

    parser.add_argument("--material", type=Path, metavar="FOLDER",
                        help="folder of recordings: songs of the kinds in kinds.py")  # fmt: skip
    parser.add_argument("--without-missing", action="store_true",
                        help="go on where some of the recordings are missing")  # fmt: skip
    parser.add_argument("--held-out", action="store_true",
                        help="only the recordings that no song for training has")  # fmt: skip

    def work() -> int:
        options = parser.parse_args(argv)
        if options.songs < 1 or options.seconds < 1 or options.first_seed < 0:
            raise UserError("wanted at least 1 song, 1 second and a seed of 0 or more")
        if not 8000 <= options.rate <= 192000:
            raise UserError(f"rate {options.rate}: wanted 8000 to 192000 Hz")
        stock = None
        if (options.without_missing or options.held_out) and not options.material:
            raise UserError("--without-missing, --held-out: wanted --material FOLDER with them")
        if options.material:
            lacking = material.check(options.material, options.without_missing)
            if lacking:
                say("warning", lacking, "songs")
            stock = Stock(options.material, options.held_out)
        seeds = range(options.first_seed, options.first_seed + options.songs)
        try:
            generate(options.out, seeds, options.rate, options.seconds, options.engine,
                     options.processes, stock)  # fmt: skip
        except subprocess.CalledProcessError as error:  # the speech synthesiser
            raise UserError(str(error)) from error
        return 0

    return run_program(work, "songs", interrupted="stopped; run the same command to resume")


if __name__ == "__main__":
    sys.exit(main())
