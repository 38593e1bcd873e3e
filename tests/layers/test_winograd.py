"""Convolutions of 3 by 3 taps in fewer multiplications: as plain ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from xumx_jax.layers import winograd
from xumx_jax.layers.convolution import convolve

pytestmark = pytest.mark.usefixtures("quick_compile")


def drawn(*shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def plain(x, kernel, pads):
    order = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), pads, dimension_numbers=order)


@pytest.mark.parametrize(
    "height, width, pads",
    [
        (8, 6, ((1, 1), (1, 1))),
        (4, 1, ((0, 0), (1, 1))),
        (5, 7, ((0, 0), (0, 0))),
        (9, 4, ((2, 0), (0, 3))),
        (4, 5, ((3, 4), (2, 2))),
        (3, 3, ((0, 0), (0, 0))),
    ],
)
@pytest.mark.parametrize("room", [winograd.ROOM, 16 * 2 * 3 * 5 * 4 * 4])
def test_is_the_plain_convolution(height, width, pads, room, monkeypatch):
    """Whatever is odd, however many strips there are: here two, or one for each row of tiles."""
    monkeypatch.setattr(winograd, "ROOM", room)
    x, kernel = drawn((2, height, width, 3), (3, 3, 3, 2))
    found = jax.jit(winograd.correlate, static_argnums=2)(x, kernel, pads)
    wanted = plain(x, kernel, pads)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_is_taken_where_it_is_faster():
    many, few = winograd.CHANNELS, winograd.CHANNELS - 1
    for shape, kernel, taken in [
        ((1, 16, 32, many), (3, 3, many, many), True),
        ((1, 16, 31, many), (3, 3, many, many), False),
        ((1, 3, 400, many), (3, 3, many, many), False),
        ((1, 16, 32, many), (3, 3, many, few), False),
        ((1, 16, 32, few), (3, 3, few, many), False),
        ((1, 16, 32, many), (1, 3, many, many), False),
    ]:
        given = jnp.zeros(shape), jnp.zeros(kernel)
        assert winograd.fits(*given) == taken, (shape, kernel)
        if kernel[0] == 3:
            made = jax.jit(lambda x, kernel: convolve(x, kernel, padding=1)).lower(*given)
            assert ("while" in made.as_text()) == taken
            # what is not padded by zeros alone, or goes in strides, is another convolution
            made = jax.jit(lambda x, kernel: convolve(x, kernel, stride=2)).lower(*given)
            assert "while" not in made.as_text()


def test_its_gradients_are_those_of_the_plain_convolution():
    """Of the input too, which is a convolution of the same size."""
    size = winograd.CHANNELS
    x, kernel, turned = drawn((1, 20, 26, size), (3, 3, size, size), (1, 20, 26, size))

    def value(convolution):
        return jax.jit(jax.grad(lambda x, k: (convolution(x, k) * turned).sum(), (0, 1)))

    found = value(lambda x, k: convolve(x, k, padding=1))(x, kernel)
    wanted = value(lambda x, k: plain(x, k, ((1, 1), (1, 1))))(x, kernel)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6 * np.abs(theirs).max())
