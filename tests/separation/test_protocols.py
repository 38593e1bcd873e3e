"""Chunks as other programs cut them, with answers known by hand; Demucs' stems are golden."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from tiny_models import MODEL, RATE, noise, samples_held, stack
from toy_models import drawn

from xumx_jax.errors import UserError
from xumx_jax.models.interface import Segment
from xumx_jax.separation.chunk_plan import Batch, Chunk
from xumx_jax.separation.chunked import Chunked
from xumx_jax.separation.protocols import Demucs
from xumx_jax.separation.separator import Separator
from xumx_jax.stems import Stems

pytestmark = pytest.mark.usefixtures("quick_compile")
ANY = SimpleNamespace(segment=Segment(usual=10))
FIXED = SimpleNamespace(segment=Segment(usual=10, least=10, largest=10))
EVEN = SimpleNamespace(segment=ANY.segment, valid_length=lambda samples: -(-samples // 4) * 4)


def test_short_chunks_lie_in_the_middle_of_what_the_model_takes():
    plan = Demucs(FIXED, 8, 0.25, 1.0)
    assert (plan.length, plan.step) == (10, 6)
    # 20 samples: chunks of 8, 8 and 8, 2; each with what is around it
    assert plan.next(0, 4, 20, True) == Batch(
        10, [Chunk(-1, 0, 8), Chunk(5, 6, 14), Chunk(11, 12, 20), Chunk(14, 18, 20)], True
    )
    assert plan.next(18, 4, 20, True) == Batch(10, [Chunk(14, 18, 20)], True)
    assert plan.keep(18) <= 14


def test_short_chunks_of_other_lengths_run_apart():
    plan = Demucs(EVEN, 10, 0.5, 1.0)
    assert (plan.length, plan.step) == (12, 5)
    assert plan.next(0, 9, 16, True) == Batch(12, [Chunk(-1, 0, 10), Chunk(4, 5, 15)], False)
    assert plan.next(10, 9, 16, True) == Batch(8, [Chunk(9, 10, 16)], False)
    assert plan.next(15, 9, 16, True) == Batch(4, [Chunk(14, 15, 16)], True)
    assert plan.next(0, 9, 0, True).chunks == []


@pytest.mark.parametrize("model", [ANY, FIXED, EVEN])
@pytest.mark.parametrize("overlap", [0, 0.3, 0.9])
def test_more_is_not_planned_than_is_known(model, overlap):
    plan = Demucs(model, 9, overlap, 1.0)
    wanted = plan.next(0, 3, 1000, True).chunks
    assert plan.next(0, 3, plan.reach(0, 3), False) == Batch(plan.length, wanted, False)
    assert plan.next(0, 3, plan.reach(0, 3) - 1, False).chunks == wanted[:2]


def test_weights_are_a_triangle_to_a_power():
    chunk = Chunk(-1, 0, 5)
    batch = Batch(8, [chunk], False)
    found = Demucs(ANY, 5, 0, 1.0).weights(batch, chunk)
    np.testing.assert_allclose(found, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    found = Demucs(ANY, 4, 0, 2.0).weights(batch, Chunk(-1, 0, 4))
    np.testing.assert_allclose(found, [0.25, 1, 1, 0.25])


class Ramp(nn.Module):
    """One stem: where a sample is in the call, from 0 to 1."""

    sources: tuple[str, ...] = ("a",)
    sample_rate: int = 100
    channels: int = 2
    transform = None
    segment = Segment(usual=1000)

    def __call__(self, mix, train=False):
        ramp = jnp.arange(mix.shape[-1]) / mix.shape[-1]
        return Stems(jnp.broadcast_to(ramp, mix.shape)[:, None])


def test_chunks_of_10_s_that_share_a_tenth_cross_fade_linearly():
    """The cross-fade of AIMLESS's browser application; Demucs adds one more chunk at the end."""
    mix, ramp = noise(2800), np.arange(1000) / 1000
    rising = np.arange(1, 101) / 101
    wanted = np.concatenate([ramp, ramp[100:], ramp[100:]])
    for begin in (900, 1800):
        wanted[begin : begin + 100] = ramp[900:] * (1 - rising) + ramp[:100] * rising
    for protocol, end in ((None, 2800), ("demucs", 2700)):
        separator = Separator(Ramp(), {}, chunk_seconds=10, overlap=0.1, protocol=protocol)
        for channel in separator(mix, 100)["a"]:
            np.testing.assert_allclose(channel[:end], wanted[:end], atol=1e-6)


class Smooth(Ramp):
    """One stem: the mean of five neighbours, of what is left without the track's mean."""

    normalization = "mean and deviation"

    def __call__(self, mix, train=False, statistics=None):
        x = jnp.pad(mix - statistics[0], ((0, 0), (0, 0), (2, 2)))
        smooth = sum(x[..., at : at + mix.shape[-1]] for at in range(5)) / 5
        return Stems((smooth + statistics[0])[:, None])


@pytest.mark.parametrize("options", [{}, {"shifts": 2}])
def test_silence_around_a_track_is_what_the_network_gets_as_0(options):
    """Demucs takes the mean away before it surrounds a track with zeros."""
    separator = Separator(Smooth(), {}, protocol="demucs", **options)
    mix = np.full((2, 2500), 0.3, np.float32)
    np.testing.assert_allclose(separator(mix, 100)["a"], mix, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"overlap": 0.9}, {"overlap": 0}, {"shifts": 2}])
def test_what_a_stream_holds_does_not_grow(options):
    held = samples_held(Separator(*drawn("toy_wave"), protocol="demucs", **options))
    assert max(held) < 16000 and max(held[len(held) // 2 :]) <= 1.1 * max(held[: len(held) // 2])


@pytest.mark.parametrize("protocol", ["demucs", "msst"])
def test_a_shortage_of_memory_leaves_chunks_as_they_are(monkeypatch, protocol):
    from jax.errors import JaxRuntimeError

    separator = Separator(*drawn("toy_wave"), protocol=protocol, batch=8)
    mix, run, refused = noise(9000), separator.engine.runner.run, []
    wanted = stack(separator(mix, RATE))

    def short(cuts, length, rows, *more):
        if (rows or 0) > 4:
            refused.append(rows)
            raise JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return run(cuts, length, rows, *more)

    monkeypatch.setattr(separator.engine.runner, "run", short)
    with pytest.warns(UserWarning, match="batches of 4 chunks"):
        found = stack(separator(mix, RATE))
    assert refused == [8]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_every_model_runs_in_chunks_for_it_and_none_live():
    separator = Separator(*MODEL, niter=0, protocol="demucs", chunk_seconds=0.2, overlap=0.5)
    assert isinstance(separator.engine, Chunked) and isinstance(separator.engine.plan, Demucs)
    assert separator.engine.plan.length == 1600
    with pytest.raises(UserError, match="which live separation cannot do; leave out .*protocol"):
        separator.live(RATE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "own"}, "unknown protocol 'own'; known: original, demucs"),
        ({"protocol": "original"}, "the model's program has no chunks of its own"),
        ({"protocol": "audio-separator"}, "is for RoFormers, MDX23C and MDX-Net; use another"),
        ({"protocol": "msst", "transition_power": 2}, "is 2; wanted 1 with protocol msst"),
        ({"transition_power": 2}, "transition-power is 2 without protocol"),
        ({"protocol": "demucs", "transition_power": 0.5}, "transition-power is 0.5; wanted 1 or"),
        ({"protocol": "demucs", "transition_power": 99}, "99, and the weights vanish"),
        ({"protocol": "demucs", "chunk_seconds": 1e-5}, "a chunk has not one sample"),
        ({"protocol": "demucs", "chunk_seconds": 1}, "8000 samples, and the model takes 4096"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(UserError, match=message):
        Separator(*drawn("toy_wave"), **options)
