"""A file is what is opened: no other file, no network, no pipe that waits; and errors are told."""

import errno
import importlib
import io
import os
import socket
import struct
import time

import av
import numpy as np
import pytest
import soundfile
import stem_files
from encoded import encode_av

from pipelines.tracks import wav
from pipelines.tracks.musdb_stems import decoded_bytes, read_stems
from xumx_jax import audio
from xumx_jax.errors import UserError

RATE = 44100
TONE = np.float32([np.sin(np.arange(9000) / 9) / 2] * 2)

PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile secret.wav\n",
    "ffconcat with a path": "ffconcat version 1.0\nfile '{folder}/secret.wav'\n",
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n",
    "m3u8 of a host": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{host}/a.ts\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio {port} RTP/AVP 0\na=rtpmap:0 PCMU/8000\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" mediaPresentationDuration="PT1S">'
    '<Period><AdaptationSet mimeType="audio/mp4"><Representation id="a" bandwidth="1">'
    "<BaseURL>{host}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "imf": '<?xml version="1.0"?><CompositionPlaylist '
    'xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"></CompositionPlaylist>',
    "pls": "[playlist]\nFile1={host}/a.mp3\n",
    "asx": '<asx version="3.0"><entry><ref href="{host}/a.mp3"/></entry></asx>',
}


@pytest.fixture
def host():
    """A socket on this machine that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["song.mp3", "song", "song.m3u8", "song.mpd", "song.sdp", "s.wav"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_are_refused(tmp_path, monkeypatch, host, kind, name):
    monkeypatch.chdir(tmp_path)
    soundfile.write("secret.wav", TONE.T, RATE)
    port = host.getsockname()[1]
    text = PLAYLISTS[kind].format(folder=tmp_path, host=f"http://127.0.0.1:{port}", port=port)
    (tmp_path / name).write_text(text)
    for read in (audio.decode, wav.probe, read_stems):
        for path in (name, tmp_path / name):
            with pytest.raises(UserError) as caught:
                read(path)
            assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert audio.read_tags(name) == audio.Tags()


def test_what_the_guards_are_for(tmp_path, monkeypatch):
    """FFmpeg itself would read the other file."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("secret.wav", TONE.T, RATE)
    (tmp_path / "song").write_text(PLAYLISTS["ffconcat"])
    with av.open("song") as container:
        assert next(container.decode(audio=0)).samples
    with pytest.raises(UserError, match="song: is a list of other files; wanted an audio file"):
        audio.decode("song")


def test_a_film_whose_sound_is_said_to_be_in_another_file(tmp_path):
    """QuickTime may name another file in an alias."""
    path = tmp_path / "song.mov"
    encode_av(path, TONE, RATE, "pcm_s16le")
    assert audio.decode(path)[0].shape[1] == 9000
    secret = str(tmp_path / "secret.raw").encode()
    (tmp_path / "secret.raw").write_bytes(path.read_bytes())
    alias = bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    alias += bytes([10]) + b"secret.raw".ljust(63, b"\0") + bytes(16) + bytes(4) + bytes(16)
    alias += struct.pack(">HH", 2, len(secret)) + secret + b"\0" * (len(secret) % 2)
    alias += b"\xff\xff" + bytes(2)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"dref") - 4
    (old,) = struct.unpack(">I", raw[at : at + 4])
    new = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    raw[at : at + old] = new
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        begin = raw.rindex(name, 0, at) - 4
        (size,) = struct.unpack(">I", raw[begin : begin + 4])
        raw[begin : begin + 4] = struct.pack(">I", size + len(new) - old)
    path.write_bytes(raw)
    with pytest.raises(UserError, match="song.mov: "):
        audio.decode(path)


NAMES = ["concat:m.mp3", "file:m.mp3", "Title:Sub.mp3", "12:30.mp3", "http:m.mp3", "data:,x.mp3"]
NAMES += ["pipe:0", "cache:m.mp3", "x%03d.mp3", "-", "subfile,,start,0,end,9,,:m.mp3", " .mp3"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_never_an_address(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    encode_av(tmp_path / "m.mp3", np.zeros_like(TONE), RATE, "libmp3lame")
    encode_av(tmp_path / "other.mp3", TONE, RATE, "libmp3lame")
    os.rename("other.mp3", name)
    wave, _ = audio.decode(name)
    assert wave.shape[1] == 9000 and wave[:, 3000:6000].std() > 0.3
    assert audio.read_tags(name) == audio.Tags()


def test_a_stem_file_may_have_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stem_files.write(tmp_path / "x.mp4")
    os.rename("x.mp4", "file:12:30.stem.mp4")
    assert len(read_stems("file:12:30.stem.mp4")[0]) == 5


DOORS = [audio.check_file, audio.decode, wav.probe, decoded_bytes]


@pytest.mark.parametrize("read", DOORS)
def test_what_is_no_file_is_told_at_once(tmp_path, read):
    fifo, place = tmp_path / "pipe", tmp_path / "socket"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        inner, outer = os.pipe()
        begin = time.monotonic()
        kinds = {fifo: "pipe", place: "socket", "/dev/zero": "device", "/dev/null": "device"}
        for path, kind in {**kinds, f"/dev/fd/{inner}": "pipe"}.items():
            with pytest.raises(UserError, match=f"{path}: is a {kind}; use a file"):
                read(path)
        os.close(inner)
        os.close(outer)
    with pytest.raises(UserError, match="Is a directory"):
        read(tmp_path)
    assert audio.read_tags(fifo) == audio.Tags()
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize("read", DOORS)
def test_whatever_is_wrong_with_a_name_is_one_line(tmp_path, read):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(UserError, match="loop: cannot be read: Too many levels of symbolic links"):
        read(loop)
    for name in ("a\0b", "x" * 300, "\ud800", tmp_path / "nothing", tmp_path / "loop" / "x"):
        with pytest.raises(UserError) as caught:
            read(name)
        assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    soundfile.write(path, TONE.T, RATE)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may read anything
    for read in DOORS:
        with pytest.raises(UserError, match="x.wav: cannot be read: Permission denied"):
            read(path)


class Failing(io.FileIO):
    """A file on a disk that fails after the first bytes."""

    def read(self, size=-1, /):
        if self.tell() > 5000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.mp3", "x.m4a", "x.mka"])
def test_a_disk_that_fails(tmp_path, monkeypatch, name):
    path = tmp_path / name
    codec = {"x.mp3": "libmp3lame", "x.m4a": "aac", "x.mka": "aac"}[name]
    encode_av(path, np.tile(TONE, 10), RATE, codec)
    # a function has the same name as the module
    module = importlib.import_module("xumx_jax.audio.decode")
    monkeypatch.setattr(module, "open_binary", Failing)
    with pytest.raises(UserError, match=f"{name}: .*Input/output error"):
        audio.decode(path)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (22, b"\xff\xff"),  # channels
        (24, b"\xff\xff\xff\xff"),  # rate
        (24, bytes(4)),
        (32, bytes(2)),  # bytes of a sample
        (34, bytes(2)),  # bits
        (16, b"\xff\xff\xff\xff"),  # length of the header
        (20, b"\xff\xff"),  # coding
    ],
)
@pytest.mark.parametrize("read", [audio.decode, wav.probe])
def test_absurd_headers_are_told_or_repaired(tmp_path, at, value, read):
    path = tmp_path / "x.wav"
    soundfile.write(path, TONE.T, RATE)
    raw = bytearray(path.read_bytes())
    raw[at : at + len(value)] = value
    path.write_bytes(raw)
    try:
        read(path)
    except UserError as error:
        assert "x.wav: " in str(error) and "\n" not in str(error)


def test_a_flac_that_is_cut_early(tmp_path):
    path = tmp_path / "x.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, (9000, 2)), RATE)
    path.write_bytes(path.read_bytes()[:9000])
    says = "x.flac: the file is cut off and does not hold all of its 9000 samples; use the whole"
    with pytest.raises(UserError, match=says):
        audio.decode(path)
    with pytest.raises(UserError, match="x.flac: the file is cut off before its first samples"):
        audio.decode(path, allow_truncated=True)
