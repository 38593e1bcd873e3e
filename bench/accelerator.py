"""Time separation and a training step of every model on any device, compared with PyTorch.

    make bench-accelerator                  (or: python bench/accelerator.py)
    python bench/accelerator.py --quick     tiny models, seconds on a CPU: does it all run?

It takes at most ten minutes: measurements that have not begun after `--minutes` are named and left
out. PyTorch's side needs the packages of `bench/parity-*.txt`, and a PyTorch that sees the device;
without them only ours is measured. Weights and music are random, precision is float32, and every
measurement runs in a separate process, so that its memory is separate too. Separation is without
Wiener filter. A new family adds a line to ROWS, and to `accelerator_torch.MODELS` if there is
something to compare it with.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from worker import QUIET, Worker

HERE = Path(__file__).parent
TASKS = ("separate", "train")
ENVIRONMENT = {**QUIET, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
QUICK_ENVIRONMENT = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
UMX_SMALL = {"hidden_size": 8, "n_fft": 512, "hop": 128}
WAVE_SMALL = {"width": 4, "depth": 2}
ATTENTION_SMALL = {**WAVE_SMALL, "depth": 4, "attention_layers": 1, "seconds": 1.0}
HYBRID_SMALL = {"width": 4, "depth": 3, "n_fft": 256, "dconv_depth": 1}
SLICQ_V1_SMALL = {"bins": 24, "low_hz": 200.0, "bandwidth_hz": 1000.0}
SLICQ_SMALL = {"bins": 24, "low_hz": 200.0, "hidden_size": 4, "inner_size": 4}
BSRNN_SMALL = {"hidden_size": 8, "layers": 1, "n_fft": 512, "hop": 128}

HTDEMUCS_SMALL = {"width": 4, "depth": 3, "n_fft": 1024, "dconv_depth": 1, "seconds": 1.0}
HTDEMUCS_SMALL |= {"bottom_channels": 8, "t_layers": 2, "t_heads": 2, "dconv_comp": 2}
ROFORMER_SMALL = {"features": 8, "layers": 1, "heads": 2, "head_size": 4, "mask_width": 1}
MDX_SMALL = {"n_fft": 1024, "hop": 256, "bins": 512, "frames": 32, "features": 4, "scales": 2}


@dataclass(frozen=True)
class Row:
    """A model: ours by its name and arguments, or bundled weights; its loss; its counterpart."""

    model: str  # a key of xumx_jax.models.MODELS, or "demo"
    loss: str  # a key of xumx_jax.losses.LOSSES
    args: dict = field(default_factory=dict)  # of the model
    quick: dict = field(default_factory=dict)  # of the model, for --quick
    options: dict = field(default_factory=dict)  # of the loss
    fields: tuple[str, ...] = ()  # of the model that are options of the loss, too
    torch: str | None = None  # a key of accelerator_torch.MODELS


ROWS = {
    "xumx": Row("xumx", "multi_domain", quick=UMX_SMALL, torch="xumx"),
    "umx": Row("umx", "mse", quick=UMX_SMALL, options={"combinations": False}, torch="umx"),
    "demucs_split": Row(
        "demucs_split", "weighted_sdr", {"width": 48}, WAVE_SMALL, {"combinations": False}
    ),
    "rel_tdemucs": Row("rel_tdemucs", "weighted_sdr", {}, ATTENTION_SMALL, {"combinations": False}),
    "demucs": Row("demucs", "l1", quick=WAVE_SMALL),
    "hdemucs": Row("hdemucs", "l1", quick=HYBRID_SMALL),
    "demo": Row("demo", "segment_sdr", fields=("bands",)),
    "bsrnn": Row("bsrnn", "multi_domain", quick=BSRNN_SMALL),
    "xumx_slicq": Row("xumx_slicq", "mse", quick=SLICQ_V1_SMALL),
    "xumx_slicq_v2": Row("xumx_slicq_v2", "complex_mse", quick=SLICQ_SMALL),
    "htdemucs": Row("htdemucs", "l1", quick=HTDEMUCS_SMALL),
    "bs_roformer": Row(
        "bs_roformer", "multi_resolution_l1", {"layers": 12, "features": 512}, ROFORMER_SMALL
    ),
    "mel_band_roformer": Row("mel_band_roformer", "multi_resolution_l1", quick=ROFORMER_SMALL),
    "mdx23c": Row("mdx23c", "l1", quick=MDX_SMALL | {"growth": 4, "subbands": 2}),
    "mdxnet": Row("mdxnet", "l1", quick=MDX_SMALL),
    "scnet": Row("scnet", "l1", quick={"features": (8, 8), "pairs": 2}),
}


@dataclass(frozen=True)
class Size:
    """How much music: a track to separate, and a batch to train on."""

    track_seconds: float
    batch: int
    seconds: float
    steps: int  # a run, so that the wait at its end weighs little
    rounds: int

    def audio_seconds(self, task: str) -> float:
        """How much music one step handles."""
        return self.track_seconds if task == "separate" else self.batch * self.seconds


FULL = Size(track_seconds=60.0, batch=16, seconds=6.0, steps=5, rounds=3)
QUICK = Size(track_seconds=2.0, batch=2, seconds=0.5, steps=1, rounds=1)


def steps_of(task: str, size: Size) -> int:
    """The number of steps in a run of the task; a track is one step."""
    return size.steps if task == "train" else 1


def music(task: str, rate: int, size: Size, sources: int = 4, channels: int = 2) -> np.ndarray:
    """Noise: a track [channel, time], or stems [batch, source, channel, time]."""
    draw = np.random.default_rng(0)
    if task == "separate":
        shape = (channels, round(size.track_seconds * rate))
    else:
        shape = (size.batch, sources, channels, round(size.seconds * rate))
    return (0.1 * draw.standard_normal(shape, np.float32)).astype(np.float32)


def arguments_of_side() -> tuple[str, str, Path, bool, Size]:
    """Parse what `measure` passes to a side: row, task, folder, quick, size."""
    row, task, folder, quick, size = sys.argv[1:]
    return row, task, Path(folder), bool(int(quick)), Size(**json.loads(size))


def measure(side: str, row: str, task: str, folder: Path, quick: bool, size: Size) -> dict:
    """Run one side in a separate process -> its facts, with the median seconds of a step."""
    command = [sys.executable, HERE / f"accelerator_{side}.py", row, task, folder, int(quick)]
    environment = ENVIRONMENT | (QUICK_ENVIRONMENT if quick else {})
    with Worker(*command, json.dumps(vars(size)), env=environment) as worker:
        first = worker.ask("run")["seconds"]
        runs = [worker.ask("run") for _ in range(size.rounds)]
    seconds = statistics.median(run["seconds"] for run in runs) / steps_of(task, size)
    return {
        "row": row,
        "task": task,
        "side": side,
        "device": worker.facts["device"],
        "version": worker.facts["version"],
        "first_seconds": worker.facts["prepared"] + first,
        "ms": 1000 * seconds,
        "times_real_time": worker.facts.get("music", size.audio_seconds(task)) / seconds,
        "peak_mib": runs[-1]["device_mib"] or runs[-1]["peak_mib"],
    }


def sides(row: Row) -> list[str]:
    """The sides that can run here: PyTorch's needs a counterpart and its packages."""
    there = all(importlib.util.find_spec(name) for name in ("torch", "asteroid", "openunmix"))
    return ["torch", "jax"] if row.torch and there else ["jax"]


def table(results: list[dict]) -> str:
    """The results in Markdown; the ratio is PyTorch's time over ours."""
    lines = [
        "| model | | side | device | ms a step | x real time | torch / ours | peak MiB | first s |",
        "|---|---|---|---|--:|--:|--:|--:|--:|",
    ]
    theirs = {(r["row"], r["task"]): r["ms"] for r in results if r["side"] == "torch"}
    for r in results:
        base = theirs.get((r["row"], r["task"])) if r["side"] == "jax" else None
        ratio = f"{base / r['ms']:.2f}" if base else ""
        lines.append(
            f"| {r['row']} | {r['task']} | {r['side']} {r['version']} | {r['device']}"
            f" | {r['ms']:.1f} | {r['times_real_time']:.1f} | {ratio} | {r['peak_mib']:.0f}"
            f" | {r['first_seconds']:.1f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only whether it runs")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="MODEL")
    parser.add_argument("--batch", type=int, metavar="N", help=f"default: {FULL.batch}")
    parser.add_argument("--minutes", type=float, default=8.5, help="default: %(default)s")
    given = parser.parse_args(arguments)
    size = QUICK if given.quick else FULL
    if given.batch:
        size = Size(**vars(size) | {"batch": given.batch})
    begin, results, left_out = time.monotonic(), [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in given.rows:
            for task in TASKS:
                for side in sides(ROWS[name]):
                    what = f"{name}, {task}, {side}"
                    if time.monotonic() - begin > 60 * given.minutes:
                        left_out.append(f"{what}: no time left")
                        continue
                    try:
                        found = measure(side, name, task, Path(folder), given.quick, size)
                    except SystemExit as error:  # for want of memory, perhaps
                        left_out.append(f"{what}: {error}")
                        continue
                    results.append(found)
                    print(f"{what}: {found['ms']:.1f} ms", file=sys.stderr, flush=True)
    print(table(results))
    for reason in left_out:
        print(f"left out: {reason}")
    content = {"bench": "accelerator", "quick": given.quick, "size": vars(size)}
    print(json.dumps({**content, "results": results, "left_out": left_out}))
    return 0 if results and not any(": no time" not in reason for reason in left_out) else 1


if __name__ == "__main__":
    sys.exit(main())
