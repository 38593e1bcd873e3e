"""MUSDB18 in both forms, its split, the cache of decoded STEMS, and the preview."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import stem_files
from shared_files import needs, shared

from pipelines.datasets import musdb, open_data
from pipelines.datasets.decoded import decode_all
from pipelines.evaluation.data import find, open_dataset
from xumx_jax.errors import UserError

TARGETS = ("bass", "drums", "vocals", "other")
FILES = ("mixture", "drums", "bass", "other", "vocals")
VALID = "Leaf - Summerghost"  # one of the 14
PREVIEW = "musdb18-7-sample"


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    return stem_files.write(tmp_path_factory.mktemp("stems") / "song.stem.mp4")


@pytest.fixture
def stems(song, tmp_path):
    root = tmp_path / "MUSDB18"
    (root / "train").mkdir(parents=True)
    for name in ("A", "B", VALID):
        shutil.copy(song, root / "train" / f"{name}.stem.mp4")
    return root


def decoded(root, *names):
    """MUSDB18-HQ with the tracks of these names."""
    for name in names:
        folder = root / "train" / name
        folder.mkdir(parents=True)
        for seed, file in enumerate(FILES):
            wave = np.random.default_rng(seed).uniform(-0.2, 0.2, (900, 2))
            soundfile.write(folder / f"{file}.wav", wave, 44100)
    return root


def opened(root, tmp_path, targets=TARGETS, **options):
    return open_data("musdb", root, targets, 44100, 2, {"cache": str(tmp_path / "c"), **options})


def test_index_is_that_of_the_package_which_is_never_imported():
    details = musdb.musdb_index()
    assert len(details["validation_tracks"]) == 14 and VALID in details["validation_tracks"]
    code = (
        "import sys, pipelines.datasets.musdb as m; m.musdb_index(); "
        "assert not {'musdb', 'stempeg', 'museval'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], env={"PATH": ""}
    )


def test_without_the_package_one_line_says_so(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match="no package musdb, whose index lists the validation tracks"
    ):
        musdb.musdb_index()


def test_wav_with_its_fixed_split(tmp_path):
    root = decoded(tmp_path / "HQ", "A", "B", VALID)
    train, valid = opened(root, tmp_path)
    assert train.names == ("A", "B") and valid.names == (VALID,)
    assert train.sources == TARGETS and train.integer and train.mixtures
    np.testing.assert_array_equal(train.mixing, np.eye(4))
    assert not (tmp_path / "c").exists(), "nothing to decode"
    one, _ = opened(root, tmp_path, ("vocals", "accompaniment"))
    assert one.sources == ("vocals", "drums", "bass", "other")
    np.testing.assert_array_equal(one.mixing, [[1, 0, 0, 0], [0, 1, 1, 1]])


def test_stems_are_decoded_once(stems, tmp_path, monkeypatch):
    train, valid = opened(stems, tmp_path)
    assert train.names == ("A", "B") and valid.names == (VALID,)
    assert train.integer and not train.skipped
    out = np.empty((stem_files.LENGTH, 2), np.float32)
    for source, pitch in enumerate((80, 600, 300, 1000)):
        train.read_into(source, 0, 0, out)
        assert abs(stem_files.pitch(out.T)[0] - pitch) <= 2
    train.mixture_into(0, 0, out)
    assert abs(stem_files.pitch(out.T)[0] - 440) <= 2
    monkeypatch.delattr("pipelines.datasets.decoded.write_stems")
    again, _ = opened(stems, tmp_path, is_wav=False)
    assert again.fingerprint() == train.fingerprint()


def test_a_stray_folder_beside_stems_is_none_of_them(stems, tmp_path):
    (stems / "train" / "notes").mkdir()
    train, valid = opened(stems, tmp_path)
    assert train.names == ("A", "B") and valid.names == (VALID,) and not train.skipped


def test_decoded_again_the_data_are_the_same(stems, tmp_path):
    first, _ = opened(stems, tmp_path)
    shutil.rmtree(tmp_path / "c")
    second, _ = opened(stems, tmp_path)
    assert first.fingerprint() == second.fingerprint()


def test_a_changed_file_is_decoded_anew(stems, tmp_path):
    opened(stems, tmp_path)
    stem_files.write(stems / "train" / "A.stem.mp4", (440, 600, 120, 1000, 300))
    train, _ = opened(stems, tmp_path)
    out = np.empty((stem_files.LENGTH, 2), np.float32)
    train.read_into(0, 0, 0, out)
    assert abs(stem_files.pitch(out.T)[0] - 120) <= 2


def test_bad_stems_are_named_counted_and_left_out(stems, tmp_path, capsys):
    (stems / "train" / "B.stem.mp4").write_bytes(b"words")
    train, _ = opened(stems, tmp_path, max_skipped=0.5)
    assert train.names == ("A",)
    assert "1 of 2 tracks left out: B (" in (told := capsys.readouterr().err)
    assert "cannot be decoded" in told
    with pytest.raises(UserError, match="1 of 2 tracks.*B.stem.mp4: cannot be decoded"):
        opened(stems, tmp_path)


def test_two_at_once_decode_each_file_once(stems, tmp_path, monkeypatch):
    from pipelines.datasets import decoded as module

    written, write = [], module.write_stems
    monkeypatch.setattr(module, "write_stems", lambda p, f: (written.append(p), write(p, f)))
    paths = sorted((stems / "train").iterdir())
    cache = tmp_path / "c"
    (cache / ".0123.part" / "left over").mkdir(parents=True)
    threads = [threading.Thread(target=decode_all, args=(paths, cache)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == paths
    assert not list(cache.glob("*.part"))
    places, failed = decode_all(paths, cache)
    assert set(places) == set(paths) and not failed


def test_several_processes_decode_the_same(stems, tmp_path, monkeypatch):
    (stems / "train" / "B.stem.mp4").write_bytes(b"words")
    one, _ = opened(stems, tmp_path, max_skipped=0.5)
    shutil.rmtree(tmp_path / "c")
    monkeypatch.setattr("pipelines.datasets.decoded.SHARE_BYTES", 1000)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    two, _ = opened(stems, tmp_path, max_skipped=0.5)
    assert one.fingerprint() == two.fingerprint() and len(two.skipped) == 1


def test_disk_too_small_for_the_decoded_files(stems, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
        with pytest.raises(UserError, match="decoding 3 files needs 0.0 GB.*cache"):
            opened(stems, tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.datasets.decoded.write_stems", full)
    with pytest.raises(UserError, match="No space left on device"):
        opened(stems, tmp_path)
    assert [p.name for p in (tmp_path / "c" / "decoded").iterdir()] == [".lock"]


def test_cache_that_cannot_be_written(stems, tmp_path):
    (tmp_path / "c").write_text("")
    with pytest.raises(UserError, match="cannot be used as a cache"):
        opened(stems, tmp_path)


def test_no_validation_track_is_a_warning(tmp_path, capsys):
    train, valid = opened(decoded(tmp_path / "HQ", "A"), tmp_path)
    assert train.names == ("A",) and valid is None
    assert "none of the 14 validation tracks" in capsys.readouterr().err


def test_only_validation_tracks(tmp_path, capsys):
    root = decoded(tmp_path / "HQ", VALID)
    with pytest.raises(UserError, match="all 1 tracks belong to the validation split"):
        opened(root, tmp_path)
    train, valid = opened(root, tmp_path, valid_tracks="")
    assert train.names == (VALID,) and valid is None and not capsys.readouterr().err


def test_other_validation_tracks(tmp_path):
    root = decoded(tmp_path / "HQ", "A", "B", "C")
    train, valid = opened(root, tmp_path, valid_tracks="A,C")
    assert train.names == ("B",) and valid.names == ("A", "C")
    with pytest.raises(UserError, match="no track 'D' to validate on"):
        opened(root, tmp_path, valid_tracks=("A", "D"))


def test_evaluation_takes_each_split_as_it_lies(stems, song, tmp_path):
    """The 14 tracks validate and are not trained on; nothing is decoded before it is opened."""
    (stems / "test").mkdir()
    shutil.copy(song, stems / "test" / "C.stem.mp4")
    options = {"cache": str(tmp_path / "c")}
    for split, names in (("train", ["A", "B"]), ("valid", [VALID]), ("test", ["C"])):
        data = open_dataset("musdb", stems, split, (), options)
        assert (data.kind, [track.name for track in data.tracks]) == ("stems", names)
        assert data.tracks[0].files == (stems / ("test" if names == ["C"] else "train")
                                        / f"{names[0]}.stem.mp4",)  # fmt: skip
    assert data.tracks[0].digest == find(stems, "test").tracks[0].digest
    assert not (tmp_path / "c").exists()
    with pytest.raises(UserError, match="'musdb' has no split 'valid'"):
        open_dataset("musdb", stems, "valid", (), {**options, "valid_tracks": ""})
    with pytest.raises(UserError, match="MUSDB18: data set 'musdb' has no split 'train'"):
        open_dataset("musdb", stems, "train", (), {**options, "valid_tracks": f"A,B,{VALID}"})


def test_no_tracks(tmp_path):
    with pytest.raises(UserError, match="no tracks; wanted train/.*.stem.mp4 or train/<track>"):
        opened(tmp_path, tmp_path)
    with pytest.raises(UserError, match="nowhere: not a folder"):
        opened(tmp_path / "nowhere", tmp_path)


@needs(PREVIEW)
def test_the_real_preview_track(tmp_path):
    train, valid = opened(shared(PREVIEW), tmp_path)
    assert train.names == ("Music Delta - 80s Rock",) and valid is None
    assert train.track_lengths == [299880]
    mix, one = (np.empty((299880, 2), np.float32) for _ in range(2))
    train.mixture_into(0, 0, mix)
    left = mix.copy()
    for source in range(4):
        train.read_into(source, 0, 0, one)
        left -= one
    level, rest = (20 * np.log10(np.sqrt(np.mean(x**2))) for x in (mix, left))
    assert abs(level + 15.59) < 0.01 and abs(rest - level + 31.58) < 0.05
