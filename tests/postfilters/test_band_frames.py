"""Sums over bands and windows of a sliCQ's flat array, against loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.postfilters.band_frames import BandFrames
from xumx_jax.postfilters.wiener import AxisFrames

RNG = np.random.default_rng(0)
SHAPES = ((2, 16), (1, 20), (1, 16))
COEFFICIENTS, SLICES = 68, 7
CASES = {
    "all": BandFrames(SHAPES, SLICES),
    "windows of 3 slices": BandFrames(SHAPES, SLICES, window=3),
    "windows longer than all": BandFrames(SHAPES, SLICES, window=9),
    "windows of 40 values": BandFrames(SHAPES, SLICES, values=40),
    "windows of 50 values": BandFrames(SHAPES, SLICES, values=50),
}
cases = pytest.mark.parametrize("over", CASES.values(), ids=list(CASES))


def groups(over: BandFrames):
    """Masks [slice, coefficient] of every band and window, and windows and blocks of values."""
    band, block, at = [], [], []
    for number, (bands, size) in enumerate(over.blocks):
        for _ in range(bands):
            band += [(band[-1] + 1) if band else 0] * size
            block += [number] * size
            at.append(np.arange(over.slices)[:, None] * size + np.arange(size))
    place = np.concatenate(at, axis=1)
    slices = np.arange(over.slices)[:, None] + 0 * place
    window = place // over.values if over.values else slices // (over.window or over.slices)
    band, block = (np.broadcast_to(x, place.shape) for x in (np.array(band), np.array(block)))
    pairs = sorted(set(zip(window.ravel().tolist(), band.ravel().tolist(), strict=True)))
    return [(window == w) & (band == b) for w, b in pairs], window, block


@cases
def test_total_and_spread(over):
    values = RNG.normal(size=(2, SLICES, COEFFICIENTS)).astype(np.float32)
    masks, _, _ = groups(over)
    total = over.total(values)
    wanted = np.stack([values[:, mask].sum(-1) for mask in masks], axis=-1)
    np.testing.assert_allclose(total, wanted, rtol=1e-4, atol=1e-5)
    spread = np.broadcast_to(over.spread(total), values.shape)
    for mask, sums in zip(masks, np.moveaxis(wanted, -1, 0), strict=True):
        np.testing.assert_allclose(spread[:, mask], sums[:, None] + 0 * spread[:, mask], rtol=1e-4)


@cases
def test_each_is_the_gradient_of_the_other(over):
    """<total x, y> = <x, spread y>, by way of gradients."""
    x = RNG.normal(size=(SLICES, COEFFICIENTS)).astype(np.float32)
    y = RNG.normal(size=over.total(x).shape).astype(np.float32)
    found = jax.grad(lambda x: (over.total(x) * y).sum())(x)
    np.testing.assert_allclose(found, np.broadcast_to(over.spread(y), x.shape))
    found = jax.grad(lambda y: (over.spread(y) * x).sum())(y)
    np.testing.assert_allclose(found, over.total(x), rtol=1e-4, atol=1e-5)


@cases
@pytest.mark.parametrize("together", [True, False])
def test_loudest(over, together):
    over = BandFrames(over.blocks, over.slices, over.window, over.values, together)
    mix = RNG.normal(size=(3, 2, SLICES, COEFFICIENTS)) + 1j
    found = np.broadcast_to(over.loudest(jnp.asarray(mix)), mix.shape[2:])
    _, window, block = groups(over)
    own = over.values or not together
    for w in np.unique(window):
        for b in np.unique(block) if own else [None]:
            mask = (window == w) & ((block == b) if own else True)
            wanted = np.abs(mix[:, :, mask]).max() if mask.any() else 0
            np.testing.assert_allclose(found[mask], wanted, rtol=1e-6)


def test_an_axis():
    values = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(AxisFrames().total(values), [[3], [12]])
    np.testing.assert_array_equal(AxisFrames(-2).total(values), [[3, 5, 7]])
    assert AxisFrames().loudest(-values) == 5


def test_two_kinds_of_windows_are_refused():
    with pytest.raises(ValueError, match="windows of 3 slices and of 5 values at once"):
        BandFrames(SHAPES, SLICES, window=3, values=5)
    with pytest.raises(ValueError, match="wanted 1 or more slices"):
        BandFrames(SHAPES, SLICES, window=0)
