"""Stacked bidirectional LSTMs with as many channels out as in: Demucs' BLSTM."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from xumx_jax.layers.dense import asked, product
from xumx_jax.layers.initializers import symmetric
from xumx_jax.layers.lstm_projected import lstm_projected


class BidirectionalLstm(nn.Module):
    """Run LSTM layers over [item, frame, channel], forwards and backwards, then a linear layer.

    layers    each with `hidden` units in each direction; None: as many as there are channels
    frames    longer inputs are cut into pieces of so many frames, each of which begins half a piece
              after the last, and of which the middle halves are kept; None: never
    skip      whether the input is added
    features  of the linear layer; None: as many as there are channels
    """

    layers: int
    frames: int | None = None
    skip: bool = False
    features: int | None = None
    hidden: int | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        frames, channels = x.shape[-2:]
        piece = self.frames or frames
        framed = frames > piece
        y = cut(x, piece) if framed else x
        y = y.swapaxes(0, 1)  # [frame, item, channel]
        for number in range(self.layers):
            y = self._layer(number, y, self.hidden or channels)
        dot = None if asked() == "float32" else by_rows
        y = nn.Dense(self.features or channels, name="linear", dot_general=dot)(y)
        y = y.swapaxes(0, 1)
        y = joined(y, len(x), piece)[:, :frames] if framed else y
        return x + y if self.skip else y

    def _layer(self, number: int, y: Array, hidden: int) -> Array:
        uniform = symmetric(hidden**-0.5)

        def param(name, *shape):
            return self.param(f"{name}_{number}", uniform, (2, *shape, 4 * hidden))

        w_ih = param("w_ih", y.shape[-1])
        return lstm_projected(y, w_ih, param("w_hh", hidden), None, param("bias"), asked())


def by_rows(x: Array, kernel: Array, *_, **__) -> Array:
    """[..., in] by [in, out] as `layers.dense.product`, in place of `lax.dot_general`."""
    return product(x.reshape(-1, x.shape[-1]), kernel).reshape(*x.shape[:-1], -1)


def cut(x: Array, width: int) -> Array:
    """Cut [item, frame, channel] into pieces [item * piece, width, channel], half overlapping.

    As many pieces as there are half widths; the last ones are filled up with zeros.
    """
    items, frames, channels = x.shape
    half = width // 2
    count = -(-frames // half)
    padded = jnp.pad(x, [(0, 0), (0, (count + 1) * half - frames), (0, 0)])
    halves = padded.reshape(items, count + 1, half, channels)
    pieces = jnp.concatenate([halves[:, :-1], halves[:, 1:]], axis=2)
    return pieces.reshape(items * count, width, channels)


def joined(pieces: Array, items: int, width: int) -> Array:
    """Join what was made of the pieces of `cut`: the middle half of each, all of the outer ends."""
    pieces = pieces.reshape(items, -1, width, pieces.shape[-1])
    edge = width // 4
    middle = pieces[:, :, edge:-edge].reshape(items, -1, pieces.shape[-1])
    return jnp.concatenate([pieces[:, 0, :edge], middle, pieces[:, -1, -edge:]], axis=1)
