"""Matrix product with a gradient that turns the smaller operand over, never the larger one."""

import jax
import jax.numpy as jnp
from jax import Array, lax

PRECISION = lax.Precision.HIGHEST  # no TF32 or bfloat16 passes: the weights were trained in float32


def product(x: Array, kernel: Array) -> Array:
    """Multiply [..., row, in] by [..., in, out] of equal leading axes: [..., row, out]."""
    # Under shard_map, adding a zero made from x marks shared weights as this device's own, as the
    # hand-written gradient treats them; the gradient of the mark sums over devices.
    return _product(x, kernel + jnp.zeros_like(x[..., :1, :1]))


@jax.custom_vjp
def _product(x: Array, kernel: Array) -> Array:
    return jnp.matmul(x, kernel, precision=PRECISION)


def _forward(x: Array, kernel: Array):
    return _product(x, kernel), (x, kernel)


def _backward(saved, dy: Array):
    x, kernel = saved
    dx = jnp.einsum("...ro,...io->...ri", dy, kernel, precision=PRECISION)
    # In this order: differentiating `matmul` gives [out, in] from a `dy` that is turned over.
    return dx, jnp.einsum("...ri,...ro->...io", x, dy, precision=PRECISION)


_product.defvjp(_forward, _backward)
