"""Live separation: the stems of the whole track, a constant latency later, however it is cut."""

import numpy as np
import pytest
from test_separator import RATE, noise, stack, tiny

from xumx_jax.errors import UserError
from xumx_jax.separation.live import Live
from xumx_jax.separation.separator import Separator

MODEL = tiny(unidirectional=True)


def cut(mix, size, seed=0):
    """Cut [channel, time] into blocks of `size` samples; "random": of 0 to 299."""
    draw, at = np.random.default_rng(seed), 0
    while at < mix.shape[1]:
        count = draw.integers(300) if size == "random" else size
        yield mix[:, at : at + count]
        at += count


def play(live, mix, size):
    """Push all of it, block by block; every push gives as much as it takes."""
    parts = []
    for block in cut(mix, size):
        parts.append(stack(live.push(block)))
        assert parts[-1].shape[-1] == block.shape[1]
    parts.append(stack(live.finish()))
    assert parts[-1].shape[-1] == live.latency
    return np.concatenate(parts, axis=-1)


def equal(live, model, mix, size, rate=RATE, **options):
    stems = play(live, mix, size)
    wanted = stack(Separator(*model, niter=0, **options)(mix, rate))
    assert stems.dtype == np.float32 and not stems[..., : live.latency].any()
    assert stems.shape[:2] == wanted.shape[:2]
    np.testing.assert_allclose(stems[..., live.latency :], wanted, atol=1e-5)


@pytest.mark.parametrize("size", [1, 7, 32, 5000, "random"])
def test_any_blocks_give_the_stems_of_the_whole_track(size):
    live = Live(*MODEL, RATE)
    assert live.latency == 128
    equal(live, MODEL, noise(1500), size)
