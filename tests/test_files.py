"""Files and folders appear whole, writers take turns, digests are those of other programs."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from xumx_jax import files
from xumx_jax.errors import UserError

ROOT = Path(__file__).parents[1]
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of FIPS 180-2
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def full(path, content):
    """A disk that fills up."""
    with path.open("wb") as file:
        file.write(content[:1])
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(params=["swap", "two renames"])
def either(request, monkeypatch, tmp_path):
    """Replace folders in one step, and as systems do that cannot."""
    if request.param != "swap":
        monkeypatch.setattr(files, "exchange", lambda one, other: False)
    elif not files.exchange(tmp_path, tmp_path):
        pytest.skip("this file system cannot swap two names")


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "new" / "é.txt"
    for content in ("öne", b"two", ""):
        files.write(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert names(path.parent) == ["é.txt"]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"x: cannot be written \(No space left on device\)"):
        files.write(path, "new")
    assert path.read_text() == "old" and names(tmp_path) == ["x"]


def test_who_may_read_a_file_is_left_to_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        files.write(tmp_path / "x", "")
        with files.replacing_folder(tmp_path / "y"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "y").stat().st_mode & 0o777 == 0o750


def test_a_link_is_replaced_and_not_what_it_points_to(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    files.write(tmp_path / "link", "new")
    assert (tmp_path / "target").read_text() == "old"
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "link").read_text() == "new"


def test_what_is_no_file_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"pipe: cannot be written \(it is not a regular file\)"):
        files.write(tmp_path / "pipe", "")
    with pytest.raises(UserError, match="folder: cannot be written"):
        files.write(tmp_path / "folder", "")
    assert names(tmp_path) == ["folder", "pipe"]


def test_any_name_that_a_file_may_have_can_be_written(tmp_path):
    for name in ("x" * 255, "é" * 127):
        files.write(tmp_path / name, "x")
    assert names(tmp_path) == ["x" * 255, "é" * 127]


def test_no_two_partial_names_are_the_same(monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 7)
    found = {files.partial_name(Path("a/b")).name for _ in range(1000)}
    assert len(found) == 1000
    assert all(name.startswith(".b.7-") and name.endswith(".part") for name in found)


def test_a_file_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(files, "flush", lambda path: seen.append((path, names(tmp_path))))
    files.write(tmp_path / "x", "new")
    (partial, before), (folder, after) = seen
    assert before == [partial.name] and (folder, after) == (tmp_path, ["x"])
    with files.replacing(tmp_path / "x", durable=False) as partial:
        partial.write_text("newer")
    assert len(seen) == 2


@pytest.mark.parametrize("there", ["nothing", "folder", "empty folder", "file", "link"])
def test_a_folder_replaces_whatever_is_there(tmp_path, either, there):
    place = tmp_path / "a" / "place"
    place.parent.mkdir()
    if "folder" in there:
        place.mkdir()
    if there == "folder":
        (place / "old").write_text("old")
    elif there == "file":
        place.write_text("old")
    elif there == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    with files.replacing_folder(place) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "x").write_text("new")
    assert names(place) == ["inner"] and names(place.parent) == ["place"]
    assert there != "link" or names(tmp_path) == ["a", "elsewhere"]


def test_a_folder_that_fails_leaves_what_was_there(tmp_path, either):
    place = tmp_path / "place"
    place.mkdir()
    (place / "old").write_text("old")
    with pytest.raises(ValueError), files.replacing_folder(place) as partial:
        (partial / "new").write_text("half")
        raise ValueError
    assert names(place) == ["old"] and names(tmp_path) == ["place"]


def test_a_folder_that_cannot_be_renamed_leaves_what_was_there(tmp_path, monkeypatch):
    place, real = tmp_path / "place", Path.rename
    place.mkdir()
    (place / "old").write_text("old")

    def rename(path, target):
        if path.name.endswith(files.PART):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(files, "exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="Input/output"), files.replacing_folder(place):
        pass
    assert names(place) == ["old"] and names(tmp_path) == ["place"]


@pytest.mark.parametrize("left", ["one", "both"])
def test_what_a_kill_between_two_renames_leaves(tmp_path, either, left):
    """The old folder comes back, or the next one takes its place."""
    old, place = tmp_path / ".place.old", tmp_path / "place"

    def leave():
        for folder in (old, place)[: 1 + (left == "both")]:
            folder.mkdir()
            (folder / folder.name).write_text("")
        (tmp_path / ".place.7-a.part").mkdir()
        (tmp_path / ".file.7-a.part").write_text("half")

    leave()
    files.remove_leftovers(tmp_path)
    assert names(tmp_path) == ["place"]
    assert names(place) == [".place.old" if left == "one" else "place"]
    files.remove_quietly(place)
    leave()
    with files.replacing_folder(place) as partial:
        (partial / "new").write_text("")
    assert names(place) == ["new"] and not old.exists()


def test_names_are_swapped_only_if_both_exist(tmp_path):
    (tmp_path / "a").write_text("a")
    assert not files.exchange(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path) == ["a"]


def test_removing_quietly(tmp_path):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name in ("link", "file", "absent"):
        files.remove_quietly(tmp_path / name)
    assert names(tmp_path) == ["folder"]
    files.remove_quietly(tmp_path / "folder")
    assert names(tmp_path) == []


def test_a_lock_is_held_by_one(tmp_path):
    path = tmp_path / "new" / ".lock"
    with files.locked(path):
        with pytest.raises(BlockingIOError), files.locked(path, waiting=None):
            pass
        with pytest.raises(BlockingIOError), files.locked(path, waiting=None, shared=True):
            pass
    with files.locked(path, waiting=None):
        pass
    assert names(path.parent) == [".lock"]


def test_a_folder_can_be_locked_and_a_lock_shared(tmp_path):
    with files.locked(tmp_path, shared=True), files.locked(tmp_path, waiting=None, shared=True):
        with pytest.raises(BlockingIOError), files.locked(tmp_path, waiting=None):
            pass
    assert names(tmp_path) == []
    with pytest.raises(FileNotFoundError), files.locked(tmp_path / "absent", shared=True):
        pass


def test_a_lock_is_waited_for_and_freed_by_a_kill(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from xumx_jax import files\n"
        "with files.locked(Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with started(code, tmp_path / "lock") as other:
        assert other.stdout.readline() == "held\n"
        waited = []

        def waiting():
            waited.append(True)
            other.kill()

        with files.locked(tmp_path / "lock", waiting):
            assert waited
        other.wait()


def test_nobody_waits_where_there_are_no_locks(tmp_path, monkeypatch):
    with files.locked(tmp_path / "lock"):
        monkeypatch.setitem(sys.modules, "fcntl", None)
        with files.locked(tmp_path / "lock", waiting=None):
            pass


def test_digests(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"")
    assert files.digest(tmp_path / "a") == files.digest_of_path(tmp_path / "a") == ABC
    assert files.digest(tmp_path / "a", "sha1") == "a9993e364706816aba3e25717850c26c9cd0d89d"
    assert files.digest_of(["a", b"b", np.array([ord("c")], np.uint8)]) == ABC
    assert files.digest_of([]) == EMPTY
    assert files.digest_of(["é"]) == files.digest_of(["é".encode()])
    lines = files.digest_of([f"a {ABC}\n", f"b/c {EMPTY}\n"])
    assert files.digest_of_path(tmp_path) == lines
    rows = [("b/c", tmp_path / "b" / "c"), ("a", tmp_path / "a")]
    assert files.digest_of_all(rows) == files.digest_of([f"b/c {EMPTY}\n", f"a {ABC}\n"])
    value = {"b": [1, None], "a": 0.5}
    assert files.digest_of_value(value) == files.digest_of(['{"a": 0.5, "b": [1, null]}'])
    assert files.digest_of_value(dict(sorted(value.items()))) == files.digest_of_value(value)


# Two writers whose process number is the same, as in two containers. Not waiting for the disk
# makes them meet more often.
WRITER = """
import json, os, sys
from pathlib import Path

os.getpid = lambda: 7
os.fsync = lambda number: None
from xumx_jax import files

place, count, who, swap = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if swap == "no":
    files.exchange = lambda one, other: False


def write(number):
    content = f"{who}{number:03}" * 3000
    if place.suffix:
        return files.write(place, content)
    with files.replacing_folder(place) as partial:
        (partial / "a").write_text(content)
        (partial / "b").write_text(content)


failed = []
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    try:
        write(number)
    except Exception as error:
        failed.append(repr(error))
print(json.dumps(failed))
"""


def started(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def two_writers(place, count, look, swap="yes"):
    """Let two processes write `count` times each, and call `look` meanwhile -> what failed."""
    one, other = (started(WRITER, place, count, who, swap) for who in "ab")
    with one, other:
        for writer in (one, other):
            assert writer.stdout.readline() == "ready\n"
        for writer in (one, other):
            writer.stdin.write("\n")
            writer.stdin.flush()
        looks = 0
        while one.poll() is None or other.poll() is None:
            if looks or os.path.lexists(place):  # from the first write on
                look()
                looks += 1
            time.sleep(0.001)
        assert looks > 10
        return [json.loads(writer.stdout.readline()) for writer in (one, other)]


def whole(content):
    return len(content) == 12000 and content == content[:4] * 3000


def test_two_writers_of_one_process_number_lose_nothing(tmp_path):
    path = tmp_path / "x.txt"
    failed = two_writers(path, 300, lambda: whole(path.read_text()) or pytest.fail("half a file"))
    assert failed == [[], []] and names(tmp_path) == ["x.txt"]
    assert path.read_text()[1:4] == "299"


@pytest.mark.parametrize("swap", ["yes", "no"])
def test_two_writers_of_one_folder_lose_nothing(tmp_path, swap):
    place = tmp_path / "place"
    always = swap == "yes" and files.exchange(tmp_path, tmp_path)

    def look():
        assert place.is_dir() or not always
        with files.locked(tmp_path, shared=True):
            a, b = ((place / name).read_text() for name in "ab")
        assert a == b and whole(a)

    failed = two_writers(place, 60, look, swap)
    assert failed == [[], []] and names(tmp_path) == ["place"]
    assert (place / "a").read_text()[1:4] == "059"
