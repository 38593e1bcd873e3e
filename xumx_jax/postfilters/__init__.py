"""Post filters: from a network's estimates and the mixture to the spectra of stems.

Nothing here knows about networks, tracks or files. A filter is a function of one chunk's spectra
and an entry of POST_FILTERS; a model names its original program's filter in `post_filter`.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from xumx_jax.postfilters.mwf import mwf
from xumx_jax.postfilters.wiener import wiener
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft

Blocks = tuple[Array, ...]
WINDOW_FRAMES = 240  # that a filter takes at a time where its original takes whole tracks


@dataclass(frozen=True)
class PostFilter:
    """How a program turns estimates into stems.

    function  (estimate [source, channel, bin, frame], mix [channel, bin, frame], **options) ->
              complex [source, channel, bin, frame]
    options   that the program sets; they override the user's
    frames    that are filtered at a time; None: all that are given
    complex   whether it starts from the estimated spectra and keeps their phase; else it starts
              from magnitudes and the mixture's phase
    alone     whether it can filter a single source without a residual stem
    transform  in which it filters the estimates' waveforms; None: in the model's
    """

    function: Callable[..., Array]
    options: dict[str, Any] = field(default_factory=dict)
    frames: int | None = None
    complex: bool = False
    alone: bool = False
    transform: Stft | None = None

    @property
    def arguments(self) -> frozenset[str]:
        """The names of the options that the function takes."""
        return frozenset(inspect.signature(self.function).parameters)

    @property
    def of_magnitudes(self) -> bool:
        """Whether it is the Wiener filter of magnitudes, which an engine may contain."""
        return self.function is wiener and not self.complex and self.transform is None


POST_FILTERS = {
    "norbert": PostFilter(wiener),
    "openunmix": PostFilter(wiener, {"epsilon": 1e-10, "difference": True}, frames=300),
    "aimless": PostFilter(mwf, alone=True),
    # of xumx-sliCQ's option `slicq_wiener`, on the spectra of its own transform
    "xumx_slicq": PostFilter(wiener, {"epsilon": 1e-10}),
    # of xumx-sliCQ by default: on an STFT, without a window, of the waveforms
    "xumx_slicq_stft": PostFilter(
        wiener, {"epsilon": 1e-10}, frames=300, transform=Stft(4096, 1024, flat=True)
    ),
    # Demucs's `cac=False`: EM from the estimated spectra as they are
    "complex": PostFilter(wiener, complex=True),
}


def apply(
    name: str, estimate: Stems, mix: Blocks, power: int = 1, frames: int | None = None, **options
) -> Blocks:
    """Filter one item's estimate, block by block -> complex blocks [source, channel, bin, ...].

    `estimate` has no batch axis, `mix` is the mixture in the same transform, [channel, bin, ...].
    `power` is the exponent of the magnitudes in the estimate, and `frames` how many are filtered at
    a time of the block that has most; of other blocks as many as last as long. Of a sliCQ's blocks,
    [channel, band, slice, coefficient], `frames` are slices; filters that can (`over`) take all its
    blocks at once, for others slices and coefficients count as frames.
    """
    known = POST_FILTERS[name]
    function = partial(known.function, **options)
    given = estimate.spec if known.complex else estimate.magnitude or estimate.spec

    def prepared(values):
        if known.complex:
            return values
        values = values if estimate.magnitude else jnp.abs(values)
        return values if power == 1 else values ** (1 / power)

    if "over" in known.arguments and all(x.ndim == 4 for x in mix):
        # what an STFT does not need
        from xumx_jax.postfilters.band_frames import BandFrames
        from xumx_jax.transforms.slicq.blocks import joined, shapes_of, split

        shapes, whole = shapes_of(mix), joined(mix)
        over = BandFrames(shapes, whole.shape[-2], frames)
        return split(shapes, function(prepared(joined(given)), whole, over=over))
    found, most = [], max(flattened(x, x.ndim - 2).shape[-1] for x in mix)
    for y, x in zip(given, mix, strict=True):
        y, whole = flattened(prepared(y), x.ndim - 2), flattened(x, x.ndim - 2)
        window = frames and max(1, round(frames * whole.shape[-1] / most))
        flat = in_windows(function, y, whole, window)
        found.append(flat.reshape(*flat.shape[:-1], *x.shape[2:]))
    return tuple(found)


def flattened(values: Array, axes: int) -> Array:
    """Flatten the last `axes` axes into one."""
    return values.reshape(*values.shape[: values.ndim - axes], -1)


def in_windows(function: Callable, estimate: Array, mix: Array, frames: int | None) -> Array:
    """Apply a filter to windows of `frames` frames; the last window may be shorter."""
    total = mix.shape[-1]
    if frames is None or frames >= total:
        return function(estimate, mix)
    whole = total - total % frames

    def cut(x):  # [..., frame] -> [window, ..., frame]
        return jnp.moveaxis(x[..., :whole].reshape(*x.shape[:-1], -1, frames), -2, 0)

    # one after another, and compiled once
    done = lax.map(lambda pair: function(*pair), (cut(estimate), cut(mix)))
    parts = [jnp.moveaxis(done, 0, -2).reshape(*done.shape[1:-1], whole)]
    if whole < total:
        parts.append(function(estimate[..., whole:], mix[..., whole:]))
    return jnp.concatenate(parts, axis=-1)
