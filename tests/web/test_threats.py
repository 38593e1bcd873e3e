"""What strangers may send: playlists, what crashes decoders or never ends, and far too much."""

import io
import os
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import fuzzing
import numpy as np
import pytest
import soundfile
from encoded import encode_av
from serving import JOBS, begun, clip, listening, wait_for

import xumx_jax
from xumx_jax import spleeter_web
from xumx_jax.errors import UserError
from xumx_jax.web import child
from xumx_jax.web.jobs import Options
from xumx_jax.web.settings import Settings
from xumx_jax.web.store import Store
from xumx_jax.web.worker import Workers

UNKNOWN = "0" * 32
PROC = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="wanted Linux's /proc")
PLAYLISTS = {
    "song.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
    "song": "ffconcat version 1.0\nfile '{secret}'\n",
    "song.ffconcat": "ffconcat version 1.0\nfile ../{neighbour}/input\n",
    "song.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio {port} RTP/AVP 0\na=rtpmap:0 PCMU/8000\n",
    "song.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" mediaPresentationDuration="PT1S">'
    '<Period><AdaptationSet mimeType="audio/mp4"><Representation id="a" bandwidth="1">'
    "<BaseURL>file://{secret}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "concat:song.mp3": "concat:{secret}|{secret}",
    "song.pls": "[playlist]\nFile1=http://127.0.0.1:{port}/a.mp3\nNumberOfEntries=1\n",
    "song.xspf": '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/">'
    "<trackList><track><location>file://{secret}</location></track></trackList></playlist>",
    "song.asx": '<asx version="3.0"><entry><ref href="file://{secret}"/></entry></asx>',
}


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """A server whose jobs only wait, with little room for them."""
    folder = tmp_path_factory.mktemp("idle") / "data"
    limits = {"max_bytes": 1 << 20, "max_seconds": 5.0, "max_queue": 1000, "max_per_client": 1000}
    with listening(folder, **limits) as running:
        yield running


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.wav"
    path.write_bytes(clip(0.2))
    return path


@pytest.fixture
def port():
    """Of a socket on this machine that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server.getsockname()[1]
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists_as_uploads(idle, secret, port, name):
    neighbour = idle.send(secret.read_bytes()).json()["id"] if "ffconcat" in name else ""
    text = PLAYLISTS[name].format(secret=secret, neighbour=neighbour, port=port)
    before = idle.folders()
    answer = idle.send(text.encode(), name)
    assert (answer.status, answer.code) == (415, "not_audio") and idle.folders() == before
    assert answer.json()["error"]["message"].startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["song.m3u8", "song", "song.sdp", "song.xspf"])
def test_playlists_through_the_other_doors(tmp_path, monkeypatch, secret, port, run_separate, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_text(PLAYLISTS[name].format(secret=secret, neighbour=".", port=port))
    status, _, told = run_separate(path)
    assert status == 1 and f"{name}: " in told
    with pytest.raises(UserError, match=name):
        with xumx_jax.audio.open_blocks(path) as stream:
            list(stream)
    separator = spleeter_web.SpleeterWebSeparator(True, model="demo")
    parts = dict.fromkeys(("vocals", "drums", "bass", "other"), True)
    with pytest.raises(UserError, match=name):
        separator.create_static_mix(parts, str(path), str(tmp_path / "out.wav"))


def test_a_crash_in_a_decoder(idle, caplog):
    """An ADX header at which FFmpeg 8 divides by zero."""
    head = bytes.fromhex("80000020 03000002 00000044") + bytes(18) + b"(c)CRI"
    answer = idle.send(head.ljust(4644, b"\0"), "song.adx")
    assert (answer.status, answer.code) == (415, "not_audio")
    assert idle.get("/healthz").status == 200 and "song.adx" not in caplog.text


def test_an_endless_loop_in_a_decoder(idle, monkeypatch):
    monkeypatch.setattr(child, "PROGRAM", ("-c", "while True: pass"))
    monkeypatch.setattr("xumx_jax.web.decoding._PROBE_SECONDS", 1)
    answer = idle.send(clip(0.1))
    assert (answer.status, answer.code) == (422, "took_too_long")
    assert idle.get("/healthz").status == 200


@PROC
@pytest.mark.slow
def test_a_decoder_that_is_killed_while_its_job_runs(server):
    id = server.send(clip(20), "long.wav").json()["id"]
    server.wait(id, ("running",))
    decoders = []
    while not decoders:
        decoders = fuzzing.children(server.process.pid)
    os.kill(int(decoders[0]), signal.SIGKILL)
    job = server.wait(id)
    assert job["state"] == "failed" and job["error"]["code"] == "not_audio"
    assert server.separated(clip(0.1))["state"] == "done"


def test_uploads_that_are_too_large(idle):
    before, data = idle.folders(), bytes((1 << 20) + 1)
    pieces = iter([data[: 1 << 19], data[1 << 19 :]])  # sent without a Content-Length
    for body in (data, pieces):
        answer = idle.send(body)
        assert (answer.status, answer.code) == (413, "too_large")
    assert idle.folders() == before


def test_tracks_that_are_too_long(idle, tmp_path):
    """A FLAC of silence is a thousand times as long as its bytes say; of AAC nobody knows."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(44100 * 1200), 44100, format="FLAC")
    assert len(file.getvalue()) < 1 << 20
    answer = idle.send(file.getvalue(), "zeros.flac")
    assert (answer.status, answer.code) == (422, "too_long")
    encode_av(tmp_path / "x.aac", np.zeros((2, 44100 * 30), np.float32), 44100, "aac")
    answer = idle.send((tmp_path / "x.aac").read_bytes(), "x.aac")
    assert (answer.status, answer.code) == (422, "too_long")


def test_uploads_that_are_cut_off_and_files_that_are(idle):
    before = idle.folders()
    head = f"POST {JOBS} HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100000\r\n\r\n"
    with begun(idle, head, clip(0.1)[:5000]):
        wait_for(lambda: len(idle.folders()) > len(before))
    wait_for(lambda: idle.folders() == before)
    answer = idle.send(clip(0.1)[:5000])
    assert (answer.status, answer.code) == (422, "cut_off") and idle.folders() == before


FULL = [
    ({"min_free_bytes": 1 << 60}, 507, "no_room"),
    ({"max_queue": 1}, 429, "too_many"),
    ({"max_per_client": 1}, 429, "too_many"),
]


def test_full_disks_queues_and_greedy_clients(tmp_path):
    for number, (settings, status, code) in enumerate(FULL):
        with listening(tmp_path / str(number), **settings) as server:
            if status == 429:
                assert server.send(clip(0.05)).status == 202
            answer = server.send(clip(0.05))
            assert (answer.status, answer.code) == (status, code)
            assert ("retry-after" in answer.headers) == (status == 429)


class Unchanged:
    """A separator whose only stem is the mixture."""

    sources, rate = ("all",), 44100

    def stream(self, blocks, rate, length, callback):
        for block in blocks:
            callback(0.5, None)
            yield {"all": block}


def test_a_small_file_that_becomes_a_full_disk(monkeypatch, tmp_path):
    """Uploaded while there was room, it may make a thousand times its size."""
    monkeypatch.setattr("xumx_jax.separation.separator.separator_of", lambda *_, **__: Unchanged())
    settings = Settings(tmp_path / "data", models=("demo",), min_free_bytes=0)
    with Store(settings) as store:
        job = store.create("song.wav", Options("demo"), "me")
        (store.folder(job.id) / "input").write_bytes(clip(1))
        store.uploaded(job.id, 1, 1.0)
        store.settings = replace(settings, min_free_bytes=1 << 60)
        workers = Workers(store, settings)
        workers.start()
        try:
            wait_for(lambda: store.get(job.id).state == "failed")
        finally:
            workers.stop(10)
        assert store.get(job.id).error == ("no_room", "the server's disk is full; try again later")
        assert not list(store.folder(job.id).glob("*.f32"))


def test_a_disk_left_full(tmp_path):
    """What belongs to nobody goes at the start; test_program.py kills a server in each state."""
    folder = tmp_path / "data"
    with listening(folder) as server:
        lost, kept = (server.send(clip(0.05)).json()["id"] for _ in range(2))
    shutil.rmtree(folder / lost)
    (folder / UNKNOWN).mkdir()
    (folder / UNKNOWN / "input").write_bytes(bytes(1000))
    with listening(folder) as server:
        assert server.folders() == [kept]
        assert server.get(f"{JOBS}/{lost}").status == 404
        assert server.job(kept)["state"] == "queued"


@PROC
@pytest.mark.slow
def test_a_hundred_damaged_files(server, tmp_path):
    whole, number = fuzzing.whole_files(tmp_path), server.process.pid
    server.send(b"x" * 100)  # threads and descriptors that are needed once
    before = server.folders()
    opened = len(fuzzing.descriptors(number))

    def send(index):
        suffix, data = fuzzing.mutated(whole, 20261130, index)
        answer = server.send(data, f"song{suffix}")
        assert answer.status in (202, 415, 422), (index, answer)
        if answer.status != 202:
            return 0
        id = answer.json()["id"]
        if index < 20:
            job = server.wait(id)
            codes = ("not_audio", "cut_off", "bad_input")
            assert job["state"] == "done" or job["error"]["code"] in codes, (index, job)
        assert server.ask("DELETE", f"{JOBS}/{id}").status in (202, 204)
        return 1

    with ThreadPoolExecutor(3) as pool:
        assert 10 < sum(pool.map(send, range(100))) < 90
    wait_for(lambda: server.folders() == before)
    assert server.get("/healthz").status == 200
    wait_for(lambda: not fuzzing.children(number))
    wait_for(lambda: len(fuzzing.descriptors(number)) <= opened + 2)
    assert "Traceback" not in server.log()
