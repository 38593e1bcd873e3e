"""Convolutions against their definition, and their gradients against JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P

from xumx_jax.layers import kernel_gradient
from xumx_jax.layers.convolution import Conv, TransposedConv, convolve, transposed, uniform_limit

pytestmark = pytest.mark.usefixtures("quick_compile")
# name: (shape of x, of the kernel, options)
CASES = {
    "strided": ((2, 1, 23, 3), (8, 3, 4), {"stride": 4, "padding": 2}),
    "strided, padded behind": ((2, 1, 9, 2), (4, 2, 3), {"stride": 4, "padding": (0, 3)}),
    "strided, rows": ((1, 3, 17, 2), (3, 2, 3), {"stride": 2}),
    "taps fewer than the stride": ((1, 1, 17, 2), (2, 2, 3), {"stride": 5, "padding": 1}),
    "strided and dilated": ((1, 1, 17, 2), (3, 2, 3), {"stride": 2, "dilation": 2}),
    "strided rows": ((1, 9, 3, 2), (4, 2, 3), {"stride": 2, "padding": 1, "axis": -3}),
    "dilated": ((2, 2, 9, 3), (3, 3, 4), {"padding": 2, "dilation": 2}),
    "dilated rows": ((2, 9, 2, 3), (3, 3, 4), {"padding": 2, "dilation": 2, "axis": -3}),
    "padded by more than it reaches": ((1, 1, 5, 2), (3, 2, 3), {"padding": (4, 3)}),
    "two axes": ((2, 5, 7, 3), (3, 3, 3, 4), {"padding": 1}),
    "two axes, strided": ((1, 5, 7, 2), (3, 3, 2, 3), {"padding": 1, "stride": 2}),
    "two axes of one column": ((2, 5, 1, 3), (3, 3, 3, 4), {"padding": 1}),
    "two axes, one column becomes two": ((1, 5, 1, 2), (3, 3, 2, 3), {"padding": (1, 2)}),
    "one column": ((2, 9, 1, 3), (3, 3, 4), {"padding": 1, "axis": -3}),
    "one column, strided": ((2, 9, 1, 3), (4, 3, 4), {"stride": 2, "padding": 1, "axis": -3}),
    "one column is left": ((2, 5, 4, 3), (4, 3, 5), {"stride": 4}),
    "one by one": ((2, 3, 5, 3), (1, 3, 4), {}),
    "dilated, to fewer": ((2, 2, 9, 4), (3, 4, 3), {"padding": (1, 3), "dilation": 2}),
    "dilated rows, to fewer": ((2, 9, 2, 4), (3, 4, 3), {"padding": 2, "dilation": 2, "axis": -3}),
    "two axes, to fewer": ((2, 5, 7, 4), (3, 3, 4, 2), {"padding": (1, 0)}),
    "to 19 of 5": ((1, 1, 9, 5), (3, 5, 19), {"padding": 1}),
    "padded by more, to fewer": ((1, 1, 5, 3), (3, 3, 2), {"padding": (4, 3)}),
}


def drawn(*shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def plan_of(kernel, stride=1, padding=0, dilation=1, axis=-2):
    """The kernel for two axes, and strides, pads and dilations of both."""
    pads = (padding, padding) if isinstance(padding, int) else padding
    along, across = (stride, pads, dilation), (1, (0, 0), 1)
    if kernel.ndim == 4:
        return kernel, (along, along)
    if axis == -2:
        return kernel[None], (across, along)
    return kernel[:, None], (along, across)


def definition(x, kernel, bias, options):
    """Every output is a sum over taps and inputs; in float64."""
    kernel, (rows, columns) = plan_of(kernel, **options)
    x = np.pad(np.float64(x), [(0, 0), rows[1], columns[1], (0, 0)])
    counts = [
        (x.shape[1 + axis] - (kernel.shape[axis] - 1) * dilation - 1) // stride + 1
        for axis, (stride, _, dilation) in enumerate((rows, columns))
    ]
    y = np.zeros((len(x), *counts, kernel.shape[-1])) + bias
    for row, column in np.ndindex(*counts):
        for i, j in np.ndindex(*kernel.shape[:2]):
            at = row * rows[0] + i * rows[2], column * columns[0] + j * columns[2]
            y[:, row, column] += x[:, at[0], at[1]] @ np.float64(kernel[i, j])
    return y


def plain(x, kernel, bias, options):
    """The same as XLA has it, with its own gradient."""
    kernel, plan = plan_of(kernel, **options)
    strides, pads, dilations = zip(*plan, strict=True)
    dimensions = ("NHWC", "HWIO", "NHWC")
    return bias + lax.conv_general_dilated(
        x, kernel, strides, pads, rhs_dilation=dilations, dimension_numbers=dimensions
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_convolve(case):
    shape, taps, options = CASES[case]
    x, kernel, bias = drawn(shape, taps, taps[-1:])
    wanted = definition(x, kernel, bias, options)
    (weight,) = drawn(wanted.shape)

    @jax.jit
    def both(*operands):
        found, back = jax.vjp(lambda *o: convolve(*o, **options), *operands)
        known = jax.vjp(lambda *o: plain(*o, options), *operands)[1]
        return found, back(weight), known(weight)

    found, gradients, known = both(x, kernel, bias)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    for one, other in zip(gradients, known, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-5)


IN_STRIPS = (
    "dilated", "dilated rows", "padded by more than it reaches", "two axes", "dilated, to fewer",
    "dilated rows, to fewer", "two axes, to fewer", "padded by more, to fewer",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", IN_STRIPS)
def test_gradients_in_strips(case, monkeypatch):
    """The last strip overlaps; with one row, strips are of columns."""
    monkeypatch.setattr(kernel_gradient, "LAID_OUT", 0)
    monkeypatch.setattr(kernel_gradient, "STRIP", 0)
    monkeypatch.setattr(kernel_gradient, "DEEP", 2)
    test_convolve(case)


@pytest.mark.slow
@pytest.mark.parametrize(("taps", "stride"), [(8, 4), (5, 2), (2, 3), (3, 1)])
def test_transposed(taps, stride):
    """Each sample adds the kernel; its gradient is the convolution that it undoes."""
    x, kernel, bias = drawn((2, 3, 6, 4), (taps, 4, 5), (5,))
    wanted = np.zeros((2, 3, 5 * stride + taps, 5)) + bias
    for column in range(6):
        for tap in range(taps):
            wanted[:, :, column * stride + tap] += x[:, :, column] @ kernel[tap]
    (weight,) = drawn(wanted.shape)

    @jax.jit
    def both(x, kernel, bias):
        y, back = jax.vjp(lambda *o: transposed(*o, stride), x, kernel, bias)
        return y, back(weight)

    found, (dx, dkernel, dbias) = both(x, kernel, bias)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    options = {"stride": stride}
    turned = kernel.swapaxes(-1, -2)
    np.testing.assert_allclose(dx, definition(weight, turned, 0, options), atol=1e-4)
    np.testing.assert_allclose(dbias, weight.sum((0, 1, 2)), atol=1e-4)
    for tap in range(taps):
        piece = weight[:, :, tap : tap + 5 * stride + 1 : stride]
        np.testing.assert_allclose(dkernel[tap], np.einsum("brci,brco->io", x, piece), atol=1e-4)


@pytest.mark.slow
def test_initial_weights_are_pytorchs_and_may_be_rescaled():
    """Uniform up to 1 / sqrt(inputs); a deviation that is the geometric mean of it and another."""
    assert uniform_limit(16, None) == 0.25
    deviation = uniform_limit(16, 0.1) / 3**0.5
    np.testing.assert_allclose(deviation, (0.25 / 3**0.5 * 0.1) ** 0.5)
    x = jnp.zeros((1, 1, 64, 4))
    for module, inputs in ((Conv(50, 8), 32), (TransposedConv(50, 8, 4), 8 * 50)):
        params = jax.jit(module.init)(jax.random.key(0), x)["params"]
        for leaf in params.values():
            assert 0.8 * inputs**-0.5 < np.abs(leaf).max() <= inputs**-0.5
        assert abs(params["kernel"].mean()) < 0.05 * inputs**-0.5


@pytest.mark.slow
def test_devices_share_the_weights():
    """Under shard_map their gradient is the sum over the devices' items."""
    given = drawn((2, 1, 9, 3), (4, 3, 4), (3, 4, 4), (1, 4, 4), (4, 4, 4), (4,))

    def layers(x, strided, plain, single, back, bias):
        y = convolve(x, strided, bias, 2, 1)
        y = convolve(convolve(y, plain, bias, padding=1), single, bias)
        return transposed(y, back, bias, 2)

    mesh = jax.make_mesh((2,), ("data",), (jax.sharding.AxisType.Auto,), devices=jax.devices()[:2])
    specs = P("data"), *[P()] * 5
    spread = jax.shard_map(layers, mesh=mesh, in_specs=specs, out_specs=P("data"))

    def gradients(function):
        return jax.jit(jax.grad(lambda *o: jnp.square(function(*o)).sum(), range(6)))(*given)

    for a, b in zip(gradients(spread), gradients(layers), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())
