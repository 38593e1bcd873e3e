"""The song generator: the plain engine, which needs no assets, and the sampled one if it is there.

The songs are short and their rate is low: what is tested is that they are songs, not their sound.
"""

import json
from functools import lru_cache

import numpy as np
import pytest
import soundfile

from pipelines.songs import (
    SOURCES,
    __main__,
    compose,
    effects,
    formants,
    melody,
    mixing,
    render,
    sampler,
    score,
    singing,
    synth,
    wordbank,
)
from pipelines.songs.words import EVERY, syllables

RATE = 16000
SECONDS = 6.0


@lru_cache
def song(seed: int, full: bool = False):
    return render(seed, RATE, SECONDS, "plain", full)


def test_stems_have_the_asked_shape_and_hold_sound():
    stems = song(3, full=True).stems
    assert stems.shape == (len(SOURCES), 2, int(RATE * SECONDS))
    assert stems.dtype == np.float32
    assert np.isfinite(stems).all()
    power = (stems**2).mean((1, 2))
    assert (power > 1e-5).all(), dict(zip(SOURCES, power, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_mix_does_not_clip(seed):
    peak = np.abs(song(seed).stems.sum(0)).max()
    assert 0.5 <= peak <= 0.951


def test_the_seed_decides_everything():
    again = render(1, RATE, SECONDS, "plain")
    np.testing.assert_array_equal(again.stems, song(1).stems)
    assert again.description == song(1).description
    assert not np.array_equal(song(1).stems, song(2).stems)


def test_sources_balance_as_in_a_mix():
    loudness = 10 * np.log10((song(3, full=True).stems ** 2).mean((1, 2)))
    assert np.ptp(loudness) < 14


def test_a_description_is_plain_json():
    text = json.dumps(song(1).description)
    assert json.loads(text)["seed"] == 1


def onsets(wave: np.ndarray, rate: int) -> np.ndarray:
    """Seconds at which the energy of a 5 ms block is far above that of the 30 ms before it."""
    block = rate // 200
    power = (wave[: len(wave) // block * block].reshape(-1, block) ** 2).mean(-1)
    before = np.stack([np.roll(power, k) for k in range(1, 7)]).max(0)
    found = np.flatnonzero((power > 8 * before) & (power > 0.02 * power.max()))
    return found[found > 6] * block / rate


@pytest.mark.parametrize("seed", [3, 5])
def test_drums_fall_on_the_grid(seed):
    made = song(seed, full=True)
    clock = made.description
    drums = made.stems[SOURCES.index("drums")].mean(0)
    steps = (onsets(drums, RATE) - clock["first_beat_seconds"]) * clock["tempo"] / 60 * 4
    assert len(steps) >= 5
    error_seconds = np.abs(steps - np.round(steps)) / 4 * 60 / clock["tempo"]
    swing_seconds = clock["swing"] * 0.5 * 60 / clock["tempo"]
    assert np.median(error_seconds) < 0.015 + swing_seconds


def test_silent_sections_are_silent_in_the_plan():
    plans = [compose.compose(seed, 40.0) for seed in range(20)]
    gaps = {source: 0 for source in SOURCES}
    for plan in plans:
        for section in plan.sections:
            for source in set(SOURCES) - set(section.active):
                gaps[source] += 1
            start, stop = section.bar * 4, (section.bar + section.bars) * 4
            if "bass" not in section.active:
                assert not [n for n in plan.parts[0].notes if start <= n.start < stop]
    assert all(gaps.values()), gaps


def test_other_has_a_few_players_in_the_key():
    for seed in range(10):
        plan = compose.compose(seed, 20.0)
        others = [part for part in plan.parts if part.source == "other"]
        assert len(others) <= 5
        roots = {chord.root for chord in plan.chords}
        scale = {(plan.key + s) % 12 for s in compose.styles.SCALES[plan.mode]}
        assert roots <= scale


def test_clock_swings_the_offbeats_only():
    clock = score.Clock(tempo=60.0, offset_seconds=0.5, swing=0.2, swing_unit=0.5)
    assert clock.seconds(0) == 0.5
    assert clock.seconds(0.5) == pytest.approx(0.5 + 0.6)
    assert clock.seconds(1.0) == pytest.approx(1.5)


@pytest.mark.parametrize("patch", ["saw_pad", "square_bass", "organ", "pluck", "fm_keys"])
def test_patches_play_in_tune(patch):
    note = score.Note(0.0, 1.0, 57, 0.8)  # 220 Hz
    wave = synth.play(patch, [note], RATE, RATE, np.random.default_rng(0)).mean(0)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 8 * len(wave)))
    low, high = 8 * 200, 8 * 240
    found = (low + spectrum[low:high].argmax()) / 8
    assert 12 * abs(np.log2(found / 220)) < 0.15


def test_every_effect_runs_without_pedals():
    wave = np.random.default_rng(0).normal(0, 0.1, (2, RATE)).astype(np.float32)
    chain = [("highpass", 100), ("peak", 1000, 6.0, 1.0), ("shelf", 6000, 3.0), ("drive", 12.0),
             ("lowpass", 3000), ("compress", -20, 3.0), ("chorus", 1.0, 0.2, 0.3),
             ("phaser", 1, 0.5), ("delay", 0.1, 0.3, 0.2), ("gated", 0.2, 0.3),
             ("reverb", 0.3, 0.2)]  # fmt: skip
    out = effects.apply(wave, RATE, chain, pedals=False)
    assert out.shape == wave.shape and np.isfinite(out).all()


def test_a_lowpass_takes_the_highs():
    time = np.arange(RATE) / RATE
    wave = np.stack([np.sin(2 * np.pi * 200 * time) + np.sin(2 * np.pi * 5000 * time)] * 2)
    out = effects.apply(wave.astype(np.float32), RATE, [("lowpass", 500)], pedals=False)
    spectrum = np.abs(np.fft.rfft(out[0]))
    assert spectrum[5000] < 0.2 * spectrum[200]


def test_the_plain_voice_ends_with_the_song():
    """A last note may reach beyond it, further than the second that is made to spare."""
    layer = {"singer": melody.singer(np.random.default_rng(0), "tenor")}
    notes = [melody.Sung(0.2, 0.5, 57, 1.0, "moon", 0), melody.Sung(0.8, 3.0, 57, 1.0, "sun", 0)]
    wave = formants.sing(layer, notes, RATE, RATE, 0, "lead")
    assert wave.shape == (RATE,) and np.isfinite(wave).all()
    assert np.abs(wave[-RATE // 20 :]).max() > 0.01
    shorter = [notes[0], notes[1]._replace(length=1.5)]
    assert formants.sing(layer, shorter, RATE, RATE, 0, "lead").shape == (RATE,)


def test_words_have_the_syllables_that_are_sung():
    assert [syllables(w) for w in ("ah", "moon", "river", "remember")] == [1, 1, 2, 3]
    assert len(EVERY) >= 250


@pytest.mark.slow
def test_command_writes_skips_and_resumes(tmp_path, capsys):
    command = [str(tmp_path), "--songs", "2", "--seconds", "2", "--rate", "8000",
               "--processes", "1", "--engine", "plain"]  # fmt: skip
    assert __main__.main(command) == 0
    first = tmp_path / "song_000000"
    assert sorted(p.name for p in first.glob("*.wav")) == sorted(f"{s}.wav" for s in SOURCES)
    info = soundfile.info(first / "vocals.wav")
    assert (info.channels, info.samplerate, info.subtype) == (2, 8000, "PCM_16")
    assert info.frames == 16000

    # A killed run leaves a partial folder and lacks a song; the next run mends both.
    kept = (first / "bass.wav").stat().st_mtime_ns
    (tmp_path / "song_000001").rename(tmp_path / ".song_000001.99-0123abcd.part")
    (tmp_path / ".song_000002.99.partial").mkdir()  # an earlier version's name
    assert __main__.main(command) == 0
    assert "1 songs there, 1 to make (plain)" in capsys.readouterr().out
    assert (first / "bass.wav").stat().st_mtime_ns == kept
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["song_000000", "song_000001"]


def test_command_says_what_was_wrong(tmp_path, capsys):
    assert __main__.main([str(tmp_path), "--songs", "0"]) == 2
    assert __main__.main([str(tmp_path), "--rate", "100", "--engine", "plain"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("songs: error: ") for line in lines)


def test_missing_packages_are_named(monkeypatch, capsys):
    monkeypatch.setattr(mixing, "missing", lambda: ["pyworld (pip)"])
    monkeypatch.setattr(mixing, "_warned", False)
    assert mixing.choose("auto") == mixing.choose("auto") == "plain"
    assert capsys.readouterr().err == "songs: plain synthesis, for want of pyworld (pip)\n"
    with pytest.raises(ValueError, match="needs pyworld"):
        mixing.choose("sampled")
    with pytest.raises(ValueError, match="engine 'x'"):
        mixing.choose("x")


LACKING = ", ".join(mixing.missing())
sampled = pytest.mark.skipif(bool(LACKING), reason=f"the sampled engine needs {LACKING}")


@sampled
def test_sampled_instruments_play_and_fall_silent():
    font = len(sampler.font_paths()) - 1  # the small one, which loads in two seconds
    notes = [score.Note(0.1, 0.3, 60, 0.8)]
    first = sampler.play(font, 0, 0, notes, sampler.RATE)
    assert first.shape == (2, sampler.RATE)
    assert np.abs(first[:, : sampler.RATE // 20]).max() == 0
    assert np.abs(first).max() > 1e-3
    sampler.play(font, 128, 16, [score.Note(0.0, 0.2, 49, 1.0)], sampler.RATE // 4)
    np.testing.assert_array_equal(sampler.play(font, 0, 0, notes, sampler.RATE), first)


@sampled
def test_spoken_words_sing_the_note(monkeypatch, tmp_path):
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path))
    monkeypatch.setattr(wordbank, "EVERY", ("moon", "river"))
    wordbank.load.cache_clear()
    who = melody.singer(np.random.default_rng(0), "tenor") | {
        "voice": "kal16", "vibrato_semitones": 0.0, "scoop_semitones": 0.0, "drift": 0.0,
        "rasp": 0.0,
    }  # fmt: skip
    layer = {"singer": who, "style": "straight"}
    notes = [melody.Sung(0.4, 1.0, 57, 1.0, "moon", 0), melody.Sung(1.5, 0.5, 57, 1.0, "river", 0),
             melody.Sung(2.0, 0.5, 57, 1.0, "river", 1)]  # fmt: skip
    wave = singing.sing(layer, notes, 3 * RATE, RATE, 0, "lead")
    wordbank.load.cache_clear()
    held = wave[int(0.7 * RATE) : int(1.1 * RATE)]
    match = np.correlate(held, held, "full")[len(held) - 1 :]
    lag = 40 + match[40:200].argmax()
    assert abs(12 * np.log2(RATE / lag / 220)) < 0.5
    assert np.abs(wave[: int(0.15 * RATE)]).max() < 0.01 * np.abs(wave).max()
