"""Bidirectional LSTM layer: one loop for all sources and both directions.

Written for training speed on a CPU as well: the gates are saved in the forward pass and the
gradient of the recurrent weights is one matrix product after the reverse loop, instead of one small
product a step inside it (twice as fast as differentiating the loop; it equals that to rounding).
Every array has the layout in which the matrix products read and write it, so that none is copied to
be transposed or reversed: the loop itself reads direction 1 from the end, and overwrites the inputs
of the gates with the gates.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.dense import contract, operand, product
from xumx_jax.layers.initializers import symmetric


class Recurrent(nn.Module):
    """The weights of one LSTM layer for all sources, which run together; see `lstm`."""

    sources: int
    hidden: int
    directions: int

    @nn.compact
    def __call__(self, x: Array, dtype: str = "float32") -> Array:
        features, hidden, directions = x.shape[-1], self.hidden, self.directions
        uniform = symmetric((6 / (features + hidden)) ** 0.5)
        lead = self.sources, directions
        w_ih = self.param("w_ih", uniform, (*lead, features, 4 * hidden))
        w_hh = self.param("w_hh", uniform, (*lead, hidden, 4 * hidden))
        bias = self.param("bias", nn.initializers.zeros, (*lead, 4 * hidden))
        return lstm(x, w_ih, w_hh, bias, dtype)


def lstm(x: Array, w_ih: Array, w_hh: Array, bias: Array, dtype: str = "float32") -> Array:
    """Run one layer over [..., frame, batch, feature] into [..., frame, batch, direction * hidden].

    `w_ih` [..., direction, feature, 4 * hidden], `w_hh` [..., direction, hidden, 4 * hidden],
    `bias` [..., direction, 4 * hidden]; the gates are in the order i, f, g, o. Leading axes, such
    as that of the source, are independent layers run together. Direction 1 reads the frames
    backwards. The states start from zero. Hochreiter and Schmidhuber 1997, with forget gates.

    Operands of matrix products, and what is stored for the gradient, have `dtype`, one of
    `layers.dense.DTYPES`; cell states, sums, the result and the gradients are float32. With "tf32"
    the recurrence stays float32.
    """
    directions, (frames, batch, _) = w_ih.shape[-3], x.shape[-3:]
    rows = x.reshape(*x.shape[:-3], 1, frames * batch, -1)
    rows = jnp.broadcast_to(rows, (*x.shape[:-3], directions, *rows.shape[-2:]))
    z = product(rows, w_ih, dtype).astype(operand(dtype))
    z = z.reshape(*z.shape[:-2], frames, batch, -1)
    # Under shard_map, adding a zero made from z marks shared weights as this device's own; see
    # `layers.dense`.
    zero = jnp.zeros_like(z[..., 0, :1, :], jnp.float32)
    h = recur(z, w_hh + zero, bias + zero[..., 0, :])
    # [..., direction, frame, batch, hidden] -> [..., frame, batch, direction * hidden]
    h = jnp.moveaxis(h.astype(jnp.float32), -4, -2)
    return h.reshape(*h.shape[:-2], -1)


@jax.custom_vjp
def recur(z: Array, w_hh: Array, bias: Array) -> Array:
    """Run the recurrence on projected inputs, [..., direction, frame, batch, 4 * hidden].

    Returns hidden states, [..., direction, frame, batch, hidden], in the type of `z`.
    """
    return _recur_forward(z, w_hh, bias)[0]


def halve(z: Array) -> Array:
    """Halve the columns of i, f and o in [..., 4 * hidden]; see `gates`."""
    return z * halves(z.shape[-1] // 4)


def halves(hidden: int) -> np.ndarray:
    """0.5 for the sigmoid gates i, f and o, 1 for g: [4 * hidden]."""
    return np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), hidden)


def gates(z: Array, h: Array, w_hh: Array) -> Array:
    """Activate all gates, [..., direction, batch, 4 * hidden], from halved inputs and weights.

    sigmoid(x) = (1 + tanh(x / 2)) / 2, so one tanh over the whole vector serves all four: half the
    time of a step on a CPU.
    """
    t = jnp.tanh(z + contract("...bh,...hg->...bg", h, w_hh, w_hh.dtype))
    gain = halves(t.shape[-1] // 4)
    return t * gain + (1 - gain)


def take(x: Array, step: Array) -> Array:
    """[..., direction, frame, batch, feature] -> the frame that each direction reads at `step`."""
    last = x.shape[-3] - 1
    turns = [
        lax.dynamic_slice_in_dim(x[..., turn : turn + 1, :, :, :], at, 1, axis=x.ndim - 3)
        for turn, at in enumerate((step, last - step)[: x.shape[-4]])
    ]
    return jnp.concatenate(turns, axis=-4)[..., 0, :, :].astype(jnp.float32)


def put(x: Array, values: Array, step: Array) -> Array:
    """Write `values` where `take` would read them."""
    last = x.shape[-3] - 1
    for turn, at in enumerate((step, last - step)[: x.shape[-4]]):
        start = [0] * (x.ndim - 4) + [turn, at, 0, 0]
        piece = values[..., turn : turn + 1, None, :, :].astype(x.dtype)
        x = lax.dynamic_update_slice(x, piece, start)
    return x


def before(h: Array) -> Array:
    """Hidden states [..., direction, frame, batch, hidden] -> those before each frame."""
    edge = jnp.zeros_like(h[..., :1, :1, :, :])
    parts = [jnp.concatenate([edge, h[..., :1, :-1, :, :]], axis=-3)]
    if h.shape[-4] == 2:
        parts.append(jnp.concatenate([h[..., 1:, 1:, :, :], edge], axis=-3))
    return jnp.concatenate(parts, axis=-4)


def _recur_forward(z: Array, w_hh: Array, bias: Array):
    halved = halve(w_hh).astype(z.dtype)

    def step(count, carry):
        h, c, z, *kept = carry
        activated = gates(halve(take(z, count) + bias[..., None, :]), h, halved)
        i, f, g, o = jnp.split(activated, 4, axis=-1)
        c_new = f * c + i * g
        tanh_c = jnp.tanh(c_new)
        h = o * tanh_c
        now = (h, c, tanh_c)
        kept = [put(every, one, count) for every, one in zip(kept, now, strict=True)]
        return (h, c_new, put(z, activated, count), *kept)

    # zeros_like keeps what shard_map knows about z; a plain zero would be "the same everywhere".
    many = jnp.zeros_like(z[..., : z.shape[-1] // 4])
    one = jnp.zeros_like(many[..., 0, :, :], jnp.float32)
    carry = one, one, z, many, many, many
    _, _, activated, h, c_before, tanh_c = lax.fori_loop(0, z.shape[-3], step, carry)
    return h, (h, c_before, tanh_c, activated, w_hh)


def _recur_backward(saved, dh_out):
    h, c_before, all_tanh_c, activated, w_hh = saved
    w_back = w_hh.swapaxes(-1, -2).astype(h.dtype)  # once, not every step
    frames = h.shape[-3]

    def step(count, carry):
        dh, dc, rest = carry
        count = frames - 1 - count
        i, f, g, o = jnp.split(take(rest, count), 4, axis=-1)
        tanh_c = take(all_tanh_c, count)
        dh = dh + take(dh_out, count)
        dc = dc + dh * o * (1 - tanh_c**2)
        dz = jnp.concatenate(
            [
                dc * g * i * (1 - i),
                dc * take(c_before, count) * f * (1 - f),
                dc * i * (1 - g**2),
                dh * tanh_c * o * (1 - o),
            ],
            axis=-1,
        )
        dh = contract("...bg,...gh->...bh", dz, w_back, h.dtype)
        return dh, dc * f, put(rest, dz, count)

    zero = jnp.zeros_like(dh_out[..., 0, :, :], jnp.float32)
    _, _, dz = lax.fori_loop(0, frames, step, (zero, zero, activated))
    dw = contract("...tbh,...tbg->...hg", before(h), dz, h.dtype)
    return dz, dw, dz.sum((-3, -2), jnp.float32)


recur.defvjp(_recur_forward, _recur_backward)
