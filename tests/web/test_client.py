"""The client against the real server, and against servers that misbehave."""

import ast
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from misbehaving import answering
from serving import JOBS, clip

from xumx_jax import client as module
from xumx_jax.client import Client, ServerError, ServerSeparator

NAMES = ("bass", "drums", "other", "vocals")
DONE = {
    **{"id": "7", "state": "done", "name": "a", "stems": [{"name": "bass"}]},
    "options": {"format": "wav", "bits": None, "bitrate": None},
}


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("songs") / "Söng #1.wav"
    path.write_bytes(clip(1.0))
    return path


@pytest.fixture
def left(server):
    """`left()`: the jobs of this test that are still on the server, which other tests share."""

    def jobs():
        return {job["id"] for job in server.get(JOBS).json()["jobs"]}

    before = jobs()
    return lambda: jobs() - before


def test_stems_are_those_of_the_server_and_nothing_is_left_there(left, server, song, tmp_path):
    shown = []
    made = Client(server.url).separate(
        song, tmp_path / "a/b", format="flac", on_progress=lambda *now: shown.append(now)
    )
    assert made == {name: tmp_path / "a/b" / f"{name}.flac" for name in NAMES}
    job = server.separated(song.read_bytes(), song.name, format="flac")
    for stem in job["stems"]:
        assert made[stem["name"]].read_bytes() == server.get(stem["url"]).body
    server.ask("DELETE", f"{JOBS}/{job['id']}")
    assert shown and all(0 <= part <= 1 for part, _ in shown)
    assert not left()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b"]


def test_a_mix_is_one_file(server, song, tmp_path):
    made = Client(server.url).separate(song, tmp_path, mix=["vocals", "bass"])
    assert made == {"vocals+bass": tmp_path / "vocals+bass.wav"}
    assert made["vocals+bass"].stat().st_size > 4 * 44100
    assert os.listdir(tmp_path) == ["vocals+bass.wav"]


REFUSED = {
    "bad_option": dict(model="no such model"),
    "not_audio": dict(),
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_the_server_says_is_the_error(left, server, song, tmp_path, code):
    path = tmp_path / "x.pdf"
    path.write_bytes(b"%PDF-1.7\n" * 100)
    with pytest.raises(ServerError) as told:
        Client(server.url).separate(
            path if code == "not_audio" else song, tmp_path / "out", **REFUSED[code]
        )
    assert told.value.code == code and "\n" not in str(told.value)
    assert not left() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", ["on_progress", "cancelled", "an error of the caller's"])
def test_a_job_is_cancelled(left, server, tmp_path, how):
    path = tmp_path / "long.wav"
    path.write_bytes(clip(20.0))
    seen = []

    def progress(part, left):
        seen.append(part)
        if how == "an error of the caller's":
            raise KeyError("mine")
        return how != "on_progress"

    error = KeyError if how == "an error of the caller's" else ServerError
    with pytest.raises(error) as told:
        Client(server.url).separate(
            path,
            tmp_path / "out",
            on_progress=progress,
            cancelled=lambda: how == "cancelled" and bool(seen),
        )
    assert error is KeyError or told.value.code == "cancelled"
    assert not left() and not (tmp_path / "out").exists()


def test_a_cancelled_upload_leaves_nothing(left, server, tmp_path):
    path = tmp_path / "long.wav"
    path.write_bytes(clip(5.0))
    asked = iter([False, False, True])
    with pytest.raises(ServerError) as told:
        Client(server.url).separate(path, tmp_path / "out", cancelled=lambda: next(asked, True))
    assert told.value.code == "cancelled"
    end = time.monotonic() + 10
    while left():
        assert time.monotonic() < end
        time.sleep(0.05)


BAD_URLS = ["ftp://a", "http://", "http://a:99999", "http://user:secret@a", "http://[::1"]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_url_is_one_line(url):
    with pytest.raises(ServerError, match="wanted http://HOST:PORT or https://HOST$") as told:
        Client(url)
    assert told.value.code == "bad_option"


def test_no_server_is_one_line(song, tmp_path):
    with pytest.raises(ServerError, match=r"^http://127\.0\.0\.1:9: cannot be reached: ") as told:
        Client("127.0.0.1:9").separate(song, tmp_path)
    assert told.value.code == "unreachable"


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)


DATA = bytes(range(256)) * 1000


def part(handler):
    """The file from where the client asks on, but not more than 100 000 bytes."""
    first = int(handler.headers.get("Range", "bytes=0-")[6:-1])
    status = 206 if first else 200
    handler.send(status, DATA[first : first + 100_000], len(DATA) - first, ETag='"one"')


def test_a_download_goes_on_where_it_broke(tmp_path):
    with answering(part) as (fake, client):
        assert client.fetch(DONE, tmp_path) == {"bass": tmp_path / "bass.wav"}
    assert (tmp_path / "bass.wav").read_bytes() == DATA
    ranges = [headers.get("Range") for _, _, headers in fake.asked]
    assert ranges == [None, "bytes=100000-", "bytes=200000-"]
    assert [headers.get("If-Range") for _, _, headers in fake.asked] == [None, '"one"', '"one"']
    assert fake.asked[0][1] == f"/below{JOBS}/7/stems/bass.wav?"
    assert fake.asked[0][2]["Authorization"] == "Bearer secret"


def test_a_file_that_changed_is_downloaded_anew(tmp_path):
    broken = lambda handler: handler.send(200, b"old" * 9, 100, ETag='"old"')  # noqa: E731
    with answering(broken, lambda handler: handler.send(200, b"new")) as (_, client):
        client.fetch(DONE, tmp_path)
    assert (tmp_path / "bass.wav").read_bytes() == b"new"


def test_a_server_that_restarts_is_waited_for(tmp_path):
    import json

    def says(state):
        job = {**DONE, "state": state, "progress": 0.5, "eta_seconds": 1.0, "error": None}
        return lambda handler: handler.send(200, json.dumps(job).encode())

    def event(handler):
        handler.send(
            200, b'id: 1\ndata: {"state": "running", "progress": 0.7, "eta_seconds": 1}\n\n'
        )

    def away(handler):
        handler.connection.close()

    shown = []
    busy = lambda handler: handler.send(503)  # noqa: E731
    answers = (says("queued"), away, says("running"), event, away, busy, says("done"))
    with answering(*answers) as (fake, client):
        job = client.wait("7", lambda part, left: shown.append(part))
    assert job["state"] == "done" and shown == [0.0, 0.5, 0.7]
    places = [place.rsplit("/", 1)[1] for _, place, _ in fake.asked]
    assert places == ["7", "events", "7", "events", "7", "7", "7"]


def test_patience_ends():
    with answering(lambda handler: handler.send(503)) as (_, client):
        client.patience = 0.1
        with pytest.raises(ServerError, match="answered 503 Service Unavailable"):
            client.wait("7")


@pytest.mark.parametrize("name", ["../bass", "a/b", "a\\b"])
def test_a_server_cannot_choose_where_files_go(tmp_path, name):
    with answering(part) as (_, client), pytest.raises(ServerError, match="cannot be called"):
        client.fetch({**DONE, "stems": [{"name": name}]}, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_another_program_is_told_from_a_server(song):
    with answering(lambda handler: handler.send(200, b"<html>")) as (_, client):
        with pytest.raises(ServerError, match="gave no proper answer"):
            client.send(song)
    with answering(lambda handler: handler.send(404, b"<html>")) as (_, client):
        with pytest.raises(ServerError, match="answered 404 Not Found; is it `xumx serve`"):
            client.job("7")


def test_a_full_disk_is_no_fault_of_the_servers(tmp_path, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("wants /dev/full")
    real = open
    monkeypatch.setattr(module, "open", lambda *_: real("/dev/full", "wb"), raising=False)
    with answering(part) as (fake, client), pytest.raises(OSError, match="No space left"):
        client.fetch(DONE, tmp_path)
    assert len(fake.asked) == 1 and list(tmp_path.iterdir()) == []


def test_python_3_9_can_read_the_copied_file():
    text = Path(module.__file__).read_text()
    ast.parse(text, feature_version=(3, 9))
    imported = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)]
    names = {alias.name.split(".")[0] for node in imported for alias in node.names}
    assert names <= sys.stdlib_module_names


def test_the_copied_file_needs_nothing_else(server, song, tmp_path):
    copied = tmp_path / "separators"
    copied.mkdir()
    shutil.copy(module.__file__, copied)
    program = (
        "import sys; from separators.client import ServerSeparator as S\n"
        f"S(True, 0, model='demo').create_static_mix(['bass'], {str(song)!r}, 'mix.wav')\n"
        "assert not {'xumx_jax', 'numpy', 'jax'} & set(sys.modules)"
    )
    variables = {"XUMX_SERVER": server.url, "PATH": os.environ["PATH"]}
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.')\n{program}"]
    subprocess.run(command, cwd=tmp_path, env=variables, check=True)
    assert (tmp_path / "mix.wav").stat().st_size > 44100


@pytest.mark.slow
def test_spleeter_web_gets_parts_and_mixes(server, song, tmp_path):
    separator = ServerSeparator(False, 192, False, 1.7, 0, url=server.url, model="demo")
    separator.separate_into_parts(str(song), str(tmp_path / "parts"))
    assert sorted(os.listdir(tmp_path / "parts")) == [f"{name}.mp3" for name in NAMES]
    parts = {"vocals": False, "drums": True, "bass": True, "other": True}
    separator.create_static_mix(parts, str(song), str(tmp_path / "mix.mp3"))
    assert (tmp_path / "mix.mp3").stat().st_size > 10_000
    with pytest.raises(ServerError, match="no part was chosen"):
        separator.create_static_mix(dict.fromkeys(NAMES, False), str(song), "x.mp3")
    assert sorted(os.listdir(tmp_path)) == ["mix.mp3", "parts"]


def test_spleeter_webs_urls_are_downloaded_first(server, song, tmp_path):
    sent = lambda handler: handler.send(200, song.read_bytes())  # noqa: E731
    separator = ServerSeparator(True, 1, url=server.url, model="demo")
    with answering(sent) as (fake, _):
        place = f"http://127.0.0.1:{fake.server_port}/a/song.wav?secret=1"
        separator.separate_into_parts(place, tmp_path)
    assert sorted(os.listdir(tmp_path)) == [f"{name}.flac" for name in NAMES]
    with answering(lambda handler: handler.send(403)) as (fake, _):
        place = f"http://127.0.0.1:{fake.server_port}/a/song.wav?secret=1"
        with pytest.raises(ServerError, match=r"song\.wav: cannot be downloaded") as told:
            separator.separate_into_parts(place, tmp_path)
    assert "secret" not in str(told.value)
