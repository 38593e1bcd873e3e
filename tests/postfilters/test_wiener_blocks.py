"""The Wiener filter on a sliCQ's flat array equals that of each block."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax import postfilters
from xumx_jax.postfilters import POST_FILTERS, PostFilter, flattened, in_windows
from xumx_jax.postfilters.wiener import wiener
from xumx_jax.postfilters.wiener_blocks import filter_blocks
from xumx_jax.stems import Stems
from xumx_jax.transforms.slicq.blocks import joined, split

RNG = np.random.default_rng(0)
SHAPES = ((2, 16), (1, 20))
SLICES = 6
pytestmark = pytest.mark.usefixtures("quick_compile")


def scene(channels: int = 2, loud: float = 1.0):
    """Magnitudes [batch, source, ...] and mixtures [batch, ...] of the flat array."""
    shape = (2, 3, channels, SLICES, 52)
    source = RNG.normal(size=shape) + 1j * RNG.normal(size=shape)
    size = np.abs(source) * RNG.uniform(0.5, 1.5, shape)
    return (loud * size).astype(np.float32), (loud * source.sum(1)).astype(np.complex64)


def filtered(size, mix, **options):
    """`filter_blocks`, compiled."""
    return jax.jit(partial(filter_blocks, shapes=SHAPES, **options))(size, mix)


def by_block(size, mix, values: int | None = None, **options):
    """Of a batch of one, each block as a spectrogram whose frames are its slices' coefficients."""

    @jax.jit
    def run(size, mix):
        found = []
        for y, x in zip(split(SHAPES, size), split(SHAPES, mix), strict=True):
            one = partial(wiener, epsilon=1e-7, **options)
            flat = in_windows(one, flattened(y[0], 2), flattened(x[0], 2), values)
            found.append(flat.reshape(1, -1, *y.shape[2:]))
        return joined(found)

    return run(size, mix)


@pytest.mark.slow
@pytest.mark.parametrize(
    "channels, values, niter", [(1, None, 1), (2, None, 2), (2, None, 1), (2, 40, 1)]
)
def test_equals_blocks_one_by_one(channels, values, niter):
    size, mix = (x[:1] for x in scene(channels, loud=10.0))
    found = filtered(size, mix, niter=niter, values=values, epsilon=1e-7)
    wanted = by_block(size, mix, values, niter=niter)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("options", [{"softmask": True}, {"residual": True}, {}])
def test_options_and_complex_estimates(options):
    size, mix = (x[:1] for x in scene())
    spec = size if options else size * np.exp(1j * size).astype(np.complex64)
    found = filtered(spec, mix, epsilon=1e-7, **options)
    wanted = by_block(spec, mix, **options)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


def test_a_window_of_slices_is_filtered_as_if_it_were_all():
    size, mix = scene()
    found = filtered(size, mix, window=4)
    parts = [filtered(size[..., s, :], mix[..., s, :]) for s in (slice(0, 4), slice(4, 6))]
    np.testing.assert_allclose(found, np.concatenate(parts, axis=-2), rtol=0, atol=1e-5)


def test_the_loudest_value_is_that_of_the_batch():
    """Which matters beyond 10: there the regularisation grows with it."""
    size, mix = scene(loud=1e4)
    both = filtered(size, mix, epsilon=1e-2)
    quiet = filtered(size[:1], mix[:1], epsilon=1e-2)
    louder = np.concatenate([mix[:1], 10 * mix[1:]])
    beside = filtered(size, louder, epsilon=1e-2)
    scale = np.abs(both).max()
    assert np.abs(both[0] - quiet[0]).max() < 1e-2 * scale
    assert np.abs(both[0] - beside[0]).max() > 10 * np.abs(both[0] - quiet[0]).max()


@pytest.mark.slow
@pytest.mark.parametrize("values", [None, 40])
def test_gradient(values):
    """Against differences, of both ways to form windows."""
    size, mix = scene()
    direction = RNG.normal(size=size.shape)

    @jax.jit
    def objective(size):
        spec = filter_blocks(size, mix, SHAPES, epsilon=1e-2, values=values) - 0.3
        return (jnp.square(spec.real) + jnp.square(spec.imag)).mean()

    found = (jax.jit(jax.grad(objective))(size) * direction).sum()
    with jax.enable_x64(True):
        up, down = (objective(size + s * 1e-4 * direction) for s in (1, -1))
    assert float(found) == pytest.approx(float(up - down) / 2e-4, rel=1e-2)


@pytest.mark.slow
def test_silence_has_a_finite_gradient():
    size, mix = scene()
    size, mix = 0 * size, 0 * mix

    def objective(size):
        return jnp.square(filter_blocks(size, mix, SHAPES).real).sum()

    assert np.isfinite(jax.jit(jax.grad(objective))(size)).all()


@pytest.mark.slow
def test_apply_takes_all_blocks_at_once(monkeypatch):
    """As one array with statistics of bands, in windows of slices; others see block by block."""
    size, mix = scene()
    estimate = Stems(jnp.zeros(()), (), (), split(SHAPES, size[0]))
    whole = split(SHAPES, mix[0])
    for frames in (None, 4):
        found = jax.jit(lambda e, x, n=frames: postfilters.apply("norbert", e, x, frames=n))(
            estimate, whole
        )
        wanted = filtered(size[:1], mix[:1], window=frames, together=True, epsilon=2.0**-52)
        np.testing.assert_allclose(joined(found), wanted[0], rtol=0, atol=1e-4)
    seen = []

    def watch(estimate, mix):
        seen.append(mix.shape)
        return estimate.astype(np.complex64)

    monkeypatch.setitem(POST_FILTERS, "watch", PostFilter(watch))
    found = postfilters.apply("watch", estimate, whole)
    assert seen == [(2, 2, 96), (2, 1, 120)]
    assert [y.shape for y in found] == [(3, 2, 2, 6, 16), (3, 2, 1, 6, 20)]
