"""A decoder that somebody has taken over may send anything: one line is told, and no more."""

import time

import fuzzing
import numpy as np
import pytest
import soundfile

from xumx_jax.web import child
from xumx_jax.web.decoding import Limits, Refused, open_in_child

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "input"
    soundfile.write(path, np.zeros((9000, 2)), 44100, format="WAV")
    return path


def received(path, label, limits=Limits()):  # noqa: B008
    with open_in_child(path, label, limits) as stream:
        return [*stream]


HEADER = {"rate": 44100, "channels": 2, "length": None, "estimate": 0, "tags": {}, "mime": ""}
FRAMES = """
import json, os, signal, struct, sys, time
def send(kind, data=b"", size=None):
    sys.stdout.buffer.write(struct.pack("<BI", ord(kind), len(data) if size is None else size))
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
def head(**changes):
    send("h", json.dumps({header} | changes).encode())
FULL = bytes(65536 * 8)
"""
HOSTILE = {
    "nothing": "",
    "half a frame": "sys.stdout.write('h')",
    "a frame that ends early": "send('h', b'{', 100)",
    "a frame of 4 GB": "send('b', size=2**32 - 1)",
    "a header of 1 GB": "send('h', size=2**30)",
    "an unknown kind": "send('x')",
    "text": "print('Segmentation fault' * 100)",
    "no header": "send('e')",
    "no JSON": "send('h', b'\\xff\\x00')",
    "JSON without end": "send('h', b'[' * 100000)",
    "another JSON": "send('h', b'[]')",
    "no rate": "send('h', b'{\"channels\": 2}')",
    "a rate of 0": "head(rate=0)",
    "a rate of 10 GHz": "head(rate=10**10)",
    "a rate that is no number": "head(rate=float('nan'))",
    "no channels": "head(channels=0)",
    "1000 channels": "head(channels=1000)",
    "a negative length": "head(length=-1)",
    "a huge length": "head(length=10**400)",
    "tags that are no text": "head(tags={'title': ['x']})",
    "tags that nobody reads": "head(tags={'../../x': 'x'})",
    "a cover of another kind": "send('c', b'x'); head(mime='text/html')",
    "two covers": "send('c', b'x'); send('c', b'x'); head()",
    "a block of no samples": "head(); send('b')",
    "a block of half a sample": "head(); send('b', b'1234')",
    "short blocks without end": "head()\nwhile True: send('b', bytes(8))",
    "a block that is too long": "head(channels=1); send('b', FULL)",
    "warnings without end": "head()\nwhile True: send('w', b'x')",
    "a second header": "head(); head()",
    "an unknown error": "send('E', json.dumps({'code': 'ok', 'line': 'x'}).encode())",
    "an error without a line": "send('E', b'{\"code\": \"not_audio\"}')",
    "a crash": "head(); send('b', FULL); os.kill(os.getpid(), signal.SIGSEGV)",
    "an exit in the middle": "head(); send('b', FULL); sys.exit(3)",
}


def hostile(monkeypatch, script):
    program = FRAMES.replace("{header}", repr(HEADER)) + script
    monkeypatch.setattr(child, "PROGRAM", ("-S", "-E", "-c", program))


@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE)
def test_a_child_that_somebody_has_taken_over(song, monkeypatch, script):
    hostile(monkeypatch, script)
    memory = fuzzing.resident()
    with pytest.raises(Refused) as caught:
        received(song, "My song.mp3")
    assert caught.value.code == "not_audio"
    assert str(caught.value).startswith("My song.mp3: ") and str(caught.value).isprintable()
    assert fuzzing.resident() < memory + 20


def test_a_child_that_sends_sound_without_end(song, monkeypatch):
    hostile(monkeypatch, "head()\nwhile True: send('b', FULL)")
    with pytest.raises(Refused, match="x: is 1.0 minutes long, or more; wanted up to 1 minutes"):
        received(song, "x", Limits(max_seconds=60))


def test_errors_of_a_child_are_one_short_line(song, monkeypatch):
    line = "track.mp3: \\x1b[31m\\n<script>" + "x" * 1000
    hostile(monkeypatch, f"send('E', json.dumps(dict(code='cut_off', line='{line}')).encode())")
    with pytest.raises(Refused) as caught:
        received(song, "a.mp3")
    assert caught.value.code == "cut_off"
    assert str(caught.value).startswith("a.mp3:  [31m <script>xxx") and len(str(caught.value)) < 400


@pytest.mark.slow
def test_limits_of_time(song, monkeypatch):
    """Silence, processor time, waiting altogether; and a grandchild that holds the pipe open."""
    limits = [
        ("head(); time.sleep(60)", Limits(silent_seconds=1)),
        ("os.fork(); time.sleep(60)", Limits(silent_seconds=1)),
        ("head(); send('b', FULL); time.sleep(60)", Limits(wait_seconds=1)),
        ("head()\nwhile True: time.sleep(.05); send('b', FULL)", Limits(wait_seconds=1)),
    ]
    for script, limit in limits:
        hostile(monkeypatch, script)
        begin = time.monotonic()
        with pytest.raises(Refused, match="^x.mp3: took too long to decode$") as caught:
            received(song, "x.mp3", limit)
        assert caught.value.code == "took_too_long" and time.monotonic() - begin < 10
    script = "from xumx_jax.web import decoder\ndecoder.restrict(1 << 30, 1)\nwhile True: pass"
    monkeypatch.setattr(child, "PROGRAM", ("-c", script))
    with pytest.raises(Refused, match="took too long"):
        received(song, "x.mp3")


@pytest.mark.slow
def test_time_in_which_nobody_asks_does_not_count(song, monkeypatch):
    hostile(monkeypatch, "head(); [send('b', FULL) for _ in range(4)]; send('e')")
    with open_in_child(song, "x", Limits(wait_seconds=2)) as stream:
        blocks = iter(stream)
        next(blocks)
        time.sleep(2.2)
        assert len([*blocks]) == 3
