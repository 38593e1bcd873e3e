"""A run with every augmentation: it trains, and stopped and resumed it is the same to the bit."""

import os
import signal

import augmenting
import jax
import numpy as np
import pytest
import runs
import soundfile
from runs import run

from configs import aimless, xumx
from xumx_jax.errors import UserError
from xumx_jax.training.config_checks import check
from xumx_jax.weights import store

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile", "own_cache")]


def quiet(_):
    pass


def stopped_in_the_second_step(batches):
    for position, batch in enumerate(batches):
        if position == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        yield batch


@pytest.fixture
def config(tmp_path):
    made = runs.config(epochs=2, steps_per_epoch=3)
    options = {"probability": 0.5, **augmenting.SMALL}
    made.augment = augmenting.all_of_them(tmp_path / "rooms", runs.RATE, **options)
    return made


def test_stopping_and_going_on_equals_not_stopping(config, tmp_path):
    whole, parts, plain = (tmp_path / name for name in ("whole", "parts", "plain"))
    outcome = run(config, whole, runs.data(), quiet)
    assert np.isfinite(outcome.row["train"]) and np.isfinite(outcome.row["valid"])
    stopped = run(config, parts, runs.data(spoil=stopped_in_the_second_step), quiet)
    assert stopped.signal == signal.SIGTERM
    assert run(config, parts, runs.data(), quiet).row["train"] == outcome.row["train"]
    for item in ("model", "optimizer"):
        ends = [store.read(store.newest(folder), item) for folder in (whole, parts)]
        jax.tree.map(np.testing.assert_array_equal, *ends)
    config.augment = ()
    assert run(config, plain, runs.data(), quiet).row["train"] != outcome.row["train"]


def test_other_impulse_responses_are_noticed_when_resuming(config, tmp_path):
    lines: list[str] = []
    config.train.epochs = 1
    run(config, tmp_path / "run", runs.data(), quiet)
    soundfile.write(tmp_path / "rooms" / "room.wav", np.ones((2, 2)) / 2, runs.RATE)
    config.train.epochs = 2
    run(config, tmp_path / "run", runs.data(), lines.append)
    assert any("can't be repeated" in line for line in lines)


@pytest.mark.parametrize(
    "made, rate, wanted",
    [
        (xumx.get_config("tiny"), 8000, "8000 Hz; wanted an impulse response of 44100 Hz"),
        (aimless.get_config("cdx_hdemucs,tiny"), 44_100, "2 channels; wanted .* of 1 channel"),
    ],
)
def test_files_are_for_the_rate_and_the_channels_that_the_model_gets(tmp_path, made, rate, wanted):
    made.augment = augmenting.all_of_them(tmp_path / "rooms", rate)
    with pytest.raises(UserError, match=f"room.wav: has {wanted}"):
        check(made)
