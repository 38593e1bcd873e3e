"""Reading block by block and from the middle, and resampling such a stream."""

import numpy as np
import pytest
import soundfile
from test_audio import encode_av

from xumx_jax import audio
from xumx_jax.errors import UserError

RATE = 44100


def noise(time, channels=2):
    rng = np.random.default_rng(time)
    return rng.uniform(-0.9, 0.9, (channels, time)).astype(np.float32)


def write(path, time=300001):
    wave = noise(time)
    codec = {".mp3": "libmp3lame", ".m4a": "aac", ".mkv": "pcm_s16le"}.get(path.suffix)
    if codec:
        encode_av(path, wave, RATE, codec)
    else:
        soundfile.write(path, wave.T, RATE)


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.ogg", "x.mp3", "x.m4a", "x.mkv"])
@pytest.mark.parametrize(
    ("start", "duration"), [(0, None), (0, 0.5), (2, 1.25), (3, None), (6, 99), (0.25, 1e-9)]
)
def test_a_part_equals_that_part_of_the_whole(tmp_path, name, start, duration):
    path = tmp_path / name
    write(path)
    whole, _ = audio.decode(path)
    first = round(start * RATE)
    stop = None if duration is None else first + max(1, round(duration * RATE))
    with audio.open_blocks(path, start, duration) as blocks:
        assert (blocks.rate, blocks.channels) == (RATE, 2)
        stated, read = blocks.frames, list(blocks)
    assert all(block.dtype == np.float32 and 0 < block.shape[1] <= 1 << 18 for block in read)
    np.testing.assert_array_equal(np.concatenate(read, axis=1), whole[:, first:stop])
    assert abs(stated - whole[:, first:stop].shape[1]) <= 4410


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.ogg", "x.mp3", "x.m4a"])
def test_half_a_file_gives_its_blocks_and_then_the_error(tmp_path, name):
    path = tmp_path / name
    write(path, 600000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=name):
        with audio.open_blocks(path) as blocks:
            for block in blocks:
                assert block.shape[1]
    if name != "x.m4a":  # its table of contents is at the end
        assert audio.decode(path, duration=1)[0].shape == (2, RATE)


@pytest.mark.parametrize("name", ["x.wav", "x.mp3"])
def test_a_start_beyond_the_end(tmp_path, name):
    write(tmp_path / name, 4410)
    with pytest.raises(UserError, match=f"{name}: is over before 0.5 s"):
        audio.decode(tmp_path / name, start=0.5)


@pytest.mark.parametrize(
    ("start", "duration", "says"),
    [
        (-1, None, "start is -1"),
        (float("nan"), None, "start is nan"),
        (0, 0, "duration is 0"),
        (0, float("inf"), "duration is inf"),
    ],
)
def test_ranges_that_make_no_sense(tmp_path, start, duration, says):
    with pytest.raises(UserError, match=says):
        audio.decode(tmp_path / "x.wav", start, duration)


def test_streams_one_after_another_are_one(tmp_path):
    for name, time in (("a.ogg", 30000), ("b.ogg", 50000)):
        write(tmp_path / name, time)
    chain = tmp_path / "chain.ogg"
    chain.write_bytes((tmp_path / "a.ogg").read_bytes() + (tmp_path / "b.ogg").read_bytes())
    assert abs(audio.decode(chain)[0].shape[1] - 80000) < 2048


def test_more_music_than_the_header_states_is_read(tmp_path, monkeypatch):
    """As in fragmented MP4, whose header tells of its first fragment only."""
    path = tmp_path / "x.m4a"
    write(path, 100000)
    monkeypatch.setattr("xumx_jax.audio.ffmpeg._length", lambda *_: 30000)
    assert audio.decode(path)[0].shape[1] >= 100000


@pytest.mark.parametrize("rates", [(44100, 48000), (48000, 44100), (8000, 44100), (44100, 44100)])
@pytest.mark.parametrize("size", [1, 777, 50000])
def test_a_stream_is_resampled_as_the_whole_is(rates, size):
    wave = noise(20001 if size > 1 else 99)
    stream = audio.StreamResampler(*rates, 2)
    parts = [stream.push(wave[:, at : at + size]) for at in range(0, wave.shape[1], size)]
    parts.append(stream.finish())
    np.testing.assert_allclose(np.concatenate(parts, 1), audio.resample(wave, *rates), atol=1e-6)


def test_there_and_back_as_streams_keeps_the_length():
    for rate in (8000, 11025, 44100, 48000, 192000):
        there, back = audio.StreamResampler(rate, 44100, 1), audio.StreamResampler(44100, rate, 1)
        given = 0
        for time in (1, 500, 3000):
            given += back.push(there.push(noise(time, 1))).shape[1]
        given += back.push(there.finish()).shape[1]
        assert given + back.finish(3501).shape[1] == 3501
    nothing = audio.StreamResampler(8000, 16000, 2)
    assert nothing.finish().shape == (2, 0)
