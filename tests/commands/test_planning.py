"""What a batch will write, compared with what it does write."""

from types import SimpleNamespace

import numpy as np
import pytest
from separating import noise

from xumx_jax import audio, models
from xumx_jax.audio.containers import file_bytes
from xumx_jax.commands.batch import planning
from xumx_jax.commands.batch.input_files import InputFile
from xumx_jax.commands.console import Stop
from xumx_jax.errors import UserError

USUAL = dict(
    out="out", start=0.0, duration=None, channels="front", rate="original", jobs=1,
    format="wav", bits=None, bitrate=None,
)  # fmt: skip


def job(folder, names=("bass", "drums"), rate=8000, **options):
    """A `Job` as far as planning looks at it."""
    options = SimpleNamespace(**{**USUAL, **options})
    return SimpleNamespace(
        options=options,
        stop=Stop(),
        separator=SimpleNamespace(rate=rate),
        paths=lambda track: {name: track.folder / f"{name}.{options.format}" for name in names},
    )


def track(folder, name="song.wav"):
    return InputFile(folder / name, name, folder / "out" / "song")


@pytest.mark.parametrize("bits", ["16", "24", "32f"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_size_of_wav_is_known_to_the_byte(tmp_path, bits, channels):
    tags = audio.Tags({"title": "Ä", "comment": "odd"})
    wave = noise(1001, channels)
    audio.encode(tmp_path / "song.wav", wave, 8000, "wav", "16", tags=tags)
    planned = planning.measure(
        track(tmp_path), job(tmp_path, ("bass", "vocals"), bits=bits, channels="all")
    )
    paths = {name: tmp_path / f"{name}.wav" for name in ("bass", "vocals")}
    tags = audio.read_tags(tmp_path / "song.wav")
    with audio.StemWriter(paths, 8000, channels, "wav", bits, tags=tags) as writer:
        writer.write(dict.fromkeys(paths, wave))
    assert planned.stems == sum(path.stat().st_size for path in paths.values())
    assert planned.spool == (0 if bits == "32f" else 2 * 4 * channels * 1001)
    assert file_bytes(1001, channels, bits) < planned.stems / 2


@pytest.mark.parametrize(
    ("format", "bitrate"),
    [("flac", None), ("mp3", None), ("mp3", 64), ("ogg", 128), ("m4a", 96), ("opus", None)],
)
def test_the_size_of_other_formats_is_about_right(tmp_path, format, bitrate):
    rng = np.random.default_rng(0)
    wave = rng.normal(0, 0.1, (2, 3 * 44100)).astype(np.float32)
    wave = np.cumsum(wave, axis=1) / 30  # as music, less of the high
    audio.encode(tmp_path / "song.wav", wave / np.abs(wave).max(), 44100)
    planned = planning.measure(
        track(tmp_path), job(tmp_path, ("bass",), format=format, bitrate=bitrate)
    )
    path = tmp_path / f"x.{format}"
    audio.encode(path, wave / np.abs(wave).max(), 44100, format, None, bitrate)
    size = path.stat().st_size
    assert planning._SURE[format] * planned.stems <= size <= 1.7 * planned.stems


def test_only_what_is_wanted_counts(tmp_path):
    audio.encode(tmp_path / "song.wav", noise(16000, 6), 8000)
    part = job(tmp_path, start=0.5, duration=1, rate=4000)
    part.options.rate = "model"
    planned = planning.measure(track(tmp_path), part)
    assert planned.seconds == 1 and planned.stems == 2 * file_bytes(4000, 2, "16")
    assert planning.measure(track(tmp_path, "none.wav"), part) == planning.Size()


def test_a_length_that_is_not_stated_is_guessed(tmp_path):
    audio.encode(tmp_path / "song.ogg", noise(80000), 8000, "ogg")
    assert planning.measure(track(tmp_path, "song.ogg"), job(tmp_path)).seconds == pytest.approx(
        10, abs=0.1
    )


def test_room_for_what_is_replaced_and_for_several_at_once(tmp_path, monkeypatch):
    audio.encode(tmp_path / "song.wav", noise(10000), 8000)
    one, tracks = job(tmp_path), [track(tmp_path)] * 3
    stems, spool = 2 * file_bytes(10000, 2, "16"), 2 * 4 * 2 * 10000

    def most(jobs):
        one.options.jobs = jobs
        return planning.Plan(tracks, one, 1.0)._most(1.0)

    assert most(1) == 3 * stems + spool and most(2) == 3 * stems + 2 * spool
    (tmp_path / "out" / "song").mkdir(parents=True)
    for name in ("bass", "drums"):  # three times the same stems, as it were
        (tmp_path / "out" / "song" / f"{name}.wav").write_bytes(bytes(stems // 2))
    assert most(1) == spool + stems
    free = planning.shutil._ntuple_diskusage(1, 1, spool + stems - 1)
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda path: free)
    with pytest.raises(UserError, match="out: the stems need 240 kB and the disk has 240 kB left"):
        planning.Plan(tracks, one, 1.0)


def test_models_say_their_usual_speed():
    class Slow:
        usual_speed = {"cpu": 5, "gpu": 50}

    full = models.build("xumx")
    assert planning.usual_speed([full], "gpu") == 150
    assert planning.usual_speed([full, Slow], "cpu", runs=2) == pytest.approx(2)
    assert planning.usual_speed([Slow], "another") == 5
    assert planning.usual_speed([full, object()], "cpu") is None


def test_what_is_said(tmp_path):
    audio.encode(tmp_path / "song.wav", noise(8000), 8000)
    plan = planning.Plan([track(tmp_path)] * 90 + [track(tmp_path, "none.wav")], job(tmp_path), 20)
    assert plan.line("cpu").startswith("91 tracks, at least 01:30 of music: 5.77 MB of stems (")
    assert plan.line("cpu").endswith(
        " free), about 00:04 at 20 x real time (usual for a cpu; the first minute will show)"
    )
    unknown = planning.Plan([track(tmp_path)], job(tmp_path), None)
    assert unknown.line("cpu").endswith(" free); the first minute will show how long this takes")
    assert plan.measured({}, False, 90, 5.0) is None  # a track that failed tells nothing
    assert plan.measured({"seconds": 30.0}, True, 89, 10.0) is None
    told = plan.measured({"seconds": 30.0}, True, 88, 60.0)
    assert told == "about 00:30 left, at 1 x real time"
    assert plan.measured({"seconds": 10.0}, True, 87, 70.0) is None
    assert [planning.in_bytes(n) for n in (7, 999, 1234, 5e9, 2e12)] == [
        *("7 bytes", "999 bytes", "1.23 kB", "5 GB", "2 TB")
    ]
