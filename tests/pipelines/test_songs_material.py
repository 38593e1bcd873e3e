"""Recordings that songs are made of: their table, their notes and excerpts; on generated sines."""

import numpy as np
import pytest
import recorded_material

from pipelines.songs import (
    SOURCES,
    casts,
    compose,
    drumming,
    effects,
    gliding,
    lines,
    material,
    neural,
    recordings,
    score,
    takes,
    voices,
)
from xumx_jax.errors import UserError

RATE = recorded_material.RATE


def test_names_tell_pitches():
    assert material.pitch_of("a2_p_rr1") == 45
    assert material.pitch_of("twang_bb3_f_rr1", -1) == 46
    assert material.pitch_of("c4_staccato_rr2", -1) == 48
    assert material.pitch_of("scrape_1_rr2") is None
    assert material.pitch_of("mute_strings3_rr1") is None


def test_all_takes_of_a_note_are_held_out_together():
    for entry in ("emilyguitar", "weresax"):
        held = [
            material.held_out(f"{entry}/notes/{recorded_material.name_of(pitch)}_{take}.wav")
            for pitch in range(36, 81) for take in ("p_rr1", "f_rr3")
        ]  # fmt: skip
        assert held[::2] == held[1::2]
        assert sum(held[::2]) == 9  # one in five
        # Something that is left is never farther than three semitones away.
        left = [pitch for pitch, out in zip(range(36, 81), held[::2], strict=True) if not out]
        assert max(np.diff(left)) <= 4


def test_songs_and_loops_are_held_out_by_name():
    assert material.held_out("everything-is-free/caesium/VOX LEAD.flac")
    assert not material.held_out("everything-is-free/hydrogen/VOX LEAD.flac")
    assert material.held_out("sectoid/usr/share/War of freedom/guitar.ogg")
    assert material.held_out("sonic-pi/usr/share/sonic-pi/samples/loop_breakbeat.flac")
    assert not material.held_out("sonic-pi/usr/share/sonic-pi/samples/loop_amen.flac")
    with pytest.raises(UserError, match="wanted ENTRY/PATH"):
        material.held_out("lithium/a.wav")


def test_every_entry_has_a_free_licence_and_an_address():
    for entry in material.ENTRIES.values():
        assert entry.licence.startswith(("CC0", "MIT", "Apache 2.0"))
        assert entry.package or entry.source.startswith(material.GITHUB)


def test_files_are_for_training_or_held_out(stock):
    held = stock._replace(held=True)
    for name, entry in material.ENTRIES.items():
        for shelf in entry.shelves:
            used = set(stock.files(name, shelf))
            assert shelf == "rooms" or not used & set(held.files(name, shelf))
            assert not any("caesium" in str(path) for path in used)
    assert len(held.files("everything-is-free", "stems")) == 1


def test_notes_are_read_at_their_pitch(stock):
    found = stock.notes("growlybass", "notes")
    assert {note.pitch for note in found} <= set(range(28, 56, 4))
    assert {note.force for note in found} == {material.FORCES["f"]}


def hertz(wave: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 8 * len(wave)))
    return spectrum.argmax() * rate / (8 * len(wave))


def test_a_recording_is_played_at_another_pitch_and_slides():
    wave = recorded_material.sine(57, 2.0).astype(np.float32)  # 220 Hz
    curve = np.concatenate([np.full(100, 57.0), np.full(100, 60.0)])
    gesture = lines.Gesture(0.0, curve, 1.0)
    out = recordings.follow(wave, RATE, 57.0, gesture, 16000, 0.05)
    assert hertz(out[800:7200], 16000) == pytest.approx(220, rel=0.005)
    assert hertz(out[8800:15200], 16000) == pytest.approx(261.6, rel=0.005)
    assert len(out) == round(1.05 * 16000) and abs(out[-1]) < 1e-3


def test_the_nearest_note_is_played(stock):
    found = stock.notes("emilyguitar", "notes")
    rng = np.random.default_rng(0)
    wanted = found[3]
    assert recordings.nearest(found, wanted.pitch + 0.4, 0.9, rng) == wanted


@pytest.mark.parametrize("manner", lines.MANNERS)
def test_gestures_cover_the_notes_and_stay_near_them(manner):
    rng = np.random.default_rng(1)
    notes = [score.Note(0.3 * i, 0.29, 60 + int(rng.integers(-4, 5)), 0.8) for i in range(60)]
    made = lines.gestures(notes, lines.MANNERS[manner], rng)
    assert 1 < len(made) <= len(notes)
    assert made[0].start == 0 and made[-1].start + made[-1].seconds == pytest.approx(18.0, abs=0.05)
    curves = np.concatenate([gesture.curve for gesture in made])
    assert 50 < curves.min() and curves.max() < 67
    moving = sum(np.ptp(gesture.curve) > 0.3 for gesture in made)
    assert moving == 0 if manner == "struck" else moving > 0
    if manner != "struck":
        assert len(made) < len(notes)  # some notes hang together


def test_a_string_hangs_its_notes_together_within_its_reach():
    rng = np.random.default_rng(0)
    far = [score.Note(0.3 * i, 0.3, 50 + 12 * (i % 2), 0.8) for i in range(20)]
    assert len(lines.gestures(far, lines.MANNERS["plucked"], rng)) == 20


@pytest.mark.parametrize("patch", gliding.PATCHES)
def test_oscillators_follow_the_pitch(patch):
    character = gliding.draw(np.random.default_rng(0)) | {"drop": 0.0, "decay": 2.0}
    gesture = lines.Gesture(0.0, np.full(200, 57.0), 0.8)
    wave = gliding.sound(patch, gesture, 16000, character, 0.05)
    spectrum = np.abs(np.fft.rfft(wave[1600:14400], 128000))
    peak = spectrum[: 300 * 8].argmax() / 8
    assert peak == pytest.approx(220, rel=0.01)
    assert np.isfinite(wave).all() and len(wave) > 16000


def test_a_line_of_recordings_sounds_where_its_notes_are(stock):
    instrument = {"line": ("recorded", "emilyguitar", "notes"), "manner": "plucked"}
    notes = [score.Note(1.0, 0.5, 60, 0.8)]
    rng = np.random.default_rng(0)
    wave = voices.play(instrument, notes, 2 * 44100, rng, stock)
    assert np.abs(wave[:, :44000]).max() == 0 and np.abs(wave[:, 44100:60000]).max() > 0.1


def test_alignment_finds_a_stretched_copy():
    rng = np.random.default_rng(0)
    slow = np.repeat(rng.normal(size=(20, 4)), 3, axis=0)
    match = neural.align(slow, slow[::3])
    np.testing.assert_array_equal(match, np.arange(60) // 3)
    assert neural.features(rng.normal(size=1600), 16000).shape == (20, neural.BANDS)


def test_a_take_begins_where_its_files_sound(stock):
    paths = takes.stems(stock, "hydrogen", "vocals")
    assert len(paths) == 2
    start = takes.begin(np.random.default_rng(0), paths, 120.0, 4.0)
    assert start % 2.0 == 0 and start <= 8.0
    assert takes.heard(paths, 1.0) and not takes.heard(paths, 0.5) and not takes.heard((), 1.0)
    wave = takes.play(takes.Take("vocals", paths[:1], start, 1.0, 0.5, 0.0), 4 * RATE, RATE)
    assert np.abs(wave[:, : RATE // 2]).max() == 0 and np.abs(wave[:, RATE:]).max() > 0.3
    assert takes.wish(takes.SONGS["hydrogen"], 12) == {"tempo": 264.0, "key": 2, "mode": "major"}


def test_strokes_are_of_one_kit_or_of_many(stock):
    for seed in range(5):
        kit = casts.strokes(np.random.default_rng(seed), stock)
        assert kit and set(kit) <= {35, 36, 38, 40, 42}


def test_a_ringing_kick_lasts_until_the_next():
    boom = {"pitch": 33.0, "drive_db": 0.0, "drop": 1.0, "decay": 0.5, "ring": 0.3}  # 55 Hz
    kit = {"boom": boom, "tuning": {"kick": 0.0}}
    hits = [score.Note(0.0, 0.2, 36, 0.9), score.Note(1.5, 0.2, 36, 0.9)]
    rng = np.random.default_rng(0)
    wave = drumming.group(kit, "kick", hits, 3 * 44100, False, rng)[0]
    assert hertz(wave[22050:44100], 44100) == pytest.approx(55, rel=0.03)
    before, after = np.abs(wave[44100:66000]).max(), np.abs(wave[66200:75000]).max()
    assert 0.02 < before < 0.5 * after


def test_a_loop_takes_the_tempo_and_rests_with_the_drums(tmp_path):
    clicks = np.zeros(RATE)
    clicks[:: RATE // 4] = 0.9  # four beats in a second
    path = tmp_path / "loop.flac"
    recorded_material.put(path, clicks)
    plan = compose.compose(0, 6.0, full=True, wish={"tempo": 120.0})
    plan.sections = [score.Section("verse", 0, 1, SOURCES, 1.0),
                     score.Section("break", 1, 1, ("other",), 1.0)]  # fmt: skip
    out = np.abs(takes.loop(path, 4, plan, 6 * RATE, RATE, [0, 1, 2, 3])[0])
    first = plan.clock.offset_seconds * RATE
    found = np.flatnonzero(out > 0.3)
    beats = np.unique(np.round((found - first) / (0.5 * RATE), 1))
    np.testing.assert_allclose(beats, [0, 1, 2, 3], atol=0.1)


def test_rooms_and_vocoders_keep_shape_and_loudness(stock):
    rooms = stock.files("web-audio-samples", "rooms")
    wave = np.random.default_rng(0).normal(0, 0.1, (2, RATE)).astype(np.float32)
    for chain in ([("response", str(rooms[0]), 0.5)], [("vocoder", 45.0, 1.0)]):
        out = effects.apply(wave, RATE, chain, pedals=False)
        assert out.shape == wave.shape and np.isfinite(out).all()
        assert 0.02 < out.std() < 2
