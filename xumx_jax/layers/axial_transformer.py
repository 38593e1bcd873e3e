"""Attention and feed-forward layers over one axis of a spectrogram: those of the RoFormers.

Lu et al. 2023, "Music Source Separation with Band-Split RoPE Transformer". Normalisation is by the
root of the mean square, before each part; each head's output has a gate; there are no biases but
in gates and feed-forward layers.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax
from jax import nn as jnn

from xumx_jax.layers.activations import gelu
from xumx_jax.layers.attention import attended
from xumx_jax.layers.dense import contract, product
from xumx_jax.layers.groups import by_groups
from xumx_jax.layers.initializers import symmetric
from xumx_jax.layers.rotary import polar, rotary

SMALLEST = 1e-12  # of what is divided by: silence stays silence
WIDENING = 4  # of feed-forward layers
LINEAR_SCALE = 8.0
ROWS, DEVICE_ROWS = 1024, 16 * 1024  # positions taken at once, by a CPU and by other devices

Parameters = dict[str, Array]


def normalised(x: Array, gain: Array) -> Array:
    """Divide the last axis by its root mean square, and multiply it by a gain (RMSNorm)."""
    return unit(x) * (gain * x.shape[-1] ** 0.5)


def unit(x: Array, axis: int = -1) -> Array:
    """Make the sum of squares along an axis 1, or leave zeros, which have a gradient too."""
    squares = jnp.square(x).sum(axis, keepdims=True)
    return x * lax.rsqrt(jnp.maximum(squares, SMALLEST**2))


def dense(x: Array, kernel: Array, dtype: str) -> Array:
    """[..., in] by [in, out], as one product of rows."""
    return product(x.reshape(-1, x.shape[-1]), kernel, dtype).reshape(*x.shape[:-1], -1)


# What follows keeps for its gradient what it was given, not what it multiplies: the layers of a
# network run in a loop, where all that is kept is written three times and read twice.


@partial(jax.checkpoint, static_argnums=3)
def dense_of_normalised(x: Array, gain: Array, kernel: Array, dtype: str) -> Array:
    """`dense` of `normalised`."""
    return dense(normalised(x, gain), kernel, dtype)


@partial(jax.checkpoint, static_argnums=3)
def dense_of_gated(heard: Array, gates: Array, kernel: Array, dtype: str) -> Array:
    """`dense` of the heads [item, position, head, feature], each times the sigmoid of its gate."""
    gated = heard * jnn.sigmoid(gates)[..., None]
    return dense(gated.reshape(*gated.shape[:2], -1), kernel, dtype)


@partial(jax.checkpoint, static_argnums=2)
def dense_of_gelu(x: Array, kernel: Array, dtype: str) -> Array:
    """`dense` of the Gaussian error linear unit."""
    return dense(gelu(x), kernel, dtype)


class AxialTransformer(nn.Module):
    """Layers over [item, position, feature], along the positions of each item.

    layers     number of pairs of attention and feed-forward layer
    heads, head_size   of the attention
    position   "rotary", "polar", or "linear": attention between the features of a head instead of
               between positions, without positions or gates
    ending     whether the last output is normalised as well
    """

    layers: int
    heads: int
    head_size: int
    position: str = "rotary"
    ending: bool = False

    @nn.compact
    def __call__(self, x: Array, angle: Array | None, phase: Array | None, dtype: str) -> Array:
        """`angle` [position, frequency] and `phase` [head, feature]: see `layers.rotary`."""
        features = x.shape[-1]
        layers = [self._parameters(number, features) for number in range(self.layers)]
        last = self.param("norm", nn.initializers.ones, (features,)) if self.ending else None

        def run(x):
            for given in layers:
                if self.position == "linear":
                    x = x + linear_attention(given, x, self.heads, dtype)
                else:
                    x = x + attention(given, x, self.heads, angle, phase, dtype)
                x = x + feed_forward(given, x, dtype)
            return x if last is None else normalised(x, last)

        return over_items(run, x)

    def _parameters(self, number: int, features: int) -> Parameters:
        inner, wide = self.heads * self.head_size, WIDENING * features
        made: Parameters = {}

        def add(name, shape, init):
            made[name] = self.param(f"{name}_{number}", init, shape)

        def linear(name, inputs, outputs, bias=True):
            add(name, (inputs, outputs), symmetric(inputs**-0.5))
            if bias:
                add(f"{name}_bias", (outputs,), symmetric(inputs**-0.5))

        add("norm", (features,), nn.initializers.ones)
        linear("qkv", features, 3 * inner, bias=False)
        if self.position == "linear":
            add("temperature", (self.heads,), nn.initializers.zeros)
        else:
            linear("gates", features, self.heads)
        linear("out", inner, features, bias=False)
        add("wide_norm", (features,), nn.initializers.ones)
        linear("wide", features, wide)
        linear("narrow", wide, features)
        return made


def over_items(function: Callable[[Array], Array], x: Array) -> Array:
    """Apply a function of [item, position, feature] that treats items alike to a group at a time.

    Groups are so small that on a CPU, what is computed on the way stays in its cache, and elsewhere
    that it needs little memory.
    """
    items, positions, _ = x.shape

    def some(x, rows):
        size = max(1, rows // positions)
        return function(x) if items <= size else by_groups(partial(lax.map, function), x, size)

    if items * positions <= ROWS:
        return function(x)
    return lax.platform_dependent(
        x, cpu=partial(some, rows=ROWS), default=partial(some, rows=DEVICE_ROWS)
    )


def attention(
    given: Parameters,
    x: Array,
    heads: int,
    angle: Array | None,
    phase: Array | None,
    dtype: str,
) -> Array:
    """Softmax attention with gated heads, [item, position, feature] -> the same.

    Positions are rotary or, with a `phase`, polar.
    """
    assert angle is not None
    parts = dense_of_normalised(x, given["norm"], given["qkv"], dtype)
    parts = parts.reshape(*x.shape[:2], 3, heads, -1)
    queries, keys, values = (parts[:, :, number] for number in range(3))
    if phase is None:
        queries, keys = rotary(queries, keys, angle)
    else:
        queries, keys = polar(queries, keys, angle, phase)
    heard = attended(queries, keys, values, dtype)
    gates = dense_of_normalised(x, given["norm"], given["gates"], dtype) + given["gates_bias"]
    return dense_of_gated(heard, gates, given["out"], dtype)


def linear_attention(given: Parameters, x: Array, heads: int, dtype: str) -> Array:
    """Attention between the features of each head over all positions (El-Nouby et al. 2021)."""
    y = dense_of_normalised(x, given["norm"], given["qkv"], dtype)
    parts = y.reshape(*x.shape[:2], 3, heads, -1)
    queries, keys = (unit(parts[:, :, number], 1) for number in range(2))
    queries = queries * jnp.exp(given["temperature"])[:, None]
    scores = contract("inhd,inhe->ihde", queries * LINEAR_SCALE, keys, dtype)
    heard = contract("ihde,inhe->inhd", jnn.softmax(scores), parts[:, :, 2], dtype)
    return dense(heard.reshape(*x.shape[:2], -1), given["out"], dtype)


def feed_forward(given: Parameters, x: Array, dtype: str) -> Array:
    """Two dense layers with GELU between them."""
    y = dense_of_normalised(x, given["wide_norm"], given["wide"], dtype) + given["wide_bias"]
    return dense_of_gelu(y, given["narrow"], dtype) + given["narrow_bias"]
