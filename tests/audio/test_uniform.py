"""Sound that changes its rate or channels on the way, and sound that starts late in a film."""

import av
import numpy as np
import pytest
import soundfile
from encoded import encode_av, encode_film

from xumx_jax import audio
from xumx_jax.audio.uniform import uniform
from xumx_jax.errors import UserError

PITCH = 440


def tone(seconds, rate, channels=2):
    one = 0.5 * np.sin(2 * np.pi * PITCH * np.arange(round(seconds * rate)) / rate)
    return np.stack([one] * channels).astype(np.float32)


def pitch(wave, rate):
    """The strongest frequency in Hz of each row."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(wave.shape[1]), 2**17))
    return np.argmax(spectrum, axis=1) * rate / 2**17


def joined(path, *parts):
    """Write each part (seconds, rate, channels) as a file; put them one after another."""
    content = b""
    for seconds, rate, channels in parts:
        wave = tone(seconds, rate, channels)
        if path.suffix == ".aac":
            with av.open(str(path), "w", format="adts") as container:
                stream = container.add_stream("aac", rate=rate)
                stream.layout = "stereo" if channels == 2 else "mono"
                frame = av.AudioFrame.from_ndarray(wave, "fltp", stream.layout.name)
                frame.sample_rate = rate
                container.mux(stream.encode(frame))
                container.mux(stream.encode(None))
        elif path.suffix == ".opus":
            soundfile.write(path, wave.T, rate, "OPUS", format="OGG")
        else:
            soundfile.write(path, wave.T, rate)
        content += path.read_bytes()
    path.write_bytes(content)


CHANGES = {
    "rate": ((1, 44100, 2), (1, 48000, 2)),
    "lower rate": ((1, 48000, 2), (1, 32000, 2)),
    "to mono": ((1, 44100, 2), (1, 44100, 1)),
    "to stereo": ((1, 44100, 1), (1, 44100, 2)),
    "both, and back": ((1, 44100, 2), (1, 48000, 1), (1, 44100, 2)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.mp3", "x.ogg", "x.aac", "x.opus"])
@pytest.mark.parametrize("kind", CHANGES)
def test_pitch_and_length_stay_whatever_changes(tmp_path, name, kind):
    parts = CHANGES[kind]
    if name == "x.opus":
        parts = [(seconds, 48000, channels) for seconds, _, channels in parts]
    path = tmp_path / name
    joined(path, *parts)
    _, rate, channels = parts[0]
    changes = len({part[1:] for part in parts}) > 1
    says = rf"{name}: at (0\.9|1\.0)\d s the sound changes from {rate} Hz, .* to {parts[1][1]} Hz"
    if changes:
        with pytest.warns(UserWarning, match=says) as found:
            wave, read_rate = audio.decode(path)
        assert len(found) == 1
    else:
        wave, read_rate = audio.decode(path)
    assert (read_rate, len(wave)) == (rate, channels)
    assert abs(wave.shape[1] / rate - len(parts)) < 0.08 * len(parts)
    for at in range(len(parts)):
        part = wave[:, round((at + 0.3) * rate) : round((at + 0.8) * rate)]
        assert np.abs(pitch(part, rate) - PITCH).max() < 2
        np.testing.assert_allclose(part.std(axis=1), 0.5 / 2**0.5, rtol=0.1)
    with audio.open_blocks(path) as blocks:
        assert blocks.length is None


@pytest.mark.parametrize("kind", ["rate", "to mono"])
def test_a_part_of_a_stream_that_changes(tmp_path, kind):
    path = tmp_path / "x.ogg"
    joined(path, *CHANGES[kind])
    with pytest.warns(UserWarning, match="at 1.00 s"):
        whole, rate = audio.decode(path)
    assert whole.shape == (2, 2 * rate)
    with pytest.warns(UserWarning, match="at 1.00 s"):
        read, _ = audio.decode(path, start=0.9, duration=0.5)
    np.testing.assert_array_equal(read, whole[:, round(0.9 * rate) : round(1.4 * rate)])
    read, _ = audio.decode(path, duration=0.5)  # up to here nothing has changed
    np.testing.assert_array_equal(read, whole[:, : round(0.5 * rate)])
    with pytest.raises(UserError, match="ends before 2.5 s"), pytest.warns(UserWarning):
        audio.decode(path, start=2.5)


def test_links_that_agree_are_exact(tmp_path):
    path = tmp_path / "x.ogg"
    joined(path, (0.3, 44100, 2))
    alone, _ = audio.decode(path)
    path.write_bytes(path.read_bytes() * 3)
    np.testing.assert_array_equal(audio.decode(path)[0], np.tile(alone, 3))


def test_known_channels():
    mono, stereo = np.float32([[0.5, 1]]), np.float32([[0.25, 0], [0.5, 1]])
    with pytest.warns(UserWarning, match="x: at 0.50 s the sound changes from 4 Hz, mono to 4 Hz"):
        blocks = list(uniform("x", [(4, mono), (4, stereo)], 4, 1))
    assert np.concatenate(blocks, 1).tolist() == [[0.5, 1, 0.375, 0.5]]
    with pytest.warns(UserWarning, match="stereo to 4 Hz, mono; it was converted"):
        blocks = list(uniform("x", [(4, stereo), (4, mono)], 4, 2))
    assert np.concatenate(blocks, 1).tolist() == [[0.25, 0, 0.5, 1], [0.5, 1, 0.5, 1]]
    surround = np.zeros((6, 3), np.float32)
    surround[0] = surround[2] = 0.5  # on the left, and in the middle
    with pytest.warns(UserWarning, match="stereo to 4 Hz, 6 channels"):
        mixed = list(uniform("x", [(4, stereo), (4, surround)], 4, 2))[1]
    np.testing.assert_allclose(mixed[0], 0.5 + 0.5 / 2**0.5, rtol=1e-5)
    with pytest.raises(ValueError, match="2 channels to 9"), pytest.warns(UserWarning):
        list(uniform("x", [(4, np.zeros((9, 2), np.float32))], 4, 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.mkv", "x.mp4", "x.mov", "x.ts"])
def test_sound_that_starts_late_is_aligned_with_the_film(tmp_path, name):
    path, late = tmp_path / name, 0.75
    encode_film(path, 2, [1], late)
    with pytest.warns(UserWarning, match=f"{name}: the sound starts 0.7.* s late") as found:
        wave, rate = audio.decode(path)
    assert len(found) == 1 and abs(wave.shape[1] / rate - 1.75) < 0.1
    loud = np.flatnonzero(np.abs(wave[0]) > 0.1)
    assert abs(loud[0] / rate - late) < 0.03 and not wave[:, : round(0.7 * rate)].any()
    with pytest.warns(UserWarning, match="s late"):
        part, _ = audio.decode(path, start=0.5, duration=0.5)
    np.testing.assert_array_equal(part, wave[:, rate // 2 : rate])
    part, _ = audio.decode(path, start=1)  # silence is no part of it, nor a reason to warn
    np.testing.assert_array_equal(part, wave[:, rate:])
    with audio.open_blocks(path) as blocks:
        assert blocks.length is None or abs(blocks.length - wave.shape[1]) < 0.1 * rate


@pytest.mark.parametrize("name", ["x.mkv", "x.mp4", "x.mov"])
def test_sound_that_starts_with_the_film_has_nothing_in_front(tmp_path, name):
    path = tmp_path / name
    encode_film(path, 1, [1])
    wave, rate = audio.decode(path)
    assert np.flatnonzero(np.abs(wave[0]) > 0.1)[0] < 0.03 * rate


def test_times_of_a_clock_are_no_reason_for_silence(tmp_path):
    """Recordings of a broadcast start at any time; so does an elementary stream in .ts."""
    path = tmp_path / "x.ts"
    encode_film(path, 1, [1], output_ts_offset="3000")
    wave, rate = audio.decode(path)
    assert wave.shape[1] < 1.1 * rate


@pytest.mark.parametrize(("name", "codec"), [("x.mka", "flac"), ("x.mov", "pcm_s16le")])
@pytest.mark.parametrize("late", [3, 7, 3600])
def test_a_part_of_a_longer_stream_has_no_silence_for_what_is_not_in_it(
    tmp_path, name, codec, late
):
    """As the segments that are streamed and recorded on the web."""
    path, rate = tmp_path / name, 8000
    tone = np.sin(np.arange(rate) / 9).astype(np.float32) / 2
    encode_av(path, np.stack([tone, tone]), rate, codec, late)
    if late < 5:
        with pytest.warns(UserWarning, match=f"{name}: the sound starts {late}.00 s late"):
            wave, _ = audio.decode(path)
        assert not wave[:, : late * rate].any()
        wave = wave[:, late * rate :]
    else:
        with audio.open_blocks(path) as blocks:
            assert blocks.length == rate
        wave, _ = audio.decode(path)
    np.testing.assert_allclose(wave, np.stack([tone, tone]), atol=1e-4)
