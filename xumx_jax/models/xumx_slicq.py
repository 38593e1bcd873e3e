"""xumx-sliCQ: one convolutional autoencoder for each target and each block of bands of a sliCQ.

The first version of the network of Hanssian 2021, "Music Demixing with the sliCQ
Transform". It reads magnitudes of which the slices are overlap-added, and its masks are
those of the coefficients. Nothing connects the targets but the loss.
"""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from xumx_jax.layers.band_autoencoder import BandAutoencoders, Group
from xumx_jax.models.interface import Segment, check
from xumx_jax.models.slicq_statistics import MagnitudeStatistics
from xumx_jax.stems import Stems
from xumx_jax.transforms.slicq import SliCQ
from xumx_jax.transforms.slicq.blocks import overlapped


def kernel_of(bands: int, size: int) -> tuple[int, int]:
    """What a kernel covers, (bands, frames), in a block of so many bands and coefficients."""
    return 1 if bands < 10 else 3 if bands < 20 else 5, 7 if size <= 100 else 13


@lru_cache
def groups_of(transform: SliCQ, bandwidth_hz: float) -> tuple[Group, ...]:
    """The blocks that begin up to `bandwidth_hz`, by the shapes of their kernels."""
    above = transform.centres[0] > bandwidth_hz
    first_left = 1 + int(np.argmax(above)) if above.any() else transform.bands
    found: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    start = 0
    for number, block in enumerate(transform.blocks):
        if block.first < first_left:
            one = (number, block.bands, block.size // 4, start)
            found.setdefault(kernel_of(block.bands, block.size), []).append(one)
        start += block.bands * block.size // 4

    def frames(one):
        return -one[1] * one[2]

    return tuple(
        Group(kernel, *zip(*sorted(of, key=frames), strict=True))
        for kernel, of in sorted(found.items())
    )


class XumxSliCQ(nn.Module):
    """Separate a mixture with one mask per source and coefficient of a sliCQ transform.

    sources      names, in the order of the source axis
    sample_rate  of the audio that the weights were trained on, in hertz
    channels     of the mixtures
    scale, bins, low_hz  of the transform; see `transforms.slicq.plan.Plan`
    bandwidth_hz  blocks that begin above it are left as they are in every source
    axis_name    of the devices that share a training batch, for its statistics
    """

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate: int = 44100
    channels: int = 2
    scale: str = "bark"
    bins: int = 262
    low_hz: float = 32.9
    bandwidth_hz: float = 16000.0
    axis_name: str | None = None
    usual_speed = {"cpu": 2.6}
    checkpointed_layers = (BandAutoencoders,)

    engine = "slices"
    post_filter = "xumx_slicq_stft"
    context = 5, 3  # slices

    def __post_init__(self):
        check(self)
        if self.channels not in (1, 2):
            raise ValueError(f"channels {self.channels}: wanted 1 or 2")
        if not self.bandwidth_hz > 0:
            raise ValueError(f"bandwidth_hz {self.bandwidth_hz}: wanted more than 0")
        _ = self.transform
        super().__post_init__()

    @property
    def transform(self) -> SliCQ:
        return SliCQ(self.scale, self.bins, self.low_hz, sample_rate=self.sample_rate)

    @property
    def segment(self) -> Segment:
        """Any length; chunks of 10 s of whole slices."""
        hop = self.transform.hop
        return Segment(usual=-(-10 * self.sample_rate // hop) * hop, grid=hop)

    @property
    def input_statistics(self) -> MagnitudeStatistics:
        return MagnitudeStatistics(self, filled, overlapped=True)

    @property
    def groups(self) -> tuple[Group, ...]:
        return groups_of(self.transform, self.bandwidth_hz)

    def setup(self):
        targets = len(self.sources)
        self.networks = [
            BandAutoencoders(
                group,
                targets,
                self.channels,
                self.axis_name,
                name="kernels_{}x{}".format(*group.kernel),
            )
            for group in self.groups
        ]
        bands = sum(sum(group.bands) for group in self.groups)
        self.input_mean = self.param("input_mean", nn.initializers.zeros, (targets, bands))
        self.input_scale = self.param("input_scale", nn.initializers.ones, (targets, bands))

    def __call__(self, mix: Array, train: bool = False) -> Stems:
        """Separate [batch, channel, time] into Stems, the sources with the phase of the mixture."""
        transform = self.transform
        coefficients = transform.analyse(mix)
        spec, masks = self.estimates(coefficients, train)
        wave = transform.synthesise(spec, mix.shape[-1])
        magnitudes = masks * jnp.abs(coefficients)[:, None]
        return Stems(wave, *(transform.split(x) for x in (spec, masks, magnitudes)))

    def estimates(
        self,
        coefficients: Array,
        train: bool = False,
        span: tuple | None = None,
        own: tuple[int, int] | None = None,
    ) -> tuple[Array, Array]:
        """Separate a mixture's coefficients, [batch, channel, slice, coefficient].

        Returns coefficients and masks [batch, source, channel, slice, coefficient]. For a part of a
        track, `span` are the first slice of the track and the one after its last, counted from the
        first slice given, and may be traced; a mask depends on `context` slices before and after
        it. `own` are the first slice that is returned and the one after the last.
        """
        begin, end = own or (0, coefficients.shape[-2])
        masks = self._masks(jnp.abs(coefficients), span, train)[..., begin:end, :]
        return masks * coefficients[:, None, :, begin:end], masks

    def _masks(self, magnitudes: Array, span: tuple | None, train: bool) -> Array:
        """Masks for magnitudes [batch, channel, slice, coefficient]: with an axis of sources."""
        batch, channels, slices, _ = magnitudes.shape
        lead, table = (len(self.sources), batch), self._pairs(magnitudes)
        span, found = (0, slices) if span is None else span, []
        for group, network in zip(self.groups, self.networks, strict=True):
            mean, scale = (self._of(group, leaf) for leaf in (self.input_mean, self.input_scale))
            for masks in network(table, mean, scale, span, train):
                found.append(jnp.moveaxis(masks, 0, 2).reshape(*lead, -1, 4 * channels))
        found.append(jnp.ones((*lead, 1, 4 * channels), magnitudes.dtype))
        first, step = self._sources_of_masks(slices)
        index = first + jnp.arange(slices, dtype=jnp.int32)[:, None] * step
        y = jnp.concatenate(found, axis=2).at[:, :, index].get(mode="promise_in_bounds")
        y = y.reshape(*lead, slices, -1, 4, channels).transpose(1, 0, 5, 2, 3, 4)
        return y.reshape(batch, len(self.sources), channels, slices, -1)

    def _pairs(self, magnitudes: Array) -> Array:
        """The table of `layers.band_autoencoder`, [slice + 1, pair, batch, 2, channel]."""
        table = overlapped(self.transform.shapes, magnitudes)
        return table.reshape(*table.shape[:-1], -1, 2).transpose(2, 3, 0, 4, 1)

    def _of(self, group: Group, leaf: Array) -> Array:
        """[target, band] -> [block, target, band of the block], the last one repeated."""
        first = np.array([self.transform.blocks[n].first for n in group.blocks])[:, None]
        last = np.array(group.bands)[:, None] - 1
        return jnp.moveaxis(leaf[:, first + np.minimum(np.arange(last.max() + 1), last)], 0, 1)

    def _sources_of_masks(self, slices: int) -> tuple[np.ndarray, np.ndarray]:
        """Which position of all loops' holds the masks of each pair of the first slice, [pair].

        And how many later that of the next slice is. The position behind all is of those without a
        network.
        """
        count = self.transform.coefficients // 4
        first, step, start = np.full(count, -1, np.int32), np.zeros(count, np.int32), 0
        for group in self.groups:
            for loop in group.loops():
                length = group.positions(loop, slices + 1)
                rows = group.bands[loop.start] if group.rows else 1
                for n in range(loop.start, loop.stop):
                    bands, pairs = group.bands[n], group.pairs[n]
                    columns = slice(group.starts[n], group.starts[n] + bands * pairs)
                    stride = length if group.rows else (slices + 1) * pairs
                    at = start + np.arange(bands)[:, None] * stride + np.arange(pairs)
                    first[columns], step[columns] = at.ravel(), pairs
                    start += rows * length
        first[first < 0] = start
        return first, step


def filled(params: dict, plan: SliCQ, mean: np.ndarray, deviation: np.ndarray) -> dict:
    """Parameters with minus the mean and one over the deviation of each band that has a network."""
    shape = params["input_mean"].shape
    leaves = {"input_mean": -mean, "input_scale": 1 / deviation}
    return params | {
        name: jnp.broadcast_to(jnp.asarray(leaf[: shape[1]], jnp.float32), shape)
        for name, leaf in leaves.items()
    }
