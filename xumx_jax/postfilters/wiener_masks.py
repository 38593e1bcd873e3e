"""One iteration of the Wiener filter where estimates are masks of the mixture, as small parts.

`wiener.wiener` filters whole spectra from any first estimates. Networks that make masks of the
parts of a spectrum one after another filter each part as it comes: sources have the mixture's
phase, so powers and products of channels are those of the mixture times those of masks, and nothing
leaves a core's cache. Bands and frames may be any axes.
"""

import jax.numpy as jnp
from jax import Array

from xumx_jax.postfilters.wiener import Channels, Pair, filter_stereo
from xumx_jax.postfilters.wiener import _each as each_part
from xumx_jax.postfilters.wiener import _power as power
from xumx_jax.postfilters.wiener import _quotient as quotient
from xumx_jax.postfilters.wiener import _root as root
from xumx_jax.postfilters.wiener import _times as times
from xumx_jax.postfilters.wiener import _times_conj as times_conj


def filter_masks(
    masks: tuple[Array, ...], mix: Channels, gain: Array, epsilon: float, axes: tuple[int, ...]
) -> Channels:
    """Filter a mixture by masks of its one or two channels -> complex numbers as pairs.

    masks  of each channel, [source, ...]
    mix    its channels, real and imaginary part [...]
    gain   that it is divided by while it is filtered, to be broadcast
    axes   of frames: each combination of the others is a bin with statistics of its own
    """
    x = tuple(each_part(lambda part: part / gain, channel) for channel in mix)
    step = _stereo if len(x) == 2 else _mono
    return tuple(
        each_part(lambda part: part * gain, channel) for channel in step(masks, x, epsilon, axes)
    )


def _mono(masks, x: Channels, epsilon: float, axes) -> Channels:
    ((mask,), (mixed,)) = masks, x
    v = jnp.square(mask) * power(mixed)
    total = v.sum(axes, keepdims=True)
    modelled = v * (total / (epsilon + total))
    share = modelled / (modelled.sum(0) + epsilon**0.5)
    return (each_part(lambda part: share * part, mixed),)


def _stereo(masks, x: Channels, epsilon: float, axes) -> Channels:
    def over_frames(values: Array) -> Array:
        return values.sum(axes, keepdims=True)

    def turned(values: Array, pair: Pair) -> Pair:
        return each_part(lambda part: values * part, pair)

    (m0, m1), (x0, x1) = masks, x
    y0_power = jnp.square(m0) * power(x0)
    v = (y0_power + jnp.square(m1) * power(x1)) / 2
    left = over_frames(y0_power)
    weight = epsilon + over_frames(v)
    across = turned(m0 * m1, times_conj(x1, x0))
    tilt = each_part(lambda part: quotient(over_frames(part), left), across)
    # of the right channel, what the left one does not explain
    rest = each_part(lambda a, b: m1 * a - m0 * b, x1, times(tilt, x0))
    u0 = root(left / weight)
    u1 = each_part(lambda part: part * u0, tilt)
    w1 = root(over_frames(power(rest)) / weight)
    return filter_stereo(v, (u0, u1, w1), x, epsilon**0.5)
