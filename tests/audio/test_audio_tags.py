"""Tags and covers: written to each format, read from it, carried over to stems."""

import zlib
from struct import pack

import numpy as np
import pytest
import soundfile

from xumx_jax import audio

TEXT = {"title": "Schöner Tag", "artist": "Ä & B", "album": "C", "date": "2001", "genre": "Rock"}
TEXT |= {"track": "3", "comment": "odd"}


def png():
    """A red picture of one pixel."""

    def chunk(name, data):
        return pack(">I", len(data)) + name + data + pack(">I", zlib.crc32(name + data))

    header = pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff\0\0")
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def tone(time=30000):
    wave = 0.5 * np.sin(np.arange(time) / 20)
    return np.stack([wave, wave]).astype(np.float32)


@pytest.mark.parametrize("format", audio.FORMATS)
def test_every_format_keeps_text_and_most_the_cover(tmp_path, format):
    path = tmp_path / f"bass.{format}"
    audio.encode(path, tone(), 44100, format, tags=audio.Tags(TEXT, png(), "image/png"))
    kept = audio.read_tags(path)
    assert kept.text == {**TEXT, "title": "Schöner Tag (bass)"}
    if format in ("wav", "ogg"):
        assert kept.cover is None
    else:
        assert (kept.cover, kept.mime) == (png(), "image/png")
    read, rate = audio.decode(path)
    assert read.shape[1] == -(-30000 * rate // 44100)


def test_only_what_stays_true_is_kept(tmp_path):
    import av

    with av.open(str(tmp_path / "x.flac"), "w") as container:
        container.metadata.update({"ARTIST": "A", "REPLAYGAIN_TRACK_GAIN": "-9 dB", "encoder": "x"})
        stream = container.add_stream("flac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.int16), "s16", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert audio.read_tags(tmp_path / "x.flac") == audio.Tags({"artist": "A"})


def test_a_file_without_tags_gives_stems_without(tmp_path):
    audio.encode(tmp_path / "x.wav", tone(), 44100)
    assert audio.read_tags(tmp_path / "x.wav") == audio.Tags().of_stem("bass") == audio.Tags()
    assert (tmp_path / "x.wav").stat().st_size == 80 + 4 * 30000
    (tmp_path / "none.wav").write_bytes(b"no audio")
    assert audio.read_tags(tmp_path / "none.wav") == audio.Tags()


def test_text_in_another_coding_hides_no_audio(tmp_path):
    path = tmp_path / "x.wav"
    audio.encode(path, tone(), 44100, tags=audio.Tags({"artist": "AAAA", "title": "B"}))
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"A\xe4A\xe4"))
    assert audio.read_tags(path).text["title"] == "B (x)"
    assert audio.decode(path)[0].shape == (2, 30000)
    assert soundfile.info(path).frames == 30000
