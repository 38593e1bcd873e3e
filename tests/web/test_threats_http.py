"""What strangers, and their web sites, may try over HTTP: names, hosts, ranges, tokens."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from serving import JOBS, begun, clip, environment, listening, path_of, wait_for

UNKNOWN = "0" * 32


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """A server whose jobs only wait, and which is impatient."""
    folder = tmp_path_factory.mktemp("idle") / "data"
    limits = {"max_bytes": 1 << 20, "max_queue": 1000, "max_per_client": 1000}
    with listening(folder, **limits, idle_seconds=1.0, max_streams=2) as running:
        yield running


NAMES = ["../../x.wav", "a\r\nSet-Cookie: x=1.wav", "\u202egpj.wav", "n" * 255]
NAMES += ["<img src=x onerror=alert(1)>.wav", 'C:\\"; filename="/etc/b.exe\0', "e\u0301\U0001f3b5"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_paths_and_scripts_in_names(server, name):
    """A name is data: in the database and one header, and never markup."""
    job = server.separated(clip(0.05), name, stems="vocals")
    files = {path.name for path in (server.folder / job["id"]).iterdir()}
    assert all(re.fullmatch(r"(vocals\.\w+|\w+\.json|input)", file) for file in files), files
    for path in (path_of(job, "vocals"), job["all"]):
        headers = server.get(path).headers
        assert headers["content-disposition"].startswith('attachment; filename="')
        assert headers["content-disposition"].isascii() and "set-cookie" not in headers
        assert "/" not in headers["content-disposition"].partition("filename*=")[0]
        assert headers["x-content-type-options"] == "nosniff"
    answer = server.get(f"{JOBS}/{job['id']}")
    assert answer.headers["content-type"].startswith("application/json")
    policy = answer.headers["content-security-policy"]
    for part in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors"):
        assert part in policy
    assert answer.json()["name"].isprintable() and "\u202e" not in answer.json()["name"]
    assert server.ask("DELETE", f"{JOBS}/{job['id']}").status == 204


def test_other_web_sites_that_talk_to_this_machine(idle):
    ours, before = f"127.0.0.1:{idle.port}", idle.folders()
    for host in ("evil.example", f"evil.example:{idle.port}", "127.0.0.1.evil.example", "", "[::1"):
        answer = idle.get(JOBS, {"Host": host})
        assert answer.status in (400, 403) and b"jobs" not in answer.body
    foreign = [
        {"Origin": origin} for origin in ("http://evil.example", "null", f"https://{ours}.a")
    ]
    foreign += [{"Sec-Fetch-Site": site} for site in ("cross-site", "same-site")]
    for headers in foreign:
        for method, path in (("POST", JOBS), ("DELETE", f"{JOBS}/{UNKNOWN}"), ("PUT", JOBS)):
            answer = idle.ask(method, path, clip(0.05), headers)
            assert (answer.status, answer.code) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in idle.get("/healthz", headers).headers
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; b=x"):
        assert idle.send(clip(0.05), headers={"Content-Type": kind}).code == "bad_type"
    assert idle.ask("OPTIONS", JOBS, headers={"Origin": "http://evil.example"}).status == 405
    assert idle.folders() == before
    for headers in ({}, {"Origin": f"http://{ours}"}, {"Sec-Fetch-Site": "same-origin"}):
        assert idle.send(clip(0.05), headers=headers).status == 202


def test_links_that_are_guessed_or_leak(server, done):
    assert re.fullmatch("[0-9a-f]{32}", done["id"])
    answer = server.get(path_of(done, "vocals"))
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"].startswith("private")
    assert server.get(f"{JOBS}/{UNKNOWN}").status == 404
    assert done["id"] not in server.log() and "Song A" not in server.log()


def test_paths_of_the_server_in_errors(idle, tmp_path):
    id = idle.send(clip(0.05)).json()["id"]
    requests = [("GET", f"{JOBS}/{part}") for part in ("x", UNKNOWN, "../..", "%2e%2e%2f", "%00")]
    requests += [("GET", f"{JOBS}/{id}/stems/{stem}.wav") for stem in ("vocals", "..%2finput")]
    requests += [
        ("POST", f"{JOBS}?{query}") for query in ("model=/etc/x", "bits=%00", "x=1", "niter=a")
    ]
    requests += [("GET", "/nothing"), ("POST", "/healthz"), ("GET", f"{JOBS}/{id}/mix.wav?v=x")]
    requests += [("POST", f"{JOBS}/{id}/move?before=..%2f.."), ("GET", f"{JOBS}/{id}/all.zip")]
    answers = [idle.ask(method, path, clip(0.05)) for method, path in requests]
    answers += [idle.send(data) for data in (b"", b"x" * 999, clip(0.1)[:99], bytes(2 << 20))]
    for answer in answers:
        assert 400 <= answer.status < 500, answer
        error = json.loads(answer.body)["error"]
        assert set(error) == {"code", "message"} and error["message"].isprintable()
        for place in (str(idle.folder), sys.prefix, str(Path.home()) + "/", "site-packages"):
            assert place not in answer.body.decode()


def test_range_storms(server, done):
    path = path_of(done, "vocals")
    many = "bytes=" + ",".join(f"{at}-{at + 1}" for at in range(1000))
    for value in (many, "bytes=0-1,1-2", "bytes=5-2", "bytes=99999999-"):
        assert (answer := server.get(path, {"Range": value})).status in (400, 416), value
        assert answer.code == "bad_range"
    part = server.get(path, {"Range": "bytes=0-3"})
    assert (part.status, part.body) == (206, b"RIFF")


def test_slow_uploads_and_many_event_streams(idle):
    before = idle.folders()
    head = f"POST {JOBS} HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1000\r\n\r\n"
    with begun(idle, head, b"RIFF") as slow:
        assert b" 408 " in slow.recv(100)
    assert idle.folders() == before
    id = idle.send(clip(0.05)).json()["id"]
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            events = stack.enter_context(contextlib.closing(idle.events(id)))
            next(events)
        answer = idle.get(f"{JOBS}/{id}/events")
        assert (answer.status, answer.code) == (429, "too_many_streams")
    wait_for(lambda: not idle.shared.streams)


def test_the_token(tmp_path):
    command = [sys.executable, "-m", "xumx_jax", "serve", "--host", "0.0.0.0"]
    variables = environment(tmp_path / "cache")
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 2 and "--token" in done.stderr and done.stderr.count("\n") == 1
    with listening(tmp_path / "data", token="correct-horse") as server:
        id = server.send(clip(0.05)).json()["id"]
        wrong = [
            "",
            "Bearer",
            "Bearer wrong",
            "Basic correct-horse",
            "correct-horse",
            "Bearer \xe9",
        ]
        for value in wrong:
            for method, path in (("GET", JOBS), ("POST", JOBS), ("DELETE", f"{JOBS}/{id}")):
                answer = server.ask(method, path, headers={"Authorization": value})
                assert (answer.status, answer.code) == (401, "no_token"), (value, method)
        assert server.get(JOBS).status == 200
        # players and links send no token; whoever knows the id may look
        assert server.get(f"{JOBS}/{id}", {"Authorization": ""}).status == 200
