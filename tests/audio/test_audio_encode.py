"""Output formats: their lengths, their gain, and that a file is whole or not there."""

import io
import os
import resource
import signal

import numpy as np
import pytest
import soundfile

from xumx_jax import audio
from xumx_jax.audio import containers
from xumx_jax.audio.encode import _spool
from xumx_jax.errors import UserError

LOSSY = ("mp3", "ogg", "m4a", "opus")


def noise(channels=2, time=5000, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (channels, time)).astype(np.float32)


def tones(rate, time, channels=2):
    hertz = 440 * np.arange(1, channels + 1)[:, None]
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(time) / rate)).astype(np.float32)


@pytest.mark.parametrize("format", LOSSY)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_lossy_files_give_back_the_music_where_it_was(tmp_path, format, channels, rate):
    wave, path = tones(rate, rate + 123, channels), tmp_path / f"x.{format}"
    audio.encode(path, wave, rate, format)
    read, stored = audio.decode(path)
    assert stored == {"opus": 48000, "mp3": min(rate, 48000)}.get(format, rate)
    assert read.shape == (channels, -(-wave.shape[1] * stored // rate))
    middle = slice(stored // 4, stored // 2)
    wanted = tones(stored, read.shape[1], channels)[:, middle]
    assert np.abs(read[:, middle] - wanted).max() < 0.05


@pytest.mark.parametrize("format", audio.FORMATS)
@pytest.mark.parametrize("time", [0, 1, 500])
def test_short_files(tmp_path, format, time):
    path = tmp_path / f"x.{format}"
    audio.encode(path, noise(time=time), 44100, format)
    read, rate = audio.decode(path)
    wanted = -(-time * rate // 44100)
    lossless = format in audio.BITS
    assert read.shape[0] == 2 and wanted <= read.shape[1] <= wanted + (0 if lossless else 64)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(("format", "bits"), [(f, b) for f, all in audio.BITS.items() for b in all])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_channels_keep_their_places(tmp_path, format, bits, channels):
    wave = np.rint(noise(channels, 301) * 2**10) / 2**10  # 24 bits of three mono bytes: odd sizes
    audio.encode(tmp_path / "x", wave, 44100, format, bits)
    np.testing.assert_array_equal(audio.decode(tmp_path / "x")[0], wave)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "x", always_2d=True)[0].T, wave)


def test_twenty_four_bits_are_there(tmp_path):
    for format in audio.BITS:
        audio.encode(tmp_path / "x", np.float32([[2**-23, -(2**-22)]]), 44100, format, "24")
        assert soundfile.info(tmp_path / "x").subtype == "PCM_24"
        levels = soundfile.read(tmp_path / "x", dtype="int32")[0]
        assert levels.tolist() == [1 << 8, -2 << 8]


@pytest.mark.parametrize("format", LOSSY)
def test_six_channels_are_for_lossless_formats(tmp_path, format):
    says = f"bass: {format} files cannot hold 6 channels; use wav"
    with pytest.raises(UserError, match=says):
        audio.encode(tmp_path / "bass", noise(6), 44100, format)
    assert not os.listdir(tmp_path)


def test_one_gain_for_all_stems_is_told(tmp_path):
    waves = {tmp_path / "a.wav": np.float32([[0.5, -2]]), tmp_path / "b.wav": np.float32([[1, 0]])}
    with pytest.warns(
        UserWarning, match="reach 2.000 times full scale: all .* attenuated by 6.02 dB"
    ) as all:
        assert audio.encode_all(waves, 44100) == 0.5
    assert len(all) == 1
    assert audio.decode(tmp_path / "a.wav")[0].tolist() == [[0.25, -1]]
    assert audio.decode(tmp_path / "b.wav")[0].tolist() == [[0.5, 0]]


def test_full_scale_itself_and_float_files_have_no_gain(tmp_path):
    assert audio.encode(tmp_path / "x.wav", np.float32([[1, -1]]), 44100) == 1
    assert audio.decode(tmp_path / "x.wav")[0].tolist() == [[1 - 2**-15, -1]]
    assert audio.encode(tmp_path / "x.wav", np.float32([[3, -9]]), 44100, "wav", "32f") == 1
    assert audio.decode(tmp_path / "x.wav")[0].tolist() == [[3, -9]]


@pytest.mark.filterwarnings("ignore:.*stems were attenuated by")
@pytest.mark.parametrize("loud", [0.5, 3])
@pytest.mark.parametrize("settings", [("wav", "32f"), ("wav", "16"), ("flac", "24"), ("mp3", None)])
def test_block_by_block_is_as_at_once(tmp_path, settings, loud):
    waves = {"a": noise(seed=1), "b": noise(seed=2) * loud}
    whole = audio.encode_all({tmp_path / n: w for n, w in waves.items()}, 44100, *settings)
    writer = audio.StemWriter({n: tmp_path / "new" / n for n in waves}, 44100, 2, *settings)
    with writer:
        for at in range(0, 5000, 999):
            writer.write({name: wave[:, at : at + 999] for name, wave in waves.items()})
            assert not (tmp_path / "new" / "a").exists()  # not yet
    assert writer.peak == max(np.abs(w).max() for w in waves.values())
    assert writer.gain == whole == (1 / writer.peak if loud == 3 and settings[1] != "32f" else 1)
    assert sorted(os.listdir(tmp_path / "new")) == ["a", "b"]
    for name in waves:
        new, old = (audio.decode(folder / name)[0] for folder in (tmp_path / "new", tmp_path))
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("settings", [("wav", "32f"), ("wav", "16"), ("flac", "24"), ("m4a", None)])
def test_an_error_between_blocks_leaves_nothing(tmp_path, settings):
    (tmp_path / "old").write_bytes(b"old")
    paths = {"a": tmp_path / "old", "b": tmp_path / "new" / "deep" / "b"}
    with pytest.raises(KeyboardInterrupt):
        with audio.StemWriter(paths, 44100, 2, *settings) as writer:
            writer.write({"a": noise(), "b": noise()})
            raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["old"] and paths["a"].read_bytes() == b"old"


def test_a_pipe_gets_a_true_header_or_is_an_error(tmp_path):
    wave = noise(time=300)
    read, write = os.pipe()
    with open(write, "wb") as file:
        with audio.StdoutWriter(file, 8000, 2, "32f", audio.Tags({"title": "A"})) as writer:
            writer.write({"bass": wave[:, :200]})
            writer.write({"bass": wave[:, 200:]})
    with open(read, "rb") as file:
        (tmp_path / "x.wav").write_bytes(file.read())
    np.testing.assert_array_equal(audio.decode(tmp_path / "x.wav")[0], wave)
    assert audio.read_tags(tmp_path / "x.wav").text == {"title": "A"}
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb", buffering=0) as file:
        with pytest.raises(UserError, match="stdout: cannot be written: Broken pipe"):
            with audio.StdoutWriter(file, 8000, 2) as writer:
                writer.write({"bass": wave})


@pytest.mark.parametrize("format", audio.FORMATS)
def test_a_full_disk_leaves_nothing(tmp_path, format):
    """A limit on the size of files stands in for the disk's."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, before[1]))
    try:
        with pytest.raises(UserError, match=f"x.{format}: cannot be written") as caught:
            audio.encode(tmp_path / f"x.{format}", noise(time=200000), 44100, format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, kept)
    assert "\n" not in str(caught.value) and not os.listdir(tmp_path)


def test_wav_becomes_rf64_where_32_bits_do_not_count_its_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "LIMIT_BYTES", 50000)
    wave = noise(time=10000)
    audio.encode(tmp_path / "x.wav", wave, 44100, "wav", "32f")
    writer = audio.StemWriter({"x": tmp_path / "y.wav"}, 44100, 2, "wav", "32f")
    with writer:  # its length is not known before
        writer.write({"x": wave})
    for name in ("x.wav", "y.wav"):
        assert (tmp_path / name).read_bytes()[:4] == b"RF64"
        assert soundfile.info(tmp_path / name).format == "RF64"
        np.testing.assert_array_equal(audio.decode(tmp_path / name)[0], wave)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(UserError, match="of 10000 samples"):
            audio.decode(tmp_path / name)


def test_ten_hours_fit_into_a_header(tmp_path):
    frames = 36000 * 44100
    with open(tmp_path / "x.wav", "wb") as file:
        containers.WavFile(file, 44100, 2, "32f", frames)
        file.truncate(file.tell() + frames * 8)  # a hole: silence that takes no room
    info = soundfile.info(tmp_path / "x.wav")
    assert (info.format, info.frames, info.subtype) == ("RF64", frames, "FLOAT")
    read, _ = audio.decode(tmp_path / "x.wav", start=35999, duration=0.5)
    assert read.shape == (2, 22050) and not read.any()


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "b.wav").mkdir()  # cannot be replaced by a file
    (tmp_path / "a.wav").write_bytes(b"old")
    waves = {tmp_path / "b.wav": noise(), tmp_path / "a.wav": noise()}
    with pytest.raises(UserError, match="b.wav: cannot be written"):
        audio.encode_all(waves, 44100)
    assert (tmp_path / "a.wav").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "b.wav"]


@pytest.mark.parametrize("pair", [("flac", "32f"), ("mp3", "16"), ("wav", "12")])
def test_impossible_formats(tmp_path, pair):
    with pytest.raises(UserError, match=pair[0] if pair[0] == "mp3" else pair[1]):
        audio.encode(tmp_path / "x", noise(), 44100, *pair)


def test_a_folder_in_the_place_of_one_stem_keeps_all_old_ones(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"old")
    (tmp_path / "b.wav").mkdir()
    waves = {tmp_path / "a.wav": noise(), tmp_path / "b.wav": noise()}
    with pytest.raises(UserError, match="b.wav: cannot be written: Is a directory"):
        audio.encode_all(waves, 44100)
    assert (tmp_path / "a.wav").read_bytes() == b"old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
def test_a_spool_on_a_full_disk_says_so():
    with open("/dev/full", "r+b", buffering=0) as full:
        with pytest.raises(OSError, match="No space left on device"):
            _spool(full, noise())


def test_a_spool_that_takes_a_part_at_a_time_loses_nothing(tmp_path):
    class Slow(io.FileIO):
        def write(self, data):
            return super().write(data[:1000])

    with Slow(tmp_path / "spool", "w+") as file:
        _spool(file, noise())
        _spool(file, noise(seed=1)[:, :0])
    written = np.fromfile(tmp_path / "spool", np.float32).reshape(-1, 2).T
    assert (written == noise()).all()
