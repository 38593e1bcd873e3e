"""Measure what borders between chunks cost: chunked output against whole-track output.

    python bench/borders.py TRACK... [--model demo] [--chunk-seconds 10 20 30 60] [--niter 0 1]

Prints how far the difference is below each stem (energies over the whole track, dB), the minimum
over the stems. A FOLDER stands for the sum of the WAV files in it; with `--joined` all tracks are
concatenated.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from xumx_jax import audio
from xumx_jax.separation.separator import Separator
from xumx_jax.weights.load import load_module


def read(path: Path, rate: int) -> np.ndarray:
    """Read a track as stereo [channel, time]."""
    files = sorted(path.glob("*.wav")) if path.is_dir() else [path]
    waves = [audio.resample(*audio.decode(file), rate) for file in files]
    wave = np.sum(waves, axis=0)
    return np.repeat(wave, 2, axis=0) if len(wave) == 1 else wave[:2]


def below(found: dict, wanted: dict) -> float:
    """Energy of each stem over that of the difference, in dB, the minimum over stems."""
    return min(
        float(10 * np.log10(np.square(stem).sum() / np.square(found[name] - stem).sum()))
        for name, stem in wanted.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("tracks", nargs="+", type=Path)
    add("--model", default="demo")
    add("--chunk-seconds", type=float, nargs="+", default=[10, 20, 30, 60])
    add("--overlap", type=float, nargs="+", default=[0.25])
    add("--niter", type=int, nargs="+", default=[0, 1])
    add("--joined", action="store_true", help="all tracks as one")
    options = parser.parse_args()
    module, variables, _ = load_module(options.model)
    rate = module.sample_rate
    tracks = {path.name: read(path, rate) for path in options.tracks}
    if options.joined:
        tracks = {"joined": np.concatenate(list(tracks.values()), axis=-1)}
    settings = [(s, o) for s in options.chunk_seconds for o in options.overlap]
    print("| track | s | niter | " + " | ".join(f"{s:g} s, {o:g}" for s, o in settings) + " |")
    print("|---" * (3 + len(settings)) + "|")
    least = {}
    for name, mix in tracks.items():
        for niter in options.niter:
            whole = Separator(module, variables, niter=niter)(mix, rate)
            row = []
            for setting in settings:
                seconds, overlap = setting
                if seconds * rate >= mix.shape[1]:
                    row.append("-")
                    continue
                kept = dict(niter=niter, chunk_seconds=seconds, overlap=overlap)
                db = below(Separator(module, variables, **kept)(mix, rate), whole)
                key = f"{seconds:g} s, {overlap:g}, niter {niter}"
                least[key] = min(least.get(key, np.inf), round(db, 1))
                row.append(f"{db:.1f}")
            length = mix.shape[1] / rate
            print(f"| {name} | {length:.1f} | {niter} | {' | '.join(row)} |", flush=True)
    print(json.dumps({"bench": "borders", "least_db": least}))


if __name__ == "__main__":
    main()
