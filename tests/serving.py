"""The real server as a child process, and HTTP to it with the standard library alone."""

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]
JOBS = "/api/v1/jobs"
ENDED = ("done", "failed", "cancelled", "expired")


def clip(seconds=1.0, channels=2, rate=44100, seed=0, format="WAV") -> bytes:
    """A file of noise with some tones, the same for the same arguments."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * f * time) for f in rng.uniform(80, 4000, 4)) / 16
    wave = tones[:, None] + rng.uniform(-0.2, 0.2, (len(time), channels))
    file = io.BytesIO()
    soundfile.write(file, wave, rate, "PCM_16", format=format)
    return file.getvalue()


@dataclass
class Answer:
    """A response; `headers` by their lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error."""
        return self.json()["error"]["code"]


class Server:
    """A server that listens; `process` runs `xumx serve`, `folder` is its `--data`."""

    def __init__(self, process, url, folder, log, token=None):
        self.process, self.url, self.folder, self.token = process, url, folder, token
        self._log = log
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port

    def connect(self, seconds=60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=seconds)

    def ask(self, method, path, body=None, headers=None, **query) -> Answer:
        """Send a request on a connection of its own, with the token unless headers have one."""
        if query:
            path += f"?{urlencode(query)}"
        headers = dict(headers or {})
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())

    def get(self, path, headers=None, **query) -> Answer:
        return self.ask("GET", path, None, headers, **query)

    def send(self, data: bytes, name="song.wav", headers=None, **query) -> Answer:
        """Upload a file as a new job."""
        return self.ask("POST", JOBS, data, headers, name=name, **query)

    def job(self, id) -> dict:
        answer = self.get(f"{JOBS}/{id}")
        assert answer.status == 200, answer
        return answer.json()

    def wait(self, id, states=ENDED, seconds=60) -> dict:
        """Wait until a job is in one of these states."""
        end = time.monotonic() + seconds
        while (job := self.job(id))["state"] not in states:
            assert time.monotonic() < end, job
            time.sleep(0.02)
        return job

    def separated(self, data: bytes, name="song.wav", **query) -> dict:
        """Upload a file and wait until it is separated -> the job."""
        answer = self.send(data, name, **query)
        assert answer.status == 202, answer
        job = self.wait(answer.json()["id"])
        assert job["state"] == "done", job
        return job

    def events(self, id, headers=None):
        """Yield what a job's event stream says, each as (id, data), and None for a heartbeat."""
        with contextlib.closing(self.connect()) as connection:
            connection.request("GET", f"{JOBS}/{id}/events", None, dict(headers or {}))
            response = connection.getresponse()
            assert response.status == 200
            fields = {}
            while line := response.readline().decode():
                if line == "\n":
                    yield (fields.get("id"), json.loads(fields["data"])) if fields else None
                    fields = {}
                elif not line.startswith(":"):
                    name, _, value = line.rstrip("\n").partition(": ")
                    fields[name] = value

    def folders(self) -> list[str]:
        """The jobs of which there is a folder."""
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir())

    def log(self) -> str:
        """What it has printed on stderr."""
        return self._log.read_text()

    def end(self, number=signal.SIGTERM, seconds=30) -> int:
        """Send a signal -> the exit status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


def environment(cache) -> dict[str, str]:
    """Variables of a child: a cache of its own, and the compiled code that all tests share."""
    compiled = os.environ.get("XUMX_TESTS_COMPILED")
    shared = {"JAX_COMPILATION_CACHE_DIR": compiled} if compiled else {}
    inherited = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    return inherited | shared | {
        "JAX_PLATFORMS": "cpu",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        "PYTHONPATH": str(ROOT),
        "XUMX_CACHE": str(cache),
    }  # fmt: skip


@contextlib.contextmanager
def served(folder, *options, ready=True, variables=None, token=None):
    """Start `xumx serve` on a free port with its data in `folder` -> a Server; it ends with this.

    `ready`: wait until its model is loaded.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.with_name(f"{folder.name}.log")
    words = [*map(str, options)]
    if "--model" not in words:
        words += ["--model", "demo"]
    words += ["--min-free-mb", "0"] if "--min-free-mb" not in words else []
    command = [sys.executable, "-m", "xumx_jax", "serve", "--port", "0", "--data", str(folder)]
    variables = environment(folder.with_name("cache")) | (variables or {})
    if token is not None:
        variables["XUMX_TOKEN"] = token
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, *words],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            line = process.stdout.readline()
            assert line.startswith("listening on http://"), (line, log.read_text())
            server = Server(process, line.split()[-1], folder, log, token)
            while ready and (answer := server.get("/readyz")).status != 200:
                assert "being loaded" in answer.json()["error"]["message"], answer
                time.sleep(0.05)
            yield server
        finally:
            if process.poll() is None:
                process.kill()
            process.stdout.close()


class Idle:
    """Workers that never take a job."""

    def ready(self):
        return {"ready": False, "devices": ["cpu"], "models": [], "error": None}

    def stop(self, seconds):
        return True


@contextlib.contextmanager
def listening(folder, workers=None, **settings):
    """Run the server in a thread of this process, with workers that do nothing -> a Server.

    It starts in no time, takes any settings, and its `store` can be changed from outside.
    """
    from xumx_jax.web import program
    from xumx_jax.web.models import offered
    from xumx_jax.web.settings import Settings
    from xumx_jax.web.shared import Shared
    from xumx_jax.web.store import Store

    usual = {"models": ("demo",), "port": 0, "min_free_bytes": 0, "grace_seconds": 1.0}
    made = Settings(Path(folder), **(usual | settings))
    stop = threading.Event()
    with program.bound(made) as bound, Store(made) as store:
        shared = Shared(made, store, workers or Idle(), offered(made))
        server = Server(None, program.address(bound), made.folder, None, made.token)
        server.store, server.shared = store, shared
        http_server = program.HttpServer(shared, stop.is_set)
        thread = threading.Thread(target=http_server.run, args=([bound],))
        thread.start()
        try:
            yield server
        finally:
            stop.set()
            thread.join()


def path_of(job, stem, format="wav") -> str:
    """The address of a stem."""
    return f"{JOBS}/{job['id']}/stems/{quote(stem)}.{format}"


def wait_for(condition, seconds=20):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def begun(server, head: str, body=b"") -> socket.socket:
    """A connection on which a request was begun; HOST in its head is the server."""
    connection = socket.create_connection((server.host, server.port), timeout=30)
    connection.sendall(head.replace("HOST", f"{server.host}:{server.port}").encode() + body)
    return connection
