"""How far ahead a model with bands listens for the level of a track: about 300 s."""

import numpy as np
import pytest
from tiny_models import cut, stack, tiny

from xumx_jax.separation.separator import Separator

RATE = 100  # so that minutes are few samples
SECONDS = 420
LOUD = 10  # seconds


@pytest.fixture(scope="module")
def model():
    bands = (0, 1, 2, 4, 8, 17)
    return tiny(bands=bands, sample_rate=RATE, n_fft=32, hop=16, bandwidth_hz=RATE / 2)


def opening(model, options, loud_from, channels=2):
    """The first second of quiet noise that gets loud for a while, as a stream gives it."""
    rng = np.random.default_rng(0)
    mix = 0.01 * rng.normal(size=(channels, SECONDS * RATE)).astype(np.float32)
    if loud_from is not None:
        mix[:, loud_from * RATE : (loud_from + LOUD) * RATE] *= 100
    stream = Separator(*model, niter=0, **options).stream(cut(mix, (RATE,)), RATE)
    return stack(next(iter(stream)))[..., :RATE]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"chunk_seconds": 5.0}], ids=["stages", "chunks"])
def test_the_level_is_that_of_the_next_five_minutes(model, options):
    quiet = opening(model, options, None)
    near, far = (opening(model, options, second) for second in (285, 370))
    np.testing.assert_array_equal(far, quiet)
    assert np.abs(near - quiet).max() > 0.1 * np.abs(quiet).max()
