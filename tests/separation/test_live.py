"""Live separation: the stems of the whole track, a constant latency later, however it is cut."""

import numpy as np
import pytest
from flax import linen as nn
from tiny_models import RATE, TINY, noise, stack, tiny

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.separation.separator import Separator
from xumx_jax.separation.umx.live import Live
from xumx_jax.separation.umx.live_steps import Steps, step

pytestmark = pytest.mark.usefixtures("quick_compile")
MODEL = tiny(unidirectional=True)
LATENCY = 128  # n_fft


def cut(mix, size):
    """Cut [channel, time] into blocks of `size` samples; "random": of 0 to 299."""
    draw, at = np.random.default_rng(0), 0
    while at < mix.shape[1]:
        count = draw.integers(300) if size == "random" else size
        yield mix[:, at : at + count]
        at += count


def play(live, mix, size=100):
    """Push all of it, block by block; every push gives as much as it takes."""
    parts = []
    for block in cut(mix, size):
        parts.append(stack(live.push(block)))
        assert parts[-1].shape[-1] == block.shape[1]
    parts.append(stack(live.finish()))
    assert parts[-1].shape[-1] == live.latency
    return np.concatenate(parts, axis=-1)


def check(live, model, mix, size=100, **options):
    """The stems are silence for `live.latency` samples, then those of a Separator."""
    stems = play(live, mix, size)
    separator = Separator(*model, niter=0, **options)
    assert live.sources == separator.sources and stems.dtype == np.float32
    assert not stems[..., : live.latency].any()
    wanted = stack(separator(mix, live.rate))
    assert stems[..., live.latency :].shape == wanted.shape
    np.testing.assert_allclose(stems[..., live.latency :], wanted, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, 32, 5000, "random"])
def test_any_blocks_give_the_stems_of_the_whole_track(size):
    live = Live(*MODEL, RATE)
    assert live.latency == LATENCY and live.latency_seconds == LATENCY / RATE
    check(live, MODEL, noise(1500), size)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("umx", {}),
        ("umx", {"activation": "softmax", "power": 2, "max_bin": 33, "sources": ("a", "b")}),
        ("xumx", {"hop": 64}),
        ("xumx", {"n_fft": 100, "hop": 33}),
    ],
)
def test_any_model_that_looks_back_only(name, arguments):
    model = tiny(name, unidirectional=True, **arguments)
    live = Live(*model, RATE)
    assert live.latency == model[0].n_fft
    for time in (1000, 40):
        check(live, model, noise(time), "random")


@pytest.mark.parametrize("time", [1, 2, 63, 64, 65, 96, 127, 128, 129, 160, 161, 192, 400])
def test_the_edges_are_reflected_as_in_the_whole_track(time):
    check(Live(*MODEL, RATE), MODEL, noise(time), 50)
    check(Live(*MODEL, RATE, hops=3), MODEL, noise(time), 50)


def test_no_samples_give_silence():
    stems = Live(*MODEL, RATE).finish()
    assert stack(stems).shape == (4, 2, LATENCY) and not stack(stems).any()


@pytest.mark.parametrize("hops", [1, 3])
@pytest.mark.parametrize("background", [False, True])
def test_more_frames_a_step_and_steps_in_the_background_add_latency(hops, background):
    live = Live(*MODEL, RATE, hops=hops, background=background)
    assert live.latency == LATENCY + (hops - 1) * 32 + background * hops * 32
    for size in (1, 500):
        check(live, MODEL, noise(1000), size)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_other_rates_add_latency_that_no_block_size_changes(rate):
    model = tiny(unidirectional=True, sample_rate=44100, bandwidth_hz=16000.0)
    live = Live(*model, rate)
    assert (live.latency == LATENCY) == (rate == 44100)
    assert live.latency_seconds < 0.1
    for size in (1, 7, 5000, "random"):
        check(live, model, noise(4001), size)
    check(live, model, noise(1))


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2])
def test_mono_models_take_mono_and_stereo(channels):
    model = tiny(unidirectional=True, channels=1)
    check(Live(*model, RATE), model, noise(500, channels))


def test_mono_gives_mono_stems():
    check(Live(*MODEL, RATE), MODEL, noise(500, channels=1))


def test_of_six_channels_the_front_pair_is_separated():
    live, mix = Live(*MODEL, RATE), noise(500, channels=6)
    with pytest.warns(UserWarning, match="6 channels: the front pair"):
        stems = play(live, mix)
    np.testing.assert_array_equal(stems, play(live, mix[:2]))


def test_what_is_not_finite_is_replaced_and_counted():
    live, mix = Live(*MODEL, RATE), noise(500)
    clean = mix.copy()
    mix[0, 5:8] = np.nan
    clean[0, 5:8] = 0
    with pytest.warns(UserWarning, match="3 samples are NaN, infinite or beyond 1e12"):
        stems = play(live, mix)
    np.testing.assert_array_equal(stems, play(live, clean))


def test_what_is_given_belongs_to_the_caller():
    live, mix = Live(*MODEL, RATE), noise(600)
    wanted = play(live, mix)
    parts = []
    for block in cut(mix.copy(), 50):
        stems = live.push(block)
        block[:] = 9
        parts.append(stack(stems).copy())
        for stem in stems.values():
            stem[:] = 9
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), wanted[..., :600])


def test_all_blocks_and_signals_run_the_same_compiled_code():
    model = tiny(unidirectional=True, hidden_size=6)
    live = Live(*model, RATE)
    compiled = step._cache_size()
    for size in (3, 500):
        play(live, noise(700), size)
    play(Live(*model, 2 * RATE), noise(700, channels=1))
    assert step._cache_size() == compiled


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ({}, {}, "the model is bidirectional.* use one trained with unidirectional=True"),
        (
            {"unidirectional": True, "bands": (0, 8, 65)},
            {},
            "compares the level of bands.* use one without",
        ),
        (None, {}, "the model is a Dense; live separation needs an X-UMX or Open-Unmix"),
        ({"unidirectional": True}, {"niter": 1}, "niter is 1.* use niter 0"),
        ({"unidirectional": True}, {"residual": True}, "use filter openunmix, or no residual"),
        ({"unidirectional": True}, {"hops": 0}, "hops is 0; wanted a positive whole number"),
        ({"unidirectional": True}, {"rate": 0}, "the sample rate is 0; wanted a whole number"),
        ({"unidirectional": True}, {"rate": 0.5}, "the sample rate is 0.5; wanted a whole number"),
    ],
)
def test_what_cannot_be_done_live(arguments, options, message):
    module = nn.Dense(1) if arguments is None else build("xumx", **TINY, **arguments)
    with pytest.raises(UserError, match=message):
        Live(module, {}, **{"rate": RATE} | options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("xumx", {}),
        ("xumx", {"softmask": True, "alpha": 2.0, "logit": 0.3}),
        ("umx", {"residual": True}),
    ],
)
def test_a_separator_goes_live_with_its_options(name, options):
    model = tiny(name, unidirectional=True)
    live = Separator(*model, niter=0, **options).live(RATE, hops=2, background=True)
    assert live.latency == LATENCY + 32 + 64
    check(live, model, noise(500), **options)


def test_the_residual_has_its_usual_name(monkeypatch):
    monkeypatch.setattr(Steps, "compile", lambda self: None)
    model = tiny("umx", unidirectional=True, sources=("vocals",))
    for residual, name in ((True, "instrumental"), ("band", "band")):
        live = Separator(*model, niter=0, residual=residual).live(RATE)
        assert live.sources == ("vocals", name)


def test_a_separator_that_cannot_go_live():
    with pytest.raises(UserError, match="niter is 1"):
        Separator(*MODEL).live(RATE)
    butted = {"chunk_seconds": 1.0, "overlap": 0}
    for options in ({"shifts": 2}, {"chunk_seconds": 1.0}, butted, {"batch": 1}):
        with pytest.raises(UserError, match="leave out shifts, chunk_seconds"):
            Separator(*MODEL, niter=0, **options).live(RATE)


def test_blocks_of_other_shapes():
    live = Live(*MODEL, RATE)
    with pytest.raises(UserError, match=r"the block has shape \(100,\); wanted \[channel, time\]"):
        live.push(np.zeros(100))
    live.push(noise(100))
    with pytest.raises(UserError, match="the block has 1 channels; wanted 2, as the first"):
        live.push(noise(100, channels=1))
    live.finish()
    live.push(noise(100, channels=1))  # another signal
