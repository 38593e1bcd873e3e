"""Demucs' transforms: their definition, and that the inverse gives back what went in."""

import jax
import numpy as np
import pytest

from xumx_jax.transforms.hybrid_stft import EDGES, HybridStft

pytestmark = pytest.mark.usefixtures("quick_compile")
N, HOP = 16, 4
SIDE = 6  # one and a half hops


def noise(length):
    return np.random.default_rng(length).standard_normal((2, length)).astype(np.float32)


def pieces_of(wave, edges):
    """Windowed pieces [..., frame, sample], by numpy."""
    length = wave.shape[-1]
    frames = length // HOP + 1 if edges == "centred" else -(-length // HOP)
    left, right = (8, 8) if edges == "centred" else (SIDE, SIDE + frames * HOP - length)
    front = [(0, 0)] * (wave.ndim - 1)
    if edges == "reflect" and (short := max(left, right) + 1 - length) > 0:
        # silence, behind it at first, until the rest of the sides can be reflected
        behind = min(right, short)
        wave = np.pad(wave, [*front, (short - behind, behind)])
        left, right = left - (short - behind), right - behind
    mode = "constant" if edges == "zero" else "reflect"
    padded = np.pad(wave, [*front, (left, right)], mode)
    places = np.arange(N) + HOP * np.arange(frames)[:, None]
    return padded[..., places] * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N) / N))


def without_nyquist(length, edges):
    """Noise whose frames all have nothing in the bin that the transform leaves out."""
    alternating = pieces_of(np.eye(length), edges) @ (-1.0) ** np.arange(N)  # [sample, frame]
    wave = np.random.default_rng(0).standard_normal((2, length))
    wave = wave - wave @ alternating @ np.linalg.pinv(alternating)
    return wave.astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("edges", EDGES)
def test_forward_is_its_definition(edges):
    """Of signals shorter than a window as well, which are too short to be reflected."""
    transform = HybridStft(N, edges)
    for length in (*range(1, N + 1), 50):
        wave = noise(length)
        (found,) = jax.jit(transform.forward)(wave)
        wanted = np.fft.rfft(pieces_of(wave, edges))[..., :-1].swapaxes(-1, -2) / N**0.5
        assert found.shape == (2, transform.bins, transform.frames(length))
        np.testing.assert_allclose(found, wanted, atol=1e-6, err_msg=str(length))


@pytest.mark.slow
@pytest.mark.parametrize("edges", EDGES)
def test_inverse_gives_back_what_went_in(edges):
    """All samples, or those that are one and a half hops from the ends; "zero" is late by that."""
    transform = HybridStft(N, edges)

    @jax.jit
    def there_and_back(wave):
        return transform.inverse(transform.forward(wave), wave.shape[-1])

    for length in (1, 2, 7, N - 1, N, 41, 64):
        wave = without_nyquist(length, edges)
        found = there_and_back(wave)
        assert found.shape == wave.shape and np.isfinite(found).all()
        if edges == "zero":
            found, wave = found[:, 2 * SIDE :], wave[:, SIDE:-SIDE]
        elif edges == "reflect":
            found, wave = (each[:, SIDE:-SIDE] for each in (found, wave))
        np.testing.assert_allclose(found, wave, atol=2e-6, err_msg=str(length))
    assert wave.shape[-1] > 50 and np.abs(wave).std() > 0.1


def test_arguments_that_make_no_transform():
    with pytest.raises(ValueError, match="edges 'none': wanted one of reflect, zero, centred"):
        HybridStft(64, "none")
    for n_fft in (0, 4, 60):
        with pytest.raises(ValueError, match=f"n_fft {n_fft}: wanted a multiple of 8"):
            HybridStft(n_fft)
