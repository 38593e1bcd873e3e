"""Waves that stay in their files: the same as arrays, whatever is cut from them."""

import numpy as np
import pytest
import scored_songs
import soundfile

from pipelines.evaluation import waves
from pipelines.tracks import wav
from pipelines.tracks.track import Part, whole

SAMPLES = 1000


@pytest.fixture
def files(tmp_path):
    """A stereo file, a shorter one, and a mono one."""
    shapes = {"long": (SAMPLES, 2), "short": (700, 2), "mono": (SAMPLES, 1)}
    for seed, (name, shape) in enumerate(shapes.items()):
        scored_songs.write(tmp_path / f"{name}.wav", scored_songs.noise(seed, *shape))
    return {name: whole(wav.probe(tmp_path / f"{name}.wav")) for name in shapes}


def array(part):
    found = np.zeros((2, SAMPLES))
    read = soundfile.read(part.file.path, always_2d=True)[0].T
    found[:, : read.shape[1]] = read
    return found


@pytest.mark.parametrize("cut", [slice(None), slice(100, 250), slice(690, 2000), slice(5, 5)])
def test_slices_are_those_of_an_array(files, cut):
    lazy = waves.Waves([[files["long"]], [files["short"]], [files["mono"]]], 2, SAMPLES)
    whole = np.stack([array(part) for part in files.values()])
    assert lazy.shape == whole.shape and lazy.dtype == np.float32
    np.testing.assert_array_equal(lazy[:, :, cut], whole[:, :, cut].astype(np.float32))
    np.testing.assert_array_equal(lazy[1:, :1, cut], whole[1:, :1, cut].astype(np.float32))


def test_sums_are_exact_and_long_files_are_cut(files):
    lazy = waves.Waves([[files["long"], files["mono"]], [files["short"]]], 2, 600)
    assert lazy.dtype == np.float64
    wanted = array(files["long"]) + array(files["mono"])
    np.testing.assert_array_equal(lazy[:, :, :][0], wanted[:, :600])
    np.testing.assert_array_equal(lazy.pick([1])[:, :, :], lazy[1:, :, :])
    assert lazy.pick([1]).dtype == np.float32


def test_parts_may_be_excerpts_and_differences(files):
    long, short = files["long"].file, files["short"].file
    clips = [[Part(long, 1, 100, 50)], [whole(long), Part(short, -1, 0, 700)]]
    lazy = waves.Waves(clips, 2, 60)
    wanted = array(files["long"])
    np.testing.assert_array_equal(lazy[:1, :, 10:50][0], wanted[:, 110:150])
    assert not lazy[:1, :, 50:].any()
    difference = wanted[:, :60] - array(files["short"])[:, :60]
    np.testing.assert_array_equal(lazy[1:, :, :][0], difference)


def test_whoever_reads_can_be_stopped(files):
    def check():
        raise waves.Interrupted

    lazy = waves.Waves([[files["long"]]], 2, SAMPLES, check)
    with pytest.raises(waves.Interrupted):
        lazy[:, :, :10]


def test_blocks_cover_everything_once(files):
    lazy = waves.Waves([[files["long"]]], 2, SAMPLES)
    parts = list(lazy.blocks(rate=30))
    assert [start for start, _ in parts] == [0, 300, 600, 900]
    np.testing.assert_array_equal(np.concatenate([p for _, p in parts], 2), lazy[:, :, :])


def test_scan_finds_silence_and_what_is_no_number(tmp_path):
    silent, opposite, bad = np.zeros((SAMPLES, 2)), np.zeros((SAMPLES, 2)), np.zeros((SAMPLES, 2))
    opposite[:, 0] = 0.5
    opposite[:, 1] = -0.5  # silent by museval's rule
    bad[400:403, 1] = np.nan, np.inf, 0.5
    for name, wave in (("silent", silent), ("opposite", opposite), ("bad", bad)):
        scored_songs.write(tmp_path / f"{name}.wav", wave, subtype="FLOAT")
    sums = [[whole(wav.probe(tmp_path / f"{name}.wav"))] for name in ("silent", "opposite", "bad")]
    found = waves.scan(waves.Waves(sums, 2, SAMPLES), rate=20)
    assert found.silent.tolist() == [True, True, False]
    assert found.bad.tolist() == [0, 0, 2] and found.first_bad.tolist() == [-1, -1, 400]
