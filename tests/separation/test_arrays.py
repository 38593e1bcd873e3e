"""Arrays that are given to a Separator, a stream, live separation or a file's writer."""

from math import isfinite
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from tiny_models import RATE, noise, stack, tiny

from xumx_jax import AudioStream, audio, metrics, separate_file
from xumx_jax.errors import UserError
from xumx_jax.evaluation import oracles
from xumx_jax.separation.bag import BagSeparator
from xumx_jax.separation.inputs import LARGEST, as_floats, check_layout, finite
from xumx_jax.separation.separator import Separator

pytestmark = pytest.mark.usefixtures("quick_compile")
RATES = (None, "44100", float("nan"), float("inf"), 0, -8000, 0.5, [8000, 8000])


@pytest.fixture(scope="module")
def separator():
    return Separator(*tiny(unidirectional=True), niter=0)


@pytest.fixture(scope="module")
def doors(separator):
    """{name: a function of (mixture, rate)}: every way to give an array."""
    return {
        "call": separator,
        "stream": lambda mix, rate: list(separator.stream([mix], rate)),
        "live": lambda mix, rate: separator.live(rate).push(mix),
        "bag": BagSeparator([separator, separator]),
    }


DOORS = ("call", "stream", "live", "bag")


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (np.int16([[-32768, 16384]]), [[-1, 0.5]]),
        (np.array([[-32768, 16384]], ">i2"), [[-1, 0.5]]),
        (np.int32([[-(2**31), 2**30]]), [[-1, 0.5]]),
        (np.uint8([[0, 128, 192]]), [[-1, 0, 0.5]]),
        (np.float64([[0.25]]), [[0.25]]),
        (np.float16([[0.25]]), [[0.25]]),
        (jnp.bfloat16([[0.25]]), [[0.25]]),
        (jnp.float32([[0.25]]), [[0.25]]),
        ([[0.25, 0.5]], [[0.25, 0.5]]),
        (np.float64([[1e300, -1e300]]), [[np.inf, -np.inf]]),
    ],
)
def test_every_type_of_a_sample_has_its_scale(array, wanted):
    read = as_floats(array, "x")
    assert read.dtype == np.float32 and read.tolist() == wanted


def test_integers_are_what_a_file_of_them_holds(tmp_path):
    for bits, kind in ((16, np.int16), (32, np.int32)):
        levels = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (2, 50))
        soundfile.write(tmp_path / "x.wav", levels.astype(kind).T, RATE, f"PCM_{bits}")
        np.testing.assert_array_equal(
            as_floats(levels.astype(kind), "x"), audio.decode(tmp_path / "x.wav")[0]
        )


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.ones((2, 9), bool), "has samples of type bool; wanted floating point"),
        (np.ones((2, 9), complex), "of type complex128; wanted"),
        (np.ones((2, 9), np.int64), "of type int64; wanted"),
        (np.ones((2, 9), np.int8), "of type int8; wanted"),
        (np.ones((2, 9), object), "of type object; wanted"),
        (np.full((2, 9), "a"), "of type <U1; wanted"),
        ([[0.5], [0.5, 0.5]], r"is no array; wanted samples \[channel, time\]"),
        ("song.wav", r"is 'song.wav'; wanted samples, an array \[channel, time\]"),
        (Path("song.wav"), "is 'song.wav'; wanted samples"),
        (None, r"has shape \(\); wanted \[channel, time\]"),
        (np.zeros(100), r"has shape \(100,\); wanted"),
        (np.zeros((2, 3, 4)), r"has shape \(2, 3, 4\); wanted"),
        (np.zeros((0, 100)), r"has shape \(0, 100\); wanted"),
        (np.zeros((3000, 2)), r"\(3000, 2\), which is 3000 channels of 2 samples; wanted"),
        (np.zeros((9, 2)), r"\(9, 2\), which is 9 channels of 2 samples; wanted"),
        (np.zeros((65, 500)), "65 channels of 500 samples"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_mixture_is_one_line(doors, door, array, says):
    with pytest.raises(UserError, match=says) as caught:
        doors[door](array, RATE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(2, 1), (8, 3), (64, 64), (9, 0), (6, 6)])
def test_short_mixtures_are_none_the_less_mixtures(shape):
    check_layout(np.zeros(shape), "x")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("rate", RATES, ids=str)
def test_rates_that_are_none_are_one_line(doors, door, rate):
    with pytest.raises(UserError, match="the sample rate is .*; wanted a whole number of hertz"):
        doors[door](noise(100), rate)


def test_stems_of_integers_are_those_of_floats(separator):
    levels = np.rint(noise(500) * 2**15).astype(np.int16)
    wanted = stack(separator(levels / np.float32(2**15), RATE))
    for rate in (RATE, np.int64(RATE), np.float32(RATE)):
        np.testing.assert_array_equal(stack(separator(levels, rate)), wanted)
    live = separator.live(RATE)
    played = [stack(live.push(levels[:, at : at + 100])) for at in range(0, 500, 100)]
    played = np.concatenate([*played, stack(live.finish())], axis=-1)[..., live.latency :]
    np.testing.assert_allclose(played, wanted, atol=1e-5)


def test_the_first_block_tells_the_layout_and_later_ones_may_be_short(separator):
    mix = noise(600, channels=9)
    with pytest.warns(UserWarning, match="9 channels"):
        blocks = list(separator.stream([mix[:, :595], mix[:, 595:]], RATE))
    assert sum(stack(block).shape[-1] for block in blocks) == 600


@pytest.mark.parametrize("size", [LARGEST, 1e19, 3e38, np.inf])
def test_samples_too_large_to_be_transformed_are_replaced(separator, size):
    mix = noise(1000)
    mix[0, 500] = 0
    clean, loud = stack(separator(mix, RATE)), mix.copy()
    loud[0, 500] = -size
    with pytest.warns(
        UserWarning, match="^1 samples are NaN, infinite or beyond 1e12 and were replaced by 0"
    ):
        np.testing.assert_array_equal(stack(separator(loud, RATE)), clean)
    with pytest.warns(UserWarning, match="^1 samples are NaN, infinite or beyond 1e12"):
        separator.live(RATE).push(loud)


@pytest.mark.slow
def test_the_largest_samples_that_are_kept_have_finite_stems():
    """Windows as long as those of published models, whose powers are as large."""
    sine = np.sin(np.arange(4000) / 5, dtype=np.float32) * np.float32([[0.99], [0.9]])
    separator = Separator(*tiny(n_fft=4096, hop=1024, layers=1), wiener_frames=2)
    assert np.isfinite(stack(separator(sine * np.float32(LARGEST), RATE))).all()


def test_samples_from_1e12_on_are_replaced():
    kept, bad = finite(np.float32([[np.nan, LARGEST, -LARGEST, 0.9 * LARGEST]]))
    assert bad == 3 and not kept[0, :3].any() and kept[0, 3]


def given(wave, rate=RATE, channels=2):
    return AudioStream(rate, channels, wave.shape[-1], iter([wave]))


def test_files_of_decoded_audio_are_checked_in_the_same_way(separator, tmp_path):
    for rate in RATES:
        with pytest.raises(UserError, match="the sample rate is"):
            separate_file(separator, given(noise(900), rate), tmp_path / "out")
    for wave, says in (
        (np.ones((2, 900), np.int64), "a block has samples of type int64"),
        (noise(900).T, "a block has 900 channels; wanted 2"),
        (np.zeros(900), r"a block has shape \(900,\)"),
    ):
        with pytest.raises(UserError, match=says):
            separate_file(separator, given(wave), tmp_path / "out")
    loud = noise(900)
    loud[1, 7] = 1e30
    with pytest.raises(
        UserError, match="the mixture: 1 samples are NaN, infinite or beyond 1e12; use"
    ):
        separate_file(separator, given(loud), tmp_path / "out", strict=True)
    with pytest.raises(UserError, match="got ndarray; wanted the path of an audio file"):
        separate_file(separator, noise(900), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    levels = np.rint(noise(900) * 2**15).astype(np.int16)
    done = separate_file(separator, given(levels), tmp_path / "out")
    assert all(0 < peak < 1.5 for peak in done.peaks.values())


class Broken:
    """A model whose weights give stems that are not finite."""

    sources, rate = ("a", "b"), RATE

    def __init__(self, value):
        self.value = np.float32(value)

    def stream(self, blocks, rate, length, callback):
        for block in blocks:
            yield {"a": block, "b": block * self.value}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("more", [{}, {"bits": "32f"}, {"format": "mp3"}])
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_stems_that_are_not_finite_are_an_error_and_not_a_file(tmp_path, value, more):
    with pytest.raises(UserError, match="b.*: cannot be written: samples are NaN or infinite"):
        separate_file(Broken(value), given(noise(900)), tmp_path / "out", **more)
    assert not (tmp_path / "out").exists()


def test_numbers_of_a_result_are_finite(tmp_path):
    for size in (0, 1e-30, 1, 0.9 * LARGEST):
        wave = np.full((2, 300), size, np.float32)
        done = separate_file(Broken(0.5), given(wave), tmp_path / "out", on_warning=print)
        numbers = [*done.peaks.values(), done.gain, *done.timings.values(), done.seconds]
        assert all(map(isfinite, numbers))
        assert done.null_error_db is None or isfinite(done.null_error_db)


def test_scores_and_oracles_take_real_numbers_alone():
    waves = np.ones((2, 1, 9000), complex)
    says = "the waves are of type complex128; wanted real numbers"
    for score in (metrics.sdr_frames, metrics.bss_eval):
        with pytest.raises(UserError, match=says):
            score(waves, waves, RATE)
        for rate in (None, "44100", 0, -1, float("nan")):
            with pytest.raises(UserError, match="the sample rate is "):
                score(waves.real, waves.real, rate)
    with pytest.raises(UserError, match=says):
        metrics.whole_track(waves, waves)
    with pytest.raises(UserError, match=says):
        oracles.ratio_mask(waves[0], waves, RATE, ["vocals", "bass"], alpha=1)
    with pytest.raises(UserError, match="the sample rate is None"):
        oracles.hand_set(waves[0].real, waves.real, None, ["vocals", "bass"])
