"""Headers that are wrong or odd: what they state is compared with what is there."""

import struct
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from encoded import encode_av, encode_film

from pipelines.tracks import wav
from xumx_jax import audio
from xumx_jax.audio import riff as riff_headers
from xumx_jax.errors import UserError

RATE = 8000
LEVELS = np.random.default_rng(0).integers(-9000, 9000, (600, 2)).astype(np.int16)
WAVE = LEVELS.T.astype(np.float32) / 32768


def chunk(name, body, order="<", length=None):
    size = len(body) if length is None else length
    return struct.pack(order + "4sI", name, size) + body + b"\0" * (len(body) % 2)


def form(order="<", extensible=False):
    body = struct.pack(order + "HHIIHH", 1, 2, RATE, RATE * 4, 4, 16)
    if extensible:
        body = struct.pack(order + "H", 0xFFFE) + body[2:]
        body += struct.pack(order + "HHIH", 22, 16, 3, 1)
        body += bytes.fromhex("000000001000800000aa00389b71")
    return chunk(b"fmt ", body, order)


def riff(*chunks, magic=b"RIFF", order="<", length=None):
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack(order + "I", len(body) if length is None else length) + body


def samples(order="<", length=None):
    return chunk(b"data", LEVELS.astype(order + "i2").tobytes(), order, length)


BYTES = LEVELS.nbytes
LIST = chunk(b"LIST", b"INFOIART\x02\0\0\0A\0")
ODD = chunk(b"abcd", b"xyz")
DS64 = chunk(b"ds64", struct.pack("<QQQI", BYTES + 100, BYTES, 600, 0))
UNKNOWN_DS64 = chunk(b"ds64", bytes(28))
WHOLE = {
    "plain": riff(form(), samples()),
    "big-endian": riff(form(">"), samples(">"), magic=b"RIFX", order=">"),
    "extensible": riff(form(extensible=True), samples()),
    "chunks around": riff(ODD, LIST, form(), ODD, samples(), LIST, ODD),
    "padding": riff(chunk(b"PAD ", bytes(4000)), form(), chunk(b"JUNK", bytes(31)), samples()),
    "the form behind": riff(samples(), form()),
    "RF64": riff(DS64, form(), samples(length=0xFFFFFFFF), magic=b"RF64", length=0xFFFFFFFF),
    "BW64": riff(DS64, form(), samples(length=0xFFFFFFFF), magic=b"BW64", length=0xFFFFFFFF),
    "something appended": riff(form(), samples()) + b"TAG" + bytes(125),
}
# the usual lengths of what was written to a pipe
PIPES = (0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 44)
WHOLE |= {f"pipe {n:x}": riff(form(), samples(length=n), length=0xFFFFFFFF) for n in PIPES}
WHOLE["RF64 of a pipe"] = riff(
    UNKNOWN_DS64, form(), samples(length=0xFFFFFFFF), magic=b"RF64", length=0xFFFFFFFF
)
ODDITIES = {
    "0": (riff(form(), samples(length=0), length=0), "states a length of 0; it was read to its"),
    "0 in a whole RIFF": (riff(form(), samples(length=0)), "states a length of 0"),
    "0, big-endian": (
        riff(form(">"), samples(">", length=0), magic=b"RIFX", order=">"),
        "states a length of 0",
    ),
    "8 too many": (riff(form(), samples(length=BYTES + 8)), "states 2408 bytes; the 2400 that"),
    "the header counted": (riff(form(), samples(length=BYTES + 36)), "states 2436 bytes"),
    "hundreds too many": (riff(form(), samples(length=BYTES + 500)), "states 2900 bytes"),
}


def trained(path):
    """What training and evaluation read."""
    file = wav.probe(path)
    out = np.zeros((file.samples, file.channels), np.float32)
    file.read_into(0, out)
    return out.T, file.rate


@contextmanager
def warned(says):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield
    messages = [str(one.message) for one in found]
    assert len(messages) == 1 and says in messages[0] and "x.wav: " in messages[0], messages


@pytest.mark.parametrize("read", [audio.decode, trained])
@pytest.mark.parametrize("kind", WHOLE)
def test_every_legal_wav_is_read_whole_and_silently(tmp_path, kind, read):
    path = tmp_path / "x.wav"
    path.write_bytes(WHOLE[kind])
    wave, rate = read(path)
    assert rate == RATE
    np.testing.assert_array_equal(wave, WAVE)


@pytest.mark.parametrize("read", [audio.decode, trained])
@pytest.mark.parametrize("kind", ODDITIES)
def test_a_length_that_is_not_far_off_is_a_warning(tmp_path, kind, read):
    path = tmp_path / "x.wav"
    content, says = ODDITIES[kind]
    path.write_bytes(content)
    with warned(says):
        wave, _ = read(path)
    np.testing.assert_array_equal(wave, WAVE)
    with warned(says), audio.open_blocks(path, start=0.05, duration=0.01) as blocks:
        assert blocks.length == 80
        np.testing.assert_array_equal(np.concatenate(list(blocks), 1), WAVE[:, 400:480])


@pytest.mark.parametrize("read", [audio.decode, trained])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_a_length_of_0_in_every_coding(tmp_path, subtype, read):
    path = tmp_path / "x.wav"
    soundfile.write(path, WAVE.T, RATE, subtype)
    whole, _ = read(path)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"data")
    raw[at + 4 : at + 8] = bytes(4)
    path.write_bytes(raw)
    with warned("length of 0"):
        wave, _ = read(path)
    np.testing.assert_array_equal(wave, whole)


# {suffix: (bytes from the length to the samples, how it is stored, one that states no samples)}
LENGTHS = {"wav": (4, "<I", 0), "w64": (8, "<Q", 24), "aiff": (12, ">I", 8)}
CODINGS = [("wav", "IMA_ADPCM"), ("wav", "MS_ADPCM"), ("wav", "GSM610"), ("wav", "G721_32")]
CODINGS += [("w64", "MS_ADPCM"), ("w64", "GSM610"), ("aiff", "IMA_ADPCM"), ("aiff", "GSM610")]
SEEKABLE = ("IMA_ADPCM", "MS_ADPCM")


@pytest.mark.parametrize(
    ("suffix", "subtype", "read"),
    [(*coding, audio.decode) for coding in CODINGS]
    + [(*coding, trained) for coding in CODINGS if coding[1] in SEEKABLE],
)
def test_a_length_of_0_of_compressed_sound(tmp_path, suffix, subtype, read):
    path = tmp_path / f"x.{suffix}"
    channels = 1 if subtype in ("GSM610", "G721_32") else 2
    soundfile.write(path, WAVE.T.repeat(20, 0)[:, :channels], RATE, subtype, format=suffix)
    whole, _ = read(path)
    raw = bytearray(path.read_bytes())
    with open(path, "rb") as file:
        sound = riff_headers.read_sound(file)
    before, stored, none = LENGTHS[suffix]
    struct.pack_into(stored, raw, sound.offset - before, none)
    path.write_bytes(raw)
    with pytest.warns(UserWarning, match="length of 0; it was read to its end"):
        wave, _ = read(path)
    assert wave.shape[1] >= 12000
    np.testing.assert_array_equal(wave, whole)


@pytest.mark.parametrize("read", [audio.decode, trained])
@pytest.mark.parametrize("behind", [b"", LIST, LIST + ODD, b"\0"])
def test_no_samples_stay_no_samples(tmp_path, behind, read):
    path = tmp_path / "x.wav"
    path.write_bytes(riff(form(), chunk(b"data", b""), behind))
    assert read(path)[0].shape == (2, 0)


@pytest.mark.parametrize("read", [audio.decode, trained])
@pytest.mark.parametrize("kind", ["plain", "big-endian", "extensible", "RF64", "BW64"])
def test_a_wav_that_is_cut_off_is_an_error(tmp_path, kind, read):
    path = tmp_path / "x.wav"
    path.write_bytes(WHOLE[kind][:-1200])
    with pytest.raises(UserError, match="x.wav: .* 600 samples"):
        read(path)


def test_more_than_32_bits_can_count(tmp_path):
    """Four gigabytes of zeros, of which the file system keeps none, before the last samples."""
    path = tmp_path / "x.wav"
    with open(path, "wb") as file:
        file.write(riff(form(), chunk(b"data", b"", length=BYTES)))
        file.seek(2**32, 1)
        file.write(LEVELS.tobytes())
    start = 2**30 / RATE
    with warned("above 4 GB"), audio.open_blocks(path, start) as blocks:
        np.testing.assert_array_equal(np.concatenate(list(blocks), 1), WAVE)


FORMATS = [("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("W64", "PCM_24"), ("CAF", "PCM_16")]
FORMATS += [("AU", "PCM_16"), ("WAV", "ULAW"), ("AIFF", "ALAW"), ("AU", "ULAW"), ("FLAC", "PCM_16")]
FORMATS += [("WAV", "IMA_ADPCM"), ("WAV", "GSM610"), ("AIFF", "IMA_ADPCM"), ("AU", "G721_32")]
FORMATS += [("CAF", "ALAC_16"), ("RF64", "PCM_16"), ("SVX", "PCM_16")]


@pytest.mark.parametrize(("format", "subtype"), FORMATS)
def test_half_a_file_is_told_in_every_format_that_states_its_length(tmp_path, format, subtype):
    path = tmp_path / f"x.{format.lower()}"
    tone = np.sin(np.arange(9000) / 9) / 2
    soundfile.write(path, tone, RATE, subtype, format=format)
    whole, _ = audio.decode(path)
    assert 9000 <= whole.shape[1] <= 9600
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=f"{path.name}: the file "):
        audio.decode(path)
    if format == "FLAC" or subtype == "ALAC_16":  # whose blocks are long
        return
    with pytest.warns(UserWarning, match="only these were read"):
        read, _ = audio.decode(path, allow_truncated=True)
    assert 2000 < read.shape[1] < 5000
    np.testing.assert_array_equal(read[:, :2000], whole[:, :2000])


@pytest.mark.parametrize("format", ["AIFF", "W64", "CAF", "AU"])
def test_relatives_of_wav_whose_length_was_never_written(tmp_path, format):
    path = tmp_path / f"x.{format}"
    soundfile.write(path, LEVELS, RATE, "PCM_16", format=format)
    raw = path.read_bytes()
    at, old, new = {
        "AIFF": (raw.find(b"SSND") + 4, 4, bytes(4)),
        "W64": (raw.find(b"data") + 16, 8, b"\x18" + bytes(7)),
        "CAF": (raw.find(b"data") + 4, 8, b"\xff" * 8),
        "AU": (8, 4, b"\xff" * 4),
    }[format]
    path.write_bytes(raw[:at] + new + raw[at + old :])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        wave, _ = audio.decode(path)
    assert len(found) == (format in ("AIFF", "W64"))
    np.testing.assert_array_equal(wave, WAVE)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("x.wv", "wavpack"), ("x.tta", "tta"), ("x.m4a", "alac")],
)
def test_half_a_file_of_other_lossless_formats(tmp_path, name, codec):
    path = tmp_path / name
    wave = np.stack([WAVE[0, :400].repeat(300)] * 2)
    encode_av(path, wave, 44100, codec)
    assert audio.decode(path)[0].shape == (2, 120000)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UserError, match=name):
        audio.decode(path)


def test_mp3_inside_wav_is_whole_though_its_header_counts_otherwise(tmp_path):
    path = tmp_path / "x.wav"
    tone = np.float32(np.sin(np.arange(44100) / 9) / 2)
    encode_av(path, np.stack([tone, tone]), 44100, "libmp3lame")
    read, _ = audio.decode(path)
    assert abs(read.shape[1] - 44100) < 2500 and 0.3 < read[:, 5000:40000].std() < 0.4
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(UserError, match="x.wav: the file is cut off after"):
        audio.decode(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.mkv", "x.mp4", "x.mov", "x.avi"])
@pytest.mark.parametrize("sounds", [1, 2])
def test_a_film_may_be_longer_than_its_sound(tmp_path, name, sounds):
    path = tmp_path / name
    encode_film(path, seconds=3, sounds=[1, 2][:sounds])
    read, rate = audio.decode(path)
    assert abs(read.shape[1] - rate) < 3000
    with audio.open_blocks(path) as blocks:
        assert blocks.length is None or abs(blocks.length - read.shape[1]) < 3000
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(UserError, match=name):
        audio.decode(path)


def test_a_cut_film_in_fragments(tmp_path):
    path = tmp_path / "x.mp4"
    encode_film(path, 3, [3], movflags="frag_keyframe+empty_moov")
    raw = path.read_bytes()
    audio.decode(path)
    path.write_bytes(raw[: raw.rindex(b"mdat") + 500])
    with pytest.raises(UserError, match="x.mp4: the file "):
        audio.decode(path)


@pytest.mark.parametrize("name", ["x.mkv", "x.avi", "x.mp4"])
@pytest.mark.parametrize("missing", [1, 300])
def test_a_container_that_is_cut_a_little_has_no_wrong_header(tmp_path, name, missing):
    path = tmp_path / name
    codec = {"x.mkv": "pcm_s16le", "x.avi": "pcm_s16le", "x.mp4": "aac"}[name]
    options = dict(movflags="frag_keyframe+empty_moov") if name == "x.mp4" else {}
    encode_av(path, WAVE.repeat(40, 1), 44100, codec, **options)
    audio.decode(path)
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(UserError, match=f"{name}: the file is cut off after"):
        audio.decode(path)
