"""Bidirectional LSTM layer: one scan for all directions and, under vmap, all sources.

Written for training speed on a CPU as well: the gates are saved in the forward pass and the
gradient of the recurrent weights is one matrix product after the reverse scan, instead of one small
product a step inside it (twice as fast as differentiating the scan; it equals that to rounding).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

PRECISION = lax.Precision.HIGHEST  # no TF32 or bfloat16 passes: the weights were trained in float32


def lstm(x: Array, w_ih: Array, w_hh: Array, bias: Array) -> Array:
    """Run one layer over [frame, batch, feature] into [frame, batch, direction * hidden].

    `w_ih` [direction, feature, 4 * hidden], `w_hh` [direction, hidden, 4 * hidden], `bias`
    [direction, 4 * hidden]; the gates lie in the order i, f, g, o. Direction 1 reads the frames
    backwards. The states start from zero. Hochreiter and Schmidhuber 1997, with forget gates.
    """
    z = jnp.einsum("tbi,dig->tdbg", x, w_ih, precision=PRECISION) + bias[:, None]
    # Under shard_map, adding a zero made from z marks shared weights as this device's own, as the
    # hand-written gradient of `recur` treats them; the gradient of the mark sums over devices.
    h = unturn(recur(unturn(z), w_hh + jnp.zeros_like(z[0, :, :1])))
    # [frame, direction, batch, hidden] -> [frame, batch, direction * hidden]
    frames, directions, batch, hidden = h.shape
    return h.swapaxes(1, 2).reshape(frames, batch, directions * hidden)


def unturn(z: Array) -> Array:
    """Reverse the frames of direction 1 in [frame, direction, ...]; its own inverse."""
    if z.shape[1] == 1:
        return z
    return jnp.stack([z[:, 0], z[::-1, 1]], axis=1)


@jax.custom_vjp
def recur(z: Array, w_hh: Array) -> Array:
    """Run the recurrence on projected inputs [frame, direction, batch, 4 * hidden] -> hidden.

    Every direction runs forwards; `lstm` turns the backward one. Returns
    [frame, direction, batch, hidden].
    """

    z, w_hh = halve(z), halve(w_hh)

    def step(carry, z_t):
        h, c = carry
        i, f, g, o = jnp.split(gates(z_t, h, w_hh), 4, axis=-1)
        c = f * c + i * g
        h = o * jnp.tanh(c)
        return (h, c), h

    return lax.scan(step, start(z), z)[1]


def halve(z: Array) -> Array:
    """Halve the columns of i, f and o in [..., 4 * hidden]; see `gates`."""
    return z * halves(z.shape[-1] // 4)


def halves(hidden: int) -> np.ndarray:
    """0.5 for the sigmoid gates i, f and o, 1 for g: [4 * hidden]."""
    return np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), hidden)


def gates(z: Array, h: Array, w_hh: Array) -> Array:
    """Activate all gates, [direction, batch, 4 * hidden], from halved inputs and weights.

    sigmoid(x) = (1 + tanh(x / 2)) / 2, so one tanh over the whole vector serves all four: half the
    time of a step on a CPU.
    """
    t = jnp.tanh(z + jnp.einsum("dbh,dhg->dbg", h, w_hh, precision=PRECISION))
    gain = halves(t.shape[-1] // 4)
    return t * gain + (1 - gain)


def start(z: Array) -> tuple[Array, Array]:
    # zeros_like keeps what shard_map knows about z; a plain zero would be "the same everywhere".
    zero = jnp.zeros_like(z[0, ..., : z.shape[-1] // 4])
    return zero, zero


def _recur_forward(z: Array, w_hh: Array):
    z, halved = halve(z), halve(w_hh)

    def step(carry, z_t):
        h, c = carry
        activated = gates(z_t, h, halved)
        i, f, g, o = jnp.split(activated, 4, axis=-1)
        c_new = f * c + i * g
        h_new = o * jnp.tanh(c_new)
        return (h_new, c_new), (h_new, c, activated)

    _, (h, c_before, activated) = lax.scan(step, start(z), z)
    return h, (h, c_before, activated, w_hh)


def _recur_backward(saved, dh_out):
    h, c_before, activated, w_hh = saved
    w_back = w_hh.swapaxes(-1, -2)  # once, not every step

    def step(carry, inputs):
        dh, dc = carry
        dh_t, c_prev, act = inputs
        i, f, g, o = jnp.split(act, 4, axis=-1)
        tanh_c = jnp.tanh(f * c_prev + i * g)
        dh = dh + dh_t
        dc = dc + dh * o * (1 - tanh_c**2)
        dz = jnp.concatenate(
            [
                dc * g * i * (1 - i),
                dc * c_prev * f * (1 - f),
                dc * i * (1 - g**2),
                dh * tanh_c * o * (1 - o),
            ],
            axis=-1,
        )
        dh = jnp.einsum("dbg,dgh->dbh", dz, w_back, precision=PRECISION)
        return (dh, dc * f), dz

    zero = jnp.zeros_like(dh_out[0])
    _, dz = lax.scan(step, (zero, zero), (dh_out, c_before, activated), reverse=True)
    dw = jnp.einsum("tdbh,tdbg->dhg", h[:-1], dz[1:], precision=PRECISION)
    return dz, dw


recur.defvjp(_recur_forward, _recur_backward)
