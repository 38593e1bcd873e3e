"""Published weights: fetched once, checked, converted; nothing left behind by a failure."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.error import URLError

import pytest
from foreign import SIZES, nnabla, write_h5

from xumx_jax import checkpoint, zoo
from xumx_jax.errors import UserError


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local server that offers tiny weights as the published ones; counts requests."""
    weights = write_h5(tmp_path / "served.h5", nnabla(**SIZES)).read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            served.requests += 1
            self.send_response(served.status)
            self.send_header("Content-Length", str(len(weights)))
            self.end_headers()
            self.wfile.write(served.body)

        def log_message(self, *_):
            pass

    served = HTTPServer(("127.0.0.1", 0), Handler)
    served.requests, served.status, served.body = 0, 200, weights
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    offered = replace(
        zoo.PUBLISHED["x-umx"],
        url=f"http://127.0.0.1:{served.server_port}/some/x-umx.h5",
        sha1=hashlib.sha1(weights).hexdigest(),
    )
    monkeypatch.setitem(zoo.PUBLISHED, "x-umx", offered)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def test_weights_are_fetched_and_converted_once(server, tmp_path, capsys):
    seen = []
    path = zoo.fetch("x-umx", progress=lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "cache" / "x-umx.safetensors"
    assert sorted(p.name for p in path.parent.iterdir()) == ["x-umx.h5", "x-umx.safetensors"]
    assert seen[-1] == (len(server.body), len(server.body))
    loaded = checkpoint.load_model(path)
    assert loaded.info["kind"] == "xumx-nnabla" and loaded.info["licence"]
    assert zoo.fetch("x-umx") == path == zoo.find("x-umx") == zoo.find()
    assert server.requests == 1
    assert capsys.readouterr().err == ""


def test_a_kept_download_is_converted_without_the_network(server):
    path = zoo.fetch("x-umx")
    path.unlink()
    assert zoo.fetch("x-umx") == path and path.is_file()
    assert server.requests == 1


def test_a_damaged_download_is_fetched_again(server):
    path = zoo.fetch("x-umx")
    path.unlink()
    path.with_suffix(".h5").write_bytes(b"damaged")
    assert zoo.fetch("x-umx").is_file()
    assert server.requests == 2


def test_a_bar_is_drawn(server, capsys):
    zoo.find("x-umx")
    assert "x-umx: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["cut off", "another file", "not there"])
def test_failed_downloads_leave_nothing(server, tmp_path, fault):
    if fault == "cut off":
        server.body = server.body[:1000]
    elif fault == "another file":
        server.body = b"x" * len(server.body)
    else:
        server.status = 404
    with pytest.raises(UserError, match=r"x-umx\.h5: (download|SHA-1)") as caught:
        zoo.fetch("x-umx")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").iterdir())


def test_default_falls_back_to_the_demo_and_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(zoo, "DEMO_FILE", tmp_path / "demo.safetensors")

    def offline(url, timeout):
        raise URLError("no route to host")

    assert zoo.find(cache=tmp_path, opener=offline) == zoo.DEMO_FILE
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "published weights unavailable" in lines[0] and "no route to host" in lines[0]
    assert "using the bundled demo model" in lines[0]
    with pytest.raises(UserError, match="no route to host"):
        zoo.find("x-umx", tmp_path, offline)


def test_names(monkeypatch):
    assert zoo.find("demo") == zoo.DEMO_FILE
    with pytest.raises(UserError, match="unknown model 'umxl'; known: x-umx, demo, or a path"):
        zoo.find("umxl")


def test_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file.*cannot be used as a cache"):
        zoo.fetch("x-umx", tmp_path / "file" / "cache")


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("XUMX_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert zoo.cache_folder() == tmp_path / "xumx_jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert zoo.cache_folder().parts[-2:] == (".cache", "xumx_jax")
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "other"))
    assert zoo.cache_folder() == tmp_path / "other"
