"""BSSEval v4 against museval, the live oracle: generated waves, and the real clip where it is."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import jax
import museval_oracle
import numpy as np
import pytest
from shared_files import needs, shared

from xumx_jax.metrics import bss_eval, sdr_frames
from xumx_jax.metrics.bsseval import fft_size

RATE = 1000
TAPS = 24  # in most tests: museval's dense matrices grow with its square
NAMES = ("sdr", "isr", "sir", "sar")
CLIP = "musdb18-7-sample/train"


def waves(sources=2, channels=2, length=3500, seed=0):
    """Coloured references in 16 bits, and estimates that have every kind of fault."""
    rng = np.random.default_rng(seed)
    reference = rng.standard_normal((sources, channels, length))
    reference = np.cumsum(reference - 0.3 * reference[:, ::-1], axis=2)
    reference -= reference.mean(2, keepdims=True)
    reference = dithered(0.3 * reference / np.abs(reference).max((1, 2), keepdims=True), rng)
    estimate = 0.7 * reference + 0.2 * np.roll(reference, 3, axis=2)
    estimate += 0.1 * np.roll(reference, 1, axis=0) + 0.02 * rng.standard_normal(reference.shape)
    return reference, estimate


def dithered(wave, rng):
    noise = rng.random(wave.shape) - rng.random(wave.shape)
    return np.round(wave * 2**15 + noise) / 2**15


def museval(reference, estimate, window=RATE, hop=RATE, taps=TAPS):
    swapped = (np.asarray(w, float).transpose(0, 2, 1) for w in (reference, estimate))
    found = museval_oracle.load().metrics.bss_eval(
        *swapped, window=window, hop=hop, filters_len=taps
    )
    return np.stack(found[:4])


def ours(reference, estimate, taps=TAPS, **options):
    found = bss_eval(reference, estimate, RATE, filter_length=taps, **options)
    return np.stack([getattr(found, name) for name in NAMES]), found


def agree(found, wanted, tolerance=1e-3):
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found[0], wanted[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1:], wanted[1:], rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sources, channels, length, window_seconds, hop_seconds",
    [
        (2, 2, 3500, 1, 1),
        (4, 2, 6000, 1, 1),
        (1, 2, 2000, 1, 1),
        (2, 1, 2500, 1, 1),
        (3, 3, 2000, 1, 1),
        (2, 2, 400, 1, 1),  # shorter than a window: one frame
        (2, 2, 1000, 1, 1),
        (2, 2, 1001, 1, 1),
        (2, 2, 10, 1, 1),  # shorter than the filters
        (2, 2, 3500, 1, 0.5),
        (2, 2, 3500, 0.4, 1),
        (2, 2, 7250, 2, 1.5),
        (2, 2, 1500, 0.03, 0.03),  # more frames than are compiled together
    ],
)
def test_as_museval(sources, channels, length, window_seconds, hop_seconds):
    reference, estimate = waves(sources, channels, length)
    found, result = ours(
        reference, estimate, window_seconds=window_seconds, hop_seconds=hop_seconds
    )
    window, hop = int(window_seconds * RATE), int(hop_seconds * RATE)
    if length > TAPS:
        agree(found, museval(reference, estimate, window, hop))
        assert not result.singular and result.regularised is None
    else:
        agree(found[:1], museval(reference, estimate, window, hop)[:1])
        assert result.singular


@pytest.mark.slow
def test_as_museval_with_all_its_taps():
    reference, estimate = waves(2, 2, 9000, seed=1)
    agree(ours(reference, estimate, 512)[0], museval(reference, estimate, taps=512))


@pytest.mark.slow
def test_alike_for_float32_integers_and_memory_maps(tmp_path):
    reference, estimate = waves()
    wanted, _ = ours(reference.astype(np.float32), estimate.astype(np.float32))
    agree(wanted, museval(reference, estimate.astype(np.float32)))
    np.save(tmp_path / "waves.npy", reference.astype(np.float32))
    mapped = np.load(tmp_path / "waves.npy", mmap_mode="r")
    np.testing.assert_allclose(ours(mapped, estimate.astype(np.float32))[0], wanted, atol=1e-9)
    integers = np.round(reference * 2**15).astype(np.int16)
    np.testing.assert_allclose(
        ours(integers, estimate.astype(np.float32) * 2**15)[0], wanted, atol=1e-6
    )


def test_long_waves_are_the_sum_of_their_parts():
    """More than are correlated, or framed, at a time."""
    reference, estimate = waves(2, 1, 200_000)
    agree(ours(reference, estimate)[0][:, :, :5], museval(reference, estimate)[:, :, :5])


@pytest.mark.parametrize("which", ["reference", "estimate"])
@pytest.mark.parametrize("opposite", [False, True])
def test_silence_in_a_frame_is_nan_for_all_sources(which, opposite):
    reference, estimate = waves()
    silent = reference if which == "reference" else estimate
    silent[1, :, 1000:2000] = 0
    if opposite:  # for museval this is silent too
        silent[1, 0, 1000:2000] = 0.1
        silent[1, 1, 1000:2000] = -0.1
    found, _ = ours(reference, estimate)
    assert np.isnan(found[:, :, 1]).all() and np.isfinite(found[:, :, [0, 2]]).all()
    agree(found, museval(reference, estimate))
    np.testing.assert_allclose(sdr_frames(reference, estimate, RATE), found[0], atol=1e-9)


@pytest.mark.parametrize("gain", [1, 0.25, 0])
def test_channels_that_are_one_at_some_gain(gain):
    """Mono in stereo has no single best filter, but one projection: no instability."""
    reference, estimate = waves()
    reference[0, 1] = gain * reference[0, 0]
    found, result = ours(reference, estimate)
    agree(found, museval(reference, estimate))
    assert not result.singular


def test_a_channel_that_differs_by_rounding_alone_is_told():
    """museval fits filters of enormous gain to the rounding, and its numbers hang on it."""
    reference, estimate = waves(length=20_000)
    reference = reference.astype(np.float32)
    reference[0, 1] = np.float32(0.37) * reference[0, 0]
    result = ours(reference, estimate)[1]
    assert result.singular
    np.testing.assert_allclose(result.sdr, museval(reference, estimate)[0], atol=1e-6)
    exact = np.concatenate([reference[:, :1], 0.37 * reference[:, :1].astype(float)], axis=1)
    assert not ours(exact, estimate)[1].singular


def band_limited(length=20_000, rng=None):
    """Waves with nothing in the upper half of the spectrum, like AAC above 16 kHz."""
    rng = rng or np.random.default_rng(5)
    spectrum = np.fft.rfft(rng.standard_normal((2, 2, length)))
    spectrum[..., length // 4 :] = 0
    return 0.05 * np.fft.irfft(spectrum, length)


def test_singular_references_are_told_and_have_stable_ratios_beside():
    reference = band_limited()
    estimate = 0.8 * reference + 0.1 * reference[::-1] + 0.02 * np.roll(reference, 60, axis=2)
    estimate += 1e-5 * np.random.default_rng(6).standard_normal(reference.shape)
    found, result = ours(reference, estimate)
    assert result.singular
    rounded = reference.astype(np.float32).astype(float)
    again = ours(rounded, estimate)[1]
    assert again.singular
    dither = museval(dithered(reference, np.random.default_rng(7)), estimate)
    for name, wanted in zip(("ISR", "SIR", "SAR"), dither[1:], strict=True):
        np.testing.assert_allclose(result.regularised[name], again.regularised[name], atol=1e-4)
        np.testing.assert_allclose(result.regularised[name], wanted, atol=0.3)
    np.testing.assert_allclose(found[0], sdr_frames(reference, estimate, RATE), atol=1e-9)


@pytest.mark.slow
def test_single_precision_is_as_near_as_it_says():
    reference, estimate = waves(4, 2, 6000)
    single, _ = ours(reference, estimate, precision="float32")
    double, _ = ours(reference, estimate, precision="float64")
    np.testing.assert_allclose(single[0], double[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-3)


def test_an_infinite_window_is_the_whole_track():
    reference, estimate = waves()
    found, _ = ours(reference, estimate, window_seconds=np.inf, hop_seconds=np.inf)
    agree(found, museval(reference, estimate, window=3500, hop=3500))


def test_the_device_that_was_chosen_computes(monkeypatch):
    from xumx_jax.metrics import ratios

    reference, estimate = (w.astype(np.float32) for w in waves())
    chosen, used, compiled = jax.devices()[-1], [], ratios._frame_sdr

    def watched(*args, **options):
        found = compiled(*args, **options)
        used.append(found.devices())
        return found

    monkeypatch.setattr(ratios, "_frame_sdr", watched)
    with jax.default_device(chosen):
        sdr_frames(reference, estimate, RATE)
    assert used and all(devices == {chosen} for devices in used)


def test_perfect_estimates_have_no_error():
    reference, _ = waves()
    found, _ = ours(reference, reference)
    assert (found[0] == np.inf).all() and (found[1:] > 100).all()


def test_from_several_threads_whatever_they_are_set_to():
    reference, estimate = waves()
    wanted, _ = ours(reference, estimate)

    def other(double):
        with jax.enable_x64(double):
            return ours(reference, estimate)[0]

    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(other, [True, False, True]):
            np.testing.assert_array_equal(found, wanted)


def silent(which):
    pair = list(waves())
    pair[which][1] = 0
    return pair


def broken(which):
    pair = list(waves())
    pair[which][0, 0, 17] = np.nan
    return pair


class Short:
    """A reader that gives less than it was asked for."""

    def __init__(self, wave):
        self.wave, self.shape = wave, wave.shape

    def __getitem__(self, key):
        return self.wave[key][..., :-10]


@pytest.mark.parametrize(
    "pair, options, message",
    [
        (silent(0), {}, "reference 1 is silent throughout"),
        (silent(1), {}, "estimate 1 is silent throughout"),
        (broken(0), {}, "not all samples are finite"),
        (broken(1), {}, "not all samples are finite"),
        ((waves()[0], waves(3)[1]), {}, r"\(2, 2, 3500\) and estimates \(3, 2, 3500\) differ"),
        (waves(), {"precision": "half"}, "precision is 'half'; wanted float64 or float32"),
        (waves(), {"filter_length": 0}, "0 taps; wanted at least 1"),
        (waves(), {"hop_seconds": np.nan}, "hop nan s: wanted more than 0"),
        (waves(), {"hop_seconds": 1e-4}, "hop 0.0001 s: shorter than one sample"),
        (waves(), {"window_seconds": 0}, "window 0 s, hop 1.0 s: wanted more than 0"),
        ((Short(waves()[0]), waves()[1]), {}, "samples 0 to 3500 are 3490, wanted 3500"),
    ],
)
def test_what_cannot_be_scored(pair, options, message):
    with pytest.raises(ValueError, match=message):
        bss_eval(*pair, RATE, **options)


@pytest.mark.slow
@pytest.mark.parametrize("channels, taps", [(2, 512), (1, 64)])
def test_generated_song(channels, taps):
    """16 bits, a bass that is exactly mono, four sources that play the same song."""
    from pipelines.songs.mixing import render

    rate = 8000
    stems = render(220_000, rate, 5.5, "plain", full=True).stems[:, :channels]
    reference = dithered(stems.astype(float), np.random.default_rng(0))
    reference[2] = reference[2, :1]
    mixture = reference.sum(0)
    estimate = 0.8 * reference + 0.05 * np.roll(mixture, 7, axis=1)
    found = bss_eval(reference, estimate, rate, filter_length=taps)
    assert not found.singular
    agree(
        np.stack([getattr(found, name) for name in NAMES]),
        museval(reference, estimate, rate, rate, taps),
    )


@pytest.mark.slow
@needs(CLIP)
def test_real_clip():
    """Decoded AAC: museval's SIR moves by 10 dB and more with its number of threads."""
    from pipelines.tracks.musdb_stems import read_stems

    stems, rate = read_stems(next(shared(CLIP).glob("*.stem.mp4")))
    mixture = stems.pop("mixture").astype(float)[:, : 3 * rate]
    rng = np.random.default_rng(0)
    reference = np.stack(list(stems.values())).astype(float)[:, :, : 3 * rate]
    estimate = 0.8 * reference + 0.05 * np.roll(mixture, 7, axis=1)
    result = bss_eval(reference, estimate, rate)
    assert result.singular
    again = dithered(reference, rng)
    wanted = museval(again, estimate, rate, rate, 512)
    found = bss_eval(again, estimate, rate)
    assert not found.singular
    agree(np.stack([getattr(found, name) for name in NAMES]), wanted)
    np.testing.assert_allclose(result.sdr, sdr_frames(reference, estimate, rate), atol=1e-9)
    np.testing.assert_allclose(result.sdr, wanted[0], atol=1e-3)
    for name, other in zip(("ISR", "SIR", "SAR"), wanted[1:], strict=True):
        np.testing.assert_allclose(result.regularised[name], other, atol=0.2)


def test_sizes_have_small_factors_and_none_is_left_out():
    powers = itertools.product(range(1, 13), range(8), range(6), range(5))
    smooth = sorted(2**a * 3**b * 5**c * 7**d for a, b, c, d in powers)
    for least in range(1, 3000):
        assert fft_size(least) == next(size for size in smooth if size >= least)
