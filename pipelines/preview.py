"""Hear and see what a config trains on: python -m pipelines.preview --config CONFIG --out FOLDER

Writes the first examples of a run, made by the code and with the random numbers of the run: each
source and their mixture, before and after everything that the recipe and the augmentations do, as
float WAV, and one picture of their spectrograms.
"""

import re
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xumx_jax import files
from xumx_jax.commands.console import Parser, print_any_name, run_program, shown_log
from xumx_jax.commands.plot import check_matplotlib
from xumx_jax.errors import UserError

PROGRAM = "preview"
SHEET = "preview.png"
BEFORE, AFTER = "before", "after"
MOST = 16  # examples
WIDTH, ROW, TITLE = 1600, 150, 85  # of the picture in pixels; characters of a line
SCALE, BINS, LOW_HZ, N_FFT = "bark", 96, 32.9, 2048  # of its spectrograms


class Example(NamedTuple):
    """One example: waves {name: [channel, time]}, the mixture first, and what was done to each."""

    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    origin: dict[str, str]
    changes: dict[str, list[str]]


def main(arguments: list[str] | None = None) -> int:
    """Write a preview -> the exit status: 0, 2 (the user's error) or 130 (^C)."""
    print_any_name()

    def work() -> int:
        options, rest = parser().parse_known_args(arguments)
        with shown_log():
            return run(options, rest)

    return run_program(work, PROGRAM)


def parser() -> Parser:
    """Build the parser."""
    made = Parser(
        prog=f"python -m pipelines.{PROGRAM}",
        description="Write the first examples of a run as audio and spectrograms, before and after "
        "what its recipe and augmentations do. --config.KEY=VALUE changes the config, as in "
        "train.py.",
    )
    add = made.add_argument
    add("--config", required=True, metavar="FILE[:VARIANT]", help="a recipe, as in train.py")
    add("--out", required=True, metavar="FOLDER", help="replaced, if it holds an earlier preview")
    add("--examples", type=int, default=4, metavar="N", help="default: %(default)s")
    return made


def run(options, rest: list[str]) -> int:
    """Make the examples, write them, and print what was drawn for each."""
    import train

    if not 1 <= options.examples <= MOST:
        raise UserError(f"--examples {options.examples}: wanted 1 to {MOST}")
    out = files.expanded(options.out)
    if out.exists() and not (out.is_dir() and all(map(_is_ours, out.iterdir()))):
        raise UserError(f"--out {out}: exists and is no preview; wanted a new folder")
    files.check_place(out)
    check_matplotlib()
    config, _, _ = train.parse(["--config", options.config, *rest])
    examples, rate = make(config, options.examples)
    with files.replacing_folder(out) as folder:
        for number, example in enumerate(examples):
            write(folder / f"example{number}", example, rate)
        (folder / SHEET).write_bytes(sheet(examples, rate))
    for number, example in enumerate(examples):
        for name, origin in example.origin.items():
            done = "; ".join(example.changes[name]) or "unchanged"
            print(f"{number} {name}: {origin}: {done}")
    print(f"{out}: {len(examples)} examples, {SHEET}")
    return 0


def _is_ours(path: Path) -> bool:
    return path.name == SHEET or bool(re.fullmatch(r"example\d+", path.name))


def make(config, count: int) -> tuple[list[Example], int]:
    """The first examples of the run of a config, and their rate in Hz. Raises UserError."""
    import train
    from xumx_jax.training import config_checks
    from xumx_jax.training.batches import Examples

    model = config_checks.build(config)
    loader = train.open_data(config).train(0)
    tracks, indices = loader.tracks, np.arange(count)
    plans, places, excerpts = loader.excerpts(indices)
    shape = excerpts.shape[:2]
    untouched = Examples(excerpts, np.ones(shape, np.float32), np.zeros(shape, bool))
    (before,) = stages(model, untouched, (), config.train.seed, indices)
    chosen = config_checks.augmentations(config, model)
    after = stages(model, loader.examples(indices), chosen, config.train.seed, indices)
    names, made = _names(tracks.sources), []
    for index, plan in enumerate(plans):
        changes, origin = {}, {}
        for source, name in enumerate(names):
            changes[name] = described(plan, source)
            for (kind, _), old, new in zip(chosen, after, after[1:], strict=False):
                if not np.array_equal(old[index, source], new[index, source]):
                    changes[name].append(kind)
            track, start = places[index, source]
            origin[name] = f"{title_of(tracks, source, track)} at {start / tracks.rate:.1f} s"
        waves = (_with_mixture(names, wave[index]) for wave in (before, after[-1]))
        made.append(Example(*waves, origin, changes))
    return made, tracks.rate


def stages(model, examples, augmentations, seed: int, indices) -> list[np.ndarray]:
    """A batch as the step unpacks it, then after each augmentation: what changed shows whom."""
    import jax

    from xumx_jax import augment
    from xumx_jax.training.batches import render, to_channels

    found = [jax.jit(lambda batch: to_channels(render(batch), model))(examples)]
    for one in augmentations:
        step = jax.jit(lambda stems, one=one: augment.apply((one,), stems, seed, indices))
        found.append(step(found[-1]))
    return [np.asarray(stems) for stems in found]


def _names(sources) -> list[str]:
    """Names of files for the sources; one called mixture is another than ours."""
    return [
        files.safe_name(name, "source") if name != "mixture" else "mixture_" for name in sources
    ]


def _with_mixture(names, waves: np.ndarray) -> dict[str, np.ndarray]:
    return {"mixture": waves.sum(0), **dict(zip(names, waves, strict=True))}


def title_of(tracks, source: int, track: int) -> str:
    """The name of a track, or of the clip of a source whose files make up no songs."""
    if tracks.aligned:
        return tracks.names[track]
    clip = tracks.clips[source][track]
    return clip[0].file.path.stem if clip else f"track {track}"


def described(plan, source: int) -> list[str]:
    """What a plan does to a source: its effects with their numbers, then swap and gain."""
    from pipelines.mixing.effects import EFFECTS

    said = []
    for name, values in plan.effects:
        if EFFECTS[name].changes(values[source]):
            first = 1 if EFFECTS[name].ROWS[0] == "use" else 0
            numbers = np.atleast_1d(values[source])[first:]
            said.append(" ".join([name, *map(_three_digits, numbers)]))
    if plan.swap[source]:
        said.append("swapped")
    gain = plan.gain[source]
    if gain < 0:
        said.append("inverted")
    if gain == 0:
        said = ["left out"]
    elif abs(gain) != 1:
        said.append(f"{20 * np.log10(abs(gain)):+.1f} dB")
    return said


def _three_digits(number) -> str:
    return np.format_float_positional(number, precision=3, fractional=False, trim="-")


def write(folder: Path, example: Example, rate: int) -> None:
    """Write the waves as FOLDER/{before,after}/NAME.wav, in 32-bit float: none is clipped."""
    import soundfile

    for when, waves in ((BEFORE, example.before), (AFTER, example.after)):
        (folder / when).mkdir(parents=True)
        for name, wave in waves.items():
            soundfile.write(folder / when / f"{name}.wav", wave.T, rate, subtype="FLOAT")


def sheet(examples: list[Example], rate: int) -> bytes:
    """Draw all waves -> PNG: a row each, before and after side by side."""
    from xumx_jax.evaluation import spectrograms
    from xumx_jax.transforms.slicq import SliCQ

    scale = SliCQ(SCALE, BINS, LOW_HZ, sample_rate=rate)
    rows_hz = spectrograms.edges_hz(scale)
    samples = examples[0].before["mixture"].shape[-1]
    edges = np.linspace(0, samples, WIDTH // 2 + 1)

    def power(wave):
        return spectrograms.stft_power(wave, rate, N_FFT, rows_hz, edges)

    rows = {}
    for number, example in enumerate(examples):
        for name, wave in example.before.items():
            done = "; ".join(example.changes.get(name, ["sum of what is below"])) or "unchanged"
            rows[f"{number} {name}"] = {
                BEFORE: power(wave),
                textwrap.fill(f"{AFTER}: {done}", TITLE): power(example.after[name]),
            }
    height = 80 + ROW * len(rows)
    return spectrograms.draw(rows, scale, (0, samples / rate), (WIDTH, height))


if __name__ == "__main__":
    sys.exit(main())
