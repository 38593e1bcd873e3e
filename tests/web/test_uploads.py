"""Uploads: what becomes a job, what is refused with which code, and that nothing is left of it."""

import contextlib
import http.client
import io
import socket
import time

import numpy as np
import pytest
import soundfile
from serving import JOBS, clip, listening

PATH = f"{JOBS}?name=song.wav"


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A server with narrow limits, whose jobs only wait."""
    limits = dict(max_bytes=200_000, max_seconds=2.0, max_queue=4, max_per_client=3)
    folder = tmp_path_factory.mktemp("strict") / "data"
    with listening(folder, idle_seconds=0.3, **limits) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_is_left(strict):
    yield
    for job in strict.store.jobs():
        strict.store.remove(job.id)
    assert strict.folders() == []


def eventually(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def refused(answer, status, code, words=""):
    assert (answer.status, answer.code) == (status, code), answer
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize("query, words", [
    ({"niter": "x"}, "niter: input should be a valid integer"),
    ({"niter": -1}, "niter: input should be greater than or equal to 0"),
    ({"niter": 11}, "niter: input should be less than or equal to 10"),
    ({"alpha": 2}, "alpha is 2.0 without softmask"),
    ({"alpha": "nan", "softmask": "true"}, "alpha: "),
    ({"model": "../x"}, "model: unknown model '../x'; known: demo"),
    ({"model": "/etc/passwd"}, "known: demo"),
    ({"model": ""}, "known: demo"),
    ({"stems": "vocals", "two_stems": "vocals"}, "use only one of stems, two_stems"),
    ({"stems": "vocals,tuba"}, "tuba"),
    ({"stems": ""}, "unknown stem ''; the model has"),
    ({"two_stems": "tuba"}, "tuba"),
    ({"format": "aiff"}, "format 'aiff' is not known"),
    ({"format": "mp3", "bits": "16"}, "mp3 files have no bits"),
    ({"bitrate": 128}, "wav files have no bitrate"),
    ({"format": "mp3", "bitrate": 3}, "bitrate is 3; wanted 32 to 320"),
    ({"nitre": 1}, "nitre: is no parameter; wanted some of name, model, stems"),
    ({"name": "x" * 1001}, "name: string should have at most 1000 characters"),
])  # fmt: skip
def test_options_that_make_no_sense(strict, query, words):
    answer = strict.ask("POST", JOBS, clip(0.05), **query)
    refused(answer, 400, "bad_option", words)
    assert "--" not in answer.json()["error"]["message"]


def test_a_parameter_given_twice_is_refused(strict):
    refused(strict.ask("POST", f"{JOBS}?niter=1&niter=2", clip(0.05)), 400, "bad_option", "2 times")


@pytest.mark.parametrize("kind, status", [
    ("application/octet-stream", 202),
    ("audio/mpeg", 202),
    ("video/mp4; codecs=avc1", 202),
    ("text/plain", 415),
    ("application/x-www-form-urlencoded", 415),
    ("multipart/form-data; boundary=x", 415),
    ("application/json", 415),
    ("", 415),
])  # fmt: skip
def test_types_of_bodies(strict, kind, status):
    answer = strict.ask("POST", PATH, clip(0.05), {"Content-Type": kind})
    assert answer.status == status
    assert status == 202 or answer.code == "bad_type"


def test_a_compressed_body_is_refused(strict):
    refused(strict.send(clip(0.05), headers={"Content-Encoding": "gzip"}), 415, "bad_type")


@pytest.mark.parametrize("data, code", [(b"", "not_audio"), (b"%PDF-1.7" * 99, "not_audio")])
def test_what_is_not_audio_is_refused_at_once(strict, data, code):
    answer = strict.send(data, "song.pdf")
    refused(answer, 415, code, "song.pdf: ")
    assert str(strict.folder) not in answer.body.decode() and "/input" not in answer.body.decode()


def silence(seconds):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(round(seconds * 8000)), 8000, "PCM_16", format="FLAC")
    return file.getvalue()


def test_a_track_that_is_too_long_is_refused(strict):
    refused(strict.send(silence(3.0)), 422, "too_long", "song.wav: ")
    assert strict.send(silence(2.0)).status == 202


def test_a_length_beyond_the_limit_is_refused_before_the_body(strict):
    with contextlib.closing(strict.connect()) as connection:
        connection.putrequest("POST", PATH)
        connection.putheader("Content-Length", "200001")
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 413 and b'"too_large"' in response.read()


@pytest.mark.parametrize("size", [200_001, 20_000_000])
def test_bytes_beyond_the_limit_are_refused_while_they_come(strict, size):
    """No length is said; the client reads the answer although it sends all of its body first."""

    def pieces():
        for start in range(0, size, 65536):
            yield bytes(min(65536, size - start))

    answer = strict.ask("POST", PATH, pieces())
    refused(answer, 413, "too_large", "wanted at most 0.190735 MB")


def test_a_length_is_wanted_where_the_settings_say_so(tmp_path):
    with listening(tmp_path / "data", length_wanted=True) as server:
        refused(server.ask("POST", PATH, iter([clip(0.05)])), 411, "length_wanted")
        assert server.send(clip(0.05)).status == 202


def begun(server, data, length=100_000) -> socket.socket:
    """A connection on which an upload has begun."""
    connection = socket.create_connection((server.host, server.port))
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + data)
    eventually(server.store.jobs)
    assert server.store.jobs()[0].state == "uploading"
    return connection


def test_an_upload_that_is_cut_off_leaves_nothing(strict):
    connection = begun(strict, clip(0.1))
    connection.close()
    eventually(lambda: not strict.store.jobs())


def test_an_upload_that_rests_too_long_is_cut_off(strict):
    with begun(strict, clip(0.1)) as connection:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 408 and b'"too_slow"' in answer.read()
    assert not strict.store.jobs()


def test_an_upload_goes_on_as_long_as_bytes_come(strict):
    data = clip(0.1)
    with begun(strict, b"", len(data)) as connection:
        for start in range(0, len(data), len(data) // 5):
            time.sleep(0.1)
            connection.sendall(data[start : start + len(data) // 5])
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 202


def test_clients_and_the_queue_have_limits(strict):
    for _ in range(3):
        assert strict.send(clip(0.05)).status == 202
    answer = strict.send(clip(0.05))
    refused(answer, 429, "too_many", "3 of your jobs")
    assert int(answer.headers["retry-after"]) > 0
    from xumx_jax.web.jobs import Options

    strict.store.create("other.wav", Options("demo"), "somebody else")
    refused(strict.send(clip(0.05)), 429, "too_many", "4 jobs wait")


def test_a_full_disk_is_said(tmp_path):
    with listening(tmp_path / "data", min_free_bytes=1 << 60) as server:
        refused(server.send(clip(0.05)), 507, "no_room")
        assert server.folders() == []


def test_uploads_end_when_the_server_is_stopped(tmp_path):
    with listening(tmp_path / "data", idle_seconds=20.0) as server:
        connection = begun(server, clip(0.1))
        server.shared.draining.set()
        refused(server.send(clip(0.05)), 503, "draining")
        connection.sendall(b"more")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 503 and b'"draining"' in answer.read()
        connection.close()
        assert server.folders() == [] and server.get("/healthz").status == 200


@pytest.mark.parametrize("name, kept, file", [
    ("../../etc/passwd", "../../etc/passwd", "passwd"),
    ("a\r\nSet-Cookie: x=1.mp3", "a Set-Cookie: x=1.mp3", "a Set-Cookie_ x=1"),
    ("<img src=x onerror=alert(1)>.wav", "<img src=x onerror=alert(1)>.wav", None),
    ("\u202egnp.wav", "gnp.wav", "gnp"),
    ("\u05e9\u05dc\u05d5\u05dd.flac", "\u05e9\u05dc\u05d5\u05dd.flac", "\u05e9\u05dc\u05d5\u05dd"),
    ("x" * 300, "x" * 255, None),
    ("\0\x07", "track", "track"),
    ("", "track", "track"),
    ("C:\\Music\\Song A.mp3", "C:\\Music\\Song A.mp3", "Song A"),
])  # fmt: skip
def test_names_are_data(strict, name, kept, file):
    from urllib.parse import unquote

    from xumx_jax.web import archive
    from xumx_jax.web.names import disposition

    job = strict.send(clip(0.05), name).json()
    assert job["name"] == kept
    assert [path.name for path in (strict.folder / job["id"]).iterdir()] == ["input"]
    header = disposition(archive.file_name(job["name"], "vocals", "wav"))
    assert header.isascii() and header.isprintable() and header.count('"') == 2
    sent = unquote(header.partition("filename*=UTF-8''")[2])
    assert not set(sent) & set('/\\:*?"<>|') and sent.endswith(" (vocals).wav")
    assert file is None or sent == f"{file} (vocals).wav"
