"""A run with every augmentation: it trains, and stopped and resumed it is the same to the bit."""

import os
import signal
from types import SimpleNamespace

import augmenting
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import runs
import soundfile
from jax.sharding import PartitionSpec as P
from runs import run

from configs import aimless, xumx
from xumx_jax import augment
from xumx_jax.errors import UserError
from xumx_jax.training import step
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
    made = runs.config(epochs=2)
    options = {"probability": 0.5, **augmenting.SMALL}
    made.augment = augmenting.all_of_them(tmp_path / "rooms", runs.RATE, **options)
    return made


def test_devices_do_not_matter(tmp_path):
    """The step's stems on four devices are those on one, to the bit, and those of `apply`."""
    wanted = augmenting.all_of_them(tmp_path, runs.RATE, probability=0.4, **augmenting.SMALL)
    chosen, seed, steps = augment.build(wanted, runs.RATE, 2), 9, 3
    this = SimpleNamespace(augmentations=chosen, seed=seed)
    stems, found = jnp.asarray(runs.stems()), []
    for devices in (1, 4):
        function = jax.shard_map(
            lambda part: step.augmented(part, jnp.int32(steps), this),
            mesh=step.mesh(jax.devices()[:devices]), in_specs=P(step.AXIS), out_specs=P(step.AXIS),
        )  # fmt: skip
        found.append(np.asarray(jax.jit(function)(stems)))
    np.testing.assert_array_equal(*found)
    indices = steps * len(stems) + jnp.arange(len(stems))
    whole = jax.jit(lambda stems: augment.apply(chosen, stems, seed, indices))(stems)
    np.testing.assert_array_equal(found[0], whole)
    assert 0.2 < np.any(found[0] != stems, axis=(2, 3)).mean() < 1


def test_stopping_and_going_on_equals_not_stopping(config, tmp_path):
    """And other impulse responses are noticed where it goes on."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    outcome = run(config, whole, runs.data(), quiet)
    assert np.isfinite(outcome.row["train"]) and np.isfinite(outcome.row["valid"])
    stopped = run(config, parts, runs.data(spoil=stopped_in_the_second_step), quiet)
    assert stopped.signal == signal.SIGTERM
    assert run(config, parts, runs.data(), quiet).row["train"] == outcome.row["train"]
    for item in ("model", "optimizer"):
        ends = [store.read(store.newest(folder), item) for folder in (whole, parts)]
        jax.tree.map(np.testing.assert_array_equal, *ends)
    for changed in (False, True):
        lines: list[str] = []
        if changed:
            soundfile.write(tmp_path / "rooms" / "room.wav", np.ones((2, 2)) / 2, runs.RATE)
        run(config, whole, runs.data(), lines.append)
        assert any("can't be repeated" in line for line in lines) == changed


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
