"""Covers and tags that a file cannot hold are left out, with one warning; nothing else is lost."""

import base64
import io
import os
import struct
import zlib

import av
import numpy as np
import pytest

from xumx_jax import audio
from xumx_jax.errors import collected

WAVE = np.sin(np.arange(3000) / 20, dtype=np.float32)[None] * np.float32([[0.5], [0.4]])


def png(width=1, height=1):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixel = chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixel + chunk(b"IEND", b"")


def jpeg():
    """A red picture of 16 x 16 pixels, by FFmpeg's encoder."""
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), (255, 0, 0), np.uint8))
        container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    return file.getvalue()


JPEG, PNG = jpeg(), png()
GOOD = {"image/jpeg": JPEG, "image/png": PNG}
NEITHER, DAMAGED = "is neither a JPEG nor a PNG", "is damaged"
BAD = {
    "bmp": (b"BM" + struct.pack("<IIIIiiHHIIiiII", 58, 0, 54, 40, 1, 1, 1, 24, *bytes(6)), NEITHER),
    "gif": (b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;" + bytes(99), NEITHER),
    "webp": (b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + bytes(99), NEITHER),
    "text": (b"this is no picture " * 9, NEITHER),
    "one byte": (b"\xff", NEITHER),
    "the beginning of a jpeg": (JPEG[:40], DAMAGED),
    "the first bytes of a png": (PNG[:8], DAMAGED),
    "too wide": (png(2**31 - 1, 2**31 - 1), DAMAGED),
    "without height": (png(1, 0), DAMAGED),
}


def picture_block(picture):
    """FLAC's, which calls everything a JPEG."""
    kind = b"image/jpeg"
    front = struct.pack(">II", 3, len(kind)) + kind + bytes(20)
    return front + struct.pack(">I", len(picture)) + picture


def id3(pictures):
    frames = struct.pack(">4sIH", b"TPE1", 2, 0) + b"\0A"
    for picture in pictures:
        body = b"\0image/jpeg\0\3\0" + picture
        frames += struct.pack(">4sIH", b"APIC", len(body), 0) + body
    return b"ID3\3\0\0" + bytes(len(frames) >> at & 127 for at in (21, 14, 7, 0)) + frames


def mp3(path, pictures):
    audio.encode(path, WAVE, 44100, "mp3")
    path.write_bytes(id3(pictures) + path.read_bytes())


def wav(path, pictures):
    audio.encode(path, WAVE, 44100, "wav")
    data, tags = path.read_bytes(), id3(pictures)
    data += struct.pack("<4sI", b"id3 ", len(tags)) + tags + bytes(len(tags) % 2)
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def flac(path, pictures):
    audio.encode(path, WAVE, 44100, "flac", tags=audio.Tags({"artist": "A"}))
    data, first = path.read_bytes(), 4 + 4 + 34  # after the block of numbers
    blocks = b""
    for block in map(picture_block, pictures):
        blocks += bytes([6]) + len(block).to_bytes(3, "big") + block
    path.write_bytes(data[:first] + blocks + data[first:])


def m4a(path, pictures):
    """One picture, in the place of one that our writer took."""
    (picture,) = pictures
    size = max(len(picture), len(PNG))
    stand_in = PNG + bytes(size - len(PNG))
    audio.encode(path, WAVE, 44100, "m4a", tags=audio.Tags({"artist": "A"}, stand_in, "image/png"))
    data = path.read_bytes()
    assert data.count(stand_in) == 1
    path.write_bytes(data.replace(stand_in, picture + bytes(size - len(picture))))


def opus(path, pictures):
    (picture,) = pictures
    with av.open(str(path), "w", format="opus") as container:
        stream = container.add_stream("libopus", rate=48000)
        stream.layout, stream.format = "stereo", "flt"
        text = base64.b64encode(picture_block(picture)).decode()
        container.metadata.update({"artist": "A", "METADATA_BLOCK_PICTURE": text})
        convert = av.AudioResampler("flt", "stereo", 48000, 960)
        frame = av.AudioFrame.from_ndarray(WAVE, "fltp", "stereo")
        frame.sample_rate = 48000
        for part in [*convert.resample(frame), *convert.resample(None), None]:
            container.mux(stream.encode(part))


CARRIERS = {"wav": wav, "mp3": mp3, "flac": flac, "m4a": m4a, "opus": opus}


def stems_of(source, folder):
    """{format: (tags of its stem, warnings)} where the tags are those of a file."""
    found, tags = {}, audio.read_tags(source)
    for format in audio.FORMATS:
        heard, path = [], folder / f"bass.{format}"
        with collected(heard.append):
            audio.encode(path, WAVE, 44100, format, tags=tags)
        read, rate = audio.decode(path)
        assert read.shape == (2, -(-3000 * rate // 44100))
        found[format] = audio.read_tags(path), heard
        assert found[format][0].text == {"artist": "A"}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_picture_costs_nothing_but_itself(tmp_path, carrier, kind):
    picture, says = BAD[kind]
    CARRIERS[carrier](tmp_path / "source", [picture])
    assert audio.decode(tmp_path / "source")[0].shape[0] == 2
    for format, (tags, heard) in stems_of(tmp_path / "source", tmp_path).items():
        assert tags.cover is None
        holds = format not in ("wav", "ogg")
        assert len(heard) == holds, heard
        assert not holds or heard[0].startswith(f"the cover picture {says}, so it is not copied")


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("mime", GOOD)
def test_a_good_picture_is_copied_whatever_it_is_called(tmp_path, carrier, mime):
    CARRIERS[carrier](tmp_path / "source", [GOOD[mime]])
    for format, (tags, heard) in stems_of(tmp_path / "source", tmp_path).items():
        assert not heard
        if format not in ("wav", "ogg"):
            assert (tags.cover[: len(GOOD[mime])], tags.mime) == (GOOD[mime], mime)


@pytest.mark.parametrize("carrier", [mp3, flac])
def test_of_several_pictures_the_first_good_one_is_copied(tmp_path, carrier):
    carrier(tmp_path / "source", [BAD["bmp"][0], PNG, JPEG])
    tags, heard = stems_of(tmp_path / "source", tmp_path)["flac"]
    assert (tags.cover, heard) == (PNG, [])


def test_a_picture_that_is_too_large_is_left_out(tmp_path):
    large = audio.Tags({}, PNG + bytes(1 << 24), "image/png")
    for format in ("flac", "mp3", "m4a", "opus"):
        with pytest.warns(UserWarning, match="the cover picture takes 17 MB, more than"):
            audio.encode(tmp_path / "x", WAVE, 44100, format, tags=large)
        assert audio.read_tags(tmp_path / "x").cover is None


def test_a_cover_without_data_is_none(tmp_path):
    mp3(tmp_path / "x.mp3", [b""])
    assert audio.read_tags(tmp_path / "x.mp3") == audio.Tags({"artist": "A"})


ODD = {
    "title": "a\0b",
    "artist": os.fsdecode(b"caf\xe9"),
    "album": "\ud800 \x01\x02 \n🎸",
    "genre": "x" * 65536,
    "track": 3,
}


@pytest.mark.parametrize("format", audio.FORMATS)
def test_odd_text_is_stored_as_far_as_it_can_be(tmp_path, format):
    path = tmp_path / os.fsdecode(b"\xe9.bin")  # which the title gets, like the stem's name
    with pytest.warns(UserWarning, match="more than 65536 characters are not copied .*: comment"):
        audio.encode(path, WAVE, 44100, format, tags=audio.Tags({**ODD, "comment": "x" * 65537}))
    kept = audio.read_tags(path).text
    assert kept["title"] == "a b (?)" and kept["artist"] == "caf?"
    assert kept["album"] in ("? \x01\x02 \n🎸", "?  \n🎸") and "comment" not in kept
    assert (kept["genre"], kept["track"]) == ("x" * 65536, "3")
    assert audio.decode(path)[0].shape[0] == 2
