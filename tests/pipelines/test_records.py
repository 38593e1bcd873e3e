"""Data sets turned into records by the program a user runs, and read back."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.datasets import open_data, open_tracks
from pipelines.datasets.records import Stream
from pipelines.loader import Loader
from pipelines.mixing.recipe import Recipe
from pipelines.validation import pieces
from xumx_jax import runtime, stores
from xumx_jax.errors import UserError


def open_records(root, targets, rate, channels):
    return open_data("records", root, targets, rate, channels, {})


ROOT = Path(__file__).parents[2]
SOURCES = ("bass", "drums", "other", "vocals")
RATE = 44_100
SPLITS = ("train", "valid", "test")
LENGTHS = {"train": (2 * RATE, RATE + 100), "valid": (RATE // 2,)}


def build(root, out, config="folder"):
    command = [sys.executable, "-m", "pipelines.records", f"--manual_dir={root}"]
    command += [f"--data_dir={out}", f"--config={config}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    root, out = tmp_path_factory.mktemp("wav"), tmp_path_factory.mktemp("records")
    rng = np.random.default_rng(0)
    for split, lengths in LENGTHS.items():
        for track, length in enumerate(lengths):
            folder = root / split / f"song {track}"
            folder.mkdir(parents=True)
            for name in (*SOURCES, "mixture"):
                wave = rng.integers(-(2**15), 2**15, (length, 2), np.int16)
                soundfile.write(folder / f"{name}.wav", wave, RATE)
    done = build(root, out)
    assert done.returncode == 0, done.stderr
    return root, out


@pytest.fixture(scope="module")
def both(roots):
    return (
        open_data("folder", roots[0], SOURCES, RATE, 2, {}),
        open_records(roots[1], SOURCES, RATE, 2),
    )


@pytest.mark.slow
@pytest.mark.parametrize("split", [0, 1])
def test_round_trip_equals_the_folder_sample_by_sample(both, split):
    folder, records = both[0][split], both[1][split]
    for name in ("names", "sources", "rate", "channels", "counts", "aligned", "track_lengths"):
        assert getattr(records, name) == getattr(folder, name), name
    for name in ("integer", "skipped"):
        assert getattr(records, name) == getattr(folder, name), name
    np.testing.assert_array_equal(records.mixing, folder.mixing)
    assert len(records.fingerprint()) == 64
    for track, length in enumerate(folder.track_lengths):
        for dtype in (np.int16, np.float32):
            for source in range(4):
                assert records.length(source, track) == length
                assert_same(records, folder, "read_into", (source, track), 0, length + 50, dtype)
        assert_same(records, folder, "mixture_into", (track,), 0, length, np.float32)


@pytest.mark.parametrize(
    "start, samples",
    [(0, 1), (RATE - 1, 2), (RATE - 1, 1), (RATE, 5), (10, RATE), (RATE + 90, 20), (RATE + 200, 9)],
)
def test_excerpts_across_blocks_and_ends(both, start, samples):
    (folder, _), (records, _) = both
    for dtype in (np.int16, np.float32):
        assert_same(records, folder, "read_into", (2, 1), start, samples, dtype)


def assert_same(one, other, method, where, start, samples, dtype):
    left, right = np.full((2, samples, 2), 7, dtype)
    getattr(one, method)(*where, start, left)
    getattr(other, method)(*where, start, right)
    np.testing.assert_array_equal(left, right)


def test_batches_and_pieces_are_those_of_the_folder(both):
    (folder, held_out), (records, held_out_records) = both
    for left, right in zip(
        [*pieces(held_out, 20000), *run(folder)],
        [*pieces(held_out_records, 20000), *run(records)],
        strict=True,
    ):
        for name in left._fields:
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


def run(tracks):
    with Loader(tracks, Recipe(), 1, 4, 30000, last=12, workers=3, engine="threads") as batches:
        return list(batches)


def test_many_threads_may_read(both):
    records, folder = both[1][0], both[0][0]

    def check(number):
        assert_same(records, folder, "read_into", (number % 4, 0), 37 * number, 1000, np.int16)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, range(200)))


@pytest.fixture
def stored(roots, monkeypatch, tmp_path):
    """The URL of the same records in a store; the cache is empty."""
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    for path in roots[1].rglob("*"):
        if path.is_file():
            stores.upload(path, f"memory://records/{path.relative_to(roots[1]).as_posix()}")
    return "memory://records"


def test_records_in_a_store_are_the_same(both, stored):
    (folder, held_out), (records, none_here) = both[1], open_records(stored, SOURCES, RATE, 2)
    cache = runtime.cache_folder() / "records"
    assert not list(cache.rglob("*array_record*"))
    assert_same(records, folder, "read_into", (2, 1), RATE - 5, 80, np.int16)
    (fetched,) = cache.rglob("*array_record*")
    assert "-train" in fetched.name
    assert_same(none_here, held_out, "mixture_into", (0,), 5, 80, np.float32)
    assert records.fingerprint() == folder.fingerprint()


def test_each_host_opens_the_records_of_its_share(both, monkeypatch):
    """Of a batch of eight, two hosts open four examples' seconds each, and together all."""
    records, opened, block = both[1][0], [], Stream._block

    noted = lambda s, number: opened.append(s.first + number) or block(s, number)  # noqa: E731
    monkeypatch.setattr(Stream, "_block", noted)

    def records_of(**hosts) -> list[int]:
        opened.clear()
        with Loader(
            records, Recipe(), 1, 8, 3000, last=8, workers=1, engine="threads", **hosts
        ) as b:
            (examples,) = b
        return sorted(opened), len(examples.gain)

    everything, rows = records_of()
    shares = [records_of(process_index=host, process_count=2) for host in (0, 1)]
    assert rows == 8 and [count for _, count in shares] == [4, 4]
    assert sorted([*shares[0][0], *shares[1][0]]) == everything
    assert all(4 * 4 <= len(share) <= 2 * 4 * 4 for share, _ in shares)  # an excerpt may span two


def test_sources_come_in_the_order_of_the_model(roots):
    records, valid = open_records(roots[1], ("vocals", "rest"), RATE, 2)
    same, _ = open_records(roots[1], ("vocals", "rest"), RATE, 2)
    other, _ = open_records(roots[1], SOURCES, RATE, 2)
    assert records.fingerprint() == same.fingerprint()
    assert records.fingerprint() not in (other.fingerprint(), valid.fingerprint())
    assert records.sources == ("vocals", "bass", "drums", "other")
    np.testing.assert_array_equal(records.mixing, [[1, 0, 0, 0], [0, 1, 1, 1]])
    folder, _ = open_data("folder", roots[0], ("vocals", "rest"), RATE, 2, {})
    assert_same(records, folder, "read_into", (0, 1), 5, 100, np.int16)


def test_records_take_hardly_more_than_the_samples(roots):
    size = [sum(p.stat().st_size for p in root.rglob("*") if p.is_file()) for root in roots]
    assert size[1] < 1.02 * size[0] + 2 * 2**16  # the format fills each file up to 64 KiB


@pytest.mark.slow
def test_sets_that_are_not_the_defaults_are_json_and_may_need_rounding(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "in" / "talk").mkdir(parents=True)
    for name in ("speech", "noise"):
        wave = rng.uniform(-1.2, 1.2, (3000, 1))
        soundfile.write(tmp_path / "in" / "talk" / f"{name}.wav", wave, 2000, subtype="FLOAT")
    config = '{"name": "mine", "dataset": "folder", "targets": ["speech"], "rate": 2000}'
    done = build(tmp_path / "in", tmp_path / "out", config)
    assert done.returncode == 0, done.stderr
    assert "samples beyond full scale were clipped" in done.stderr
    records, none = open_records(tmp_path / "out", ("speech",), 2000, 2)
    folder, _ = open_data("folder", tmp_path / "in", ("speech",), 2000, 2, {})
    assert none is None and records.sources == folder.sources == ("speech", "noise")
    left, right = np.empty((2, 3000, 2), np.float32)
    records.read_into(1, 0, 0, left)
    folder.read_into(1, 0, 0, right)
    np.testing.assert_allclose(left, np.clip(right, -1, 32767 / 32768), atol=0.51 / 32768)
    records.mixture_into(0, 0, left)
    assert np.abs(left).max() > 1, "the sum of the stems is not clipped"


def test_sources_of_other_songs_have_mixtures_for_the_statistics(tmp_path):
    """Files of 900 and of 500 and 700 samples: the one goes round, and the shorter one counts."""
    rng = np.random.default_rng(0)
    for source, lengths in {"speech": (900,), "noise": (500, 700)}.items():
        (tmp_path / "in" / "train" / source).mkdir(parents=True)
        for number, length in enumerate(lengths):
            wave = rng.integers(-9999, 9999, (length, 2), np.int16)
            soundfile.write(tmp_path / "in" / "train" / source / f"{number}.wav", wave, 400)
    config = '{"name": "x", "dataset": "sourcefolder", "targets": ["speech"], "rate": 400}'
    done = build(tmp_path / "in", tmp_path / "out", config)
    assert done.returncode == 0, done.stderr
    records, _ = open_records(tmp_path / "out", ("speech",), 400, 2)
    folders, _ = open_data("sourcefolder", tmp_path / "in", ("speech",), 400, 2, {})
    assert records.track_lengths == folders.track_lengths == [500, 700]
    for track in range(2):
        assert_same(records, folders, "mixture_into", (track,), 0, 500, np.float32)


def test_what_is_tested_on_and_validates_is_written_once(tmp_path):
    """Without valid/ the tracks in test/ validate; evaluation finds them as its test split."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        (tmp_path / "in" / split / "talk").mkdir(parents=True)
        for name in ("speech", "noise"):
            wave = rng.integers(-9999, 9999, (500, 2), np.int16)
            soundfile.write(tmp_path / "in" / split / "talk" / f"{name}.wav", wave, 400)
    config = '{"name": "x", "dataset": "folder", "targets": ["speech"], "rate": 400}'
    done = build(tmp_path / "in", tmp_path / "out", config)
    assert done.returncode == 0, done.stderr
    splits = {path.name.split("-")[1].split(".")[0] for path in tmp_path.rglob("*array_record*")}
    assert splits == {"train", "valid"}
    opened = open_tracks("records", SPLITS, tmp_path / "out", ("speech",), 400, 2, {})
    folder = open_tracks("folder", SPLITS, tmp_path / "in", ("speech",), 400, 2, {})
    for records, wanted in zip(opened, folder, strict=True):
        assert records.names == wanted.names
        assert_same(records, wanted, "read_into", (1, 0), 0, 500, np.int16)
    assert opened[1].fingerprint() == opened[2].fingerprint() != opened[0].fingerprint()


def test_wrong_roots_are_named(roots, tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}: wanted the records of one .* found none"):
        open_records(tmp_path, SOURCES, RATE, 2)
    with pytest.raises(UserError, match="44100 Hz, 2 channels; wanted 22050 Hz, 2 channels"):
        open_records(roots[1], SOURCES, 22050, 2)
    with pytest.raises(UserError, match="no source 'guitar'"):
        open_records(roots[1], ("guitar",), RATE, 2)


def test_a_user_who_does_not_exist_is_one_line():
    with pytest.raises(UserError, match="~nosuchuser/songs: wanted the records of one .* none"):
        open_records("~nosuchuser/songs", SOURCES, RATE, 2)


def test_damaged_record_is_named(roots, tmp_path):
    (source,) = (path.parent for path in roots[1].rglob("dataset_info.json"))
    for path in source.iterdir():
        data = bytearray(path.read_bytes())
        if "records-train" in path.name:
            middle = len(data) // 2
            data[middle : middle + 100_000] = bytes(100_000)
        (tmp_path / path.name).write_bytes(data)
    records, _ = open_records(tmp_path, SOURCES, RATE, 2)
    out = np.empty((2 * RATE, 2), np.int16)
    with pytest.raises(UserError, match=f"{tmp_path}: .*record"):
        for source in range(4):
            for track in range(2):
                records.read_into(source, track, 0, out)


@pytest.mark.slow
def test_brackets_in_the_name_of_the_folder_are_no_pattern(roots, tmp_path):
    place = shutil.copytree(roots[1], tmp_path / "records [v1]*?")
    for found, wanted in zip(
        open_records(place, SOURCES, RATE, 2), open_records(roots[1], SOURCES, RATE, 2), strict=True
    ):
        assert_same(found, wanted, "read_into", (0, 0), 0, 50, np.int16)


def test_examples_that_are_composed_anew_are_not_for_records(tmp_path):
    from types import SimpleNamespace

    from pipelines.records.records_dataset_builder import Builder, Config

    rng = np.random.default_rng(0)
    for number in range(12):
        for source in ("speech", "noise"):
            (tmp_path / "in" / source).mkdir(parents=True, exist_ok=True)
            wave = rng.uniform(-0.5, 0.5, 500)
            soundfile.write(tmp_path / "in" / source / f"{number}.wav", wave, 400)
    config = Config(name="talk", dataset="speech_noise", targets=("speech",), rate=400)
    builder = Builder(data_dir=tmp_path / "out", config=config)
    with pytest.raises(UserError, match="'speech_noise': its examples are composed as they are"):
        builder._split_generators(SimpleNamespace(manual_dir=tmp_path / "in"))
