"""Time another checkout of this repository beside this one: separation, a training step, scores.

    git worktree add ../before COMMIT
    python bench/against.py ../before       (--rounds 5 --seconds 60)

Full-size X-UMX with random weights. Both sides run in their own processes and take turns, with the
benchmark programs of their own checkout; the ratio is theirs over ours, so above 1 ours is quicker.
"""

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import jax
import numpy as np
import soundfile
from worker import QUIET, Worker, machine, take_turns

from separate import RATE, music
from xumx_jax.files import digest_of_value
from xumx_jax.models import build
from xumx_jax.models.interface import variable_shapes
from xumx_jax.weights.bag import save_model

HERE = Path(__file__).resolve().parent
TRAIN_SECONDS, BATCH = 6, 4
SCORED_SECONDS = 30


def prepare(folder: Path, seconds: float) -> None:
    """Write random weights, a mixture, and a batch of stems."""
    rng, module = np.random.default_rng(0), build("xumx")

    def draw(path, leaf):
        if path[-1].key in ("scale", "var"):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        return (0.05 * rng.standard_normal(leaf.shape)).astype(np.float32)

    variables = jax.tree_util.tree_map_with_path(draw, variable_shapes(module))
    save_model(folder / "weights.safetensors", "xumx", {}, variables)
    save_model(folder / "weights.pth", "xumx", {}, variables)  # where training looks
    manifest = folder / "weights.pth" / "checkpoint.json"
    body = json.loads(manifest.read_text())
    # format 0, which all versions read, has no number
    body = {key: value for key, value in body.items() if key not in ("format", "sha256")}
    manifest.write_text(json.dumps({**body, "sha256": digest_of_value(body)}))
    soundfile.write(folder / "mix.wav", music(seconds).T, RATE, "FLOAT")
    stems = 0.1 * rng.standard_normal((BATCH, 4, 2, TRAIN_SECONDS * RATE))
    np.save(folder / "stems.npy", stems.astype(np.float32))
    for name in ("references", "estimates"):
        waves = 0.1 * rng.standard_normal((4, 2, SCORED_SECONDS * RATE))
        np.save(folder / f"{name}.npy", waves.astype(np.float32))


def compare(checkouts: dict[str, Path], program: str, arguments, rounds: int) -> dict:
    """Run a program of both checkouts in turn -> {side: facts}."""
    with ExitStack() as stack:
        workers = {}
        for name, root in checkouts.items():
            env = {**QUIET, "PYTHONPATH": str(root)}
            command = (sys.executable, root / "bench" / program, *arguments(name))
            workers[name] = stack.enter_context(Worker(*command, env=env))
        return take_turns(workers, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path, help="the folder to compare with")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--only", default="", help="only tasks whose name contains this")
    parser.add_argument("--seconds", type=float, default=60, help="of music; default: %(default)s")
    options = parser.parse_args()
    checkouts = {"theirs": options.checkout.resolve(), "ours": HERE.parent}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, options.seconds)
        tasks = {
            "separate, niter 0": ("separate_jax.py", lambda name: (folder, folder / name, 0)),
            "separate, niter 1": ("separate_jax.py", lambda name: (folder, folder / name, 1)),
            "training step": ("train_jax.py", lambda name: (folder, "float32")),
            "BSSEval v4": ("evaluate_side.py", lambda name: ("float64", folder)),
            "SDR alone": ("evaluate_side.py", lambda name: ("sdr", folder)),
        }
        print(machine())
        for task, (program, arguments) in tasks.items():
            if options.only not in task:
                continue
            facts = compare(checkouts, program, arguments, options.rounds)
            peaks = {name: max(run["peak_mib"] for run in facts[name]["runs"]) for name in facts}
            row = {
                f"ratio_{key}": round(facts["theirs"][key] / facts["ours"][key], 3)
                for key in ("seconds", "cpu_seconds")
            }
            row["ratio_memory"] = round(peaks["theirs"] / peaks["ours"], 3)
            shown = {name: round(fact["seconds"], 2) for name, fact in facts.items()}
            print(json.dumps({"task": task, **row, "seconds": shown}), flush=True)


if __name__ == "__main__":
    main()
