"""Reading block by block and from the middle, and resampling such a stream."""

import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
import stem_files
from encoded import encode_av

from xumx_jax import audio
from xumx_jax.audio import containers
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


@pytest.mark.slow
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
        stated, read = blocks.length, list(blocks)
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


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.ogg", "x.mp3"])
def test_half_a_file_is_taken_where_that_is_allowed(tmp_path, name):
    path = tmp_path / name
    write(path)
    whole, _ = audio.decode(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(UserWarning, match=f"{name}: the file .*; only these were read") as found:
        read, _ = audio.decode(path, allow_truncated=True)
    time = read.shape[1]
    said = f"is cut off after {time} samples" if name == "x.ogg" else f"ends after {time} of "
    assert said in str(found[0].message)
    assert 0.4 * whole.shape[1] < time < 0.55 * whole.shape[1]
    np.testing.assert_allclose(read[:, : time - 4096], whole[:, : time - 4096], atol=1e-5)


@pytest.mark.parametrize("name", ["x.wav", "x.mp3"])
def test_a_start_beyond_the_end(tmp_path, name):
    write(tmp_path / name, 4410)
    with pytest.raises(UserError, match=f"{name}: ends before 0.5 s"):
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


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.mov"])
def test_the_sound_of_a_video(tmp_path, name):
    path, time = tmp_path / name, 2 * RATE
    tone = np.sin(np.arange(time) / 20).astype(np.float32) / 2
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="stereo")
        for at in range(50):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), at, np.uint8), "rgb24")
            container.mux(video.encode(picture))
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        pieces = av.AudioResampler("fltp", "stereo", RATE, 1024)
        for piece in [*pieces.resample(frame), *pieces.resample(None)]:
            container.mux(sound.encode(piece))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    read, rate = audio.decode(path)
    assert rate == RATE and 0 <= read.shape[1] - time < 2048
    # Some versions of FFmpeg leave the encoder's delay in.
    np.testing.assert_allclose(read[:, 5000:80000].std(axis=1), tone[5000:80000].std(), rtol=0.01)


def test_the_mixture_of_a_stems_file(tmp_path):
    read, rate = audio.decode(stem_files.write(tmp_path / "x.stem.mp4"))
    assert rate == RATE and stem_files.LENGTH <= read.shape[1] <= stem_files.LENGTH + 1024
    assert stem_files.pitch(read).tolist() == [stem_files.PITCHES[0]] * 2


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path):
    """Ten minutes of float silence, 212 MB, of which the file system keeps none."""
    path, frames = tmp_path / "long.wav", 600 * RATE
    with open(path, "wb") as file:
        containers.WavFile(file, RATE, 2, "32f", frames)
        file.truncate(file.tell() + frames * 8)
    tracemalloc.start()
    try:
        target = {"x": tmp_path / "out.flac"}
        with audio.open_blocks(path) as blocks, audio.StemWriter(target, RATE, 2, "flac") as writer:
            assert blocks.length == frames
            for block in blocks:
                writer.write({"x": block})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30e6
    assert soundfile.info(tmp_path / "out.flac").frames == frames


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
