"""Two models of a few lines: they keep the interface and have nothing else in common with UMX.

`ToyWave` works on waveforms alone. `ToyRagged` masks a transform whose blocks have different
shapes. Neither has batch normalisation, an encoder or a Wiener filter.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from tiny_models import TINY

from xumx_jax import models
from xumx_jax.models.interface import Segment, example_mix, variable_shapes
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft

SOURCES = ("high", "low")


class ToyWave(nn.Module):
    """One convolution."""

    sources: tuple[str, ...] = SOURCES
    sample_rate: int = 8000
    channels: int = 2
    width: int = 9
    transform = None
    segment = Segment(usual=1024, least=64, largest=4096, multiple_of=16)

    @nn.compact
    def __call__(self, mix, train=False):
        batch, channels, time = mix.shape
        assert time % 16 == 0 and 64 <= time <= 4096, time
        assert channels == self.channels, channels
        x = mix.reshape(batch * channels, time, 1)
        y = nn.Conv(len(self.sources), (self.width,), name="conv")(x)
        y = y.reshape(batch, channels, time, -1)
        return Stems(wave=jnp.moveaxis(y, -1, 1))


@dataclass(frozen=True)
class TwoResolutions:
    """Long windows and short ones side by side; the inverse is the mean of both."""

    long: Stft = Stft(128, 32)
    short: Stft = Stft(32, 8)

    def forward(self, wave):
        return (*self.long.forward(wave), *self.short.forward(wave))

    def inverse(self, blocks, length):
        long, short = blocks
        return (self.long.inverse((long,), length) + self.short.inverse((short,), length)) / 2


class RaggedStatistics:
    """`models.interface.InputStatistics` of a ToyRagged: the magnitudes of each block."""

    def __init__(self, model):
        self.segment, self.transform = model.segment, model.transform
        self.key = {"toy ragged": model.sample_rate}
        self.features = jax.jit(self._features)

    def pieces(self, mix):
        """The whole mixture, followed by silence as the network takes it."""
        length = mix.shape[-1]
        counts = tuple(each.frames(length) for each in (self.transform.long, self.transform.short))
        yield np.pad(mix, [(0, 0), (0, self.segment.fit(length) - length)]), counts

    def _features(self, piece):
        return tuple(jnp.abs(block).mean(0).T for block in self.transform.forward(piece))

    def fill(self, params, moments):
        filled = dict(params)
        for number, (mean, deviation) in enumerate(moments):
            filled[f"mean_{number}"] = jnp.asarray(-mean, jnp.float32)
            filled[f"scale_{number}"] = jnp.asarray(1 / deviation, jnp.float32)
        return filled


class ToyRagged(nn.Module):
    """A mask a bin, from one matrix product over the normalised bins of each block."""

    sources: tuple[str, ...] = SOURCES
    sample_rate: int = 8000
    channels: int = 2
    transform = TwoResolutions()

    @property
    def segment(self):
        """Powers of two from 128 on: what a multiple cannot say."""
        return Segment(usual=1024, least=128, next_length=lambda n: 1 << (n - 1).bit_length())

    @property
    def input_statistics(self):
        return RaggedStatistics(self)

    @nn.compact
    def __call__(self, mix, train=False):
        length = mix.shape[-1]
        assert length >= 128 and length & (length - 1) == 0, length
        spec, mask = [], []
        for number, block in enumerate(self.transform.forward(mix)):
            magnitude = jnp.abs(block).swapaxes(-1, -2)  # [batch, channel, frame, bin]
            bins, count = magnitude.shape[-1], len(self.sources)
            mean = self.param(f"mean_{number}", nn.initializers.zeros, (bins,))
            scale = self.param(f"scale_{number}", nn.initializers.ones, (bins,))
            x = nn.Dense(count * bins, name=f"dense_{number}")((magnitude + mean) * scale)
            x = nn.sigmoid(x).reshape(*x.shape[:-1], count, bins)
            x = jnp.moveaxis(x, -2, 1).swapaxes(-1, -2)  # [batch, source, channel, bin, frame]
            mask.append(x)
            spec.append(x * block[:, None])
        wave = self.transform.inverse(tuple(spec), length)
        return Stems(wave, tuple(spec), tuple(mask))


class ToyMask(nn.Module):
    """One source, which is what is loud; without weights. It is none of TOYS."""

    sources: tuple[str, ...] = ("music",)
    sample_rate: int = 8000
    channels: int = 2
    transform = Stft(128, 32)
    segment = Segment(usual=8192, least=128, multiple_of=32, grid=32)

    def __call__(self, mix, train=False):
        (block,) = self.transform.forward(mix)
        mask = nn.sigmoid(4 * (jnp.abs(block) - 0.5))[:, None]
        spec = mask * block[:, None]
        return Stems(self.transform.inverse((spec,), mix.shape[-1]), (spec,), (mask,))


TINY_WAVE = {"sources": SOURCES, "sample_rate": 8000, "width": 4, "depth": 1, "seconds": 0.1}
TOYS = {"toy_wave": ToyWave, "toy_ragged": ToyRagged}
# What makes each entry of MODELS tiny, at 8 kHz: a new entry of MODELS adds its own, and the tests
# of tests/interface ask the model for everything else.
ARGUMENTS = {
    "xumx": {**TINY, "layers": 1},
    "umx": {**TINY, "layers": 1},
    "demucs": {**TINY_WAVE, "dconv_depth": 1},
    "hdemucs": {**TINY_WAVE, "n_fft": 64, "depth": 2, "dconv_depth": 1},
    "demucs_split": {**TINY_WAVE, "lstm_layers": 1},
    "rel_tdemucs": {**TINY_WAVE, "attention_layers": 1, "heads": 2, "context_size": 2},
    "bsrnn": {
        "sources": SOURCES, "sample_rate": 8000, "n_fft": 128, "hop": 32, "hidden_size": 8,
        "layers": 1, "bands": (0, 1, 33, 65),
    },
    "xumx_slicq": {
        "sources": SOURCES, "sample_rate": 8000, "bins": 5, "low_hz": 1500.0,
        "bandwidth_hz": 2500.0,
    },
    "xumx_slicq_v2": {
        "sources": SOURCES, "sample_rate": 8000, "bins": 5, "low_hz": 1500.0, "hidden_size": 3,
        "inner_size": 4,
    },
    "htdemucs": {
        **TINY_WAVE, "n_fft": 64, "depth": 1, "dconv_depth": 1, "bottom_channels": 8,
        "t_layers": 2, "t_heads": 2, "t_hidden_scale": 1.0, "dconv_comp": 2, "dconv_mode": 2,
    },
    "bs_roformer": {
        "sources": SOURCES, "sample_rate": 8000, "n_fft": 128, "hop": 30, "features": 8,
        "layers": 1, "heads": 2, "head_size": 4, "mask_width": 1, "widths": (1, 1, 63),
    },
    "mel_band_roformer": {
        "sources": SOURCES, "sample_rate": 8000, "n_fft": 128, "hop": 32, "features": 8,
        "layers": 1, "heads": 2, "head_size": 4, "mask_width": 1, "mask_layers": 1, "bands": 3,
    },
    "mdx23c": {
        "sources": SOURCES, "sample_rate": 8000, "n_fft": 128, "hop": 32, "bins": 64, "frames": 32,
        "features": 4, "growth": 2, "scales": 1, "blocks": 1, "subbands": 2,
    },
    "mdxnet": {
        "sources": SOURCES[:1], "sample_rate": 8000, "n_fft": 128, "hop": 32, "bins": 64,
        "frames": 32, "features": 4, "scales": 1, "layers": 1,
    },
    "scnet": {
        "sources": SOURCES, "sample_rate": 8000, "n_fft": 128, "hop": 32, "features": (4,),
        "depths": (1, 0, 0), "pairs": 2,
    },
    "toy_wave": {},
    "toy_ragged": {},
}  # fmt: skip
NAMES = [*models.MODELS, *TOYS]
# Whose recipes run in tests/pipelines/test_config_msst.py. They return the same and are run by the
# same engine: what sees no more of a network than that is tried with the first of them.
RECIPES = ("mdxnet", "htdemucs", "bs_roformer", "mel_band_roformer", "scnet", "mdx23c")
UNLIKE = [name for name in NAMES if name not in RECIPES[1:]]


def made(name: str, **more):
    """A tiny model of that name, a key of MODELS or TOYS."""
    make = TOYS.get(name) or models.model_class(name)
    return make(**ARGUMENTS[name] | more)


def estimate(module):
    """The shapes of what a model returns for one short mixture, as Stems."""
    mix = example_mix(module)
    return jax.eval_shape(module.init_with_output, jax.random.key(0), mix)[0]


def drawn(name: str, **more):
    """The same with random weights: (module, variables)."""
    module, rng = made(name, **more), np.random.default_rng(0)

    def draw(path, leaf):
        if path[-1].key in ("scale", "var"):  # of normalisations: not negative
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        return np.float32(0.3) * rng.standard_normal(leaf.shape).astype(np.float32)

    return module, jax.tree_util.tree_map_with_path(draw, variable_shapes(module))


@pytest.fixture
def toys(monkeypatch):
    """MODELS knows the toys."""
    for name, model in TOYS.items():
        monkeypatch.setitem(models.MODELS, name, model)
