"""Archives from a local server: whole, continued, damaged, hostile, absent."""

import io
import zipfile
from http.server import BaseHTTPRequestHandler

import pytest
import stem_files

from pipelines.datasets import musdb, open_data
from pipelines.datasets.download import fetch_archive
from xumx_jax.errors import UserError


def archive(**files):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return raw.getvalue()


@pytest.fixture
def server(serve):
    """A local server of one archive, with ranges; counts what was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            served.asked.append(begin)
            status = served.status or (206 if begin else 200)
            body = served.body[begin:] if status == 206 else served.body
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: served.stop])

        def log_message(self, *_):
            pass

    served = serve(Handler)
    served.body = archive(**{"train/a.txt": b"hello" * 1000})
    served.asked, served.status, served.stop = [], None, None
    served.url = f"http://127.0.0.1:{served.server_port}/data.zip"
    return served


def fetch(server, tmp_path):
    return fetch_archive(server.url, tmp_path / "cache" / "data", "test data")


def test_fetched_and_unpacked_once(server, tmp_path):
    place = fetch(server, tmp_path)
    assert (place / "train" / "a.txt").read_bytes() == b"hello" * 1000
    assert sorted(p.name for p in place.parent.iterdir()) == [".lock", "data"]
    assert fetch(server, tmp_path) == place and server.asked == [0]


def test_a_broken_download_goes_on(server, tmp_path):
    server.stop = 100
    with pytest.raises(UserError, match="download cut off, 100 of"):
        fetch(server, tmp_path)
    server.stop = None
    assert (fetch(server, tmp_path) / "train" / "a.txt").stat().st_size == 5000
    assert server.asked == [0, 100]


def test_a_damaged_archive_is_not_kept(server, tmp_path):
    whole = server.body
    server.body = whole[:30] + b"damage" + whole[36:]
    for _ in range(2):
        with pytest.raises(UserError, match="damaged archive"):
            fetch(server, tmp_path)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [".lock"]
    server.body = whole
    assert fetch(server, tmp_path).is_dir()
    assert server.asked == [0, 0, 0]


def test_what_a_killed_process_had_unpacked_is_removed(server, tmp_path):
    left = tmp_path / "cache" / ".data.17-0123abcd.part" / "train"
    other = tmp_path / "cache" / ".weights.17-0123abcd.part"
    left.mkdir(parents=True)
    other.write_text("another writer's")
    assert fetch(server, tmp_path).is_dir()
    names = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert names == [".lock", other.name, "data"]


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt"])
def test_nothing_is_written_outside(server, tmp_path, name):
    server.body = archive(**{"fine.txt": b"", name: b"evil"})
    with pytest.raises(UserError, match="outside of its folder"):
        fetch(server, tmp_path)
    assert [p.name for p in tmp_path.rglob("*")] == ["cache", ".lock"]


def test_failures_are_one_line(server, tmp_path):
    server.status = 404
    with pytest.raises(UserError, match="test data from http.*: download failed, .*404") as caught:
        fetch(server, tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="nowhere.invalid.*download failed.*data.root"):
        fetch_archive("http://nowhere.invalid/x.zip", tmp_path / "data", "test data")


def test_without_a_root_musdb_is_the_preview(server, tmp_path, monkeypatch):
    song = stem_files.write(tmp_path / "song.stem.mp4").read_bytes()
    names = ("Leaf - Summerghost", "A")
    server.body = archive(**{f"train/{name}.stem.mp4": song for name in names})
    details = musdb.musdb_index() | {"sample-url": server.url}
    monkeypatch.setattr(musdb, "musdb_index", lambda: details)
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    train, valid = open_data("musdb", "", ("vocals",), 44100, 2, {})
    assert train.names == ("A",) and valid.names == ("Leaf - Summerghost",)
    assert train.root == tmp_path / "cache" / "musdb18-7" / "train"
