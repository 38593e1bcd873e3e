"""Activations whose gradients keep the input alone: to compute is cheaper than to read."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax import nn as jnn


@jax.checkpoint
def gelu(x: Array) -> Array:
    """Gaussian error linear unit, by the error function itself (Hendrycks and Gimpel 2016)."""
    return jnn.gelu(x, approximate=False)


@jax.custom_vjp
def glu(x: Array) -> Array:
    """Half of the channels, gated by the other half: [..., 2 * channel] -> [..., channel]."""
    return _glu_forward(x)[0]


def _glu_forward(x: Array):
    half = x.shape[-1] // 2
    return x[..., :half] * jnn.sigmoid(x[..., half:]), x


def _glu_backward(x: Array, dy: Array):
    x, dy = lax.optimization_barrier((x, dy))  # else XLA keeps the gate from the way forward
    # Both halves in one array, where XLA would pad each and add them.
    half = x.shape[-1] // 2
    gate = jnn.sigmoid(x[..., half:])
    return (jnp.concatenate([dy * gate, dy * x[..., :half] * gate * (1 - gate)], axis=-1),)


glu.defvjp(_glu_forward, _glu_backward)
