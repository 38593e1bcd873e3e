"""Chunks of python-audio-separator beyond what was recorded: where it fails, and how many."""

from itertools import zip_longest

import numpy as np
import pytest
from closed_form import ClosedForm, Planes
from tiny_models import RATE, noise, samples_held, stack

from xumx_jax.errors import UserError
from xumx_jax.separation import normalization
from xumx_jax.separation.separator import Separator

pytestmark = pytest.mark.usefixtures("quick_compile")
PASSING = {"gain": 2.0, "fixed": False, "sample_rate": RATE, "usual": 300}
OWN = {"roformer": 0.0, "mdx23c": 7 / 8}


def separator(family, **options):
    return Separator(
        ClosedForm(("0",), **PASSING, audio_separator=family),
        {},
        protocol="audio-separator",
        **options,
    )


def mdxnet(**options):
    model = Planes(("0",), RATE, n_fft=128, hop=32, bins=65, frames=32, bent=False)
    return Separator(model, {}, protocol="audio-separator", **options)


def without_ramp(separator, mix):
    """The ramp of the closed form does not depend on what it hears."""
    return stack(separator(mix, RATE)) - stack(separator(0 * mix, RATE))


@pytest.mark.parametrize("family", OWN)
@pytest.mark.parametrize("overlap", [None, 0.0, 0.3, 0.6])
@pytest.mark.parametrize("length", [1, 299, 300, 301, 1000])
def test_what_is_passed_on_comes_back_at_any_length(family, overlap, length):
    """Shorter than a chunk, and chunks that are no multiple of their step, are not theirs."""
    mix = noise(length)
    found = without_ramp(separator(family, overlap=overlap), mix)
    np.testing.assert_allclose(found[0], mix, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"overlap": 0.6}, {"batch": 3}])
def test_mdxnet_has_silence_around_the_track(options):
    for length in (1, 2000):
        tone = np.sin(np.arange(length) * 0.9, dtype=np.float32)[None].repeat(2, axis=0)
        found = stack(mdxnet(**options)(tone, RATE))[0]
        assert found.shape == tone.shape and np.isfinite(found).all()
    inside = slice(200, -200)  # beyond, the three lowest bins of the silence's edge are missing
    np.testing.assert_allclose(found[:, inside], tone[:, inside], atol=0.01)


@pytest.mark.parametrize("protocol", ["audio-separator", "msst"])
def test_streams_side_by_side_are_those_alone(protocol):
    """As with `shifts`: how the end of one is weighted is nothing to another."""
    model = ClosedForm(("0",), **PASSING, audio_separator="roformer")
    one = Separator(model, {}, protocol=protocol, overlap=0.6)
    mixes = [noise(1000, seed=1), noise(1730, seed=2)]
    alone = [stack(one(mix, RATE)) for mix in mixes]
    running = [one.stream([mix], RATE) for mix in mixes]
    blocks = [[], []]
    for pair in zip_longest(*running):
        for block, found in zip(pair, blocks, strict=True):
            found += [] if block is None else [stack(block)]
    for found, wanted in zip(blocks, alone, strict=True):
        np.testing.assert_allclose(np.concatenate(found, axis=-1), wanted, atol=1e-6)


def test_how_far_chunks_are_apart_by_default():
    assert [separator(family).engine.plan.step for family in OWN] == [300, 37]
    assert mdxnet().engine.plan.step == int(0.75 * 31 * 32)


def test_windows_need_room_in_a_chunk():
    with pytest.raises(UserError, match="a chunk has 128 samples, and the transform's windows 128"):
        mdxnet(chunk_seconds=128 / RATE)


@pytest.mark.slow
@pytest.mark.parametrize("made", [*OWN, "mdxnet"])
def test_what_a_stream_holds_does_not_grow(made, monkeypatch):
    monkeypatch.setattr(normalization, "AHEAD_SECONDS", 0.2)  # for the peak of the track
    held = samples_held(mdxnet() if made == "mdxnet" else separator(made))
    assert max(held) < 6000 and max(held[len(held) // 2 :]) <= 1.1 * max(held[: len(held) // 2])
