"""What is kept beside the WAV files of a job: peaks, floats and tags."""

import numpy as np
import pytest

from xumx_jax.audio import Tags
from xumx_jax.web.errors import NoRoom
from xumx_jax.web.floats import Floats, read_tags, write_tags
from xumx_jax.web.peaks import FRAMES, Peaks


def pairs(data):
    return np.frombuffer(data, np.int8).reshape(-1, 2).tolist()


def test_peaks_are_the_lowest_and_highest_samples_of_all_channels():
    wave = np.zeros((2, 2 * FRAMES + 3), np.float32)
    wave[0, 5], wave[1, FRAMES - 1] = 1.0, -0.5
    wave[1, FRAMES], wave[0, 2 * FRAMES - 1] = 2.0, -3.0  # beyond full scale
    wave[:, 2 * FRAMES :] = 0.25
    peaks = Peaks()
    made = peaks.push(wave) + peaks.finish()
    assert pairs(made) == [[-64, 127], [-127, 127], [32, 32]]


@pytest.mark.parametrize("frames", [0, 1, FRAMES - 1, FRAMES, FRAMES + 1, 5 * FRAMES])
@pytest.mark.parametrize("size", [1, 100, FRAMES, 3000])
def test_peaks_do_not_depend_on_blocks_and_their_number_is_exact(frames, size):
    wave = np.random.default_rng(frames).uniform(-1, 1, (2, frames)).astype(np.float32)
    peaks = Peaks()
    made = b"".join(peaks.push(wave[:, at : at + size]) for at in range(0, frames, size))
    made += peaks.finish()
    assert len(made) == 2 * -(-frames // FRAMES)
    for number, (low, high) in enumerate(pairs(made)):
        part = wave[:, number * FRAMES : (number + 1) * FRAMES]
        assert low == round(float(part.min()) * 127) and high == round(float(part.max()) * 127)


def test_floats_are_kept_as_they_come(tmp_path):
    rng = np.random.default_rng(0)
    waves = {name: rng.normal(0, 1, (2, 1500)).astype(np.float32) for name in ("a", "b")}
    with Floats(tmp_path, waves) as floats:
        for at in range(0, 1500, 700):
            floats({name: wave[:, at : at + 700] for name, wave in waves.items()})
    for name, wave in waves.items():
        kept = np.fromfile(tmp_path / f"{name}.f32", "<f4").reshape(-1, 2)
        np.testing.assert_array_equal(kept.T, wave)
        assert (tmp_path / f"{name}.peaks").stat().st_size == 6


def test_the_files_of_an_empty_track_are_there_and_empty(tmp_path):
    with Floats(tmp_path, ["a"]):
        pass
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {
        **{"a.f32": 0, "a.peaks": 0},
    }


@pytest.mark.parametrize("name", ["a.f32", "a.peaks"])
def test_a_full_disk_is_one_line(tmp_path, name):
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(NoRoom, match="cannot be kept: No space left"):
        with Floats(tmp_path, ["a"]) as floats:
            for _ in range(20):
                floats({"a": np.ones((2, 5000 * FRAMES // 20), np.float32)})


@pytest.mark.parametrize(
    "tags", [Tags(), Tags({"title": "Ä\n\u202e", "artist": "B"}, b"\xff\xd8\0cover", "image/jpeg")]
)
def test_tags_are_kept(tmp_path, tags):
    write_tags(tmp_path, tags)
    assert read_tags(tmp_path) == tags
