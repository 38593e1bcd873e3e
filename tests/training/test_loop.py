"""The loop on data in memory: stopping and resuming, bad data, bad disks, other configs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import numpy as np
import pytest
import runs
from runs import arrays, check_equal, quiet, run

from xumx_jax import models
from xumx_jax.errors import CheckpointError, UserError
from xumx_jax.training import checkpointing
from xumx_jax.weights import pointer, store
from xumx_jax.weights.bag import load_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile", "own_cache")]


def steps(workdir: Path) -> list[int]:
    folder = workdir / store.STEPS
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


@pytest.fixture(scope="module")
def whole(tmp_path_factory, session_cache):
    """Three epochs of two steps in one go."""
    workdir, lines = tmp_path_factory.mktemp("whole"), []
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUMX_CACHE", str(session_cache))  # as own_cache does for each test
        outcome = run(runs.config(average=0.9), workdir, runs.data(), lines.append)
    jax.config.update("jax_disable_most_optimizations", False)
    return workdir, outcome, lines


def stopping_at(index: int, number=signal.SIGTERM):
    """Batches that send this process a signal when one of them is fetched."""

    def spoil(batches):
        for position, batch in enumerate(batches):
            if position == index:
                os.kill(os.getpid(), number)
            yield batch

    return spoil


def test_a_run_leaves_its_newest_and_its_best(whole):
    workdir, outcome, lines = whole
    assert outcome.signal is None and outcome.row["step"] == 6 and steps(workdir) == [4, 6]
    assert sum("valid" in line for line in lines) == 1  # the header
    loaded = load_model(workdir)
    model = models.build(loaded.name, **loaded.args)
    wave = model.apply(loaded.variables, runs.stems().sum(1)).wave
    assert np.isfinite(wave).all() and json.dumps(loaded.args)
    assert load_model(workdir / "best").info["value"] <= outcome.row["valid"]


def test_stopping_and_going_on_equals_not_stopping(whole, tmp_path):
    """By its epochs, by SIGTERM within an epoch, and during validation."""
    config = runs.config(average=0.9, epochs=1)
    run(config, tmp_path, runs.data(), quiet)
    config.train.epochs = 3
    outcome = run(config, tmp_path, runs.data(spoil=stopping_at(0)), quiet)
    assert outcome.signal == signal.SIGTERM and steps(tmp_path)[-1] == 3
    validations = iter([stopping_at(0), lambda pieces: pieces])

    def valid():
        return next(validations)(runs.data().valid())

    outcome = run(config, tmp_path, runs.data(valid=valid), quiet)
    assert outcome.signal == signal.SIGTERM and steps(tmp_path)[-1] == 4
    assert store.describe(store.newest(tmp_path))["info"]["progress"]["epoch"] == 1
    outcome = run(config, tmp_path, runs.data(), quiet)
    assert outcome.signal is None
    check_equal(tmp_path, whole[0])


def test_a_finished_run_changes_nothing(whole):
    before = arrays(store.newest(whole[0]))
    run(runs.config(average=0.9), whole[0], runs.data(), quiet)
    jax.tree.map(np.testing.assert_array_equal, arrays(store.newest(whole[0])), before)


def test_saving_within_epochs(tmp_path):
    run(
        runs.config(steps_per_epoch=5, epochs=1, save_steps=2, keep=9), tmp_path, runs.data(), quiet
    )
    assert steps(tmp_path) == [2, 4, 5]


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_passed_over_aloud(whole, tmp_path, caplog, harm):
    shutil.copytree(whole[0], tmp_path / "run")
    newest = store.newest(tmp_path / "run")
    victim = max((p for p in newest.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "remove":
        victim.unlink()
    else:
        victim.write_bytes(content if harm == "flip" else content[: len(content) // 2])
    lines = []
    run(runs.config(average=0.9), tmp_path / "run", runs.data(), lines.append)
    assert "damaged" in caplog.text and "resuming after step 4" in lines[0]
    check_equal(tmp_path / "run", whole[0])
    for folder in (tmp_path / "run" / store.STEPS).glob("[0-9]*"):
        (folder / store.MANIFEST).write_text("{}")
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        run(runs.config(average=0.9), tmp_path / "run", runs.data(), quiet)


def test_a_damaged_newest_checkpoint_does_not_push_out_good_ones(whole, tmp_path):
    """With one to keep, gone on from step 4 and stopped at 5: that one stays, not the bad 6."""
    shutil.copytree(whole[0], tmp_path / "run")
    (store.newest(tmp_path / "run") / store.MANIFEST).write_text("{}")
    config = runs.config(average=0.9, keep=1)
    run(config, tmp_path / "run", runs.data(spoil=stopping_at(0)), quiet)
    assert steps(tmp_path / "run") == [5]
    run(config, tmp_path / "run", runs.data(), quiet)
    check_equal(tmp_path / "run", whole[0])


def test_another_config_is_refused_with_what_differs(whole):
    config = runs.config(average=0.9, batch_size=8, epochs=9, keep=5)
    config.optimizer.learning_rate = 0.1
    with pytest.raises(UserError) as error:
        run(config, whole[0], runs.data(8), quiet)
    message = str(error.value)
    assert "optimizer.learning_rate was 0.001, now 0.1; train.batch_size was 4, now 8" in message
    assert "epochs" not in message and "keep" not in message


def test_two_runs_in_one_folder(tmp_path):
    with checkpointing.locked(tmp_path), pytest.raises(UserError, match="another run is using it"):
        run(runs.config(), tmp_path, runs.data(), quiet)


def spoiled(first: int, count: int):
    """Batches of which some hold a NaN."""

    def spoil(batches):
        for position, batch in enumerate(batches):
            if first <= position < first + count:
                batch = batch._replace(gain=np.full_like(batch.gain, np.nan))
            yield batch

    return spoil


def test_bad_batches_are_skipped_and_counted(tmp_path):
    lines = []
    outcome = run(runs.config(epochs=1), tmp_path, runs.data(spoil=spoiled(1, 1)), lines.append)
    assert any("step 2 skipped" in line for line in lines)
    assert np.isfinite(outcome.row["train"]) and np.isfinite(outcome.row["valid"])
    assert arrays(store.newest(tmp_path))["optimizer"]["counters"]["skipped"] == 1


def test_too_many_bad_batches_end_the_run_with_the_last_good_state(tmp_path):
    config = runs.config(steps_per_epoch=9, max_bad_steps=3)
    with pytest.raises(UserError, match="3 steps in a row had no finite loss"):
        run(config, tmp_path, runs.data(spoil=spoiled(2, 99)), quiet)
    model = arrays(store.newest(tmp_path))["model"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(model))


def test_a_validation_that_is_not_a_number_ends_the_run(tmp_path):
    def valid():
        for pieces in runs.data().valid():
            yield pieces._replace(mix=pieces.mix * np.nan)

    with pytest.raises(UserError, match="the loss of epoch 1 is not a number"):
        run(runs.config(), tmp_path, runs.data(valid=valid), quiet)


def test_patience_ends_the_run(tmp_path):
    config = runs.config(epochs=50, steps_per_epoch=1, patience=2)
    config.optimizer.learning_rate = 1e-12
    lines = []
    outcome = run(config, tmp_path, runs.data(), lines.append)
    assert outcome.row["epoch"] < 50 and "no better loss in 2 epochs" in lines[-1]
    again = run(config, tmp_path, runs.data(), lines.append)  # it stays ended
    assert again.row == {}


def test_the_plateau_lowers_the_rate(tmp_path):
    config = runs.config(epochs=4, steps_per_epoch=1)
    config.optimizer.learning_rate = 1e-12
    config.optimizer.plateau.update({"patience": 1, "cooldown": 0})
    outcome = run(config, tmp_path, runs.data(), quiet)
    assert outcome.row["lr"] == pytest.approx(0.3e-12, rel=1e-5)


def test_without_validation_the_training_loss_decides(tmp_path):
    outcome = run(runs.config(epochs=1), tmp_path, runs.data(valid=False), quiet)
    assert "valid" not in outcome.row and pointer.is_pointer(tmp_path / "best")


def test_batches_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(UserError, match="batch_size 3 is not divisible by 4 devices"):
        run(runs.config(batch_size=3), tmp_path, runs.data(3), quiet)
    config = runs.config(steps_per_epoch=None, examples_per_track=1)
    with pytest.raises(UserError, match="2 tracks x 1 examples_per_track are less than one batch"):
        run(config, tmp_path, runs.data(), quiet)


def test_no_room_for_a_checkpoint(whole, tmp_path, monkeypatch):
    shutil.copytree(whole[0], tmp_path / "run")
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CheckpointError, match=r"no room for a checkpoint, \d+ bytes are needed"):
        run(runs.config(average=0.9, epochs=4), tmp_path / "run", runs.data(), quiet)
    assert steps(tmp_path / "run") == [4, 6]


FULL = """
    import resource, signal, sys
    import runs
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # any longer file fails half-way
    try:
        runs.run(runs.config(average=0.9, epochs=4), sys.argv[1], runs.data(), print)
    except ValueError as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_disk_that_fills_while_saving_keeps_what_was_there(whole, tmp_path, session_cache):
    shutil.copytree(whole[0], tmp_path / "run")
    paths = os.pathsep.join([*sys.path, str(Path(__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), tmp_path / "run"],
        env=os.environ | {"PYTHONPATH": paths, "XUMX_CACHE": str(session_cache)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "CheckpointError" in done.stderr, done.stderr
    # Orbax's threads log as well, at any time, even between two halves of a line
    assert len(re.findall("CheckpointError: .*cannot be written", done.stderr)) == 1
    assert steps(tmp_path / "run") == [4, 6]
    check_equal(tmp_path / "run", whole[0])
    assert not list(tmp_path.rglob("*.part"))


def test_what_a_killed_process_left_is_cleared_up(tmp_path):
    """Half a checkpoint or picture is removed; a best that was moved aside comes back."""
    (tmp_path / "checkpoints" / ".00000002.77-a.part").mkdir(parents=True)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / ".step-00000002.png.77-a.part").write_text("half")
    (tmp_path / ".best.old").mkdir()
    (tmp_path / ".best.old" / "file").write_text("kept")
    with checkpointing.locked(tmp_path):
        assert not list(tmp_path.glob("*/*.part"))
        assert (tmp_path / "best" / "file").read_text() == "kept"


def test_fine_tuning_takes_sources_by_name_and_copies_for_new_ones(whole, tmp_path):
    theirs = load_model(whole[0])
    config = runs.config(epochs=1, weights=str(whole[0]))
    config.optimizer.learning_rate = 0.0
    config.optimizer.weight_decay = 0.0
    config.model.args.sources = ("piano", "vocals", "drums", "strings")
    lines = []
    run(config, tmp_path, runs.data(), lines.append)
    ours = load_model(tmp_path)
    for name in ("enc", "dec"):
        jax.tree.map(
            lambda got, known: np.testing.assert_array_equal(got, known[[3, 2, 1, 3]]),
            ours.variables["params"][name],
            theirs.variables["params"][name],
        )
    assert [line for line in lines if line.startswith("piano: begins as a copy of other")]
    config.model.args.hidden_size = 4
    with pytest.raises(UserError, match="does not fit the config: model.args.hidden_size is 4"):
        run(config, tmp_path / "small", runs.data(), quiet)


def test_statistics_are_kept_until_the_data_change(tmp_path):
    lines = []
    for digest in ("one", "one", "two"):
        data = runs.data(fingerprint=digest, mixes=counted(lines))
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        config = runs.config(epochs=1, steps_per_epoch=1)
        run(config, tmp_path / "run", data, quiet)
    assert lines.count("read") == 2


def test_statistics_that_cannot_be_kept_are_only_slower(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "file"))
    run(runs.config(epochs=1, steps_per_epoch=1), tmp_path / "run", runs.data(), quiet)


def counted(lines: list):
    def mixes():
        lines.append("read")
        return iter(runs.stems(2).sum(1))

    return mixes
