"""Attention that fades with distance: Demucs' LocalState."""

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from jax import nn as jnn

HEADS = 4
SELF = -100.0  # what a frame scores for itself: it attends to the others
DECAY_BIAS = -2.0  # initial, before the sigmoid: a wide window


class LocalAttention(nn.Module):
    """Let each frame of [item, frame, channel] attend to all others, less the further they are.

    The scores are products of queries and keys minus, for each head, a slope times the distance.
    The original sums `decays` kernels -k |t - s| weighted by sigmoid(.) / 2 / sqrt(decays): linear
    in the distance, so their sum is one slope (Défossez 2021, "Hybrid Spectrogram and Waveform
    Source Separation", 3.2).
    """

    heads: int = HEADS
    decays: int = 4

    @nn.compact
    def __call__(self, x: Array) -> Array:
        items, frames, channels = x.shape
        heads, width = self.heads, channels // self.heads

        def split(name):
            return nn.Dense(channels, name=name)(x).reshape(items, frames, heads, width)

        query, key, content = split("query"), split("key"), split("content")
        decay = nn.Dense(
            heads * self.decays,
            kernel_init=nn.initializers.normal(0.01 * channels**-0.5),
            bias_init=nn.initializers.constant(DECAY_BIAS),
            name="decay",
        )(x).reshape(items, frames, heads, self.decays)
        weights = np.arange(1, self.decays + 1, dtype=np.float32) / self.decays**0.5 / 2
        slope = (jnn.sigmoid(decay) * weights).sum(-1)  # [item, frame, head]
        distance = np.abs(np.subtract.outer(np.arange(frames), np.arange(frames)))
        scores = jnp.einsum("bshc,bthc->bhst", query, key) / width**0.5
        scores = scores - slope.swapaxes(1, 2)[..., None] * distance.astype(np.float32)
        scores = jnp.where(np.eye(frames, dtype=bool), SELF, scores)
        found = jnp.einsum("bhst,bthc->bshc", jnn.softmax(scores, -1), content)
        return x + nn.Dense(channels, name="out")(found.reshape(items, frames, channels))
