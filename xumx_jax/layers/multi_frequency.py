"""Layers of a spectral U-Net with weights of their own for each band of frequencies.

If all bands had the same weights, each would be one layer over all frequencies: nothing happens
where bands meet.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from xumx_jax.layers.unet import Decoder, Encoder, LayerOptions


class MultiEncoder(nn.Module):
    """An `Encoder` for each band of [batch, frame, bin, channel], without normalisation.

    ratios  where bands end, as parts of all bins; one more band has the rest
    The other fields are those of `Encoder`.
    """

    ratios: tuple[float, ...]
    features: int
    options: LayerOptions
    padding: int
    context: int
    branch: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        taps, stride, pad = self.options.taps, self.options.stride, self.padding
        found, ends = [], bands(self.ratios, x.shape[-2], taps, stride, pad)
        x = jnp.pad(x, [(0, 0), (0, 0), (pad, pad), (0, 0)])
        for number, (begin, end) in enumerate(ends):
            layer = Encoder(
                self.features, self.options, 0, self.context, self.branch, name=f"band_{number}"
            )
            found.append(layer(x[..., begin:end, :]))
        return jnp.concatenate(found, axis=-2)


def bands(
    ratios: tuple[float, ...], bins: int, taps: int, stride: int, pad: int
) -> list[tuple[int, int]]:
    """Where the input of each band begins and ends, padded by `pad` on both sides.

    Each begins `taps - stride` before the last one ends. Raises ValueError if one has no bins.
    """
    begin, found, last = 0, [], 0
    for ratio in (*ratios, 1.0):
        end, behind = bins + 2 * pad, round(bins // stride * ratio)
        if ratio != 1.0:
            columns = round((round(bins * ratio) + pad - begin - taps) / stride + 1)
            end = begin + (columns - 1) * stride + taps
        if not (begin < end <= bins + 2 * pad and end - begin >= taps and last < behind):
            raise ValueError(f"multi_freqs: no bins between those of {ratios}")
        found.append((begin, end))
        begin, last = end - taps + stride, behind
    return found


class MultiDecoder(nn.Module):
    """A `Decoder` for each band of [batch, frame, bin, channel]: what reaches beyond it is added.

    Returns all bands together, without half a stride at both ends: cropped. `ratios` are as in
    `MultiEncoder`, the other fields as in `Decoder`; the context goes along time alone.
    """

    ratios: tuple[float, ...]
    features: int
    options: LayerOptions
    context: int
    branch: bool

    @nn.compact
    def __call__(self, x: Array, skip: Array) -> Array:
        stride, bins = self.options.stride, x.shape[-2]
        begin, parts = 0, []
        for number, ratio in enumerate((*self.ratios, 1.0)):
            end = bins if ratio == 1.0 else round(bins * ratio)
            layer = Decoder(
                self.features, self.options, self.context, False, self.branch, name=f"band_{number}"
            )
            y, _ = layer(x[..., begin:end, :], skip[..., begin:end, :])
            if parts:
                bias = layer.variables["params"]["conv"]["bias"]  # which the band below has added
                below = parts.pop()
                shared = below[..., -stride:, :] + y[..., :stride, :] - bias
                parts += [below[..., :-stride, :], shared]
                y = y[..., stride:, :]
            parts.append(y)
            begin = end
        return jnp.concatenate(parts, axis=-2)[..., stride // 2 : -(stride // 2), :]
