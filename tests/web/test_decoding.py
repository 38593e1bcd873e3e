"""Decoding in a child: the same samples as here, within limits, and what is refused."""

import io
import os
import struct
from importlib.util import find_spec
from pathlib import Path

import av
import fuzzing
import numpy as np
import pytest
import soundfile
from encoded import encode_av

from xumx_jax import audio
from xumx_jax.errors import UserError, collected
from xumx_jax.separation.file import separate_file
from xumx_jax.separation.separator import load
from xumx_jax.web import child
from xumx_jax.web.decoding import Limits, Probe, Refused, open_in_child, probe

RATE = 44100
WAVE = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 3 * 65536 + 77)).astype(np.float32)
LIMITS = Limits()
SPEC = find_spec("xumx_jax")
pytestmark = pytest.mark.usefixtures("nothing_is_left")
PROC = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="wanted Linux's /proc")


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "input"
    soundfile.write(path, WAVE.T, RATE, "PCM_16", format="WAV")
    return path


def received(path, label="song.mp3", limits=LIMITS):
    """What comes from a child: samples, the stream, warnings."""
    lines = []
    with collected(lines.append), open_in_child(path, label, limits) as stream:
        blocks = [*stream]
    return np.concatenate(blocks, 1), stream, lines


def png() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = 8
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((8, 8, 3), np.uint8))))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("format", ["mp3", "flac", "ogg"])
def test_the_same_samples_and_tags_as_without_a_child(tmp_path, format):
    path = tmp_path / "input"
    tags = audio.Tags({"title": "T\u00e9 \u2028 <b>", "date": "2026"}, png(), "image/png")
    audio.encode(tmp_path / f"x.{format}", WAVE, RATE, format, tags=tags)
    os.rename(tmp_path / f"x.{format}", path)
    wave, stream, lines = received(path, f"a.{format}")
    with audio.open_blocks(path, tags=True) as expected:
        assert (stream.rate, stream.channels, stream.tags) == (RATE, 2, expected.tags)
        assert (stream.length, stream.estimate) == (expected.length, expected.estimate)
        np.testing.assert_array_equal(wave, np.concatenate([*expected], 1))
    assert stream.tags.text["date"] == "2026" and lines == []
    assert (stream.tags.cover is None) == (format == "ogg")
    seconds = WAVE.shape[1] / RATE
    found = probe(path, "x", LIMITS)
    assert (found.rate, found.channels) == (RATE, 2) and abs(found.seconds - seconds) < 0.1


def test_tags_and_covers_that_no_stem_can_hold_cost_no_track(tmp_path):
    """An MP3 with a picture of 20 MB and a tag of 300,000 characters; only they are lost."""
    picture = png().ljust(20_000_000, b"\0")
    frame = b"APIC" + struct.pack(">IH", len(picture) + 13, 0) + b"\0image/png\0\3\0" + picture
    text = b"\3" + "\u00e4".encode() * 300_000
    frame += b"TCOP" + struct.pack(">IH", len(text), 0) + text
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    audio.encode(tmp_path / "x.mp3", WAVE, RATE, "mp3")
    whole = b"ID3\3\0\0" + size + frame + (tmp_path / "x.mp3").read_bytes()
    (tmp_path / "x.mp3").write_bytes(whole)
    wave, stream, _ = received(tmp_path / "x.mp3")
    np.testing.assert_array_equal(wave, audio.decode(tmp_path / "x.mp3")[0])
    lines = []
    with collected(lines.append):
        audio.encode(tmp_path / "stem.mp3", wave, RATE, "mp3", tags=stream.tags)
    assert len(lines) == 2 and "copyright" in lines[0] and "MB, more than" in lines[1]


@pytest.mark.slow
@pytest.mark.parametrize("channels, rate", [(1, 8000), (64, 96000)])
def test_any_usual_number_of_channels(tmp_path, channels, rate):
    """A second more than libsndfile reads at once; 64 channels of it are 100 MB in the child."""
    wave = np.random.default_rng(1).uniform(-0.5, 0.5, (300_000, channels)).astype(np.float32)
    soundfile.write(tmp_path / "input", wave, rate, "FLOAT", format="WAV")
    received_wave, stream, _ = received(tmp_path / "input")
    assert (stream.channels, stream.rate, stream.length) == (channels, rate, 300_000)
    np.testing.assert_array_equal(received_wave, wave.T)


def test_systems_without_limits_say_so_once(song, monkeypatch, caplog):
    monkeypatch.setattr(child, "find_spec", lambda name: None if name == "resource" else SPEC)
    monkeypatch.setattr(child, "_unlimited_told", False)
    for _ in range(2):
        assert probe(song, "x", LIMITS).exact
    assert caplog.text.count("sets no limits") == 1


@pytest.mark.slow
def test_the_same_stems_as_from_the_file(tmp_path, tiny_model):
    """At another rate, so that blocks of other lengths are resampled."""
    path = tmp_path / "song.flac"
    soundfile.write(path, WAVE[:, :150_000].T, 32_000)
    separator = load(str(tiny_model))
    direct = separate_file(separator, path, tmp_path / "direct")
    with open_in_child(path, "song.flac", LIMITS) as stream:
        through = separate_file(separator, stream, tmp_path / "through", label="song.flac")
    assert direct.peaks == through.peaks and direct.gain == through.gain
    for stem, written in direct.paths.items():
        assert written.read_bytes() == through.paths[stem].read_bytes()


def test_warnings_name_the_file_as_its_sender_did(tmp_path, song):
    data = bytearray(song.read_bytes())
    data[40:44] = bytes(4)  # the length of the samples
    song.write_bytes(data)
    wave, _, lines = received(song, "My song.wav")
    assert lines == ["My song.wav: its header states a length of 0; it was read to its end"]
    assert wave.shape == WAVE.shape


@PROC
def test_what_the_child_can_do(song, monkeypatch):
    """Its environment, what it has open, its limits and libraries, seen while it waits to send."""
    monkeypatch.setenv("SECRET", "of the server")
    others = set(fuzzing.children())  # such as a server that all tests share
    with open("/dev/null") as other, open_in_child(song, "secret name.wav", LIMITS) as stream:
        os.set_inheritable(other.fileno(), True)
        next(iter(stream))
        (pid,) = set(fuzzing.children()) - others
        place = Path("/proc", pid)
        words = (place / "cmdline").read_bytes()
        assert b"xumx_jax.web.decoder" in words and b"secret" not in words
        variables = [
            line.partition(b"=")[0] for line in (place / "environ").read_bytes().split(b"\0")
        ]
        wanted = {b"PYTHONPATH", b"PYTHONUTF8", b"OPENBLAS_NUM_THREADS", b"MALLOC_ARENA_MAX", b""}
        assert set(variables) - wanted <= {name.encode() for name in child.PASSED_ON}
        opened = {os.readlink(path) for path in (place / "fd").iterdir()}
        assert str(song) in opened and opened - {str(song), "/dev/null"} == {
            path for path in opened if path.startswith("pipe:")
        }
        assert os.readlink(place / "cwd") == "/" and os.getpgid(int(pid)) == int(pid)
        libraries = (place / "maps").read_text()
        assert "libavcodec" in libraries or "libsndfile" in libraries
        assert "jaxlib" not in libraries
        lines = (place / "limits").read_text().splitlines()
        hard = {line[:26].strip(): line[26:].split()[1] for line in lines}
        assert hard["Max file size"] == hard["Max core file size"] == "0"
        assert hard["Max address space"] == str(LIMITS.memory_bytes)
        assert hard["Max cpu time"] == "1141" and hard["Max open files"] == "64"
    assert not place.exists()


@pytest.mark.parametrize(
    "data, code, line",
    [
        (b"", "not_audio", "the file is empty (0 bytes); wanted an audio file"),
        (b"%PDF-1.4 and so on", "not_audio", "not an audio file that can be decoded"),
        (png(), "not_audio", "not an audio file that can be decoded"),
        ("half", "cut_off", "the file ends after 66000 of 196685 samples; use the whole file"),
        ("folder", "not_audio", "Is a directory"),
    ],
    ids=["empty", "pdf", "picture", "cut off", "folder"],
)
def test_files_that_are_refused(song, data, code, line):
    if data == "half":
        song.write_bytes(song.read_bytes()[: 44 + 66000 * 4])
    elif data == "folder":
        song.unlink()
        song.mkdir()
    else:
        song.write_bytes(data)
    with pytest.raises(Refused) as caught:
        probe(song, "My song.pdf", LIMITS)
    text = str(caught.value)
    assert caught.value.code == code and text.startswith("My song.pdf: ") and line in text
    assert text.isprintable() and str(song.parent) not in text and "--" not in text


def test_a_track_that_is_too_long_by_its_header(song):
    with pytest.raises(Refused, match="^x: is 0.1 minutes long, or more; wanted up to 0.05 min"):
        probe(song, "x", Limits(max_seconds=3))
    exact = Probe(RATE, 2, WAVE.shape[1] / RATE, True)
    assert probe(song, "x", Limits(max_seconds=WAVE.shape[1] / RATE)) == exact


def test_a_track_that_is_too_long_whatever_its_header_says(tmp_path):
    """The length of an ADTS file is only estimated."""
    path = tmp_path / "x.aac"
    encode_av(path, WAVE, RATE, "aac")
    with open_in_child(path, "x", Limits(max_seconds=3)) as stream:
        assert stream.length is None and stream.estimate < 6 * RATE
        with pytest.raises(Refused, match="or more; wanted up to 0.05 minutes") as caught:
            for _ in stream:
                pass
    assert caught.value.code == "too_long"


def test_a_reader_that_stops_early(song):
    with open_in_child(song, "x", LIMITS) as stream:
        next(iter(stream))
    with pytest.raises(UserError, match="mine"), open_in_child(song, "x", LIMITS):
        raise UserError("mine")


def test_a_limit_of_memory(song):
    with pytest.raises(Refused, match="not an audio file that can be decoded") as caught:
        probe(song, "x", Limits(memory_bytes=64 << 20))
    assert caught.value.code == "not_audio"


def test_a_file_that_crashes_ffmpeg(tmp_path):
    """An ADX header of blocks without samples, at which FFmpeg 8 divides by zero."""
    head = bytes.fromhex("80000020 03000002 00000044") + bytes(18) + b"(c)CRI"
    (tmp_path / "input").write_bytes(head.ljust(4644, b"\0"))
    with pytest.raises(Refused, match="^x.adx: not an audio file that can be decoded") as caught:
        received(tmp_path / "input", "x.adx")
    assert caught.value.code == "not_audio"
