"""AIMLESS's Wiener filter: its gradient, and single sources."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from xumx_jax.postfilters.mwf import mwf
from xumx_jax.training.step import mesh

RNG = np.random.default_rng(0)


def scene(pan, frames: int = 12, bins: int = 3):
    """Mixtures [batch, channel, bin, frame] of two panned sources, and masks of the sources."""
    source = RNG.normal(size=(4, 2, bins, frames)) + 1j * RNG.normal(size=(4, 2, bins, frames))
    mix = np.einsum("bsft,sc->bcft", source, np.asarray(pan))
    mask = RNG.uniform(0.1, 0.9, (4, 2, 1, bins, frames)) * np.ones((1, 1, 2, 1, 1))
    return mask.astype(np.float32), mix.astype(np.complex64)


def textbook(mask, mix):
    """One iteration in double precision, inverting covariances as they are."""
    eps = np.finfo(float).eps
    y = mask.astype(float) * mix.astype(complex)[:, None]
    v = np.square(np.abs(y)).mean(2)
    r = np.einsum("bjcft,bjdft->bjfcd", y, y.conj()) / (eps + v.sum(-1))[..., None, None]
    modelled = np.einsum("bjft,bjfcd->bftcd", v, r) + np.sqrt(eps) * np.eye(2)
    return np.einsum("bjft,bjfcd,bftde,beft->bjcft", v, r, np.linalg.inv(modelled), mix)


def objective(mask, mix):
    return jnp.square(jnp.abs(jax.vmap(mwf)(mask * mix[:, None], mix) - 0.3)).mean()


@pytest.mark.slow
def test_gradient_of_singular_covariances_under_jit_and_shard_map(quick_compile):
    """Both sources lie in the middle: every determinant is as small as the regularisation."""
    mask, mix = scene([[1.0, 1.0], [0.7, 0.7]])
    gradient = jax.jit(jax.grad(objective))(mask, mix)

    over = mesh(jax.devices()[:2])

    @jax.jit
    @partial(jax.shard_map, mesh=over, in_specs=(P("data"), P("data")), out_specs=P("data"))
    def divided(mask, mix):
        return jax.grad(objective)(mask, mix) / 2  # the mean is over half of the items

    np.testing.assert_allclose(divided(mask, mix), gradient, rtol=0, atol=1e-6)

    # the same in both channels, so that the sources stay in the middle: away from it the filter
    # changes too quickly for differences
    direction, step = RNG.normal(size=(4, 2, 1, 3, 12)) * np.ones((1, 1, 2, 1, 1)), 1e-3
    values = [
        np.square(np.abs(textbook(mask + sign * step * direction, mix) - 0.3)).mean()
        for sign in (1, -1)
    ]
    wanted = (values[0] - values[1]) / (2 * step)
    assert np.sum(gradient * direction) == pytest.approx(wanted, rel=1e-2)


@pytest.mark.slow
def test_gradient_is_finite_where_channels_and_sources_are_silent(quick_compile):
    mask, mix = scene([[1.0, 0.0], [1.0, 0.0]])
    mix[:, :, 0] = 0
    mix[1] *= 1e-12
    mask[0, 0] = 0
    assert np.isfinite(jax.jit(jax.grad(objective))(mask, mix)).all()


@pytest.mark.slow
def test_a_single_source_is_weighed_against_the_rest(quick_compile):
    mask, mix = scene([[1.0, 0.2], [0.3, 1.0]])
    estimate = mask[0, :1] * np.abs(mix[0])
    alone = mwf(estimate, mix[0])
    both = mwf(estimate, mix[0], residual=True)
    assert alone.shape == (1, *mix[0].shape) and len(both) == 2
    np.testing.assert_array_equal(alone[0], both[0])
    np.testing.assert_allclose(both.sum(0), mix[0], atol=1e-3)
    assert np.abs(alone[0] - mix[0]).max() > 0.1
