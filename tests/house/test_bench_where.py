"""`bench/where.py`: shares and levels known by hand, its notes and sounds, its report."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from xumx_jax.errors import UserError

BENCH = Path(__file__).parents[2] / "bench"
RATE = 44_100
ORDER = ("vocals", "drums", "bass", "other")


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    yield importlib.import_module
    for name in [name for name in sys.modules if name.startswith("where")]:
        del sys.modules[name]


def sine(hz: float, gain: float = 1.0, seconds: float = 0.5) -> np.ndarray:
    wave = gain * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([wave, wave]).astype(np.float32)


PART, REST = sine(1000), sine(3000)
NOTHING = np.zeros_like(PART)


@pytest.mark.parametrize(
    "estimates, percent, kept",
    [
        ([NOTHING, NOTHING, NOTHING, PART], (0, 0, 0, 100), 100),
        ([PART, REST, NOTHING, NOTHING], (100, 0, 0, 0), 100),  # swapped; the rest is not counted
        ([0.5 * PART, REST, NOTHING, 0.5 * PART], (50, 0, 0, 50), 100),
        ([0.6 * PART, NOTHING, NOTHING, 0.2 * PART], (90, 0, 0, 10), 80),  # 36 to 4
        ([NOTHING] * 4, (0, 0, 0, 0), 0),
    ],
)
def test_shares_of_sines(bench, estimates, percent, kept):
    found, left = bench("where_measure").shares(PART, REST, np.stack(estimates), RATE)
    np.testing.assert_allclose(found, percent, atol=0.2)
    assert left == pytest.approx(kept, abs=0.5)


def test_only_bins_of_the_band_count(bench):
    part = PART + sine(200)
    estimates = np.stack([sine(200), NOTHING, NOTHING, PART])
    shares = bench("where_measure").shares
    for band, percent in (((80, 300), (100, 0, 0, 0)), ((500, 2000), (0, 0, 0, 100))):
        found, _ = shares(part, REST, estimates, RATE, band)
        np.testing.assert_allclose(found, percent, atol=0.2)


def test_bins_that_both_have_do_not_count(bench):
    """Of 1000 Hz the part has 64 percent: less than 70; of 200 Hz all."""
    part, rest = sine(1000, 0.8) + sine(200, 0.1), sine(1000, 0.6)
    estimates = np.stack([sine(200, 0.1), sine(1000), NOTHING, NOTHING])
    found, _ = bench("where_measure").shares(part, rest, estimates, RATE, (100, 1100))
    assert found[0] > 99
    with pytest.raises(ValueError, match="70% of no bin of 990 to 1010 Hz"):
        bench("where_measure").shares(part, rest, estimates, RATE, (990, 1010))


@pytest.mark.parametrize("gain, db", [(1, 0), (0.1, -20), (0.5, -6.02), (0, -120)])
def test_levels(bench, gain, db):
    assert bench("where_measure").level_db(gain * PART, PART) == pytest.approx(db, abs=0.01)


def write_notes(folder: Path, names, hz) -> None:
    folder.mkdir(parents=True)
    for name, each in zip(names, hz, strict=True):
        soundfile.write(folder / name, sine(each, 0.5, 1.0).T, RATE, subtype="PCM_16")


def test_lines_are_of_held_out_notes_brought_to_a_scale(bench, tmp_path):
    names = ["eb3_f_rr1.wav", "gb4_f_rr1.wav", "c4_f_rr1.wav"]  # c4 may be trained on
    write_notes(tmp_path / "emilyguitar" / "notes", names, (155.6, 370, 9000))
    material = bench("where_recorded").Material(tmp_path)
    wave = material.line(np.random.default_rng(0), 4.0, "guitar")
    size = np.abs(np.fft.rfft(wave)) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / RATE)
    # four semitones below the lowest to four above the highest, and the attacks
    assert size[(hz > 115) & (hz < 490)].sum() > 0.98 * size.sum()
    again = material.line(np.random.default_rng(0), 4.0, "guitar")
    np.testing.assert_array_equal(wave, again)


def test_the_bed_is_a_held_out_kit(bench, tmp_path):
    for kit, hz in (("CR78", 100), ("LINN", 9000)):
        folder = tmp_path / "web-audio-samples" / "src" / "sounds" / "drum-samples" / kit
        write_notes(folder, ("kick.wav", "snare.wav", "hihat.wav"), (hz, hz, hz))
    wave = bench("where_recorded").Material(tmp_path).kit(np.random.default_rng(0), 1.0)
    size = np.abs(np.fft.rfft(wave[0])) ** 2
    assert wave.shape == (2, RATE) and size[: len(size) // 20].sum() > 0.95 * size.sum()


def test_what_is_missing_is_named(bench, tmp_path):
    recorded = bench("where_recorded")
    with pytest.raises(recorded.NoMaterial, match="wanted weresax, from https://github"):
        recorded.Material(tmp_path).line(np.random.default_rng(0), 1.0, "sax")
    with pytest.raises(recorded.NoMaterial, match="no --material: wanted web-audio-samples"):
        recorded.Material(None).kit(np.random.default_rng(0), 1.0)


def test_excerpts_are_where_the_part_sounds(bench):
    part = np.concatenate([NOTHING] * 8 + [PART] * 6, axis=1)  # 4 s of nothing, 3 s of sound
    found, rest = bench("where_recorded")._excerpt(
        np.random.default_rng(0), 2.0, part, np.zeros_like(part)
    )
    assert found.shape == rest.shape == (2, 2 * RATE)
    assert np.abs(found[:, RATE // 2 :]).max() > 0.9


def test_typical_mixtures_are_drawn(bench):
    picture = bench("where_picture")
    rows = {
        "good": {"source": "other", "index": 3, "percent": {"other": 90},
                 "each": [[0, 0, 0, 99], [5, 5, 0, 90], [20, 0, 0, 80]]},
        "bad": {"source": "bass", "index": 2, "percent": {"bass": 9},
                "each": [[0, 100, 0, 0], [90, 0, 10, 0], [80, 0, 20, 0]]},
        "worse, 3-8 kHz": {"source": "bass", "index": 2, "percent": {"bass": 0}, "each": []},
    }  # fmt: skip
    assert picture.typical(rows) == {"success": ("good", 1), "failure": ("bad", 1)}


SOUNDS = ("arpeggio", "piano", "pad", "bassline")


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_are_as_long_as_wanted_and_sound(bench, name):
    wave = getattr(bench("where_sounds"), name)(np.random.default_rng(0), 2.0)
    assert wave.shape[-1] == 2 * RATE and np.isfinite(wave).all() and np.abs(wave).max() > 0.1


def test_sub_bass_is_where_it_should_be(bench):
    wave = bench("where_sounds").sub(np.random.default_rng(0), 3.0, 0.4)
    size = np.abs(np.fft.rfft(wave)) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / RATE)
    assert size[(hz > 38) & (hz < 60)].sum() > 0.95 * size.sum()


def test_long_kicks_ring(bench):
    """Beats are half a second apart: what is left of a kick just before the next."""
    left = []
    for kick_seconds in (0.35, 0.05):
        wave = bench("where_sounds").drums(np.random.default_rng(0), 0.5, "house", kick_seconds)
        slow = np.convolve(wave, np.ones(300) / 300, "same")  # without the hi-hat
        left.append(np.abs(slow[-RATE // 10 :]).max() / np.abs(slow).max())
    assert left[0] > 0.15 and left[1] < 0.01


def test_a_mixture_has_the_levels_of_its_case(bench):
    cases = bench("where_cases")
    made = cases.mixtures(
        "x", lambda material, rng, length: sine(440, 0.01, length)[0], None, 2, 2.0, 0,
        (("pad",),), (-6.0, -6.0),
    )  # fmt: skip
    for one in made:
        ratio = cases.loudness(one.part) / cases.loudness(one.rest)
        assert 20 * np.log10(ratio) == pytest.approx(-6, abs=0.01)
        assert np.abs(one.mix).max() == pytest.approx(cases.FULL_SCALE, rel=1e-4)


def case(cases, bound):
    return cases.Case("a sine", "other", lambda *_: (PART, REST), (), bound=bound, gain_db=None)


@pytest.mark.parametrize("place, met", [(3, True), (0, False)])
def test_a_row_says_whether_its_bound_is_met(bench, place, met):
    where, cases = bench("where"), bench("where_cases")
    made = [cases.Mixture(PART, REST)] * 2

    def separate(mix):
        stems = np.zeros((4, *PART.shape), np.float32)
        stems[place], stems[1] = PART, REST
        return stems

    row = where.measure(case(cases, ("vocals", "most", 30.0)), separate, made)
    assert row["met"] is met and len(row["each"]) == 2
    assert row["percent"][ORDER[place]] == pytest.approx(100, abs=0.2)
    quiet = where.phantom(lambda mix: 0.01 * np.stack([mix] * 4), [PART, REST])
    assert quiet["most_db"] == pytest.approx(-40) and quiet["met"]
    result = {"rows": {"a sine": row}, "phantom": {"none": quiet}, "bounds": 2,
              "missed": [] if met else ["a sine"], "unmeasured": {"b": "no folder"}}  # fmt: skip
    text = where.table(result)
    assert ("**missed**" in text) is not met
    assert f"{int(not met)} of 2 bounds missed" in text and "not measured: b (no folder)" in text
    assert "| none | -40.0 | -40.0 | below -20 |" in text


def test_bounds(bench):
    is_met = bench("where").is_met
    percent = dict(zip(ORDER, (30, 20, 50, 0), strict=True))
    assert is_met(("vocals", "most", 30), percent) and not is_met(("bass", "least", 51), percent)


def test_a_model_with_other_sources_is_refused(bench, monkeypatch):
    where = bench("where")

    class Model:
        sources = ("vocals", "other")

    monkeypatch.setattr(where.xumx_jax, "load", lambda name: Model())
    with pytest.raises(UserError, match="two: separates vocals, other; wanted drums as well"):
        where.separator("two")


def test_wrong_options_are_one_line(bench, tmp_path):
    where = bench("where")
    with pytest.raises(UserError, match="no such folder"):
        where.main(["--material", str(tmp_path / "none")])
    with pytest.raises(UserError, match="at least 1 mixture"):
        where.main(["--mixtures", "0"])
    with pytest.raises(UserError, match="wanted folders of songs"):
        next(where.voiceless(tmp_path, 1.0))


def test_voices_of_generated_songs_are_left_out(bench, tmp_path):
    place = tmp_path / "song"
    place.mkdir()
    for name, wave in zip(ORDER, (sine(100), sine(200), sine(300), NOTHING), strict=True):
        soundfile.write(place / f"{name}.wav", 0.4 * wave.T, RATE, subtype="FLOAT")
    (mix,) = bench("where").voiceless(tmp_path, 0.25)
    wanted = (0.4 * (sine(200) + sine(300)))[:, RATE // 8 : RATE // 8 + RATE // 4]
    np.testing.assert_allclose(mix, wanted, atol=1e-6)
