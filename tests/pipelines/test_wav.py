"""WAV headers in all their forms."""

import struct

import numpy as np
import soundfile

from pipelines.tracks import wav

RATE = 8000


def noise(samples=50, channels=2, seed=0):
    return np.random.default_rng(seed).uniform(-0.4, 0.4, (samples, channels))


def test_sixteen_bit_wav_does_not_need_a_decoder(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(), RATE, subtype="PCM_16")
    assert wav.probe(path).offset == 44
    soundfile.write(path, noise(), RATE, subtype="PCM_24")
    assert wav.probe(path).offset is None


def test_extensible_headers_and_unknown_chunks_are_understood(tmp_path):
    samples = (noise(6) * 32767).astype("<i2")
    form = struct.pack("<HHIIHHH", 0xFFFE, 2, RATE, RATE * 4, 4, 16, 22)
    form += struct.pack("<HIH", 16, 3, 1) + bytes(14)  # valid bits, speakers, PCM sub-format
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes()
    path = tmp_path / "x.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks)
    file = wav.probe(path)
    assert (file.samples, file.channels, file.rate) == (6, 2, RATE)
    assert file.offset == path.stat().st_size - samples.nbytes


def test_length_unknown_to_the_writer_is_taken_from_the_file(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(), RATE, subtype="PCM_16")
    raw = bytearray(path.read_bytes())
    raw[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)
    assert wav.probe(path).samples == 50
