"""The server as a process: it is killed, stopped and started again, and loses nothing."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from serving import JOBS, clip, environment, served

LONG = 20.0  # seconds of a track that is not done before a signal comes


def files_of(server, job):
    return sorted(path.name for path in (server.folder / job["id"]).iterdir())


@pytest.mark.slow
def test_killed_and_stopped_it_goes_on_with_its_queue(tmp_path):
    """Killed while it separates, then stopped while it separates, then left to finish."""
    folder, track = tmp_path / "data", clip(LONG)
    with served(folder) as server:
        ids = [server.send(track, f"{number}.wav").json()["id"] for number in range(2)]
        job = server.wait(ids[0], ("running",))
        with contextlib.closing(server.connect()) as connection:  # and an upload has begun
            connection.putrequest("POST", JOBS)
            connection.putheader("Content-Length", "100000")
            connection.endheaders(b"x" * 5000)
            while len(server.folders()) < 3:
                time.sleep(0.01)
            assert server.end(signal.SIGKILL) == -signal.SIGKILL
    assert "input" in files_of(server, job)

    with served(folder) as server:
        assert server.folders() == sorted(ids)  # the upload is gone
        assert {job["state"] for job in server.get(JOBS).json()["jobs"]} <= {"queued", "running"}
        server.wait(ids[0], ("running",))
        ends = []

        def follow(id):
            for _ in server.events(id):
                pass
            ends.append(time.monotonic())

        readers = [threading.Thread(target=follow, args=(id,)) for id in ids]
        for reader in readers:
            reader.start()
        time.sleep(0.3)
        begin = time.monotonic()
        assert server.end(signal.SIGTERM) == 128 + signal.SIGTERM
        assert time.monotonic() - begin < 8  # some 1 on a machine that does nothing else
        for reader in readers:
            reader.join(10)
        assert len(ends) == len(ids)
        assert server.log().endswith("xumx: error: interrupted by SIGTERM\n")
        assert "Traceback" not in server.log()
    for id in ids:
        assert [path.name for path in (folder / id).iterdir()] == ["input"]

    with served(folder) as server:
        jobs = [server.wait(id) for id in ids]
        assert {job["state"] for job in jobs} == {"done"}
        for job in jobs:
            assert not [name for name in files_of(server, job) if name.startswith(".")]
        stems = [server.get(job["stems"][0]["url"]).body for job in jobs]
        assert stems[0] == stems[1]
        assert not re.search(f"{ids[0]}|0[.]wav", server.log())
        assert oct(folder.stat().st_mode & 0o777) == "0o700"


@pytest.mark.slow
def test_signals_and_a_folder_that_is_in_use(tmp_path):
    with served(tmp_path / "data") as server:
        words = ["serve", "--port", "0", "--data", str(tmp_path / "data"), "--model", "demo"]
        other = subprocess.run(
            [sys.executable, "-m", "xumx_jax", *words],
            env=environment(tmp_path / "cache"),
            capture_output=True,
            text=True,
        )
        assert other.returncode == 2 and other.stderr.count("\n") == 1
        assert "another server uses this folder" in other.stderr and not other.stdout
        # a client that does not read what it asked for is not waited for
        job = server.separated(clip(LONG), "Song.wav")
        with contextlib.closing(server.connect()) as connection:
            connection.request("GET", job["all"])
            connection.getresponse()
            begin = time.monotonic()
            server.process.send_signal(signal.SIGINT)
            time.sleep(1)
            assert server.process.poll() is None
            with pytest.raises(ConnectionRefusedError):
                server.get("/healthz")
            os.kill(server.process.pid, signal.SIGINT)
            assert server.process.wait(10) == -signal.SIGINT
            assert time.monotonic() - begin < 2.5
