"""xumx-sliCQ-V2: masks of a sliCQ's blocks from convolutional autoencoders, and a Wiener filter.

The network of sevagh's second version (github.com/sevagh/xumx-sliCQ). Each of the some seventy
blocks has its own autoencoder for each source; the filter is part of the network and has gradients.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.dense import DTYPES
from xumx_jax.layers.slice_autoencoder import Autoencoders
from xumx_jax.layers.slice_convolution import Span
from xumx_jax.layers.slicq_groups import by_size, groups_of, packed, unpacked
from xumx_jax.models.interface import Segment, check
from xumx_jax.models.slicq_statistics import MagnitudeStatistics
from xumx_jax.postfilters.wiener import SCALE
from xumx_jax.postfilters.wiener_blocks import filter_blocks
from xumx_jax.postfilters.wiener_masks import filter_masks
from xumx_jax.stems import Stems
from xumx_jax.transforms.slicq import SliCQ

EPSILON = float(np.finfo(np.float32).eps)  # of the filter; the original runs in single precision


class XumxSliCQv2(nn.Module):
    """Separate a mixture with one mask per source and channel for each block of a sliCQ.

    sources      names, in the order of the source axis
    sample_rate  of the audio that the weights were trained on, in hertz
    channels     of the mixtures
    scale, bins, low_hz  of the transform, as `transforms.slicq.plan.Plan` explains them
    hidden_size  features of the outer layers
    inner_size   features of the layer in the middle
    mix_phase    leave out the filter, so that stems have the mixture's phase, and let frames end
                 half a slice earlier: the original's "realtime" variant, which looks ahead all
                 the same, two slices
    window       values of a band that the filter takes at a time, slice after slice; 5000 in the
                 original, which is slower here; None: all that are given
    axis_name    of devices that share the statistics of a batch in training
    dtype        precision of matrix products in training, of `layers.dense.DTYPES`; parameters
                 and everything else are float32
    compute      their precision otherwise
    """

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate: int = 44100
    channels: int = 2
    scale: str = "bark"
    bins: int = 262
    low_hz: float = 32.9
    hidden_size: int = 50
    inner_size: int = 51
    mix_phase: bool = False
    window: int | None = None
    axis_name: str | None = None
    dtype: str = "float32"
    compute: str = "float32"
    usual_speed = {"cpu": 20}
    checkpointed_layers = (Autoencoders,)
    engine = "slices"

    def __post_init__(self):
        for name in ("dtype", "compute"):
            if getattr(self, name) not in DTYPES:
                raise ValueError(f"{name} {getattr(self, name)!r}: wanted one of {DTYPES}")
        check(self)
        if self.channels not in (1, 2):
            raise ValueError(f"channels {self.channels}: wanted 1 or 2")
        if self.window is not None and self.window < 1:
            raise ValueError(f"window {self.window}: wanted 1 or more values, or None")
        _ = self.transform
        super().__post_init__()

    @property
    def transform(self) -> SliCQ:
        return transform_of(self.scale, self.bins, self.low_hz, self.sample_rate)

    @property
    def segment(self) -> Segment:
        """Any length; chunks of 10 s of whole slices."""
        hop = self.transform.hop
        return Segment(usual=-(-10 * self.sample_rate // hop) * hop, grid=hop)

    @property
    def context(self) -> tuple[int, int]:
        """How many slices before its own, and after it, a mask depends on."""
        return (3 if self.mix_phase else 2), 2

    @property
    def input_statistics(self) -> MagnitudeStatistics:
        return MagnitudeStatistics(self, filled)

    def __call__(self, mix: Array, train: bool = False) -> Stems:
        """Separate [batch, channel, time] into Stems."""
        transform = self.transform
        coefficients = transform.analyse(mix)
        spec, mask = self.estimates(coefficients, train)
        wave = transform.synthesise(spec, mix.shape[-1])
        magnitude = ()
        if self.mix_phase:
            magnitude = transform.split(mask * jnp.abs(coefficients)[:, None])
        return Stems(wave, transform.split(spec), transform.split(mask), magnitude)

    @nn.compact
    def estimates(
        self,
        coefficients: Array,
        train: bool = False,
        span: Span | None = None,
        own: tuple[int, int] | None = None,
    ) -> tuple[Array, Array]:
        """Separate a mixture's coefficients, [batch, channel, slice, coefficient].

        Returns coefficients and masks [batch, source, channel, slice, coefficient]. For a part of a
        track, `span` are the first slice of the track and the one after its last, counted from the
        first slice given, and may be traced; a mask depends on `context`. `own` are the first
        slice that is returned and the one after the last: the filter takes only these.
        """
        plan, slices = self.transform, coefficients.shape[-2]
        begin, end = own or (0, slices)
        groups, specs, masks = [], [], []
        mixture = coefficients[..., begin:end, :]
        masked = self.mix_phase or self.window is not None
        gains = None if masked else gains_of(plan, mixture)

        def finish(mask: Array, mix: Array, gain: Array) -> list[tuple[Array, ...]]:
            """Spectra and masks of each channel, [band, batch, source, half slice, value]."""
            mask = lax.slice_in_dim(mask, 2 * begin, 2 * end, axis=-3)
            mix = lax.slice_in_dim(mix, 2 * begin, 2 * end, axis=-2)
            masks = tuple(mask[..., channel, :] for channel in range(self.channels))
            x = tuple(mix[..., channel, :, :] for channel in range(self.channels))
            if masked:
                spec = tuple(mask * part for mask, part in zip(masks, x, strict=True))
            else:
                planar = tuple((part.real, part.imag) for part in x)
                spec = filter_masks(masks, planar, gain[..., None, None], EPSILON, (-2, -1))
            return [tuple(jnp.moveaxis(part, 0, 2) for part in parts) for parts in (spec, masks)]

        for name, blocks, taps in networks(plan):
            autoencoders = Autoencoders(
                tuple(plan.blocks[block].size for block in blocks),
                tuple(plan.blocks[block].bands for block in blocks),
                taps,
                len(self.sources),
                self.channels,
                (self.hidden_size, self.inner_size),
                self.mix_phase,
                self.axis_name,
                name=name,
            )
            own_groups = groups_of(plan, blocks)
            mixes = [packed(coefficients, group) for group in own_groups]
            more = [
                jnp.zeros(mix.shape[:2]) if gains is None else gains[np.array(group.bands)]
                for group, mix in zip(own_groups, mixes, strict=True)
            ]
            made = autoencoders(
                own_groups,
                mixes,
                more,
                finish,
                span or (0, slices),
                train,
                self.dtype if train else self.compute,
            )
            groups += own_groups
            specs += [spec for spec, _ in made]
            masks += [mask for _, mask in made]

        def whole(parts):  # of each group and channel -> [batch, source, channel, ...]
            channels = [unpacked(plan, groups, part) for part in zip(*parts, strict=True)]
            return jnp.stack(channels, axis=2)

        spec = whole(specs)
        if self.window is not None and not self.mix_phase:
            shapes = tuple((block.bands, block.size) for block in plan.blocks)
            spec = filter_blocks(spec, mixture, shapes, values=self.window)
        return spec, whole(masks)


@lru_cache
def transform_of(scale: str, bins: int, low_hz: float, sample_rate: int) -> SliCQ:
    """One object for equal arguments, since it computes and keeps its tables."""
    return SliCQ(scale, bins, low_hz, sample_rate=sample_rate)


def taps_of(bands: int) -> int:
    """How many neighbouring bands the kernels of a block see."""
    return 1 if bands < 10 else 3 if bands < 20 else 5


@lru_cache
def networks(plan: SliCQ) -> tuple[tuple[str, tuple[int, ...], int], ...]:
    """(name, numbers of blocks, taps along the bands): one for all blocks whose bands stand alone.

    And one for each of the others.
    """
    taps = [taps_of(block.bands) for block in plan.blocks]
    narrow = by_size(plan, [number for number, count in enumerate(taps) if count == 1])
    found = [("narrow", tuple(narrow), 1)] if narrow else []
    wide = [number for number, count in enumerate(taps) if count > 1]
    return (
        *found,
        *((f"wide_{at}", (number,), taps[number]) for at, number in enumerate(wide)),
    )


def bands_of(plan: SliCQ, blocks: tuple[int, ...]) -> list[int]:
    """The bands of some blocks, as the parameters of their networks have them."""
    return [
        plan.blocks[block].first + band
        for block in blocks
        for band in range(plan.blocks[block].bands)
    ]


def gains_of(plan: SliCQ, coefficients: Array) -> Array:
    """What each band of a mixture is divided by before it is filtered, [band, batch].

    So that the largest magnitude of its block in an item is at most `postfilters.wiener.SCALE`. The
    original's is that of the whole batch.
    """
    power = jnp.square(coefficients.real) + jnp.square(coefficients.imag)
    loudest = power.max((1, 2)).T  # [coefficient, batch]
    counts = [block.bands * block.size for block in plan.blocks]
    owner = np.repeat(np.arange(len(counts)), counts)
    loudest = jax.ops.segment_max(loudest, owner, len(counts), indices_are_sorted=True)
    gain = jnp.maximum(1.0, jnp.sqrt(loudest) / SCALE)
    return gain[np.repeat(np.arange(len(counts)), [block.bands for block in plan.blocks])]


def filled(params: dict, plan: SliCQ, mean: np.ndarray, deviation: np.ndarray) -> dict:
    """Parameters with minus the mean and one over the deviation of each band's magnitudes."""
    made = dict(params)
    for name, blocks, _ in networks(plan):
        bands = bands_of(plan, blocks)
        own = {"mean": -mean[bands], "scale": 1 / deviation[bands]}
        made[name] = made[name] | {key: jnp.asarray(x, jnp.float32) for key, x in own.items()}
    return made
