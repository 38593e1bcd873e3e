"""The program: one process that listens, with its threads that separate, until it is asked to end.

Bound before anything heavy is imported, so a port in use is one line at once. The handlers of
signals are those of the caller, not uvicorn's, which would end the process in their own way.
"""

import errno
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import uvicorn

from xumx_jax.errors import UserError
from xumx_jax.web import example, running
from xumx_jax.web.app import guarded
from xumx_jax.web.connections import patient
from xumx_jax.web.models import offered
from xumx_jax.web.settings import Settings
from xumx_jax.web.shared import Shared
from xumx_jax.web.store import Store
from xumx_jax.web.worker import Workers

MOST_CONNECTIONS = 500  # open files have a limit too, often 1024
SWEEP_SECONDS = 3600.0


def serve(
    settings: Settings,
    asked: Callable[[], bool],
    listening_at: Callable[[str], object],
    ports: Iterable[int] = (),
) -> bool:
    """Serve until `asked()` is true; `listening_at(address)` is told where.

    If the port of the settings is taken, one of `ports` will do. Returns whether all threads have
    ended: else one computes on for a while, and the process should end without waiting for it; its
    job is queued again at the next start. Raises UserError if the place, the port or the device
    cannot be had.
    """
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    with bound(settings, ports) as listening, Store(settings) as store:
        example.tidy(store)
        workers = Workers(store, settings)
        shared = Shared(settings, store, workers, offered(settings))
        workers.start()
        server = HttpServer(shared, asked)
        try:
            place = address(listening)
            here = running.noted(settings.folder, settings.host, running.local(place))
            with _swept(store), here:
                listening_at(place)
                server.run([listening])
        finally:
            shared.draining.set()
            ended = workers.stop(server.seconds_left())
    return ended


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's is for its user: a fault, not what strangers send or cut off."""
    ordinary = ("Cancel ", "ASGI callable returned without")
    return record.levelno >= logging.ERROR and not record.msg.startswith(ordinary)


class HttpServer(uvicorn.Server):
    """uvicorn's server without its handlers of signals: it ends when `asked()` is true.

    Streams, uploads and workers learn of it at once.
    """

    def __init__(self, shared: Shared, asked: Callable[[], bool]):
        self._shared, self._asked = shared, asked
        settings = shared.settings
        config = uvicorn.Config(
            guarded(shared),
            loop="asyncio",
            http=patient(settings.idle_seconds),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=list(settings.proxies),
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
        )
        super().__init__(config)
        self._end: float | None = None  # of the time that responses and workers have

    def seconds_left(self) -> float:
        """What is left of `grace_seconds`, which begin when the server is asked to end."""
        grace = self._shared.settings.grace_seconds
        return grace if self._end is None else max(0.0, self._end - time.monotonic())

    @contextmanager
    def capture_signals(self):
        yield

    async def on_tick(self, counter: int) -> bool:
        if self._asked():
            self._end = time.monotonic() + self.seconds_left()
            self._shared.draining.set()
            self._shared.workers.stop(0)
            return True
        return await super().on_tick(counter)


@contextmanager
def bound(settings: Settings, ports: Iterable[int] = ()) -> Iterator[socket.socket]:
    """A socket that listens at the settings' host and port, or else at one of these.

    Raises UserError.
    """
    place = f"{settings.host}:{settings.port}"
    try:
        kind, *_, where = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no such name"
        raise UserError(f"--host {settings.host}: cannot be found ({reason})") from None
    with socket.socket(kind, socket.SOCK_STREAM) as listening:
        if os.name == "posix":  # elsewhere it would let two programs have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        others = iter(ports)
        while True:
            try:
                listening.bind(where)
                listening.listen(2048)
                break
            except OSError as error:
                port = next(others, None) if error.errno == errno.EADDRINUSE else None
                if port is None:
                    raise UserError(
                        f"{place}: cannot be listened at ({error.strerror}); use another --port, "
                        "or 0 for any that is free"
                    ) from None
                where = (where[0], port, *where[2:])
        listening.setblocking(False)
        yield listening


def address(listening: socket.socket) -> str:
    """Where a browser finds what listens."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _swept(store: Store):
    """Remove what has expired, now and then."""
    end = threading.Event()

    def sweep():
        while not end.wait(SWEEP_SECONDS):
            try:
                store.sweep()
            except Exception:
                logging.getLogger(__name__).exception("what has expired could not be removed")

    thread = threading.Thread(target=sweep, daemon=True, name="sweep")
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(1)


def end_now(status: int) -> None:
    """End the process without waiting for threads: see `serve`."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
