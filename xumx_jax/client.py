"""Separate files on a server that runs `xumx serve`.

This file needs nothing but Python 3.9 or newer, and is one file, long as it is, so that it can be
copied into any program:

    client = Client("http://127.0.0.1:8000")
    client.separate("song.mp3", "stems")       # {"vocals": Path("stems/vocals.wav"), ...}
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import shutil
import socket
import tempfile
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import urlopen

_JOBS, _PIECE = "/api/v1/jobs", 1 << 16  # bytes
_LOOK_SECONDS, _PAUSE_SECONDS = 0.2, 2.0  # between looks at whether to cancel; the longest pause
_QUIET_SECONDS, _AWAY = 45.0, ("unreachable", "cannot be reached")  # events come every 15
_BUSY = (429, 502, 503, 504)  # the same request may succeed later
_LOSSLESS = {0: "wav", 1: "flac"}  # Spleeter Web's formats without a bitrate
_BROKEN = (OSError, http.client.HTTPException, json.JSONDecodeError)


class ServerError(Exception):
    """What the server said, in one line, or why it could not be asked.

    `code` is the server's, such as "not_audio", or "cancelled", "unreachable", "broken", and
    "bad_answer"; `message` is the line, `status` that of HTTP, 0 where the server did not answer.
    """

    def __init__(self, code: str, message: str, status: int = 0):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Client:
    """A server, which any number of threads may ask: each request has a connection of its own.

    url       where it is, such as "https://music.example/xumx"
    token     that it wants, if any
    timeout   seconds without an answer after which a connection is given up
    patience  seconds for which a server may be away while a job waits or runs there
    """

    def __init__(self, url: str, token: str | None = None, timeout=60.0, patience=120.0):
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            if parts.scheme not in kinds or not parts.hostname or parts.username:
                raise ValueError
            self._place = parts.hostname, parts.port  # ValueError for one that is none
        except ValueError:
            line = f"{url}: wanted http://HOST:PORT or https://HOST"
            raise ServerError("bad_option", line) from None
        self._connection, self._root = kinds[parts.scheme], parts.path.rstrip("/")
        self.url = f"{parts.scheme}://{parts.netloc}{self._root}"
        self.timeout, self.patience = timeout, patience
        self._headers = {"Authorization": f"Bearer {token}".encode()} if token else {}

    def separate(
        self, path, out, *, mix=None, on_progress=None, cancelled=None, **options
    ) -> dict[str, Path]:
        """Separate a file on the server -> {stem: the file written}.

        path         a file of sound, or a film
        out, mix     as for `fetch`
        on_progress  called with the part done and the seconds left (None if unknown); returning
                     False cancels
        cancelled    called several times a second; True cancels
        options      of the job, the server's defaults where they are None: model, stems,
                     two_stems, niter, softmask, alpha, residual, format, bits, bitrate

        The files are what `xumx separate` writes, bit for bit. In the end, and whatever goes wrong,
        nothing is left on the server. Raises ServerError (with the code "cancelled" for that), and
        OSError for files that cannot be read or written.
        """
        stems = {} if mix is None else {"stems": ",".join(mix)}
        job = self.send(path, cancelled, **options, **stems)
        try:
            done = self.wait(job["id"], on_progress, cancelled)
            return self.fetch(done, out, mix, cancelled)
        finally:
            with suppress(ServerError):
                self.remove(job["id"])

    def send(self, path, cancelled=None, **options) -> dict:
        """Send a file as a new job -> what the server says of it, with its "id"."""
        given = [(key, value) for key, value in options.items() if value is not None]
        query = urlencode([("name", Path(path).name), *given], errors="replace")
        with open(path, "rb") as file:
            return self._json("POST", f"{_JOBS}?{query}", body=file, cancelled=cancelled)

    def job(self, id: str) -> dict:
        """What the server says of a job: state, progress, eta_seconds, ahead, error and more."""
        return self._json("GET", f"{_JOBS}/{quote(id, '')}")

    def remove(self, id: str) -> None:
        """Cancel a job, and remove all there is of it on the server."""
        with self._asked("DELETE", f"{_JOBS}/{quote(id, '')}"):
            pass

    def models(self) -> dict:
        """The server's models, by the stems that they separate."""
        return self._json("GET", "/api/v1/models")

    def wait(self, id: str, on_progress=None, cancelled=None) -> dict:
        """Follow a job until it is done -> what the server says of it then.

        A connection that breaks is made anew, and a server that restarts is waited for.
        """
        patience = _Patience(self.patience, cancelled)
        while True:
            try:
                with closing(self._changes(id, cancelled)) as changes:
                    for job in changes:
                        patience.renew()
                        if _is_done(job, on_progress):
                            return job
            except ServerError as error:
                patience.check(error)
            patience.pause()

    def _changes(self, id, cancelled):
        yield self.job(id)  # before the events, which a proxy may keep back
        lines, events = queue.Queue(), f"{_JOBS}/{quote(id, '')}/events"
        with self._asked("GET", events, timeout=_QUIET_SECONDS) as answer:
            threading.Thread(target=_read_lines, args=(answer, lines), daemon=True).start()
            while True:
                _check(cancelled)
                with suppress(queue.Empty):
                    line = lines.get(timeout=_LOOK_SECONDS)
                    if line is None:
                        return
                    if line.startswith(b'data: {"'):
                        yield json.loads(line[6:])

    def fetch(self, job, out, mix=None, cancelled=None) -> dict[str, Path]:
        """Download the stems of a job that is done into a folder -> {stem: the file written}.

        `mix` are names of stems whose sum is written instead, as one file "a+b". Files appear once
        all are here. A download that breaks goes on where it was.
        """
        base, format = f"{_JOBS}/{quote(job['id'], '')}", job["options"]["format"]
        form = [(key, job["options"][key]) for key in ("bits", "bitrate") if job["options"][key]]
        if mix is None:
            names = [stem["name"] for stem in job["stems"]]
            at = {one: f"stems/{quote(one, '')}.{format}?{urlencode(form)}" for one in names}
        else:
            at = {"+".join(mix): f"mix.{format}?{urlencode([(one, 1) for one in mix] + form)}"}
        paths = {stem: Path(out, f"{stem}.{format}") for stem in at}
        if set("/\\\0") & set(format.join(at)):  # would be another place
            raise ServerError("bad_answer", f"{self.url}: stems cannot be called {', '.join(at)}")
        near = next(one for one in (Path(out), *Path(out).absolute().parents) if one.is_dir())
        with tempfile.TemporaryDirectory(prefix=".xumx-", suffix=".part", dir=near) as folder:
            for stem, place in at.items():
                self._download(f"{base}/{place}", Path(folder, stem), cancelled)
            Path(out).mkdir(parents=True, exist_ok=True)
            for stem, path in paths.items():
                Path(folder, stem).replace(path)
        return paths

    def _download(self, place, path, cancelled) -> None:
        patience, tag = _Patience(self.patience, cancelled), None
        with open(path, "wb") as file:
            while True:
                at = file.tell()
                ask = {"Range": f"bytes={at}-", "If-Range": tag} if at and tag else {}
                try:
                    with self._asked("GET", place, ask) as answer:
                        if at and answer.status != 206:  # from the beginning
                            at = file.truncate(file.seek(0))
                        tag = answer.getheader("ETag")
                        while piece := answer.read(_PIECE):
                            _check(cancelled)
                            try:
                                file.write(piece)
                                file.flush()
                            except OSError as error:
                                error.filename = str(path)  # not the connection's
                                raise
                        if answer.length:  # http.client itself says nothing
                            raise http.client.IncompleteRead(b"", answer.length)
                        return
                except ServerError as error:
                    if file.tell() > at:
                        patience.renew()
                    patience.check(error)
                patience.pause()

    def _json(self, method, place, **more) -> dict:
        with self._asked(method, place, **more) as answer:
            return json.loads(answer.read())

    @contextmanager
    def _asked(self, method, place, headers=None, body=None, timeout=None, cancelled=None):
        """Send a request and yield its answer. Raises ServerError, also for what is read of it."""
        connected = answer = None
        link = self._connection(*self._place, timeout=timeout or self.timeout)
        try:
            link.connect()
            connected = link.sock
            link.putrequest(method, self._root + place)
            for key, value in {**self._headers, **(headers or {})}.items():
                link.putheader(key, value)
            _send(link, body, cancelled)
            answer = link.getresponse()
            if answer.status >= 300:
                raise _error(self.url, answer)
            yield answer
        except _BROKEN as error:
            if getattr(error, "filename", None) is not None:  # a file of ours
                raise
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            code, what = ("broken", "gave no proper answer") if connected else _AWAY
            raise ServerError(code, f"{self.url}: {what}: {reason}") from None
        finally:
            if connected is not None:  # wakes the thread that reads, which holds the answer
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)
                if answer is not None:
                    answer.close()
            link.close()


class ServerSeparator:
    """Let a server separate for Spleeter Web (github.com/JeffreyCA/spleeter-web).

    It has the constructor and the two methods that the application calls; docs/spleeter-web.md has
    the edits that it needs.

    cpu_separation  is the server's affair
    output_format   0 wav, 1 flac, else the bitrate of an mp3 in kbit/s
    softmask, alpha, iterations  softmask, alpha and niter of a job
    url, token      of the server; by default the environment's XUMX_SERVER and XUMX_TOKEN
    model           one of the server's

    Raises ServerError with one line, which the application shows. A task that is aborted cancels
    its job.
    """

    def __init__(
        self,
        cpu_separation: bool,
        output_format: int = 256,
        softmask: bool = False,
        alpha: float = 1.0,
        iterations: int = 1,
        *,
        url: str | None = None,
        token: str | None = None,
        model: str = "x-umx",
    ):
        url = url or os.environ.get("XUMX_SERVER", "http://127.0.0.1:8000")
        self.client = Client(url, token or os.environ.get("XUMX_TOKEN"))
        lossless = _LOSSLESS.get(output_format)
        self.options = {
            "model": model,
            "niter": iterations,
            "softmask": softmask,
            # the application stores an alpha with every mix, even without a softmask
            "alpha": alpha if softmask else 1.0,
            "format": lossless or "mp3",
            "bitrate": None if lossless else output_format,
        }

    def create_static_mix(self, parts, input_path, output_path) -> None:
        """Write the sum of the wanted parts, {name: whether it is} or names, to one file.

        `input_path` is a file or, where the application keeps its files elsewhere, a URL.
        """
        wanted = [name for name in parts if not hasattr(parts, "keys") or parts[name]]
        if not wanted:
            raise ServerError("bad_option", "no part was chosen; choose at least one")
        place = Path(output_path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".xumx-", dir=place.parent) as folder:
            (made,) = self._separate(input_path, folder, mix=wanted).values()
            made.replace(place)

    def separate_into_parts(self, input_path, output_path) -> None:
        """Write every part of a track as `<part>.<wav|flac|mp3>` into a folder."""
        self._separate(input_path, output_path)

    def _separate(self, place, out, mix=None) -> dict[str, Path]:
        url = urlsplit(str(place))
        with tempfile.TemporaryDirectory(prefix="xumx-") as folder:
            if url.scheme in ("http", "https"):
                name = Path(url.path).name[-60:].strip(".")
                place = _downloaded(url, Path(folder, name or "track"))
            return self.client.separate(place, out, mix=mix, **self.options)


class _Patience:
    """How long a server may be away, with pauses that grow; an error that stays is raised."""

    def __init__(self, seconds, cancelled):
        self._seconds, self._cancelled = seconds, cancelled
        self.renew()

    def renew(self):
        self._end, self._pause = time.monotonic() + self._seconds, _LOOK_SECONDS

    def check(self, error):
        passes = error.code in ("unreachable", "broken") or error.status in _BUSY
        if not passes or time.monotonic() > self._end:
            raise error

    def pause(self):
        _check(self._cancelled)
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _PAUSE_SECONDS)


def _check(cancelled):
    if cancelled is not None and cancelled():
        raise ServerError("cancelled", "was cancelled")


def _is_done(job, on_progress) -> bool:
    state = job["state"]
    if state == "failed":
        raise ServerError(job["error"]["code"], job["error"]["message"])
    if state in ("cancelled", "expired"):
        raise ServerError(state, f"{job['name']}: {state} on the server")
    if state != "done" and on_progress is not None:
        now = (job["progress"], job["eta_seconds"]) if state == "running" else (0.0, None)
        _check(lambda: on_progress(*now) is False)
    return state == "done"


def _read_lines(answer, lines):
    """Read a stream of events in a thread, and put its lines into a queue; None at its end."""
    with suppress(Exception):  # whatever it is, the job is looked at again
        while line := answer.readline():
            lines.put(line)
    lines.put(None)


def _send(link, file, cancelled):
    left = os.fstat(file.fileno()).st_size if file else 0
    if file:
        link.putheader("Content-Type", "application/octet-stream")
        link.putheader("Content-Length", str(left))
    link.endheaders()
    while left:
        _check(cancelled)
        if not (piece := file.read(min(_PIECE, left))):
            raise ServerError("cut_off", f"{file.name}: became shorter while it was sent")
        try:
            link.send(piece)
        except ConnectionError:  # the server may have answered without reading the rest
            return
        left -= len(piece)


def _error(url, answer) -> ServerError:
    try:
        error = json.loads(answer.read(_PIECE))["error"]
        return ServerError(error["code"], error["message"], answer.status)
    except (ValueError, KeyError, TypeError):
        line = f"{url}: answered {answer.status} {answer.reason}; is it `xumx serve`?"
        return ServerError("bad_answer", line, answer.status)


def _downloaded(url, path) -> Path:
    try:
        with urlopen(url.geturl(), timeout=60) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
        return path
    except (OSError, http.client.HTTPException) as error:
        getattr(error, "close", bool)()  # an HTTPError is an open answer
        shown = url._replace(query="", fragment="").geturl()  # the query of a signed URL is secret
        raise ServerError("broken", f"{shown}: cannot be downloaded: {error}") from None
