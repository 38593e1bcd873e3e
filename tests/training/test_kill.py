"""Killed again and again at any moment, a run ends as if nothing had happened."""

import random
import time

import jax
import numpy as np
import pytest
import songs

from xumx_jax.training.monitor.logs import read_metrics
from xumx_jax.weights import store

KILLS, DURING_SAVES = 20, 3
EPOCHS, STEPS, EVERY = 14, 20, 4
# an epoch is no multiple of what accumulates, so gradients wait at the border
PHASE = {
    "optimizer.accumulate": 6, "optimizer.learning_rate": 2e-3, "optimizer.clip": 1.0,
    "augment": (("speed", {"probability": 0.5}),),
    "recipe.effects": (("resample", {"probability": 0.5}),),
}  # fmt: skip
OPTIONS = [
    *songs.SMALL, f"--config.train.epochs={EPOCHS}", f"--config.train.steps_per_epoch={STEPS}",
    f"--config.train.save_steps={EVERY}", "--config.train.average=0.9",
    "--config.train.batch_size=2", "--config.log.pictures_every=0",
    "--config.optimizer.plateau.patience=1", "--config.optimizer.plateau.cooldown=0",
    "--config.augment=(('speed', {}), ('pitch', {'n_fft': 256, 'hop': 64}))",
    "--config.optimizer.accumulate=3", f"--config.phases=(({EPOCHS // 2}, {PHASE}),)",
]  # fmt: skip


class Log:
    """Follows a growing metrics.jsonl from its present end."""

    def __init__(self, path):
        self.path, self.position = path, path.stat().st_size if path.exists() else 0
        self.steps, self.saving = 0, False

    def look(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.position)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self.position += len(line)
                self.steps += b'"gradient_norm"' in line
                if b'"event"' in line:
                    self.saving = b'"save"' in line


def kill_once(process, log, wanted_steps: int, in_save: bool) -> bool:
    """Kill when there are so many steps, and then perhaps a save; False if it ended by itself."""
    deadline = time.monotonic() + 120
    while process.poll() is None:
        log.look()
        if log.steps >= wanted_steps and (log.saving or not in_save):
            process.kill()
            process.wait()
            return True
        assert time.monotonic() < deadline, "train.py did not get on"
        time.sleep(0.001)
    return False


def ended(process) -> None:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_twenty_kills_change_nothing(tmp_path):
    root = songs.make(tmp_path / "songs")
    # compiled once, by the run that nobody kills
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    ended(songs.train(whole, root, *OPTIONS, **cache))

    rng, kills, during_saves = random.Random(0), 0, 0
    path = killed / "metrics.jsonl"
    while kills < KILLS or during_saves < DURING_SAVES:
        assert kills < 3 * KILLS, f"only {during_saves} of {kills} kills came during a save"
        process, log = songs.train(killed, root, *OPTIONS, **cache), Log(path)
        with process.stdout:
            landed = kill_once(process, log, rng.randint(1, 2 * EVERY), kills % 2 == 0)
        assert landed, f"the run ended after {kills} kills"
        kills += 1
        log.look()
        during_saves += log.saving
    last = max(record["step"] for record in read_metrics(path) if "step" in record)
    assert last < EPOCHS * STEPS, "no kill may come after the last step"
    ended(songs.train(killed, root, *OPTIONS, **cache))
    check_equal(killed, whole)


def check_equal(one, other) -> None:
    """The same arrays bit for bit, the same progress, the same best."""
    ends = [store.newest(folder) for folder in (one, other)]
    assert [end.name for end in ends] == [f"{EPOCHS * STEPS:08d}"] * 2
    for item in ("model", "optimizer"):
        jax.tree.map(np.testing.assert_array_equal, *(store.read(end, item) for end in ends))
    best = [store.read(folder / "best", "model") for folder in (one, other)]
    jax.tree.map(np.testing.assert_array_equal, *best)
    for folders in (ends, [one / "best", other / "best"]):
        progress = [store.describe(folder)["info"]["progress"] for folder in folders]
        assert progress[0] == progress[1]
