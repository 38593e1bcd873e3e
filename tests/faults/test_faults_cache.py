"""Downloads that fail, and processes that share a cache; the list is in test_faults.py."""

import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from foreign import SIZES, nnabla, write_h5

from xumx_jax import cli
from xumx_jax.errors import UserError
from xumx_jax.weights import download, zoo
from xumx_jax.weights.published import File

ROOT = Path(__file__).parents[2]
NAME = "x-umx"


def with_file(file):
    """The row of NAME with another file."""
    (member,) = zoo.PUBLISHED[NAME].members
    return replace(zoo.PUBLISHED[NAME], members=(replace(member, files={"": file}),))


@pytest.fixture
def server(serve, tmp_path, monkeypatch):
    """A local server of one file, with ranges: `offsets` that were asked for, `stops` to come."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            begin = int(re.fullmatch("bytes=(.*)-", self.headers.get("Range", "bytes=0-"))[1])
            served.offsets.append(begin)
            ranges = begin and served.ranges
            if ranges and begin >= len(served.body):
                return self.send_error(416)
            time.sleep(served.seconds)
            body = served.body[begin:] if ranges else served.body
            self.send_response(206 if ranges else served.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            stop = served.stops.pop(0) if served.stops else len(served.body)
            self.wfile.write(body[: max(0, stop - begin) if ranges else stop])

        def log_message(self, *_):
            pass

    served = serve(Handler, http.server.ThreadingHTTPServer)
    served.offsets, served.stops, served.seconds = [], [], 0
    served.ranges, served.status = True, 200
    served.body = write_h5(tmp_path / "x-umx.h5", nnabla(**SIZES)).read_bytes()
    served.url = f"http://127.0.0.1:{served.server_port}/x-umx.h5"
    served.sha = hashlib.sha256(served.body).hexdigest()

    def offer(digest):
        file = File(served.url, digest)
        monkeypatch.setitem(zoo.PUBLISHED, NAME, with_file(file))

    served.offer = offer
    offer(f"sha256:{served.sha}")
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0)
    return served


def cached(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").iterdir() if not p.name.endswith(".lock"))


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("digest", [True, False])
def test_row_25_cut(server, tmp_path, ranges, digest):
    """Three times in a row; the fourth time it comes through, from where it stopped if it can."""
    server.ranges, server.stops = ranges, [100, 200, 3000]
    if not digest:
        server.offer("")
    path = zoo.fetch(NAME)
    assert path.is_file() and server.offsets == [0, 100, 200, 3000]
    whole = (tmp_path / "cache" / "x-umx.h5").read_bytes()
    assert whole == server.body and not list((tmp_path / "cache").glob("*.part"))


def test_row_25_resumed_by_the_next_call(server, tmp_path):
    server.stops = [1000] * 4
    with pytest.raises(UserError, match=r"x-umx\.h5: download cut off, 1000 of \d+ bytes; start"):
        zoo.fetch(NAME)
    assert cached(tmp_path) == ["x-umx.h5.part"]
    del server.offsets[:]
    assert zoo.fetch(NAME).is_file() and server.offsets == [1000]
    # what cannot be told from a part of another file is not gone on with
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    server.offer("")
    server.stops = [1000] * 4
    with pytest.raises(UserError, match="cut off"):
        zoo.fetch(NAME)
    assert cached(tmp_path) == []


def test_row_25_a_part_of_something_else(server, tmp_path):
    part = tmp_path / "cache" / "x-umx.h5.part"
    part.parent.mkdir()
    for content, offsets in ((b"x" * 500, [500, 0]), (b"x" * 10**6, [10**6, 0])):
        part.write_bytes(content)
        assert zoo.fetch(NAME).is_file() and server.offsets == offsets
        for path in (tmp_path / "cache").iterdir():
            path.unlink()
        del server.offsets[:]


def test_row_25_wrong_or_offline(server, tmp_path, capsys):
    right = server.body
    server.body = b"x" * len(right)
    assert cli.main(["models", "--download", NAME]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "SHA-256 is" in said and f"wanted {server.sha} (published)" in said
    assert cached(tmp_path) == []
    server.body, server.status = right, 503
    assert cli.main(["models", "--download", NAME]) == 2
    assert "download failed, HTTP Error 503" in capsys.readouterr().err
    server.status = 200
    assert cli.main(["models", "--download", NAME]) == 0
    asked = len(server.offsets)

    def offline(request, timeout):
        raise OSError("no network")

    assert zoo.find(NAME, opener=offline) == tmp_path / "cache" / "x-umx.safetensors"
    (tmp_path / "cache" / "x-umx.safetensors").unlink()  # the download itself serves as well
    assert zoo.find(NAME, opener=offline).is_file() and len(server.offsets) == asked


def test_row_25_a_full_disk_is_not_taken_for_a_broken_line(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xumx_jax.weights.download.wrong_digest", full)
    with pytest.raises(UserError, match="cannot be used as a cache.*No space left"):
        zoo.fetch(NAME)
    assert len(server.offsets) == 1


def start(code, tmp_path, **more):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XUMX_CACHE": str(tmp_path / "cache")}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**environment, "JAX_PLATFORMS": "cpu", **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_row_27_one_download_for_two_processes(server, tmp_path):
    server.seconds = 2
    code = (
        "from dataclasses import replace; from xumx_jax.weights import zoo; "
        "from xumx_jax.weights.published import File\n"
        f"file = File({server.url!r}, 'sha256:{server.sha}')\n"
        f"row = zoo.PUBLISHED[{NAME!r}]\n"
        "members = (replace(row.members[0], files={'': file}),)\n"
        f"zoo.PUBLISHED[{NAME!r}] = replace(row, members=members)\n"
        # both begin at once, however long their imports took
        f"import pathlib, time; pathlib.Path({str(tmp_path)!r}, str(__import__('os').getpid()))"
        ".with_suffix('.ready').touch()\n"
        f"while len(list(pathlib.Path({str(tmp_path)!r}).glob('*.ready'))) < 2: time.sleep(0.01)\n"
        f"print(zoo.fetch({NAME!r}))\n"
    )
    both = [start(code, tmp_path) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    wanted = f"{tmp_path / 'cache' / 'x-umx.safetensors'}\n"
    assert [out for out, _ in told] == [wanted] * 2
    assert server.offsets == [0]
    assert sum("waiting for another process" in err for _, err in told) == 1
    assert cached(tmp_path) == ["x-umx.h5", "x-umx.safetensors"]


@pytest.mark.slow
def test_row_27_compiled_code(tmp_path):
    """What another process has half written, or left so, is compiled again."""
    code = (
        "import jax; from xumx_jax.runtime import cache_compiled_code\n"
        "cache_compiled_code()\n"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)\n"
        "print(float(jax.jit(lambda x: x.cumsum()[-1] ** 2)(jax.numpy.arange(9.0))))\n"
    )
    first = start(code, tmp_path).communicate(timeout=300)
    entries = sorted((tmp_path / "cache" / "compiled").glob("*-cache"))
    assert entries and first == ("1296.0\n", "")
    for count, entry in enumerate(entries):
        entry.write_bytes(entry.read_bytes()[: count % 2 * 100])
    process = start(code, tmp_path)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (0, "1296.0\n"), err
    assert json.dumps(err).count("Traceback") == 0
