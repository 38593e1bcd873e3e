"""Streams: as the whole, in bounded memory, whatever the blocks; what happens when memory ends."""

import warnings

import jax
import numpy as np
import pytest
from jax.errors import JaxRuntimeError
from tiny_models import MODEL, RATE, cut, noise, stack, tiny

from xumx_jax.errors import UserError
from xumx_jax.separation import out_of_memory
from xumx_jax.separation.separator import Separator
from xumx_jax.separation.umx import offline

STAGED = {"niter": 0}
CHUNKED = {"niter": 0, "chunk_seconds": 0.1, "batch": 3}
BUTTED = {**CHUNKED, "overlap": 0}


def joined(stream):
    blocks = [stack(block) for block in stream]
    assert all(block.shape[-1] for block in blocks)
    return np.concatenate(blocks, axis=-1)


def short(separator, seconds, context):
    """Let the engine take segments and context of about these lengths."""
    engine = separator.engine
    engine.segment = engine._whole_blocks(seconds)
    engine.context = round(context * RATE / 32)
    return separator


@pytest.mark.parametrize("options", [STAGED, CHUNKED, BUTTED])
@pytest.mark.parametrize(("channels", "rate"), [(2, RATE), (1, 11025)])
def test_a_stream_equals_the_whole(options, channels, rate):
    separator = Separator(*MODEL, **options)
    for time in (1, 799, 800, 801, 5000):
        mix = noise(time, channels)
        whole = stack(separator(mix, rate))
        for sizes in ((1, 700), (64,), (5000, 0, 3)):
            streamed = joined(separator.stream(cut(mix, sizes), rate))
            assert streamed.shape == whole.shape
            np.testing.assert_allclose(streamed, whole, atol=2e-6)


def test_chunks_that_overlap_know_what_is_behind_their_borders():
    mix = noise(60000)
    whole = stack(Separator(*MODEL)(mix, RATE))
    separator = Separator(*MODEL, chunk_seconds=2, overlap=0.5)
    assert separator.engine.segment == 240 and separator.engine.context == 125
    assert np.abs(stack(separator(mix, RATE)) - whole).max() < 1e-6 * np.abs(whole).max()
    whole = stack(Separator(*MODEL, niter=0)(mix, RATE))
    blended = stack(Separator(*MODEL, niter=0, chunk_seconds=2, overlap=0.5, batch=4)(mix, RATE))
    assert 10 * np.log10(np.square(whole).sum() / np.square(blended - whole).sum()) > 30


def test_a_stream_of_nothing_gives_nothing():
    for options in (STAGED, CHUNKED):
        with pytest.warns(UserWarning, match="no samples"):
            assert list(Separator(*MODEL, **options).stream([], RATE)) == []


def test_rates_are_whole_numbers_of_any_type():
    mix, separator = noise(3000), Separator(*MODEL, **STAGED)
    whole = joined(separator.stream([mix], 48000))
    np.testing.assert_array_equal(joined(separator.stream([mix], 48000.0)), whole)
    for rate in (0, 44100.5):
        with pytest.raises(UserError, match=f"the sample rate is {rate}; wanted a whole number"):
            list(separator.stream([mix], rate))


def test_blocks_of_one_stream_have_the_same_channels():
    blocks = [noise(300), noise(300)[:1]]
    with pytest.raises(UserError, match="a block has 1 channels; wanted 2, as the first"):
        list(Separator(*MODEL, **STAGED).stream(blocks, RATE))


@pytest.mark.parametrize(
    "options",
    [
        STAGED,
        {"residual": True, "wiener_frames": 60},
        {"post_filter": "openunmix", "wiener_frames": 9},
    ],
)
def test_segments_equal_the_whole_track(options):
    mix = noise(60000)
    whole = joined(Separator(*MODEL, **options).stream([mix], RATE))
    separator = short(Separator(*MODEL, **options), 1.5, 0.5)
    segments = joined(separator.stream(cut(mix, (5000,)), RATE))
    # the tiny model's LSTMs forget within half a second, but not at once
    assert np.abs(segments - whole).max() < 1e-6 * np.abs(whole).max()
    separator.engine.context = 0
    blind = joined(separator.stream([mix], RATE))
    assert np.abs(blind - whole).max() > 1e-4 * np.abs(whole).max()


@pytest.mark.parametrize("options", [STAGED, CHUNKED, BUTTED, {"shifts": 2, "niter": 0}])
def test_what_a_stream_holds_does_not_grow(options):
    separator, read = Separator(*MODEL, **options), [0]

    def endless():
        for _ in range(40):
            read[0] += 4000
            yield noise(4000)

    if "chunk_seconds" not in options:
        short(separator, 1.0, 0.5)
    given, held = 0, []
    for block in separator.stream(endless(), RATE):
        given += stack(block).shape[-1]
        held.append(read[0] - given)
    assert given == read[0] == 160000 and max(held) < 40000
    half = len(held) // 2
    assert max(held[half:]) <= 1.1 * max(held[:half])


class Shortage:
    """A function that has too little memory for more than so much."""

    def __init__(self, function, size, most):
        self.function, self.size, self.most, self.refused = function, size, most, 0

    def __call__(self, *arguments, **named):
        if self.size(*arguments, **named) > self.most:
            self.refused += 1
            raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")
        return self.function(*arguments, **named)


def test_where_memory_is_short_batches_are_halved_then_chunks():
    model = tiny(n_fft=32, hop=8)
    mix = noise(90000)
    separator = Separator(*model, niter=0, chunk_seconds=2.5, batch=32)
    runner = separator.engine.runner
    usual = runner.run

    def size(chunks, length, rows, *_):
        return (rows or len(chunks)) * length

    runner.run = Shortage(usual, size, 90000)
    with pytest.warns(UserWarning, match="little memory: continuing with") as told:
        stems = joined(separator.stream(cut(mix, (8000,)), RATE))
    said = [str(warning.message).rpartition("with ")[2] for warning in told]
    devices = len(runner.devices)  # 4, see conftest.py
    assert said == ["batches of 16 chunks", "batches of 8 chunks", "batches of 4 chunks"]
    assert runner.run.refused == len(said)
    wanted = stack(Separator(*model, niter=0, chunk_seconds=2.5, batch=devices)(mix, RATE))
    np.testing.assert_allclose(stems, wanted, atol=1e-6)
    runner.run.most = 60000
    with pytest.warns(UserWarning, match=r"chunks of 1.25 s"):
        smaller = joined(separator.stream(cut(mix, (8000,)), RATE))
    wanted = stack(Separator(*model, niter=0, chunk_seconds=1.25, batch=devices)(mix, RATE))
    np.testing.assert_allclose(smaller, wanted, atol=1e-6)
    runner.run = Shortage(usual, lambda *_: 1, 0)
    with pytest.raises(UserError, match=r"too little memory even for chunks of 1.25 s; use"):
        separator(mix, RATE)


def test_where_memory_is_short_segments_are_halved(monkeypatch):
    separator = Separator(*MODEL, niter=0)
    mix = noise(10 * RATE)
    wanted = joined(separator.stream([mix], RATE))
    engine = short(separator, 70, 0.5).engine
    engine.threads, left = 1, [5]
    usual = engine._render

    def render(*arguments):  # in the third stage, when some blocks are already given
        left[0] -= 1
        if left[0] == 0:
            raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")
        return usual(*arguments)

    engine._render = render
    with pytest.warns(UserWarning, match="little memory: continuing with") as told:
        stems = joined(separator.stream(cut(mix, (8000,)), RATE))
    said = [str(warning.message).rpartition("with ")[2] for warning in told]
    assert said == ["segments of 35 s"]
    assert np.abs(stems - wanted).max() < 2e-5 * np.abs(wanted).max()

    def never(*arguments):
        raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    monkeypatch.setattr(offline, "_encode", never)
    engine.threads = 2
    with pytest.warns(UserWarning, match="with at most 1 block at once"), pytest.raises(UserError):
        separator(mix, RATE)
    with pytest.raises(UserError, match="even for segments of"):
        separator(mix, RATE)


@pytest.mark.parametrize("options", [STAGED, CHUNKED])
def test_in_the_end_the_cpu_goes_on(monkeypatch, options):
    wanted = stack(Separator(*MODEL, **options)(noise(5000), RATE))
    separator = Separator(*MODEL, **options)
    engine, cpu = separator.engine, jax.local_devices()[3]
    asked = []

    def instead(devices, allowed, least):  # all devices of the tests are CPUs
        asked.append((allowed, least))
        return cpu

    monkeypatch.setattr(out_of_memory, "fall_back_to_cpu", instead)
    owner, name = (engine, "_render") if options is STAGED else (engine.runner, "run")
    usual = getattr(owner, name)

    def short_elsewhere(*arguments):
        if cpu != (engine.runner.devices[0] if options is CHUNKED else engine.device):
            raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")
        return usual(*arguments)

    setattr(owner, name, short_elsewhere)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stems = stack(separator(noise(5000), RATE))
    assert len(asked) == 1 and asked[0][0] is True
    np.testing.assert_allclose(stems, wanted, atol=1e-6)


def test_the_cpu_is_taken_where_it_is_allowed_and_another():
    class Gpu:
        platform = "gpu"

    with pytest.warns(UserWarning, match="continuing with chunks of 1 s on the CPU"):
        assert out_of_memory.fall_back_to_cpu([Gpu()], True, "chunks of 1 s").platform == "cpu"
    for devices, allowed in (([Gpu()], False), (jax.local_devices(), True)):
        with pytest.raises(UserError, match="too little memory even for chunks of 1 s; use"):
            out_of_memory.fall_back_to_cpu(devices, allowed, "chunks of 1 s")


def test_other_errors_of_the_device_are_passed_on():
    for options in (STAGED, CHUNKED):
        separator = Separator(*MODEL, **options)

        def fail(*arguments):
            raise JaxRuntimeError("INTERNAL: something else")

        if options is CHUNKED:
            separator.engine.runner.run = fail
        else:
            separator.engine._render = fail
        with pytest.raises(JaxRuntimeError, match="something else"):
            separator(noise(3000), RATE)


def test_shifts_are_averaged_and_drawn_from_the_seed():
    mix = noise(6000)
    one = stack(Separator(*MODEL, shifts=2, seed=5)(mix, RATE))
    again = stack(Separator(*MODEL, shifts=2, seed=5)(mix, RATE))
    other = stack(Separator(*MODEL, shifts=2, seed=6)(mix, RATE))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3
    separator = Separator(*MODEL, shifts=3, niter=0)
    assert len(set(separator.shifts)) == 3 and max(separator.shifts) < RATE / 2
    plain = Separator(*MODEL, niter=0)
    wanted = np.mean(
        [
            stack(plain(np.pad(mix, ((0, 0), (shift, 0))), RATE))[..., shift:]
            for shift in separator.shifts
        ],
        axis=0,
    )
    np.testing.assert_allclose(stack(separator(mix, RATE)), wanted, atol=1e-6)
