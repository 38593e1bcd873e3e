"""Which server uses a folder of jobs, and where: so that a second one is not started in vain."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.web.store import LOCK

FILE = "address.json"
_SECONDS = 3  # that it may take to answer
_OUTSIDE = (  # addresses of documentation: a route there is a route to others
    (socket.AF_INET, "192.0.2.1"),
    (socket.AF_INET6, "2001:db8::1"),
)


@contextmanager
def noted(folder: Path, host: str, address: str) -> Iterator[None]:
    """Say meanwhile, in the folder, at which `--host` and address its server listens."""
    path = folder / FILE
    with suppress(UserError):  # a full disk is told to those who send something
        files.write(path, json.dumps({"host": host, "address": address}))
    try:
        yield
    finally:
        files.remove_quietly(path)


def found(folder: Path) -> dict[str, str] | None:
    """{"host", "address"} of the server that uses a folder now and answers; None if none does."""
    try:
        with files.locked(folder / LOCK, waiting=None, shared=True):
            return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        pass
    try:
        known = json.loads((folder / FILE).read_text())
        place = urlsplit(known["address"])
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_SECONDS)
        with closing(connection):
            connection.request("GET", "/healthz")
            healthy = connection.getresponse().read() == b'{"status":"ok"}'
        return {"host": str(known["host"]), "address": known["address"]} if healthy else None
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return None


def local(address: str) -> str:
    """What a browser on this machine opens, also where a server listens at all addresses."""
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def from_outside(address: str) -> str | None:
    """What other devices in the network open; None if it is the same, or there is no network."""
    place = urlsplit(address)
    if local(address) == address:
        return None
    kind, far = _OUTSIDE[":" in (place.hostname or "")]
    try:
        with socket.socket(kind, socket.SOCK_DGRAM) as route:
            route.connect((far, 9))  # which sends nothing
            own = route.getsockname()[0]
    except OSError:
        return None
    return f"http://[{own}]:{place.port}" if ":" in own else f"http://{own}:{place.port}"
