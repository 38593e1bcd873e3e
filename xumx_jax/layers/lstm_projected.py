"""Bidirectional LSTM layer whose directions run one after the other, with or without projection.

Written for a CPU: one loop per direction, in which each product has contiguous operands, and
gradients of the weights that are one matrix product each after the loop. A layer whose weights do
not stay in a core's cache is faster so than in `layers.lstm`, which runs the layers of all sources
and both directions in one loop.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.dense import contract, operand, product
from xumx_jax.layers.initializers import symmetric
from xumx_jax.layers.lstm import halve, halves


class ProjectedLstm(nn.Module):
    """The weights of one layer, see `lstm_projected`; they begin as PyTorch's.

    hidden    cells in each direction
    features  values that each direction's hidden state is projected to
    """

    hidden: int
    features: int

    @nn.compact
    def __call__(self, x: Array, dtype: str = "float32") -> Array:
        uniform = symmetric(self.hidden**-0.5)
        gates = 4 * self.hidden
        w_ih = self.param("w_ih", uniform, (2, x.shape[-1], gates))
        w_hh = self.param("w_hh", uniform, (2, self.features, gates))
        w_hr = self.param("w_hr", uniform, (2, self.hidden, self.features))
        bias = self.param("bias", uniform, (2, gates))
        return lstm_projected(x, w_ih, w_hh, w_hr, bias, dtype)


def lstm_projected(
    x: Array, w_ih: Array, w_hh: Array, w_hr: Array | None, bias: Array, dtype: str = "float32"
) -> Array:
    """Run one layer over [frame, batch, feature] into [frame, batch, direction * projected].

    `w_ih` [direction, feature, 4 * hidden], `w_hh` [direction, projected, 4 * hidden], `w_hr`
    [direction, hidden, projected], `bias` [direction, 4 * hidden]; the gates are in the order
    i, f, g, o. The hidden state is projected by `w_hr` before it is returned and read by the next
    step, the cell state is not; without `w_hr` neither is. Direction 1 reads the frames backwards.
    States start from zero. Sak et al. 2014, "Long Short-Term Memory Based Recurrent Neural Network
    Architectures", without peepholes. `dtype`, one of `layers.dense.DTYPES`, is used as in
    `layers.lstm.lstm`.
    """
    frames, batch, features = x.shape
    rows = x.reshape(-1, features)
    # Under shard_map, adding a zero made from x marks shared weights as this device's own; see
    # `layers.dense`.
    zero = jnp.zeros_like(x[0, :1, :1], jnp.float32)
    outputs = []
    for direction in range(len(w_ih)):
        z = product(rows, halve(w_ih[direction]), dtype).astype(operand(dtype))
        h = recur(
            direction == 1,
            z.reshape(frames, batch, -1),
            halve(w_hh[direction]) + zero,
            None if w_hr is None else w_hr[direction] + zero,
            halve(bias[direction]) + zero[0],
        )
        outputs.append(h)
    return jnp.concatenate(outputs, axis=-1).astype(jnp.float32)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def recur(backwards: bool, z: Array, w_hh: Array, w_hr: Array | None, bias: Array) -> Array:
    """Run one direction on inputs of the gates, [frame, batch, 4 * hidden].

    `z`, `w_hh` and `bias` are halved where `layers.lstm.halves` says. Returns the hidden states,
    projected unless `w_hr` is None, [frame, batch, projected], in the type of `z`.
    """
    return _loop(backwards, z, w_hh, w_hr, bias, keep=False)[0]


def _loop(
    backwards: bool, z: Array, w_hh: Array, w_hr: Array | None, bias: Array, keep: bool
) -> tuple[Array, ...]:
    """The hidden states; with `keep` also gates, cells before each frame, and tanh of those after.

    sigmoid(x) = (1 + tanh(x / 2)) / 2, so one tanh over the whole vector serves all four gates.
    """
    dtype, hidden = z.dtype, z.shape[-1] // 4
    gain = halves(hidden)
    # Rows that begin a power of two apart fall on the same lines of a cache; excess columns of
    # zeros keep them off: up to a quarter of the loop's time, where a batch is small.
    w_hh = jnp.pad(w_hh.astype(dtype), [(0, 0), (0, 16 if z.shape[1] < 16 else 0)])
    w_hr = None if w_hr is None else w_hr.astype(dtype)

    def step(carry, z):
        h, c_before = carry
        recurrent = contract("bp,pg->bg", h, w_hh, dtype)[:, : 4 * hidden]
        t = jnp.tanh(z.astype(jnp.float32) + bias + recurrent)
        activated = t * gain + (1 - gain)
        i, f, g, o = jnp.split(activated, 4, axis=-1)
        c = f * c_before + i * g
        tanh_c = jnp.tanh(c)
        h = o * tanh_c if w_hr is None else contract("bh,hp->bp", o * tanh_c, w_hr, dtype)
        kept = (h, activated, c_before, tanh_c) if keep else (h,)
        return (h, c), tuple(each.astype(dtype) for each in kept)

    start = _zeros(z, w_hh.shape[0]), _zeros(z, hidden)
    return lax.scan(step, start, z, reverse=backwards)[1]


def _zeros(like: Array, features: int) -> Array:
    """Zeros [batch, feature] for [frame, batch, ...], with what shard_map knows about that."""
    zero = jnp.zeros_like(like[0, :, :1], jnp.float32)
    return jnp.broadcast_to(zero, (like.shape[1], features))


def _forward(backwards: bool, z: Array, w_hh: Array, w_hr: Array | None, bias: Array):
    kept = _loop(backwards, z, w_hh, w_hr, bias, keep=True)
    return kept[0], (*kept, w_hh, w_hr)


def _backward(backwards: bool, saved, dh_out: Array):
    h, activated, c_before, tanh_c, w_hh, w_hr = saved
    dtype, hidden = h.dtype, c_before.shape[-1]
    hh_back = w_hh.T.astype(dtype)  # once, not every step
    hr_back = None if w_hr is None else w_hr.T.astype(dtype)
    slope = 1 / halves(hidden)  # of tanh(x) * gain, whose x is halved too

    def step(carry, frame):
        dh, dc = carry
        dh_out, activated, c_before, tanh_c = (each.astype(jnp.float32) for each in frame)
        i, f, g, o = jnp.split(activated, 4, axis=-1)
        dh = dh + dh_out
        # of the hidden state before projection
        dm = dh if hr_back is None else contract("bp,ph->bh", dh, hr_back, dtype)
        dc = dc + dm * o * (1 - tanh_c**2)
        dz = jnp.concatenate(
            [
                dc * g * i * (1 - i),
                dc * c_before * f * (1 - f),
                dc * i * (1 - g**2),
                dm * tanh_c * o * (1 - o),
            ],
            axis=-1,
        )
        dz = dz * slope
        before = contract("bg,gp->bp", dz, hh_back, dtype)
        return (before, dc * f), (dz.astype(dtype), dh.astype(dtype))

    start = _zeros(h, w_hh.shape[0]), _zeros(h, hidden)
    frames = dh_out, activated, c_before, tanh_c
    dz, dh = lax.scan(step, start, frames, reverse=not backwards)[1]
    # the hidden state that each frame read is that of the frame before it, in its direction
    earlier, later = (slice(1, None), slice(-1)) if backwards else (slice(-1), slice(1, None))
    dw_hh = _weights(h[earlier], dz[later])
    o = activated[..., -hidden:]
    dw_hr = None if w_hr is None else _weights(o * tanh_c, dh)
    return dz, dw_hh, dw_hr, dz.sum((0, 1), jnp.float32)


def _weights(x: Array, dy: Array) -> Array:
    """The gradient of weights [in, out], from [frame, batch, in] and [frame, batch, out]."""
    x, dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    return contract("ri,ro->io", x, dy, x.dtype)


recur.defvjp(_forward, _backward)
