"""Films' sound from three folders: what is written, and what is refused."""

import csv
import shutil

import numpy as np
import pytest
import soundfile

from pipelines.datasets import open_data
from pipelines.films import command, events, mixture
from pipelines.loudness import integrated
from xumx_jax.audio import resample

RATE, SECONDS, MIXTURES = 8000, 12, 10
KINDS = {
    "music": (6, 11_025, 2, 5, 9),
    "effects": (8, 8000, 1, 0.2, 4),
    "speech": (6, 4000, 1, 1, 5),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Folders of noise: files of several rates and lengths, at several depths."""
    root, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    for kind, (count, rate, channels, low, high) in KINDS.items():
        for number in range(count):
            path = root / kind / f"{number % 2}" / f"{number}.{'flac' if number % 3 else 'wav'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            wave = 0.1 * rng.standard_normal((int(rng.uniform(low, high) * rate), channels))
            soundfile.write(path, np.clip(wave, -1, 0.99), rate)
    return root


def films(clips, out, *more, mixtures=MIXTURES):
    words = [word for kind in KINDS for word in (f"--{kind}", str(clips / kind))]
    words += ["--out", str(out), "--seconds", str(SECONDS), "--rate", str(RATE)]
    return command.main([*words, "--mixtures", str(mixtures), *more])


@pytest.fixture(scope="module")
def made(clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("films") / "out"
    assert films(clips, out) == 0
    return out


def contents(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }


def read(folder, name):
    return soundfile.read(folder / f"{name}.wav", dtype="int16")[0].astype(int)


def test_layout_is_that_of_divide_and_remaster(made, clips):
    assert {path.name for path in made.iterdir()} == {"tr", "cv", "tt", "films.json"}
    assert [len(list((made / name).iterdir())) for name in ("tr", "cv", "tt")] == [7, 1, 2]
    train, valid = open_data("dnr", made, ("speech", "sfx", "music"), RATE, 2, {})
    assert len(train.names) == 7 and train.integer and len(valid.names) == 1
    assert train.track_lengths == [SECONDS * RATE] * 7
    for folder in made.glob("t*/*"):
        assert soundfile.info(folder / "mix.wav").channels == 1
        stems = [read(folder, name) for name in events.CLASSES]
        np.testing.assert_array_equal(sum(stems), read(folder, "mix"))
        assert all(stem.any() for stem in stems)


def test_mixtures_are_as_loud_as_they_should_be(made):
    levels = []
    for folder in made.glob("*/0*"):
        waves = [read(folder, name) / 32768 for name in ("mix", *events.CLASSES)]
        peak = max(np.abs(wave).max() for wave in waves)
        assert peak <= 10 ** (-0.5 / 20) + 2 / 32768
        level = integrated(waves[0][None], RATE)
        assert level <= -25 + 0.05
        if peak < 10 ** (-0.6 / 20):
            assert level >= -29 - 0.05
        levels.append(level)
    assert np.ptp(levels) > 0.5, "each has its own"


def test_the_table_tells_what_stems_are_made_of(made, clips):
    """The stems rebuilt from it, file by file, are those written, to 16 bits."""
    used = {}
    for folder in sorted(made.glob("*/0*")):
        stems = {kind: np.zeros(SECONDS * RATE) for kind in events.CLASSES}
        with (folder / mixture.TABLE).open(newline="") as lines:
            for row in csv.DictReader(lines):
                kind = row["class"]
                path = clips / command.OPTIONS[kind] / row["file"]
                used.setdefault(folder.parent.name, set()).add(path)
                wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
                wave = resample(wave.mean(1)[None], rate, RATE)[0]
                times = [round(float(row[name]) * RATE) for name in mixture.COLUMNS[2:7]]
                start, end, first, last, fade = times
                clip = wave[first:last] * float(row["clip gain"])
                if fade:
                    clip[-fade:] *= np.linspace(1, 0, fade)
                assert not stems[kind][start:end].any(), "clips of a class do not overlap"
                stems[kind][start:end] = clip
        for kind, stem in stems.items():
            np.testing.assert_allclose(read(folder, kind) / 32768, stem, atol=0.6 / 32768)
    assert not used["tr"] & used["tt"] and not used["tr"] & used["cv"]


def test_mixtures_depend_on_seed_and_number_alone(made, clips, tmp_path):
    """Whatever is there already stays; a later run with more mixtures goes on."""
    assert films(clips, tmp_path / "again", mixtures=4) == 0
    assert films(clips, tmp_path / "again") == 0
    assert contents(tmp_path / "again") == contents(made)
    assert films(clips, tmp_path / "other", "--seed", "1", mixtures=1) == 0
    other = contents(tmp_path / "other")
    assert other["tr/00000/mix.wav"] != contents(made)["tr/00000/mix.wav"]


@pytest.mark.slow
def test_several_processes_make_the_same(made, clips, tmp_path):
    assert films(clips, tmp_path / "out", "--processes", "2") == 0
    assert contents(tmp_path / "out") == contents(made)


def test_an_interrupted_run_leaves_no_half_and_goes_on(made, clips, tmp_path, monkeypatch, capsys):
    out, write = tmp_path / "out", soundfile.write

    def interrupted(path, *arguments, **options):
        if "00002" in str(path) and path.stem == "sfx":
            raise KeyboardInterrupt
        write(path, *arguments, **options)

    monkeypatch.setattr(soundfile, "write", interrupted)
    assert films(clips, out) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert sorted(path.name for path in (out / "tr").iterdir()) == ["00000", "00001"]
    # as a killed process leaves it
    shutil.copytree(out / "tr" / "00000", out / "tr" / ".00002.12-abcd.part")
    monkeypatch.setattr(soundfile, "write", write)
    assert films(clips, out) == 0
    assert contents(out) == contents(made)


def test_silent_and_damaged_files_are_named_once_and_left_out(clips, tmp_path, capsys):
    here = tmp_path / "clips"
    shutil.copytree(clips, here)
    for number in range(3):
        soundfile.write(here / "effects" / f"silence{number}.wav", np.zeros(4000), RATE)
        (here / "speech" / f"broken{number}.wav").write_bytes(b"RIFF")
        path = here / "music" / f"nan{number}.wav"
        soundfile.write(path, np.full(8 * RATE, np.nan), RATE, subtype="FLOAT")
    assert films(here, tmp_path / "out", mixtures=2) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(lines) == len(set(lines)) and all(
        line.startswith("films: warning: ") for line in lines
    )
    for word, why in (
        ("silence", "its loudness is -inf LUFS"),
        ("broken", "cannot be read as audio"),
        ("nan", "NaN or infinite"),
    ):
        assert any(word in line and why in line for line in lines), word
    tables = "".join(path.read_text() for path in (tmp_path / "out").rglob(mixture.TABLE))
    assert not any(word in tables for word in ("silence", "broken", "nan"))


def test_long_speech_is_cut_and_faded_and_short_clips_are_taken(tmp_path):
    rng = np.random.default_rng(0)
    for kind, seconds in {"music": 40, "effects": 0.05, "speech": 30}.items():
        (tmp_path / kind).mkdir()
        for number in range(3):
            wave = 0.1 * rng.standard_normal(int(seconds * RATE))
            soundfile.write(tmp_path / kind / f"{number}.wav", wave, RATE)
    assert films(tmp_path, tmp_path / "out", mixtures=1) == 0
    (folder,) = (tmp_path / "out" / "tr").iterdir()
    with (folder / mixture.TABLE).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    speech = [row for row in rows if row["class"] == "speech"]
    assert {float(row["fade out time"]) for row in speech} == {3.0}
    assert float(speech[0]["clip end time"]) == pytest.approx(0.7 * SECONDS)
    last = round(float(speech[-1]["mix end time"]) * RATE)
    wave = read(folder, "speech")
    assert np.abs(wave[last - 80 : last]).max() < 0.1 * np.abs(wave).max()
    assert all(float(row["clip end time"]) <= 0.05 + 1e-6 for row in rows if row["class"] == "sfx")


def without(*names):
    """Spoil clips by removing folders or files."""

    def spoil(root):
        for name in names:
            path = root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def no_speech(root):
    for path in (root / "speech").rglob("*.*"):
        path.unlink()


def silent_effects(root):
    for path in (root / "effects").rglob("*.*"):
        soundfile.write(path, np.zeros(50), RATE)


@pytest.mark.parametrize(
    "spoil, says",
    [
        (without("music"), "music: not a folder; wanted one of WAV or FLAC files for --music"),
        (no_speech, "speech: no *.wav or *.flac at any depth; found 0, 1"),
        (without("music/1", "music/0/0.wav"), "music: 2 files; wanted at least 3"),
        (silent_effects, "effects: 25 files one after another are silent or unusable; "),
    ],
)
def test_folders_that_do_not_do_are_one_line(clips, tmp_path, capsys, spoil, says):
    shutil.copytree(clips, tmp_path / "clips")
    spoil(tmp_path / "clips")
    assert films(tmp_path / "clips", tmp_path / "out", mixtures=1) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if ": error: " in line]
    assert len(lines) == 1 and lines[0].startswith("films: error: ") and says in lines[0], lines


@pytest.mark.parametrize(
    "words, says",
    [
        (["--seconds", "2"], "--seconds is 2; wanted 5 or more"),
        (["--seconds", "nan"], "--seconds is nan; wanted 5 or more"),
        (["--mixtures", "0"], "--mixtures is 0; wanted 1 or more"),
        (["--processes", "0"], "--processes is 0; wanted 1 or more"),
        (["--rate", "100"], "--rate is 100; wanted 4000 to 192000 Hz"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
        (["--seed", "-1"], "--seed is -1; wanted 0 or more"),
        (["--seed", str(2**63)], f"--seed is {2**63}; wanted less than 2^63"),
        (["--out", "{clips}/music/0/out"], "lies in the folder of --music; use another --out"),
        (["--out", "{clips}/music/0/0.wav/out"], "lies in the folder of --music"),
        (["--out", "/dev/null/out"], "/dev/null is not a folder"),
    ],
)
def test_options_that_do_not_do_are_one_line(clips, tmp_path, capsys, words, says):
    words = [word.format(clips=clips) for word in words]
    assert films(clips, tmp_path / "out", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("films: error: ") and says in line


def test_other_settings_than_those_begun_with_are_refused(made, clips, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(made, out)
    assert films(clips, out, "--seed", "7") == 2
    assert "was begun with seed 42, now 7; use another --out" in capsys.readouterr().err
    more = tmp_path / "clips"
    shutil.copytree(clips, more)
    soundfile.write(more / "speech" / "new.wav", np.ones(4000) / 2, RATE)
    assert films(more, out) == 2
    assert "was begun with speech 6 files (" in capsys.readouterr().err
    (out / command.SETTINGS).write_text("[]")
    assert films(clips, out) == 2
    assert "films.json: not written by this program" in capsys.readouterr().err


def test_a_second_run_into_the_same_folder_is_refused(clips, tmp_path, monkeypatch, capsys):
    def locked(*arguments, **options):
        raise BlockingIOError

    monkeypatch.setattr(command.files, "locked", locked)
    assert films(clips, tmp_path / "out") == 2
    assert "another run is writing there" in capsys.readouterr().err
