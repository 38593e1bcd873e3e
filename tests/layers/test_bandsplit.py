import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.layers.bandsplit import BandMerge, BandSplit, columns, places, runs
from xumx_jax.transforms.bands import check_edges, split_edges

EDGES = (0, 1, 4, 6, 13)  # widths 1, 3, 2, 7
pytestmark = pytest.mark.usefixtures("quick_compile")


def drawn(module, x):
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)


def layer_norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def test_the_default_split_has_the_bands_of_the_paper_and_one_more():
    edges = split_edges(4096)
    widths = np.diff(edges)
    assert len(widths) == 42 and edges[-1] == 2049 and edges[10] == int(4096 * 1000 / 44100) == 92
    assert runs(edges) == [(0, 10), (10, 22), (22, 30), (30, 38), (38, 41), (41, 42)]
    assert widths[-1] == 6  # above 22 kHz
    assert split_edges(8, (12000,), 48000) == (0, 2, 5)


@pytest.mark.parametrize("edges", [(0, 4, 4, 9), (1, 9), (0, 10), (0, 5, 3, 9)])
def test_bands_that_do_not_cover_the_bins_once_are_refused(edges):
    with pytest.raises(ValueError, match="wanted rising ones, from 0 to 9 bins"):
        check_edges(edges, 9)
    with pytest.raises(ValueError, match="wanted rising ones, from 0 to 65 bins"):
        split_edges(128)  # too few bins for bands of 100 Hz


def test_bands_of_about_one_width_run_together():
    assert runs(EDGES) == [(0, 1), (1, 3), (3, 4)]
    at, there = places(EDGES, 1, 3)
    assert at.tolist() == [[1, 2, 3], [4, 5, 5]]
    assert there.tolist() == [[True, True, True], [True, True, False]]
    assert columns(EDGES, 1, 3).tolist() == [0, 1, 2, 3, 4]
    assert at.ravel()[columns(EDGES, 1, 3)].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_each_band_is_normalised_and_mapped_on_its_own():
    x = np.random.default_rng(1).normal(size=(2, 3, 13)).astype(np.float32)
    module = BandSplit(EDGES, 5)
    variables = drawn(module, x)
    p = variables["params"]
    found = jax.jit(module.apply)(variables, x)
    for band, (low, high) in enumerate(zip(EDGES, EDGES[1:], strict=False)):
        part = layer_norm(x[..., low:high]) * p["scale"][low:high] + p["shift"][low:high]
        wanted = part @ p["kernel"][low:high] + p["bias"][band]
        np.testing.assert_allclose(found[:, :, band], wanted, atol=1e-5)


@pytest.mark.slow
def test_each_band_becomes_values_of_its_bins():
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype(np.float32)
    module = BandMerge(EDGES, 2, 6)
    variables = drawn(module, x)
    p = variables["params"]
    found = jax.jit(module.apply)(variables, x)
    assert found.shape == (2, 3, 2, 13)
    for band, (low, high) in enumerate(zip(EDGES, EDGES[1:], strict=False)):
        part = layer_norm(x[:, :, band]) * p["scale"][band] + p["shift"][band]
        hidden = np.tanh(part @ p["wide"][band] + p["wide_bias"][band])
        for value in range(2):
            wanted = hidden @ p["kernel"][:, low:high, value] + p["bias"][value, low:high]
            np.testing.assert_allclose(found[:, :, value, low:high], wanted, atol=1e-5)


@pytest.mark.slow
def test_gradients_do_not_come_from_other_bands():
    """Places in excess, where a band is narrower than its neighbour, add nothing."""
    x = np.random.default_rng(1).normal(size=(3, 13)).astype(np.float32)
    module = BandSplit(EDGES, 5)
    variables = drawn(module, x)

    def score(variables):
        return jnp.square(module.apply(variables, x)[:, 2]).sum()  # the band of bins 4 and 5

    gradient = jax.jit(jax.grad(score))(variables)["params"]
    for name in ("scale", "shift", "kernel"):
        used = np.abs(gradient[name]).reshape(13, -1).max(1) > 0
        assert np.flatnonzero(used).tolist() == [4, 5]
