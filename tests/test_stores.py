"""Files in stores: read in blocks, written as a whole; errors are one line that tells no secret."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from separating import RATE, noise

from xumx_jax import audio, stores
from xumx_jax.audio.decode import open_blocks
from xumx_jax.errors import UserError
from xumx_jax.stores import access, stored_file

fsspec = pytest.importorskip("fsspec", reason="needs the extra cluster")


@pytest.fixture
def memory():
    kept = fsspec.filesystem("memory")
    yield kept
    kept.rm("/", recursive=True)


def encoded(form, wave, rate=RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave.T, rate, format=form)
    return file.getvalue()


@pytest.mark.parametrize("form", ["wav", "flac", "mp3"])
def test_a_file_is_read_block_by_block(bucket, form, monkeypatch, tmp_path):
    monkeypatch.setattr(stored_file, "BLOCK_BYTES", 4096)
    rate = 44100 if form == "mp3" else RATE
    content = encoded(form, noise(40000), rate)
    assert len(content) > 4 * 4096
    bucket.objects[f"music/song.{form}"] = content
    (tmp_path / f"song.{form}").write_bytes(content)
    with stores.StoredFile(f"s3://music/song.{form}") as file:
        wave, _ = audio.decode(file)
        assert len(file._blocks) <= stored_file.BLOCKS and file.identity().startswith("etag:")
    assert (wave == audio.decode(tmp_path / f"song.{form}")[0]).all()
    assert {(method, bool(part)) for method, _, part in bucket.requests} == {
        ("HEAD", False),
        ("GET", True),
    }


def test_a_web_server_without_ranges_is_read_once(bucket):
    pytest.importorskip("aiohttp", reason="needs the extra cluster")
    bucket.ranges = False
    bucket.objects["music/song.flac"] = encoded("flac", noise(9000))
    with stores.StoredFile(f"{bucket.url}/music/song.flac?signature=secret") as file:
        assert audio.decode(file)[0].shape == (2, 9000)
        assert file.name == f"{bucket.url}/music/song.flac"
    assert [method for method, _, _ in bucket.requests].count("GET") == 1


def test_a_store_that_fails_midway_is_named_and_nothing_is_printed(bucket, monkeypatch, capfd):
    monkeypatch.setattr(stored_file, "BLOCK_BYTES", 4096)
    bucket.objects["music/song.wav"] = encoded("wav", noise(40000))
    with stores.StoredFile("s3://music/song.wav") as file, open_blocks(file) as blocks:
        file._blocks.clear()
        bucket.objects.clear()
        with pytest.raises(UserError) as raised:
            list(blocks)
    assert str(raised.value) == "s3://music/song.wav: cannot be read: there is no such file"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "url, line",
    [
        ("s3://forbidden/song.wav", "cannot be read: permission denied"),
        ("s3://music/none.wav", "cannot be read: there is no such file"),
        ("s3://music/empty.wav", "the file is empty (0 bytes); wanted an audio file"),
        ("nonsense://a/b.wav", "nonsense:// is unknown; wanted s3://, gs://, https:// ..."),
    ],
)
def test_what_cannot_be_opened_is_one_line(bucket, url, line):
    bucket.objects["music/empty.wav"] = b""
    with pytest.raises(UserError) as raised:
        stores.StoredFile(url)
    assert str(raised.value) == f"{url}: {line}"


def test_a_web_server_that_is_not_there(bucket):
    pytest.importorskip("aiohttp", reason="needs the extra cluster")
    with pytest.raises(UserError, match="127.0.0.1:9/song.wav: cannot be read: .*onnect"):
        stores.StoredFile("http://127.0.0.1:9/song.wav?key=secret")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(access.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(UserError, match=r"^gs://a/b: needs more packages; pip install 'xumx_jax"):
        stores.filesystem("gs://a/b")


def test_writing_listing_and_removing(bucket, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(np.random.default_rng(0).bytes(11 << 20))
    stores.upload(path, "s3://out/x/large")
    stores.write("s3://out/x/small", b"{}")
    assert bucket.objects["out/x/large"] == path.read_bytes()
    found = stores.entries("s3://out/x")
    assert {name: info["size"] for name, info in found.items()} == {"large": 11 << 20, "small": 2}
    assert stores.read("s3://out/x/small") == b"{}" and stores.read("s3://out/x/none") is None
    stores.remove("s3://out/x/small")
    stores.remove("s3://out/x/small")
    assert list(bucket.objects) == ["out/x/large"] and stores.entries("s3://out/none") == {}
    bucket.refuse = {"PUT"}
    with pytest.raises(UserError, match="^s3://out/y: cannot be written: .* 507 Insuff"):
        stores.write("s3://out/y", b"{}")


def test_searching(bucket, memory):
    for name in ("a.wav", "b.txt", "deep/c.wav"):
        bucket.objects[f"music/in/{name}"] = b"1"
        memory.pipe_file(f"/in/{name}", b"1")
    for place in ("s3://music/in", "memory://in"):
        assert stores.search(place) == [f"{place}/a.wav", f"{place}/b.txt"]
        assert stores.search(place, recursive=True)[-1] == f"{place}/deep/c.wav"
        assert stores.search(f"{place}/*.wav", pattern=True) == [f"{place}/a.wav"]
        assert stores.search(f"{place}/none") == []
    with pytest.raises(UserError, match="^s3://forbidden/in: cannot be read: permission denied"):
        stores.search("s3://forbidden/in")


def test_a_file_without_a_tag_is_known_by_its_content(memory):
    memory.pipe_file("/song.wav", b"1234")
    with stores.StoredFile("memory://song.wav") as file:
        file.info = {"size": 4}
        assert file.identity() == "03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4"
        assert file.seek(-1, io.SEEK_END) == 3 and file.read() == b"4" and file.tell() == 4


def test_urls():
    assert (
        stores.is_url("s3://bucket/x") and not stores.is_url("C:\\x") and not stores.is_url("a/b")
    )
    assert not stores.is_url("file:///tmp/x") and not stores.is_url(Path("s3://x"))
    assert stores.shown("https://me:secret@host/a.wav?sig=1#x") == "https://host/a.wav"
    assert stores.name_of("https://host/a/b%20c.wav?x=/d") == "b c.wav"
    for odd in ("song #1.wav", "why?.wav", "50%20.wav"):  # no web address
        assert stores.name_of(f"s3://a/{odd}") == odd and stores.shown(f"s3://a/{odd}")[7:] == odd
    assert stores.shown("sftp://me:secret@host/a.wav") == "sftp://host/a.wav"
    assert stores.join("s3://a/", "b", "c") == "s3://a/b/c"


def test_threads_of_a_store_settle_before_python_ends(bucket, monkeypatch):
    """Else one may abort the process, as one in four runs did that ended by an error."""
    registered = []
    monkeypatch.setattr(access.atexit, "register", lambda *given: registered.append(given))
    access._settle_at_exit.cache_clear()
    for _ in range(2):
        stores.write("s3://stems/x", b"")
    ((wait, seconds),) = registered
    assert wait is time.sleep and seconds > 0.005  # for which another thread may keep the lock


def test_what_another_removed_first_is_gone_all_the_same(monkeypatch):
    """Many workers look whether they may write; some stores complain of what is not there."""
    errors = pytest.importorskip("obstore.exceptions")

    class Store:
        error: Exception

        def rm_file(self, path):
            raise self.error

    store = Store()
    monkeypatch.setattr(access, "filesystem", lambda url: (store, "x"))
    for store.error in (errors.NotFoundError("404"), FileNotFoundError("x")):
        stores.remove("gs://stems/x")
    store.error = errors.PermissionDeniedError("403")
    with pytest.raises(UserError, match="gs://stems/x: cannot be removed: permission denied"):
        stores.remove("gs://stems/x")
