"""Self-attention by content and distance, over whole sequences or within a context.

Dai et al. 2019, "Transformer-XL: Attentive Language Models Beyond a Fixed-Length Context", without
its memory: the score of a query and a key is ((q + u) k + (q + v) p) / sqrt(d), p being projected
features of the distance between them, u and v learned, all of one head.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from xumx_jax.layers.initializers import symmetric

BLOCKED = -1e30  # a score whose weight is 0


class RelativeAttention(nn.Module):
    """[batch, frame, channel] -> the same.

    heads    which divide the channels
    context  a frame sees those less than this away from it; None: all
    """

    heads: int
    context: int | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        batch, frames, channels = x.shape
        size = channels // self.heads
        dense = partial(nn.Dense, channels, use_bias=False)
        parts = nn.Dense(3 * channels, use_bias=False, name="project")(x.reshape(-1, channels))
        # [batch * frame, 3 * channel] -> [3, batch, head, frame, size]
        parts = parts.reshape(batch, frames, 3, self.heads, size).transpose(2, 0, 3, 1, 4)
        query, key, value = parts
        uniform = symmetric(size**-0.5)
        by_content = query + self.param("u", uniform, (self.heads, 1, size))
        by_distance = query + self.param("v", uniform, (self.heads, 1, size))
        rows, reach = window(frames, self.context)
        distances = np.arange(-(rows + reach - 1), rows + reach)
        features = dense(name="distance")(features_of(distances, channels))
        # [distance, channel] -> [head, distance, size]
        features = features.reshape(-1, self.heads, size).swapaxes(0, 1)
        y = attend(by_content, by_distance, key, value, features, self.context)
        y = y.swapaxes(1, 2).reshape(-1, channels)
        return dense(name="out")(y).reshape(batch, frames, channels)


def features_of(distances: np.ndarray, channels: int) -> np.ndarray:
    """Cosine and sine of distances, in turn, at `channels` / 2 frequencies: [distance, channel].

    The frequencies fall from 1 towards 1 / 10000 radians a frame (Vaswani et al. 2017).
    """
    angles = distances[:, None] * 10000.0 ** (-np.arange(0, channels, 2) / channels)
    both = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return both.reshape(len(distances), -1)[:, :channels].astype(np.float32)


def window(frames: int, context: int | None) -> tuple[int, int]:
    """Queries that are handled together, and how far before and behind them keys may be.

    All at once, (frames, 0), unless contexts are so short that pieces of them are less work.
    """
    if context is None or 3 * context >= frames:
        return frames, 0
    return context, context


def attend(
    by_content: Array,
    by_distance: Array,
    key: Array,
    value: Array,
    features: Array,
    context: int | None,
) -> Array:
    """Weigh the values: [..., head, frame, size], with both kinds of queries, -> the same.

    `features` are [head, distance, size], for all distances within a `window`. Where a context is
    short, its memory and time are those of frames times context, not of frames squared.
    """
    frames, size = key.shape[-2:]
    rows, reach = window(frames, context)
    pieces = -(-frames // rows)
    fill = [(0, 0)] * (key.ndim - 2)
    after = pieces * rows - frames

    def cut(x: Array) -> Array:
        x = jnp.pad(x, [*fill, (0, after), (0, 0)])
        return x.reshape(*x.shape[:-2], pieces, rows, size)

    def around(x: Array) -> Array:
        """Each piece with its neighbours, [..., piece, key, size]."""
        x = cut(x)
        if not reach:
            return x
        x = jnp.pad(x, [*fill, (1, 1), (0, 0), (0, 0)])
        return jnp.concatenate([x[..., n : n + pieces, :, :] for n in range(3)], axis=-2)

    columns = rows + 2 * reach
    scores = cut(by_content) @ around(key).swapaxes(-1, -2)
    distant = cut(by_distance) @ features[:, None].swapaxes(-1, -2)
    scores = (scores + shifted(distant, columns)) * size**-0.5
    weights = jax.nn.softmax(jnp.where(seen(frames, rows, reach, context), scores, BLOCKED))
    y = weights @ around(value)
    return y.reshape(*y.shape[:-3], pieces * rows, size)[..., :frames, :]


def shifted(x: Array, columns: int) -> Array:
    """Rows by distance to rows by key: y[row, column] = x[row, column - row + rows - 1].

    [..., row, rows + columns - 1] -> [..., row, columns], by a change of shape: a row that is one
    longer than what is taken from it moves on by one each time.
    """
    rows, width = x.shape[-2:]
    flat = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, 1)]).reshape(*x.shape[:-2], -1)
    flat = flat[..., rows - 1 :][..., : rows * width]
    return flat.reshape(*x.shape[:-2], rows, width)[..., :columns]


def seen(frames: int, rows: int, reach: int, context: int | None) -> Array:
    """Which keys of each piece its queries see, [piece, row, key]."""
    first = jnp.arange(0, frames, rows)[:, None, None]
    query = first + jnp.arange(rows)[:, None]
    key = first + jnp.arange(-reach, rows + reach)
    near = jnp.abs(query - key) < (context or frames)
    return near & (key >= 0) & (key < frames)
