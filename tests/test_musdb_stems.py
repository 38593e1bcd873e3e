"""Stem files, written here by the encoder that comes with PyAV."""

import av
import numpy as np
import pytest

from pipelines.musdb_stems import STREAMS, read_stems
from xumx_jax.errors import UserError

RATE, LENGTH = 44100, 44100


def write(path, pitches):
    """Write one AAC stream per pitch, a sine on the left and half of it on the right."""
    time = np.arange(LENGTH) / RATE
    with av.open(str(path), "w", format="mp4") as container:
        streams = [container.add_stream("aac", rate=RATE, layout="stereo") for _ in pitches]
        for stream, pitch in zip(streams, pitches, strict=True):
            left = 0.5 * np.sin(2 * np.pi * pitch * time)
            wave = np.stack([left, left / 2]).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
            frame.rate = RATE
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def test_streams_come_out_by_name(tmp_path):
    path = tmp_path / "song.stem.mp4"
    pitches = [440, 600, 80, 1000, 300]
    write(path, pitches)
    stems, rate = read_stems(path)
    assert rate == RATE and tuple(stems) == STREAMS
    for pitch, wave in zip(pitches, stems.values(), strict=True):
        assert wave.dtype == np.float32 and abs(wave.shape[1] - LENGTH) <= 1024
        second = np.abs(np.fft.rfft(wave[:, :RATE], n=RATE))
        assert (np.argmax(second, axis=1) == pitch).all()
        assert abs(second[0].max() / second[1].max() - 2) < 0.1


def test_other_numbers_of_streams_are_refused(tmp_path):
    path = tmp_path / "song.mp4"
    write(path, [440, 600])
    with pytest.raises(UserError, match="song.mp4: 2 audio streams, wanted 5"):
        read_stems(path)


def test_what_is_not_a_stem_file_is_named(tmp_path):
    path = tmp_path / "song.stem.mp4"
    with pytest.raises(UserError, match="song.stem.mp4: no such file"):
        read_stems(path)
    path.write_bytes(b"words" * 100)
    with pytest.raises(UserError, match="song.stem.mp4: cannot be decoded"):
        read_stems(path)
