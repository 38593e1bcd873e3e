"""Train each family of networks for a few minutes on generated songs, to see that it learns.

    make learning                              ARGS="--families bsrnn hdemucs"
    make learning ARGS=--quick                 tiny networks, seconds: does it all run?

Each family has a recipe of `configs/`, with its loss, effects and augmentations, and a network that
is small enough for a CPU. Songs are made at 22.05 kHz; the epochs' SDRs are of songs that training
never saw. Prints a table, a line of JSON, and draws `docs/images/learning.svg`: losses by step,
and the mean SDR beside that of the mixture taken for every source. A run that was stopped goes on.
"""

import argparse
import json
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from worker import environment, machine

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "images" / "learning.svg"
RATE = 22050
UNTRAINED, SMOOTHED = 5, 25  # steps at the beginning, and at the end
QUICK_ENVIRONMENT = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
QUICK = {"train.epochs": 2, "train.steps_per_epoch": 4, "train.seconds": 0.5}


@dataclass(frozen=True)
class Family:
    """A recipe, `FILE.py:VARIANT`, and how it is changed to fit a CPU and a few minutes."""

    recipe: str
    model: dict
    quick: dict = field(default_factory=dict)
    epochs: int = 6
    rate: float = 3e-3
    changes: dict = field(default_factory=dict)


WAVE = {"width": 16, "depth": 4}
SMALL = {"width": 8, "depth": 3}
# Stems that turn over at random are learned in hours, not in minutes.
AS_THEY_ARE = {"recipe.effects": ()}
FAMILIES = {
    "xumx": Family(
        "aimless.py:xumx",
        {"hidden_size": 96, "n_fft": 2048, "hop": 512, "bandwidth_hz": 11025.0},
        {"hidden_size": 8},
        epochs=3,
    ),
    "demucs": Family("aimless.py:demucs", WAVE, SMALL, changes=AS_THEY_ARE),
    "demucs_split": Family("aimless.py:demucs_split", WAVE, SMALL, changes=AS_THEY_ARE),
    "rel_tdemucs": Family(
        "aimless.py:rel_tdemucs", {**WAVE, "attention_layers": 2}, SMALL, changes=AS_THEY_ARE
    ),
    "hdemucs": Family("aimless.py:mdx_hdemucs", {**WAVE, "n_fft": 2048}, SMALL),
    "bsrnn": Family(
        "aimless.py:cdx_bsrnn",
        {"hidden_size": 32, "layers": 2, "n_fft": 1024, "hop": 256},
        {"hidden_size": 8, "layers": 1},
        epochs=3,
    ),
}


def options(family: Family, epochs: int | None, steps: int, quick: bool) -> dict:
    """What is changed of a recipe: {option of the config: value}."""
    changed = {
        "data.name": "generated",
        "data.generated.songs": 2,
        "data.generated.valid_songs": 4,
        "data.generated.test_songs": 0,
        "data.generated.seconds": 6.0,
        "recipe.same_song": 1.0,
        "model.args.sample_rate": RATE,
        "model.args.channels": 2,
        "model.args.sources": ("vocals", "drums", "bass", "other"),
        "optimizer.learning_rate": family.rate,
        "optimizer.schedule": "cosine",
        "optimizer.accumulate": 1,
        "optimizer.plateau.patience": None,
        "phases": (),
        "train.epochs": epochs or family.epochs,
        "train.steps_per_epoch": steps,
        "train.batch_size": 2,
        "train.seconds": 2.0,
        "train.valid_seconds": 10.0,
        "log.pictures_every": 0,
        "log.scalars_every": 1000,
    }
    changed |= family.changes
    changed |= {f"model.args.{key}": value for key, value in family.model.items()}
    if quick:
        changed |= QUICK | {"data.generated.songs": 2, "data.generated.valid_songs": 1}
        changed |= {"data.generated.seconds": 4.0, "train.valid_seconds": 2.0}
        changed |= {f"model.args.{key}": value for key, value in family.quick.items()}
    return changed


def train(name: str, changed: dict, workdir: Path, quick: bool) -> list[dict]:
    """Run `train.py` and return the records of its metrics; `quick` compiles to slower code."""
    words = [f"--config.{key}={value}" for key, value in changed.items()]
    recipe = f"configs/{FAMILIES[name].recipe}"
    command = [sys.executable, "train.py", "--config", recipe, "--workdir", str(workdir), *words]
    subprocess.run(
        command, check=True, cwd=ROOT, env=environment() | (QUICK_ENVIRONMENT if quick else {})
    )
    with (workdir / "metrics.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def of_mixtures(name: str, changed: dict) -> float:
    """The mean SDR of the validation's mixtures, taken for every source."""
    sys.path.insert(0, str(ROOT))
    import train as program
    from xumx_jax.metrics import energy_ratio

    words = [f"--config.{key}={value}" for key, value in changed.items()]
    config, _, _ = program.parse(["--config", f"configs/{FAMILIES[name].recipe}", *words])
    found = []
    for pieces in program.open_data(config).valid():
        ratios = np.asarray(energy_ratio(pieces.mix[:, None], pieces.stems))  # [batch, source]
        sounding = pieces.stems.any((-2, -1)) & (pieces.weight > 0)[:, None]
        found.append(np.where(sounding, ratios, np.nan))
    return float(np.nanmean(np.concatenate(found), axis=0).mean())


def summary(records: list[dict]) -> dict:
    """The losses of all steps, and the mean SDR of each epoch."""
    losses = [record["loss"] for record in records if "loss" in record and "epoch" not in record]
    epochs = [record for record in records if "epoch" in record and "valid" in record]
    return {
        "losses": losses,
        "first": float(np.mean(losses[:UNTRAINED])),
        "last": float(np.mean(losses[-SMOOTHED:])),
        "valid": [epoch["valid"] for epoch in epochs],
        "sdr_db": [float(np.mean([*epoch["sdr_db"].values()])) for epoch in epochs],
    }


def draw(results: dict[str, dict], path: Path) -> None:
    """Losses and SDRs of all families, two rows of panels."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams |= {"svg.hashsalt": "learning", "font.size": 8}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(results), figsize=(2.2 * len(results), 4), squeeze=False)
    for column, (name, result) in enumerate(results.items()):
        above, below = axes[:, column]
        losses = np.asarray(result["losses"])
        width = max(1, len(losses) // 40)
        smooth = np.convolve(losses, np.ones(width) / width, "valid")
        above.plot(losses, color="#c6d4ec", linewidth=0.6)
        above.plot(np.arange(len(smooth)) + width / 2, smooth, color="#2f5aa8")
        above.set_title(name)
        above.set_xlabel("step")
        epochs = np.arange(1, len(result["sdr_db"]) + 1)
        below.plot(epochs, result["sdr_db"], color="#2f5aa8", marker=".")
        below.axhline(result["mixture_db"], color="#999999", linestyle=":")
        below.set_xlabel("epoch")
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("SDR of unseen songs, dB")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    add("--epochs", type=int, help="default: 6, or 3 where those suffice")
    add("--steps", type=int, default=100, help="in an epoch; default: %(default)s")
    add("--workdir", type=Path, default=ROOT / "runs" / "learning")
    add("--out", type=Path, default=OUT, help="of the picture, an SVG file")
    add("--quick", action="store_true", help="tiny networks: only whether it runs")
    given = parser.parse_args(arguments)
    results = {}
    for name in given.families:
        changed = options(FAMILIES[name], given.epochs, given.steps, given.quick)
        records = train(name, changed, given.workdir / name, given.quick)
        results[name] = summary(records) | {"mixture_db": of_mixtures(name, changed)}
    print(f"{machine()}, Python {platform.python_version()}")
    print("| family | recipe | steps | loss, first | last | SDR, dB | of the mixture |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for name, found in results.items():
        cells = [name, FAMILIES[name].recipe, str(len(found["losses"]))]
        cells += [f"{found[key]:.3g}" for key in ("first", "last")]
        cells += [f"{found['sdr_db'][-1]:.2f}", f"{found['mixture_db']:.2f}"]
        print(f"| {' | '.join(cells)} |")
    draw(results, given.out)
    rows = {name: {k: v for k, v in one.items() if k != "losses"} for name, one in results.items()}
    print(json.dumps({"bench": "learning", "quick": given.quick, "rows": rows}))
    worse = [name for name, one in results.items() if one["sdr_db"][-1] <= one["mixture_db"]]
    for name in worse if not given.quick else ():
        print(f"{name}: estimates are no better than the mixture")
    return int(bool(worse) and not given.quick)


if __name__ == "__main__":
    sys.exit(main())
