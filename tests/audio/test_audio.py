"""Reading, writing and resampling of audio files."""

import numpy as np
import pytest
import soundfile
from encoded import encode_av

from xumx_jax import audio
from xumx_jax.errors import UserError


def noise(channels=2, time=5000, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (channels, time)).astype(np.float32)


@pytest.mark.parametrize(
    ("format", "bits", "step"),
    [("wav", "16", 2**-15), ("wav", "24", 2**-23), ("flac", "16", 2**-15), ("flac", "24", 2**-23)],
)
def test_integers_round_to_the_nearest_and_come_back_bit_for_bit(tmp_path, format, bits, step):
    wave, path = noise(), tmp_path / f"x.{format}"
    audio.encode(path, wave, 44100, format, bits)
    first, rate = audio.decode(path)
    assert (rate, first.shape, first.dtype) == (44100, wave.shape, np.float32)
    assert np.abs(first - wave).max() <= step * 0.51
    audio.encode(path, first, 44100, format, bits)
    np.testing.assert_array_equal(audio.decode(path)[0], first)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_float_is_kept_exactly_and_beyond_full_scale(tmp_path, channels):
    wave = noise(channels) * 3
    audio.encode(tmp_path / "x.wav", wave, 8000, "wav", "32f")
    read, rate = audio.decode(tmp_path / "x.wav")
    assert rate == 8000
    np.testing.assert_array_equal(read, wave)


def test_known_samples():
    levels = audio.quantise(np.float32([0, 0.5, -1, 1, 2, -2, 1.6 / 32768]), 16)
    assert levels.tolist() == [0, 16384, -32768, 32767, 32767, -32768, 2]
    assert audio.quantise(np.float32([-1, 0.5]), 24).tolist() == [-(2**31), 2**30]


def test_sixteen_bits_are_divided_by_two_to_the_fifteenth(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.int16([[-32768], [16384], [1]]), 44100)
    assert audio.decode(tmp_path / "x.wav")[0].tolist() == [[-1, 0.5, 2**-15]]


@pytest.mark.parametrize(
    ("name", "codec", "margin"),
    [("x.mp3", "libmp3lame", 0), ("x.m4a", "aac", 1068), ("x.flac", "flac", 0)],
)
def test_formats_that_ffmpeg_writes(tmp_path, name, codec, margin):
    time = np.arange(30000) / 44100
    wave = np.float32([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 660 * time)]) / 2
    encode_av(tmp_path / name, wave, 44100, codec)
    read, rate = audio.decode(tmp_path / name)
    assert rate == 44100 and 0 <= read.shape[1] - 30000 <= margin
    # The encoder may delay the tones; their levels stay.
    inside = read[:, 5000:25000]
    np.testing.assert_allclose(inside.std(axis=1), wave.std(axis=1), rtol=0.1)


def test_no_frames_give_an_empty_array(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros((0, 2), np.int16), 22050)
    wave, rate = audio.decode(tmp_path / "x.wav")
    assert (wave.shape, rate) == ((2, 0), 22050)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.wav", lambda p: soundfile.write(p, noise(time=40000).T, 44100)),
        ("x.flac", lambda p: soundfile.write(p, noise(time=40000).T, 44100)),
        ("x.ogg", lambda p: soundfile.write(p, noise(time=40000).T, 44100)),
        ("x.mp3", lambda p: encode_av(p, noise(time=40000), 44100, "libmp3lame")),
        ("x.m4a", lambda p: encode_av(p, noise(time=40000), 44100, "aac")),
        ("y.m4a", lambda p: encode_av(p, noise(time=40000), 44100, "aac", movflags="+faststart")),
    ],
)
def test_half_a_file_is_an_error_that_names_it(tmp_path, name, write):
    path = tmp_path / name
    write(path)
    audio.decode(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=name) as caught:
        audio.decode(path)
    if name == "x.wav":
        assert "ends after 19994 of 40000 samples" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wav_from_a_pipe_states_no_length_and_is_read_to_its_end(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(time=300).T, 44100)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff" * 4
    path.write_bytes(data)
    assert audio.decode(path)[0].shape == (2, 300)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), (b"", "empty"), (b"some text\n" * 99, "not an audio file")],
)
def test_what_is_not_audio(tmp_path, content, says):
    path = tmp_path / "x.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"x.wav: .*{says}"):
        audio.decode(path)


def test_a_folder_is_not_audio(tmp_path):
    with pytest.raises(UserError, match="directory"):
        audio.decode(tmp_path)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("time", [1, 777, 9999])
def test_there_and_back_keeps_the_length(rate, time):
    there = audio.resample(noise(time=time), rate, 44100)
    assert there.shape[1] == -(-time * 44100 // rate)
    assert audio.resample(there, 44100, rate, length=time).shape == (2, time)


def test_a_tone_survives_resampling():
    time = np.arange(48000) / 48000
    tone = np.sin(2 * np.pi * 1000 * time, dtype=np.float64).astype(np.float32)[None]
    back = audio.resample(audio.resample(tone, 48000, 44100), 44100, 48000, length=48000)
    assert np.abs(back - tone)[:, 1000:-1000].max() < 1e-5
