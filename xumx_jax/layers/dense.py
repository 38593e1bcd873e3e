"""Matrix product whose gradient turns the smaller operand over, never the larger one."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

PRECISION = lax.Precision.HIGHEST  # no TF32 or bfloat16 passes: the weights were trained in float32


def product(x: Array, kernel: Array, dtype: str = "float32") -> Array:
    """Multiply [..., row, in] by [..., in, out] of equal leading axes: [..., row, out].

    Operands are rounded to `dtype`, here and in the gradient; sums, the result and the gradient
    are float32.
    """
    # Under shard_map, adding a zero made from x marks shared weights as this device's own, as the
    # hand-written gradient treats them; the gradient of the mark sums over devices.
    return _product(dtype, x, kernel + jnp.zeros_like(x[..., :1, :1]))


def contract(subscripts: str, x: Array, y: Array, dtype) -> Array:
    """Two-operand einsum of operands rounded to `dtype`, summed in float32."""
    return jnp.einsum(
        subscripts,
        x.astype(dtype),
        y.astype(dtype),
        precision=PRECISION,
        preferred_element_type=jnp.float32,
    )


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _product(dtype: str, x: Array, kernel: Array) -> Array:
    return contract("...ri,...io->...ro", x, kernel, dtype)


def _forward(dtype: str, x: Array, kernel: Array):
    # kept as the product reads it, in half the memory if that is bfloat16
    return _product(dtype, x, kernel), (x.astype(dtype), kernel)


def _backward(dtype: str, saved, dy: Array):
    x, kernel = saved
    dx = contract("...ro,...io->...ri", dy, kernel, dtype)
    # In this order: differentiating the product gives [out, in] from a `dy` that is turned over.
    return dx, contract("...ri,...ro->...io", x, dy, dtype)


_product.defvjp(_forward, _backward)
