"""Blending chunks, with answers known by hand."""

import numpy as np
import pytest

from xumx_jax.separation.overlap_add import OverlapAdd, triangle


def blend(pieces, starts, windows, length):
    """Blend as a stream would: what no later chunk reaches is taken at once."""
    blender, taken = OverlapAdd(), []
    for start, piece, window in zip(starts, pieces, windows, strict=True):
        taken.append(blender.take(start))
        blender.add(start, piece, window)
    taken.append(blender.take(length))
    return np.concatenate([part for part in taken if part is not None], axis=-1)


def test_triangle():
    np.testing.assert_allclose(triangle(5), [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    np.testing.assert_allclose(triangle(4), [0.5, 1, 1, 0.5])
    assert triangle(1).tolist() == [1]


@pytest.mark.parametrize("starts", [[0, 14, 28, 85], [0, 8, 16, 85], [0, 1, 2, 85]])
def test_an_unchanged_signal_is_rebuilt(starts):
    wave = np.random.default_rng(0).standard_normal((3, 2, 101)).astype(np.float32)
    sizes = [16, 16, 60, 16]  # chunks may change their length
    windows = [np.random.default_rng(1).uniform(0.1, 2, size) for size in sizes]
    pieces = [wave[..., s : s + n] for s, n in zip(starts, sizes, strict=True)]
    if starts[2] + 60 < 85:
        starts.insert(3, 40)
        pieces.insert(3, wave[..., 40:90])
        windows.insert(3, np.ones(50))
    blended = blend(pieces, starts, windows, 101)
    np.testing.assert_allclose(blended, wave, atol=1e-6)


def test_two_constants_cross_fade_linearly():
    pieces = [np.zeros((1, 1, 4), np.float32), np.ones((1, 1, 4), np.float32)]
    blended = blend(pieces, [0, 2], [triangle(4)] * 2, 6)
    np.testing.assert_allclose(blended[0, 0], [0, 0, 1 / 3, 2 / 3, 1, 1], atol=1e-6)


def test_what_reaches_past_the_end_is_not_taken():
    blended = blend([np.ones((1, 1, 4), np.float32)], [0], [triangle(4)], 3)
    assert blended.tolist() == [[[1, 1, 1]]]


def test_wrong_pieces():
    piece = np.ones((1, 1, 4), np.float32)
    with pytest.raises(ValueError, match="4 samples, the window 5"):
        blend([piece], [0], [np.ones(5)], 4)
    with pytest.raises(ValueError, match="wanted up to 5; chunks reach 4"):
        blend([piece], [0], [np.ones(4)], 5)
    blender = OverlapAdd()
    blender.add(0, piece, np.ones(4))
    with pytest.raises(ValueError, match="begins at 5; wanted one that begins within 0 to 4"):
        blender.add(5, piece, np.ones(4))
    assert blender.take(0) is None
