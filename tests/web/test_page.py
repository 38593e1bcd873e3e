"""The files of the page as the server gives them. What they do is in tests/browser."""

import gzip
import os
from pathlib import Path

import pytest
from serving import listening

from xumx_jax.web.routes import page

FOLDER = Path(page.__file__).parents[1] / "page"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with a token, which the page needs not."""
    folder = tmp_path_factory.mktemp("page") / "data"
    with listening(folder, host="0.0.0.0", token="secret") as running:
        running.token = None
        yield running


def test_every_file_is_served_and_has_a_type(server):
    found = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(found) > 4
    for path in found:
        answer = server.get(f"/page/{path.relative_to(FOLDER).as_posix()}")
        assert answer.status == 200 and answer.body == path.read_bytes()
        assert answer.headers["content-type"] == page.TYPES[path.suffix]
    assert server.get("/").body == (FOLDER / "index.html").read_bytes()
    assert server.get("/page/main.js").headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
def test_what_is_known_is_not_sent_again(server, path):
    whole = server.get(path)
    tag = whole.headers["etag"]
    assert whole.headers["cache-control"] == "no-cache"
    again = server.get(path, {"If-None-Match": f'"x", {tag}'})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert "content-security-policy" in again.headers
    assert server.get(path, {"If-None-Match": '"x"'}).status == 200
    head = server.ask("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.body))


def test_texts_are_packed_for_those_who_take_it(server):
    plain = server.get("/page/main.js")
    for header in ("gzip", "br;q=1.0, GZIP;q=0.5", "deflate,gzip"):
        packed = server.get("/page/main.js", {"Accept-Encoding": header})
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body and len(packed.body) < len(plain.body)
        assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
        assert packed.headers["etag"] != plain.headers["etag"]
        known = {"Accept-Encoding": header, "If-None-Match": packed.headers["etag"]}
        assert server.get("/page/main.js", known).status == 304
    for header in ("", "br", "gzip;q=0", "gzip; q=0.000", "xgzip"):
        answer = server.get("/page/main.js", {"Accept-Encoding": header})
        assert "content-encoding" not in answer.headers and answer.body == plain.body


@pytest.mark.parametrize("name", [name for name in page.FILES if name.endswith(page.PLAYED)])
def test_sound_can_be_had_in_parts(server, name):
    answer = server.get(f"/page/{name}", {"Range": "bytes=0-1", "Accept-Encoding": "gzip"})
    assert (answer.status, answer.body) == (206, b"RI")
    assert answer.headers["cache-control"] == "no-cache"


def test_two_versions_of_one_age_and_length_are_not_confused(server, monkeypatch, tmp_path):
    file = tmp_path / "main.js"
    monkeypatch.setitem(page.FILES, "main.js", file)
    tags = []
    for text in ("let a = 1;", "let a = 2;"):
        file.write_text(text)
        os.utime(file, (1e9, 1e9))
        tags.append(server.get("/page/main.js").headers["etag"])
    assert tags[0] != tags[1]


@pytest.mark.parametrize(
    "path",
    ["", "nothing.js", "../app.py", "..%2fapp.py", "vendor", "vendor/", "./main.js", "/main.js",
     "%2e%2e/%2e%2e/program.py", "main.js/", "main.js%00", "..\\app.py", "vendor/../main.js"],
)  # fmt: skip
def test_there_is_nothing_else(server, path):
    answer = server.get(f"/page/{path}")
    assert (answer.status, answer.code) == (404, "unknown")
    assert answer.json()["error"]["message"] == "the page has no such file"


def test_it_takes_no_parameters_and_nothing_but_reading(server):
    answer = server.get("/", token="secret")
    assert (answer.status, answer.code) == (400, "bad_option")
    assert server.ask("POST", "/page/main.js").status == 401
