"""Downloads that break off, resume, and fail, from a local server."""

import http.server
import io
import sys
from pathlib import Path

import pytest

from xumx_jax import fetch
from xumx_jax.commands import console
from xumx_jax.errors import UserError

BODY = bytes(range(256)) * 40
SIZE = len(BODY)


@pytest.fixture
def server(serve):
    """A local server of one file: `asked` are the offsets so far, `stops` ends answers early."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
            served.asked.append(begin)
            if served.status:
                return self.send_error(served.status)
            if served.ranges and begin >= SIZE:
                return self.send_error(416)
            ranges = begin and served.ranges
            body = BODY[begin:] if ranges else BODY
            self.send_response(206 if ranges else 200)
            if served.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: served.stops.pop(0) if served.stops else None])

        def log_message(self, *_):
            pass

    served = serve(Handler)
    served.asked, served.stops = [], []
    served.ranges, served.length, served.status = True, True, None
    served.url = f"http://127.0.0.1:{served.server_port}/file"
    return served


def get(server, part, **options):
    """Fetch to `part` -> the progress that was reported."""
    seen = []
    fetch.fetch(server.url, part, lambda *counts: seen.append(counts), **options)
    assert part.read_bytes() == BODY
    return seen


def test_a_file_is_fetched_and_progress_told(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "BLOCK_BYTES", 6000)
    expected = []
    seen = get(server, tmp_path / "part", expect=expected.append)
    assert seen == [(6000, SIZE), (SIZE, SIZE)] and expected == [SIZE] and server.asked == [0]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_in_the_next_call(server, tmp_path, ranges):
    server.stops, server.ranges = [100], ranges
    with pytest.raises(fetch.CutOff, match=f"file: download cut off, 100 of {SIZE} bytes; start"):
        get(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == BODY[:100]
    expected = []
    assert get(server, tmp_path / "part", expect=expected.append)[-1] == (SIZE, SIZE)
    assert expected == [SIZE - 100 if ranges else SIZE] and server.asked == [0, 100]


def test_a_broken_download_goes_on_at_once(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    server.stops = [100, 200, 0]
    get(server, tmp_path / "part", attempts=4, pause_seconds=0.5)
    assert server.asked == [0, 100, 300, 300] and pauses == [0.5] * 3
    server.stops = [1, 1]
    (tmp_path / "part").unlink()
    with pytest.raises(fetch.CutOff, match="2 of"):
        get(server, tmp_path / "part", attempts=2)


def test_a_part_as_long_as_the_file_or_longer_is_fetched_again(server, tmp_path):
    for length in (SIZE, SIZE + 1):
        (tmp_path / "part").write_bytes(b"x" * length)
        get(server, tmp_path / "part")
    assert server.asked == [SIZE, 0, SIZE + 1, 0]


def test_a_length_need_not_be_told(server, tmp_path):
    server.length, expected = False, []
    assert get(server, tmp_path / "part", expect=expected.append)[-1] == (SIZE, None)
    assert expected == [0]


def test_failures_are_one_line_and_not_tried_again(server, tmp_path):
    server.status = 404
    with pytest.raises(UserError, match="^it: download failed, HTTP Error 404") as caught:
        get(server, tmp_path / "part", attempts=3, name="it", offline="; offline")
    assert "\n" not in str(caught.value) and "offline" not in str(caught.value)
    assert server.asked == [0] and not (tmp_path / "part").exists()

    def opener(request, timeout):
        raise OSError("no route")

    with pytest.raises(UserError, match="^it: download failed, no route; offline$"):
        get(server, tmp_path / "part", opener=opener, name="it", offline="; offline")
    with pytest.raises(UserError, match="^nonsense: download failed, unknown url type"):
        fetch.fetch("nonsense", tmp_path / "part", print)


def test_what_is_expected_may_be_refused(server, tmp_path):
    def refuse(count):
        raise UserError(f"{count} are too many")

    with pytest.raises(UserError, match=f"{SIZE} are too many"):
        get(server, tmp_path / "part", attempts=2, expect=refuse)
    assert server.asked == [0] and not (tmp_path / "part").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_not_taken_for_a_broken_line(server, tmp_path):
    (tmp_path / "part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        get(server, tmp_path / "part", attempts=3)
    assert server.asked == [0]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream, drawn", [(Terminal, True), (io.StringIO, False)])
def test_a_bar_is_drawn_from_the_first_bytes_on(monkeypatch, stream, drawn):
    monkeypatch.setattr(sys, "stderr", stream())
    with fetch.Bar("nothing") as bar:
        pass
    assert sys.stderr.getvalue() == ""
    for terminal_only in (False, True):
        with console.shown_log(), fetch.Bar("file", terminal_only) as bar:
            bar(5, 10)
            bar(10, 10)
        shown = drawn or not terminal_only
        assert ("file: 100%" in sys.stderr.getvalue()) == shown
        monkeypatch.setattr(sys, "stderr", stream())


def test_a_library_draws_no_bar(capsys, caplog):
    caplog.set_level("INFO")
    with fetch.Bar("weights") as bar:
        bar(5, 10)
    assert capsys.readouterr() == ("", "") and caplog.messages == ["downloading weights"]
