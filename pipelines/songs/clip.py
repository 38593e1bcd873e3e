"""Renders the clip that the wheel carries: `python -m pipelines.songs.clip`.

Its seed lies outside the songs for training (0..9999) and for validation (100000..), and all four
sources play from start to end.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile

from .mixing import render

SEED = 200000
SECONDS = 12.0
RATE = 44100
PATH = Path(__file__).parents[2] / "xumx_jax" / "assets" / "demo.flac"


def mix(engine: str = "auto", seconds: float = SECONDS) -> np.ndarray:
    """The clip's mix [channel, time], faded at its end."""
    stems = render(SEED, RATE, seconds, engine, full=True).stems
    fade = int(0.4 * RATE)
    stems[..., -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return stems.sum(0)


def main(argv=None) -> int:
    """Writes the clip; 0, or 2 after one line that says what was wrong."""
    parser = argparse.ArgumentParser("python -m pipelines.songs.clip", description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", default=PATH)
    parser.add_argument("--engine", choices=("auto", "sampled", "plain"), default="sampled")
    options = parser.parse_args(argv)
    try:
        wave = mix(options.engine)
        options.path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(options.path, wave.T, RATE, subtype="PCM_16", format="FLAC")
    except (ValueError, OSError) as error:
        print(f"clip: error: {error}", file=sys.stderr)
        return 2
    print(f"{options.path}: {SECONDS:g} s, {options.path.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
