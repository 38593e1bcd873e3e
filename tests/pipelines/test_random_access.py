"""Reading: every format, sums, ends, threads, and files that change."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from pipelines.tracks import wav
from pipelines.tracks.random_access import Tracks
from pipelines.tracks.track import Part
from xumx_jax.errors import UserError

RATE = 8000


def noise(samples=50, channels=2, seed=0):
    return np.random.default_rng(seed).uniform(-0.4, 0.4, (samples, channels))


def write(path, wave, subtype="PCM_16"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE, subtype=subtype)
    return path


def whole(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def clip(*paths, sign=1):
    files = [wav.probe(path) for path in paths]
    return tuple(Part(file, sign, 0, file.samples) for file in files)


def make(root, clips, sources=("bass", "drums"), **more):
    names = tuple(f"song{track}" for track in range(len(clips[0])))
    mixing = np.eye(len(sources), dtype=np.float32)
    return Tracks(root, names, sources, mixing, RATE, 2, clips, **more)


def read(data, source, track, start, samples, dtype=np.float32):
    out = np.full((samples, data.channels), 77, dtype)
    data.read_into(source, track, start, out)
    return out


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_excerpts_are_padded_with_silence(tmp_path, subtype):
    long = write(tmp_path / "a" / "bass.wav", noise(50), subtype)
    short = write(tmp_path / "a" / "drums.wav", noise(30, seed=1), subtype)
    data = make(tmp_path, ((clip(long),), (clip(short),)))
    assert data.counts == [1, 1] and data.track_lengths == [50]
    assert data.length(1, 0) == 50, "a shorter stem goes on in silence"
    np.testing.assert_array_equal(read(data, 0, 0, 7, 20), whole(long)[7:27])
    drums = read(data, 1, 0, 20, 40)
    np.testing.assert_array_equal(drums[:10], whole(short)[20:])
    assert not drums[10:].any()
    assert not read(data, 1, 0, 35, 5).any()


def test_sixteen_bits_are_read_as_they_lie(tmp_path):
    path = write(tmp_path / "bass.wav", noise())
    data = make(tmp_path, ((clip(path),),), ("bass",))
    assert data.integer
    integers = read(data, 0, 0, 30, 40, np.int16)
    np.testing.assert_array_equal(integers[:20], soundfile.read(path, dtype="int16")[0][30:])
    assert not integers[20:].any()
    np.testing.assert_array_equal(read(data, 0, 0, 30, 40), integers / np.float32(32768))


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_mono_goes_to_both_channels(tmp_path, dtype):
    path = write(tmp_path / "bass.wav", noise(channels=1))
    data = make(tmp_path, ((clip(path),),), ("bass",))
    wave = read(data, 0, 0, 5, 10, dtype)
    np.testing.assert_array_equal(wave[:, 0], wave[:, 1])
    np.testing.assert_array_equal(wave[:, :1] / 1, soundfile.read(path, dtype=dtype)[0][5:15, None])


def test_sums_differences_and_silence(tmp_path):
    mix, voice = (write(tmp_path / f"{i}.wav", noise(50 - 10 * i, seed=i)) for i in range(2))
    rest = clip(mix) + clip(voice, sign=-1)
    data = make(tmp_path, ((rest,), ((),)), mixtures=(clip(mix),))
    assert not data.integer and data.track_lengths == [50]
    wanted = whole(mix)
    wanted[:40] -= whole(voice)
    np.testing.assert_array_equal(read(data, 0, 0, 0, 50), wanted)
    assert not read(data, 1, 0, 0, 50).any()
    with pytest.raises(TypeError, match="read it as float32"):
        read(data, 0, 0, 0, 50, np.int16)


def test_mixture_is_the_real_one_or_the_sum(tmp_path):
    bass, drums = (write(tmp_path / f"{i}.wav", noise(seed=i)) for i in range(2))
    real = write(tmp_path / "mixture.wav", noise(seed=2))
    clips = (clip(bass),), (clip(drums),)
    out = np.empty((60, 2), np.float32)
    make(tmp_path, clips).mixture_into(0, 10, out)
    np.testing.assert_array_equal(out[:40], (whole(bass) + whole(drums))[10:])
    assert not out[40:].any()
    make(tmp_path, clips, mixtures=(clip(real),)).mixture_into(0, 10, out)
    np.testing.assert_array_equal(out[:40], whole(real)[10:])


def test_parts_may_begin_inside_a_file(tmp_path):
    path = write(tmp_path / "bass.wav", noise())
    window = (Part(wav.probe(path), 1, 20, 10),)
    data = make(tmp_path, ((window,),), ("bass",))
    assert data.track_lengths == [10]
    wave = read(data, 0, 0, 4, 8)
    np.testing.assert_array_equal(wave[:6], whole(path)[24:30])
    assert not wave[6:].any()


def test_sources_of_other_songs_have_counts_and_lengths_of_their_own(tmp_path):
    paths = [write(tmp_path / f"{i}.wav", noise(20 + i)) for i in range(3)]
    clips = (clip(paths[0]),), (clip(paths[1]), clip(paths[2]))
    data = make(tmp_path, clips, aligned=False)
    assert data.counts == [1, 2]
    assert [data.length(0, 0), data.length(1, 0), data.length(1, 1)] == [20, 21, 22]
    assert data.track_lengths == [20, 20], "as long as all of a mixture's clips"
    mix = np.empty((20, 2), np.float32)
    data.mixture_into(1, 0, mix)
    np.testing.assert_array_equal(mix, whole(paths[0]) + whole(paths[2])[:20])


def test_fingerprint_changes_with_the_data_and_not_with_its_place(tmp_path):
    def digest(root, seed=0, rate=RATE):
        path = write(root / "song" / "bass.wav", noise(seed=seed))
        os.utime(path, (1, 1 + seed))
        data = make(root, ((clip(path),),), ("bass",))
        return replace(data, rate=rate).fingerprint()

    first = digest(tmp_path / "a")
    assert len(first) == 64 and first == digest(tmp_path / "b")
    assert len({first, digest(tmp_path / "a", seed=1), digest(tmp_path / "a", rate=44100)}) == 3


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("fault", ["shorter", "gone", "touched"])
def test_a_file_that_changes_while_in_use_is_named(tmp_path, subtype, fault):
    path = write(tmp_path / "bass.wav", noise(), subtype)
    data = make(tmp_path, ((clip(path),),), ("bass",))
    if fault == "shorter":
        path.write_bytes(path.read_bytes()[:100])
    elif fault == "gone":
        path.unlink()
    else:
        write(path, noise(seed=3), subtype)
        os.utime(path, (1, 1))
    with pytest.raises(UserError, match="bass.wav: (changed|cannot be read)"):
        read(data, 0, 0, 0, 50)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_threads_do_not_disturb_each_other(tmp_path, suffix):
    path = write(tmp_path / f"bass{suffix}", noise(20000))
    data = make(tmp_path, ((clip(path),),), ("bass",))
    wanted, wrong = whole(path), []

    def work(seed):
        for start in np.random.default_rng(seed).integers(0, 19000, 50):
            if not np.array_equal(read(data, 0, 0, start, 500), wanted[start : start + 500]):
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
