"""Joining a Ray cluster, or starting one on this machine: within seconds, or with one line."""

import importlib.util
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from xumx_jax import runtime
from xumx_jax.errors import UserError
from xumx_jax.stores import EXTRA

CONNECT_SECONDS = 3
TOKEN = Path("~/.ray/auth_token")  # where Ray keeps it
_OBJECT_STORE_BYTES = 100 << 20  # rows are small
# What opens an HTTP/2 connection, as gRPC speaks, and an empty frame of settings.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4  # the kind of frame that a server answers with


@contextmanager
def connected(address: str | None, debug: bool = False) -> Iterator[list[dict]]:
    """Connect to a cluster, or start one on this machine, until the block ends -> its machines.

    address  "host:port" of its head, "auto", or None for one of this machine alone

    Raises UserError within seconds where nobody listens, or somebody else does.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a warning
    if not debug:
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its own lines, for its makers
    reach(address)
    import ray

    more: dict[str, Any] = dict(log_to_driver=debug, logging_level=logging.ERROR)
    if address is None:
        more |= dict(num_cpus=runtime.cores(), _node_ip_address="127.0.0.1")
        more |= dict(include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES)
    try:
        with _own_signals(), nullcontext() if debug else _without_native_lines():
            # "local" and not None, which would join whatever cluster runs on this machine
            ray.init(address=address or "local", **more)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = "on this machine" if address in (None, "auto") else address
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"--address {where}: Ray cannot be used there: {reason}{_about_tokens(address)}"
        ) from None
    try:
        yield [node for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()


def reach(address: str | None) -> None:
    """Prepare to join a cluster, before Ray is initialized. Raises UserError as `connected` does.

    Where this machine has a token, Ray is made to show it, which it does not unasked; a cluster
    that wants none takes no notice.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    if importlib.util.find_spec("ray") is None:
        raise UserError(f"--runner ray needs more packages; {EXTRA}")
    if address in (None, "auto"):
        return
    _check_listening(address)
    given = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if given or TOKEN.expanduser().is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _about_tokens(address: str | None) -> str:
    if address is None:
        return ""
    if os.environ.get("RAY_AUTH_MODE") == "token":
        return f"; perhaps its token is not the one that this machine has in {TOKEN}"
    return f"; if it wants a token, {TOKEN} of its head has to be here, too"


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what SIGTERM does; Ray would have it print a stack trace and exit with status 15."""
    usual = signal.getsignal(signal.SIGTERM)
    yield
    if usual is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, usual)


@contextmanager
def _without_native_lines() -> Iterator[None]:
    """Drop what Ray's C++ writes to stderr, many lines before one error; Python raises it."""
    usual, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(usual, 2)
        os.close(usual)
        os.close(nowhere)


def _check_listening(address: str) -> None:
    found = re.fullmatch(r"(\[.+\]|[^:/]+):(\d+)", address)
    if not found:
        raise UserError(f"--address {address}: wanted HOST:PORT of the cluster's head, or auto")
    place = found[1].strip("[]"), int(found[2])
    try:
        with socket.create_connection(place, CONNECT_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("0", ""):
                return
            connection.sendall(_PREFACE)
            answer = connection.recv(9)
    except TimeoutError:
        reason = f"nobody answers within {CONNECT_SECONDS} s"
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    else:
        if len(answer) > 3 and answer[3] == _SETTINGS:
            return
        reason = "what listens there is not Ray"
    raise UserError(f"--address {address}: {reason}; wanted the head of a Ray cluster")
