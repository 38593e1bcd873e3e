"""The phase vocoder against its definition: phases measured, unwrapped and summed."""

import jax
import numpy as np
import pytest

from xumx_jax.transforms.phase_vocoder import stretch, time_grid

FRAMES, BINS = 40, 9


def by_phases(frames, rate):
    """The definition in float64: the phase advances by the difference of two frames' phases."""
    grid = time_grid(len(frames), rate)
    padded = np.concatenate([frames, np.zeros((1, frames.shape[1]))])
    phase, made = np.angle(frames[0]), []
    for time in grid:
        before = int(np.floor(time))
        share = time - before
        sizes = np.abs(padded[before : before + 2])
        made.append(((1 - share) * sizes[0] + share * sizes[1]) * np.exp(1j * phase))
        phase = phase + np.angle(padded[before + 1]) - np.angle(padded[before])
    return np.array(made)


@pytest.mark.parametrize("rate", [0.5, 0.89, 0.95, 1.06, 1.5, 2, 3.7])
def test_definition(rate, quick_compile):
    """With silent bins, a silent start, a silent frame inside, and two channels."""
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((2, FRAMES, BINS)) + 1j * rng.standard_normal((2, FRAMES, BINS))
    frames *= 10.0 ** rng.uniform(-3, 1, frames.shape)
    frames[0, :, 3] = frames[1, :2] = frames[0, 20] = 0
    frames = frames.astype(np.complex64)
    found = jax.jit(stretch, static_argnums=1)(frames, rate)
    wanted = np.stack([by_phases(channel, rate) for channel in frames.astype(complex)])
    assert found.dtype == np.complex64 and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_nothing_changes_at_rate_1():
    frames = np.ones((3, 2), np.complex64)
    assert stretch(frames, 1) is frames


@pytest.mark.parametrize(
    "frames, rate, count", [(1, 0.9, 2), (5, 2.5, 2), (3, 4, 1), (517, 1.06, 488)]
)
def test_times_stay_inside(frames, rate, count):
    grid = time_grid(frames, rate)
    assert grid.size == count and grid[0] == 0 and grid[-1] < frames
    np.testing.assert_allclose(grid, np.arange(count) * rate, rtol=1e-6)
