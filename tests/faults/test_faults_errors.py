"""What is a bad file, what is the system's doing, and what is an error of ours."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from foreign import write_h5, write_pth

from pipelines.evaluation import command
from xumx_jax.errors import CheckpointError, UserError
from xumx_jax.weights import bag, pointer, store
from xumx_jax.weights.converters import openunmix_files, readers

TENSORS = {"a": np.ones(3, np.float32)}


@pytest.mark.parametrize("error", [NameError, ImportError, AssertionError, UnboundLocalError])
@pytest.mark.parametrize("kind", ["h5", "pth"])
def test_errors_of_ours_are_no_damaged_files(tmp_path, monkeypatch, kind, error):
    def broken(*_):
        raise error("ours")

    path = (write_h5 if kind == "h5" else write_pth)(tmp_path / f"w.{kind}", TENSORS)
    monkeypatch.setattr(readers, "check_size", broken)
    with pytest.raises(error, match="ours"):
        readers.read(path)


def test_every_byte_that_is_wrong_is_a_damaged_file(tmp_path):
    """Whatever libraries raise then; so DAMAGE has to be complete."""
    rng, damaged = np.random.default_rng(0), 0
    for path in (write_h5(tmp_path / "w.h5", TENSORS), write_pth(tmp_path / "w.pth", TENSORS)):
        content = path.read_bytes()
        for _ in range(150):
            spoilt = bytearray(content)
            for place in rng.integers(9, len(content), 3):
                spoilt[place] = rng.integers(256)
            path.write_bytes(spoilt)
            try:
                readers.read(path)
            except UserError as error:
                damaged += 1
                assert str(error).startswith(f"{path}: ")
    assert damaged > 100


def test_what_the_system_refuses_is_told_in_its_words(tmp_path, monkeypatch):
    def refused(self, *_, **__):
        raise OSError(24, "Too many open files", str(self))

    path = write_h5(tmp_path / "w.h5", TENSORS)
    (tmp_path / "bag.json").write_text("{}")
    (tmp_path / "vocals.json").write_text("{}")
    monkeypatch.setattr(Path, "open", refused)
    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(UserError, match=r"w\.h5: cannot be read \(Too many open files\)"):
        readers.read(path)
    with pytest.raises(UserError, match=r"cannot be read \(Too many open files\)"):
        bag.load(tmp_path)
    with pytest.raises(UserError, match=r"vocals\.json: cannot be read \(Too many open files\)"):
        openunmix_files.settings_of(tmp_path, ["vocals"])


def test_a_damaged_file_within_an_archive_is_named(tmp_path):
    whole = write_h5(tmp_path / "vocals.h5", TENSORS).read_bytes()
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file["a"] = np.zeros(2, np.float32)
        file["a"].attrs["index"] = "none"
    for content in (whole[: len(whole) // 2], (tmp_path / "odd.h5").read_bytes()):
        with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
            archive.writestr("vocals.h5", content)
        with pytest.raises(UserError, match=r"w\.zip: cannot be read, cut off or damaged"):
            openunmix_files.read_archive(tmp_path / "w.zip")


def test_errors_of_ours_are_no_full_disks(tmp_path, monkeypatch):
    def fails(error):
        def save(folder, items):
            raise error

        return save

    monkeypatch.setattr(store, "save_arrays", fails(ValueError("ours")))
    with pytest.raises(ValueError, match="^ours$"):
        store.write(tmp_path / "1", {"model": TENSORS}, {})
    monkeypatch.setattr(store, "save_arrays", fails(OSError(28, "No space left on device")))
    with pytest.raises(CheckpointError, match=r"1: cannot be written \(No space left on device\)"):
        store.write(tmp_path / "1", {"model": TENSORS}, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["..", ".", "a/b", ""])
def test_a_pointer_names_a_folder_beside_it(tmp_path, name):
    (tmp_path / "best").write_text(f'{{"format": 1, "folder": "{name}"}}')
    with pytest.raises(CheckpointError, match="best: names no checkpoint"):
        pointer.follow(tmp_path / "best")


@pytest.mark.parametrize("subset", ["..", "../test", "/tmp"])
def test_a_subset_is_a_folder_in_the_root(tmp_path, capsys, subset):
    words = ["--model", "mixture", "--root", str(tmp_path), "--evaldir", str(tmp_path / "e")]
    assert command.main([*words, "--subset", subset]) == 2
    assert capsys.readouterr().err == (
        f"evaluate: error: --subset {subset}: wanted the name of a folder in the root\n"
    )
    assert not (tmp_path / "e").exists()
