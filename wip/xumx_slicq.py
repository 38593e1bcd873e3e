"""xumx-sliCQ: one convolutional autoencoder for each target and each block of bands of a sliCQ.

The first version of the network of Hanssian 2021, "Music source separation with the sliced
constant-Q transform". It reads magnitudes of which the slices are overlap-added, and its masks are
those of the coefficients. Nothing connects the targets but the loss.
"""

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from xumx_jax.layers.band_autoencoder import BandAutoencoders, Group
from xumx_jax.models.interface import Segment
from xumx_jax.stems import Stems
from xumx_jax.transforms.slicq import SliCQ


def kernel_of(bands: int, size: int) -> tuple[int, int]:
    """What a kernel covers, (bands, frames), in a block of so many bands and coefficients."""
    return 1 if bands < 10 else 3 if bands < 20 else 5, 7 if size <= 100 else 13


def groups_of(transform: SliCQ, first_left: int) -> tuple[Group, ...]:
    """The blocks that begin below band `first_left`, by the shapes of their kernels."""
    found: dict[tuple[int, int], list[int]] = {}
    for number, block in enumerate(transform.blocks):
        if block.first < first_left:
            found.setdefault(kernel_of(block.bands, block.size), []).append(number)
    return tuple(
        Group(
            kernel,
            tuple(numbers),
            tuple(transform.blocks[n].bands for n in numbers),
            tuple(transform.blocks[n].size for n in numbers),
        )
        for kernel, numbers in sorted(found.items())
    )


def overlapped(magnitudes: Array) -> Array:
    """Add slices where they overlap: [.., slice, coefficient] -> [.., frame]."""
    *lead, slices, size = magnitudes.shape
    halves = magnitudes.reshape(*lead, slices, 2, size // 2)
    plain = [(0, 0)] * len(lead)
    early = jnp.pad(halves[..., 0, :], [*plain, (0, 1), (0, 0)])
    late = jnp.pad(halves[..., 1, :], [*plain, (1, 0), (0, 0)])
    return (early + late).reshape(*lead, -1)


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
    usual_speed = {"cpu": 5}
    source_axis = 0

    @property
    def transform(self) -> SliCQ:
        return SliCQ(self.scale, self.bins, self.low_hz, sample_rate=self.sample_rate)

    @property
    def segment(self) -> Segment:
        """Any length; chunks of 10 s that begin with a slice."""
        return Segment(usual=10 * self.sample_rate, grid=self.transform.hop)

    @property
    def first_left(self) -> int:
        """The first band of which no block begins there that has a network."""
        above = self.transform.centres[0] > self.bandwidth_hz
        return 1 + int(np.argmax(above)) if above.any() else self.transform.bands

    def setup(self):
        transform, targets = self.transform, len(self.sources)
        self.groups = groups_of(transform, self.first_left)
        self.networks = [
            BandAutoencoders(
                group, targets, self.channels, self.axis_name, name="kernels_{}x{}".format(*group.kernel)
            )
            for group in self.groups
        ]
        bands = sum(sum(group.bands) for group in self.groups)
        self.input_mean = self.param("input_mean", nn.initializers.zeros, (targets, bands))
        self.input_scale = self.param("input_scale", nn.initializers.ones, (targets, bands))

    def __call__(self, mix: Array, train: bool = False) -> Stems:
        """Separate [batch, channel, time] into Stems, the sources with the phase of the mixture."""
        transform = self.transform
        spec = transform.analyse(mix)  # [batch, channel, slice, coefficient]
        masks = self.masks(transform.split(jnp.abs(spec)), train=train)
        masked = transform.joined(masks) * spec[:, None]
        wave = transform.synthesise(masked, mix.shape[-1])
        magnitudes = transform.split(jnp.abs(masked))
        return Stems(wave, transform.split(masked), masks, magnitudes)

    def masks(self, magnitudes, span: tuple | None = None, train: bool = False) -> tuple[Array, ...]:
        """Masks for blocks of magnitudes, [batch, channel, band, slice, coefficient].

        [batch, source, channel, band, slice, coefficient] for each block. `span`, if not all slices
        are the track's own, holds the first that is and the one after the last.
        """
        batch, channels, _, slices, _ = magnitudes[0].shape
        span = (0, slices) if span is None else span
        found = []
        for block in magnitudes:  # those that no network sees
            shape = (batch, len(self.sources), *block.shape[1:])
            found.append(jnp.ones(shape, block.dtype))
        for group, network in zip(self.groups, self.networks, strict=True):
            frames = [overlapped(magnitudes[n]) for n in group.blocks]
            starts = [self.transform.blocks[n].first for n in group.blocks]
            ends = np.add(starts, group.bands)
            mean = [self.input_mean[:, a:b] for a, b in zip(starts, ends, strict=True)]
            scale = [self.input_scale[:, a:b] for a, b in zip(starts, ends, strict=True)]
            for n, mask in zip(group.blocks, network(frames, mean, scale, span, train), strict=True):
                shape = magnitudes[n].shape[-3:]
                mask = mask[..., : shape[1] * shape[2]].reshape(*mask.shape[:4], *shape[1:])
                found[n] = mask.swapaxes(0, 1)
        return tuple(found)
