"""Matrix products whose gradient transposes the smaller operand, never the larger one."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

PRECISION = lax.Precision.HIGHEST  # no TF32 or bfloat16 passes: the weights were trained in float32
# The operands of a matrix product: exact float32, rounded to bfloat16, or float32 at the device's
# own precision (TF32 on NVIDIA GPUs, exact on a CPU). Sums are float32 in all cases.
DTYPES = ("float32", "bfloat16", "tf32")
_autocast = ContextVar("autocast", default="float32")


@contextmanager
def autocast(dtype: str) -> Iterator[None]:
    """A context in which products that name no other type have operands of this one of DTYPES.

    For networks that do not pass one through all of their layers. It has to be entered where a
    function is traced, not where it runs.
    """
    before = _autocast.set(dtype)
    try:
        yield
    finally:
        _autocast.reset(before)


def asked(dtype="float32"):
    """The type of a product's operands: `autocast`'s for those that name float32."""
    return _autocast.get() if isinstance(dtype, str) and dtype == "float32" else dtype


class Dense(nn.Module):
    """Multiply [..., feature] by a kernel, after `(x + mean) * scale` if these are given.

    Shift and scale are folded into the kernel: with one pair per source, the input itself need not
    be copied for every source.
    """

    features: int
    dtype: str

    @nn.compact
    def __call__(self, x: Array, mean: Array | None = None, scale: Array | None = None) -> Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
        rows = x.reshape(-1, x.shape[-1])
        if mean is None or scale is None:  # both or none
            y = product(rows, kernel, self.dtype)
        else:
            kernel = kernel * scale[:, None]
            y = product(rows, kernel, self.dtype) + jnp.matmul(mean, kernel, precision=PRECISION)
        return y.reshape(*x.shape[:-1], -1)


def product(x: Array, kernel: Array, dtype: str = "float32") -> Array:
    """Multiply [..., row, in] by [..., in, out] of equal leading axes: [..., row, out].

    Operands are rounded to `dtype`, here and in the gradient; sums, the result and the gradient
    are float32.
    """
    # Under shard_map, adding a zero made from x marks shared weights as this device's own, as the
    # hand-written gradient treats them; the gradient of the mark sums over devices.
    return _product(asked(dtype), x, kernel + jnp.zeros_like(x[..., :1, :1]))


def operand(dtype: str) -> str:
    """The dtype in which operands of a product are stored, for one of DTYPES."""
    return "float32" if dtype == "tf32" else dtype


def contract(subscripts: str, x: Array, y: Array, dtype) -> Array:
    """Two-operand einsum of operands in `dtype`, one of DTYPES, summed in float32."""
    dtype = asked(dtype)
    return jnp.einsum(
        subscripts,
        x.astype(operand(dtype)),
        y.astype(operand(dtype)),
        precision=lax.Precision.DEFAULT if dtype == "tf32" else PRECISION,
        preferred_element_type=jnp.float32,
    )


def along(x: Array, kernel: Array) -> Array:
    """[batch, row, in, channel] by [in, out] -> [batch, row, out, channel]."""
    if asked() == "float32":
        return contract("btfc,fg->btgc", x, kernel, "float32")
    rows = x.swapaxes(-1, -2)  # as `product` has it, whose gradient is rounded as well
    y = product(rows.reshape(-1, rows.shape[-1]), kernel)
    return y.reshape(*rows.shape[:-1], -1).swapaxes(-1, -2)


def matmul(x: Array, y: Array, dtype: str = "float32") -> Array:
    """`jnp.matmul` of operands in `dtype`, one of DTYPES, summed in float32."""
    return jnp.matmul(
        x.astype(operand(dtype)),
        y.astype(operand(dtype)),
        precision=lax.Precision.DEFAULT if dtype == "tf32" else PRECISION,
        preferred_element_type=jnp.float32,
    )


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _product(dtype: str, x: Array, kernel: Array) -> Array:
    return contract("...ri,...io->...ro", x, kernel, dtype)


def _forward(dtype: str, x: Array, kernel: Array):
    # stored as the product reads it, in half the memory if that is bfloat16
    return _product(dtype, x, kernel), (x.astype(operand(dtype)), kernel)


def _backward(dtype: str, saved, dy: Array):
    x, kernel = saved
    dx = contract("...ro,...io->...ri", dy, kernel, dtype)
    # In this order: differentiating the product would give [out, in] from a transposed `dy`.
    return dx, contract("...ri,...ro->...io", x, dy, dtype)


_product.defvjp(_forward, _backward)
