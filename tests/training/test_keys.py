"""Every key of a config does something: changed, it changes a batch, a step, a schedule or a log.

The table below names each key with another value; a key that is in no table fails a test.
"""

import shutil

import numpy as np
import pytest
import runs
import songs
from runs import run

import train
from configs import xumx
from configs.command_line import override
from xumx_jax.errors import UserError
from xumx_jax.training.config_checks import flatten
from xumx_jax.training.monitor.logs import read_metrics

pytestmark = pytest.mark.usefixtures("quick_compile", "own_cache")

# What the first batches and the validation pieces are made of.
BATCH = {
    "train.batch_size": "2", "train.seconds": "0.1", "train.seed": "7", "train.valid_seconds": "0",
    "model.args.sources": "('vocals', 'drums', 'bass', 'other')",
    "recipe.same_song": "1.0", "recipe.anchor": "True", "recipe.random_start": "False",
    "recipe.coherent_examples": "8", "recipe.gain": "(1.0,1.0)", "recipe.gain_db": "(-3.0,3.0)",
    "recipe.mix_gain_db": "(-6.0,6.0)", "recipe.swap": "0.0", "recipe.polarity": "0.5",
    "recipe.drop": "0.9", "recipe.resample": "1.0", "recipe.shelf": "1.0",
    "recipe.effects": "(('shelving_filter',{'probability':1.0}),)",
}  # fmt: skip
# The same, where another key has to be on first.
BATCH_WITH = {
    "recipe.balanced": ("False", ["recipe.same_song=1.0"]),
    "recipe.coherent_effects": ("True", ["recipe.coherent_examples=8"]),
    "recipe.resample_range": ("0.3", ["recipe.resample=1.0"]),
    "recipe.shelf_db": ("(1.0,2.0)", ["recipe.shelf=1.0"]),
    "recipe.shelf_low_hz": ("(200.0,201.0)", ["recipe.shelf=1.0"]),
    "recipe.shelf_high_hz": ("(900.0,901.0)", ["recipe.shelf=1.0"]),
}
# What is printed, logged and left: losses, gradients and rates of six steps, epochs, checkpoints.
CURVE = {
    "model.name": "umx", "model.args.n_fft": "128", "model.args.hop": "32",
    "model.args.channels": "1", "model.args.hidden_size": "4", "model.args.layers": "2",
    "model.args.bandwidth_hz": "2000", "model.args.unidirectional": "True",
    "model.args.max_bin": "8", "model.args.bridge": "False", "model.args.power": "2",
    "model.args.bands": "(0,1,2,4,8,16,33)", "model.args.activation": "softmax",
    "loss.name": "weighted_sdr", "loss.multi_domain.mcoef": "1.0",
    "loss.multi_domain.combinations": "False", "loss.multi_domain.trim": "100",
    "loss.multi_domain.power": "2",
    "optimizer.name": "adamw", "optimizer.learning_rate": "0.01", "optimizer.weight_decay": "0.5",
    "optimizer.per_batch": "16", "optimizer.accumulate": "2",
    "optimizer.schedule": "cosine", "optimizer.warmup_steps": "4",
    "train.epochs": "1", "train.steps_per_epoch": "1", "train.average": "0.9",
    "train.compute": "bfloat16", "train.save_steps": "1", "train.valid_filter": "norbert",
    "augment": "(('mono',{'probability':1.0}),)",
    "train.save_minutes": "0.0", "train.keep": "1",
}  # fmt: skip
CURVE_WITH = {
    "model.args.dropout": ("0.9", []),
    "optimizer.clip": ("1e-3", ["optimizer.name=adam", "optimizer.weight_decay=0.5"]),
    "optimizer.plateau.patience": ("0", ["optimizer.learning_rate=1e-12", "train.epochs=3"]),
    "optimizer.plateau.factor": (
        "0.5", ["optimizer.learning_rate=1e-12", "optimizer.plateau.patience=0"],
    ),
    "optimizer.plateau.cooldown": (
        "0",
        ["optimizer.learning_rate=1e-12", "optimizer.plateau.patience=0", "train.epochs=5",
         "train.steps_per_epoch=1"],
    ),
    "train.patience": ("1", ["optimizer.learning_rate=1e-12", "train.steps_per_epoch=1"]),
    "train.examples_per_track": ("8", ["train.steps_per_epoch=None"]),
    "log.scalars_every": ("1", []),
    "log.pictures_every": ("1", []),
}  # fmt: skip
# Held by other tests: the data sets' own options, and what must change no number.
ELSEWHERE = {
    "data.name", "data.root", "data.workers", "data.engine", "quiet", "train.weights",
    "train.max_bad_steps", "model.args.sample_rate",
    "phases",
    "train.recompute",  # the same gradients, of less memory
    "train.micro_batch",  # the same: test_micro_batches
    "train.heartbeat_seconds", "train.stall_minutes",  # test_elastic
    "train.store",  # test_mirror
    "train.lora.rank", "train.lora.alpha", "train.lora.targets", "train.lora.full",  # test_lora
    "model.args.filter",  # what separates with the weights applies it
}  # fmt: skip


def test_every_key_is_held_by_a_test():
    # options of data sets and of other losses are held by their own tests
    own = ("data", "loss")
    known = {
        key
        for key in flatten(xumx.get_config().to_dict())
        if key.count(".") < 2
        or key.split(".")[0] not in own
        or key.startswith("loss.multi_domain.")
    }
    tables = [BATCH, BATCH_WITH, CURVE, CURVE_WITH, ELSEWHERE]
    assert known == {key for table in tables for key in table}
    assert sum(map(len, tables)) == len(known), "a key stands in two tables"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return songs.make(tmp_path_factory.mktemp("songs"))


def configured(base, words):
    return override(base, [f"--config.{word}" for word in words])


def batches(root, words) -> list[np.ndarray]:
    """Two training batches as they cross, and the validation's pieces."""
    base = xumx.get_config("tiny")
    base = override(base, songs.SMALL)
    config = configured(base, ["data.engine=threads", *words])
    config.data.root = str(root)
    data = train.open_data(config)
    with data.train(0, config) as loader:
        found = [part for _, batch in zip(range(2), loader, strict=False) for part in batch]
    return found + [part for pieces in data.valid() for part in pieces]


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("key", [*BATCH, *BATCH_WITH])
def test_changes_the_batches(key, root):
    value, before = BATCH_WITH.get(key) or (BATCH[key], [])
    plain = batches(root, before)
    assert same(plain, batches(root, before))
    assert not same(plain, batches(root, [*before, f"{key}={value}"]))


def curve(folder, words) -> dict:
    """What six steps leave behind."""
    config = configured(runs.config(), ["log.pictures_every=0", "model.args.layers=1", *words])
    shutil.rmtree(folder, ignore_errors=True)
    try:
        outcome = run(config, folder, runs.data(), lambda _: None)
    except UserError as error:
        return {"error": str(error)}
    changing = ("time", "waiting", "examples/s", "wait %")
    records = [
        {key: value for key, value in record.items() if key not in changing}
        for record in read_metrics(folder / "metrics.jsonl")
    ]
    row = {key: np.asarray(value).tolist() for key, value in outcome.row.items()}
    files = sorted(
        p.name for part in ("checkpoints", "pictures") for p in (folder / part).glob("*")
    )
    board = sum(p.stat().st_size for p in (folder / "tensorboard").iterdir())
    return {"records": records, "row": row, "files": files, "board": board}


SEEN: dict = {}


@pytest.mark.slow
@pytest.mark.parametrize("key", [*CURVE, *CURVE_WITH])
def test_changes_the_run(key, tmp_path):
    value, before = CURVE_WITH.get(key) or (CURVE[key], [])
    name = " ".join(before)
    if name not in SEEN:
        SEEN[name] = curve(tmp_path / "plain", before)
    changed = curve(tmp_path / "changed", [*before, f"{key}={value}"])
    assert "error" not in changed, changed
    assert changed != SEEN[name]
