"""Statistics of a track, measured while it streams."""

import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import Planes
from flax import linen as nn
from tiny_models import noise, stack

from xumx_jax.models.interface import Segment
from xumx_jax.models.scnet import SCNet
from xumx_jax.separation import normalization
from xumx_jax.separation.normalization import (
    MeanAndDeviation,
    MeanAndPopulationDeviation,
    Peak,
)
from xumx_jax.separation.separator import Separator
from xumx_jax.separation.stream_buffer import StreamBuffer
from xumx_jax.stems import Stems

RATE = 8000


class Normalized(nn.Module):
    """Doubles what is left of a mixture when mean and deviation are taken from it."""

    sources: tuple[str, ...] = ("a",)
    sample_rate: int = RATE
    channels: int = 2
    transform = None
    segment = Segment(usual=400)
    normalization = "mean and deviation"

    @nn.compact
    def __call__(self, mix, train=False, statistics=None):
        gain = self.param("gain", nn.initializers.ones, ())
        mean, deviation = (0.0, 1.0) if statistics is None else statistics
        return Stems(gain * (mix[:, None] - mean) / deviation)


def measure(blocks, at=0):
    return MeanAndDeviation(Normalized()).measure(StreamBuffer(iter(blocks)), at)


def test_mean_and_deviation_are_those_of_the_mono_mixture():
    wave = 3 + noise(5000)
    mono = wave.mean(0)
    for sizes in ([5000], [1, 4999], [2000, 1000, 2000]):
        blocks = np.split(wave, np.cumsum(sizes)[:-1], axis=1)
        np.testing.assert_allclose(measure(blocks), [mono.mean(), mono.std(ddof=1)], rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"chunk_seconds": 0.05, "overlap": 0}, {"batch": 3}])
def test_chunks_are_told_the_statistics_of_the_track(options):
    wave = noise(3000) * np.linspace(0.1, 1, 3000, dtype=np.float32) + np.float32(0.5)
    mono = wave.mean(0)
    wanted = (wave - mono.mean()) / mono.std(ddof=1)
    separator = Separator(Normalized(), {"params": {"gain": np.float32(1)}}, **options)
    np.testing.assert_allclose(stack(separator(wave, RATE))[0], wanted, atol=1e-4)


def test_silence_before_a_shifted_track_does_not_count():
    wave = noise(3000) + np.float32(0.5)
    alone, shifted = (
        Separator(Normalized(), {"params": {"gain": np.float32(1)}}, shifts=shifts)
        for shifts in (0, 2)
    )
    assert shifted.shifts[0] > 100
    np.testing.assert_allclose(stack(shifted(wave, RATE)), stack(alone(wave, RATE)), atol=1e-5)


def test_what_is_heard_ahead_is_bounded(monkeypatch):
    monkeypatch.setattr(normalization, "AHEAD_SECONDS", 1000 / RATE)
    read = []

    def blocks():
        for _ in range(10):
            read.append(500)
            yield noise(500)

    buffer = StreamBuffer(blocks())
    MeanAndDeviation(Normalized()).measure(buffer, 0)
    assert sum(read) == 1000


class Bent(SCNet):
    """SCNet whose network squares."""

    def _wave(self, mix):
        return (mix**2)[:, None]


def test_the_level_of_all_samples_is_that_of_numpy():
    """As ZFTurbo's program has it; silence, where its own is not a number, stays silent."""
    mix = noise(3000) + np.float32(0.2)
    mean, spread = mix.mean(0).mean(), mix.mean(0).std()
    model = Bent(("a",), RATE, n_fft=128, hop=32, standardized_track=True)
    for options in ({"chunk_seconds": 0.1}, {"protocol": "original", "chunk_seconds": 0.1}):
        found = Separator(model, {}, **options)
        wanted = ((mix - mean) / spread) ** 2 * spread + mean
        np.testing.assert_allclose(found(mix, RATE)["a"], wanted, rtol=1e-3)
        np.testing.assert_array_equal(found(0 * mix, RATE)["a"], 0)
    assert model.clone(standardized_track=False).normalization is None


@pytest.mark.parametrize("gain", [0.5, 4])
def test_a_loud_track_is_as_loud_for_the_network_as_another(gain):
    """UVR's MDX-Net gets 0.9 at most, and bends what it gets."""
    model = Planes(("a",), RATE, n_fft=128, hop=32, bins=65, frames=32)
    mix = noise(6000)
    mix *= gain / np.abs(mix).max()
    scale = min(1, 0.9 / gain)
    options = {"protocol": "original"}
    quiet = Separator(model, {}, **options)(mix * scale, RATE)["a"]  # at most 0.9, so as it is
    wanted = quiet / scale
    found = Separator(model, {}, **options)
    np.testing.assert_allclose(found(mix, RATE)["a"], wanted, atol=1e-5 * gain)


@pytest.mark.parametrize("kind", [MeanAndDeviation, MeanAndPopulationDeviation, Peak])
def test_a_chunk_by_itself_has_the_level_of_a_track(kind):
    wave = noise(3000) + np.float32(0.5)
    found = kind(Normalized()).measure(StreamBuffer(iter(np.split(wave, 3, axis=1))), 0)
    np.testing.assert_allclose(kind.of_track(jnp.asarray(wave)), found, rtol=1e-5)
    turned = kind(Normalized()).measure(StreamBuffer(iter([-wave])), 0)
    np.testing.assert_allclose(kind.turned(found), turned, rtol=1e-5)
