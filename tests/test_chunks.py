"""Cutting and blending, with answers known by hand."""

import numpy as np
import pytest

from xumx_jax.separation import chunks


@pytest.mark.parametrize(
    ("length", "chunk", "overlap", "wanted"),
    [
        (10, 4, 0, [0, 4, 8]),
        (8, 4, 0, [0, 4]),
        (3, 4, 0, [0]),
        (0, 4, 0, []),
        (10, 4, 0.5, [0, 2, 4, 6]),
        (9, 4, 0.5, [0, 2, 4, 5]),
        (4, 4, 0.5, [0]),
        (1, 4, 0.5, [0]),
        (0, 4, 0.5, []),
        (6, 4, 0.99, [0, 1, 2]),
    ],
)
def test_starts(length, chunk, overlap, wanted):
    assert chunks.starts(length, chunk, overlap) == wanted


@pytest.mark.parametrize(("chunk", "overlap"), [(4, 1), (4, -0.1), (0, 0.5)])
def test_impossible_cuts(chunk, overlap):
    with pytest.raises(ValueError, match="wanted"):
        chunks.starts(9, chunk, overlap)


def test_triangle():
    np.testing.assert_allclose(chunks.triangle(5), [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    np.testing.assert_allclose(chunks.triangle(4), [0.5, 1, 1, 0.5])
    assert chunks.triangle(1).tolist() == [1]


@pytest.mark.parametrize("overlap", [0.1, 0.25, 0.5, 0.9])
def test_an_unchanged_signal_is_rebuilt(overlap):
    wave = np.random.default_rng(0).standard_normal((3, 2, 101)).astype(np.float32)
    at = chunks.starts(101, 16, overlap)
    window = np.random.default_rng(1).uniform(0.1, 2, 16).astype(np.float32)
    blended = chunks.overlap_add((wave[..., s : s + 16] for s in at), at, 101, window)
    np.testing.assert_allclose(blended, wave, atol=1e-6)


def test_two_constants_cross_fade_linearly():
    pieces = [np.zeros((1, 1, 4), np.float32), np.ones((1, 1, 4), np.float32)]
    blended = chunks.overlap_add(pieces, [0, 2], 6, chunks.triangle(4))
    np.testing.assert_allclose(blended[0, 0], [0, 0, 1 / 3, 2 / 3, 1, 1], atol=1e-6)


def test_what_reaches_past_the_end_is_dropped():
    blended = chunks.overlap_add([np.ones((1, 1, 4), np.float32)], [0], 3, chunks.triangle(4))
    assert blended.tolist() == [[[1, 1, 1]]]


def test_wrong_pieces():
    piece = np.ones((1, 1, 4), np.float32)
    with pytest.raises(ValueError, match="4 samples, the window 5"):
        chunks.overlap_add([piece], [0], 4, np.ones(5))
    with pytest.raises(ValueError, match="covered by no chunk"):
        chunks.overlap_add([piece], [0], 5, np.ones(4))
    with pytest.raises(ValueError, match="shorter|longer"):
        chunks.overlap_add([piece], [0, 4], 8, np.ones(4))
