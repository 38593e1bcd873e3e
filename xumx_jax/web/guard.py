"""Who may talk to the server, and the headers that keep pages of others out.

Pure ASGI, around everything, since a response may be a stream: any web site that its user visits
can send requests to a server on this machine, and only these checks stop it.
"""

import asyncio
import hmac
import ipaddress
import re

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xumx_jax.web.answers import Problem
from xumx_jax.web.shared import Shared

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What anybody may read: it says nothing about anybody's work, and probes have no token.
OPEN = ("/", "/healthz", "/readyz", "/docs", "/docs.css", "/openapi.json")
# A job's address contains 128 random bits, and players and links cannot send a token.
_OF_A_JOB = re.compile(r"/api/v1/jobs/[0-9a-f]{32}(/.*)?")
_PAGE = re.compile(r"/page/.*")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\s]+)(?::(\d{1,5}))?")
HEADERS = (
    (b"content-security-policy",
     b"default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; object-src 'none'; "
     b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)  # fmt: skip
# Of a refused upload, what is read and dropped so that its sender reads the answer instead of an
# error of the connection.
_DRAINED_BYTES, _DRAINED_SECONDS = 64 << 20, 5.0


class Guard:
    """The app behind its checks: Host, Origin, token, one range; and headers of every response."""

    def __init__(self, app: ASGIApp, shared: Shared):
        self.app, self.shared = app, shared
        self._own = (*LOOPBACK, shared.settings.host.lower())
        self._names = frozenset((*self._own, *_names(shared.settings.hosts)))
        self._wildcard = shared.settings.host in ("", "0.0.0.0", "::")

    async def __call__(self, scope: Scope, receive: Receive, send: Send):
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # a WebSocket, which there is none of
            return await send({"type": "websocket.close", "code": 1008})
        unread = _Unread(scope, receive)
        answer = _Answer(scope, send, unread, self.shared)
        headers = _Headers(scope)
        try:
            scope["xumx.local"] = self._check(scope, headers)
        except Problem as problem:
            return await problem.answer()(scope, unread.receive, answer.send)
        try:
            await self.app(scope, unread.receive, answer.send)
        except asyncio.CancelledError:
            if not self.shared.draining.is_set():
                raise  # else the time that open responses have is over

    def _check(self, scope, headers) -> bool:
        """Whether the client is one of this machine or has the token. Raises Problem."""
        host = headers.only("host")
        name = self._host(host)
        if scope["method"] not in SAFE:
            self._origin(headers, host)
        if self.shared.draining.is_set() and scope["path"] != "/healthz":
            raise Problem("draining", "the server is being stopped; try again when it is back")
        if "," in (headers.only("range") or ""):
            raise Problem(
                "bad_range", "Range: got several ranges; wanted one", {"Accept-Ranges": "bytes"}
            )
        token = self.shared.settings.token
        if token is None:  # then we listen to this machine alone, but a proxy may bring others
            return name in self._own and not headers.forwarded()
        known = _equal(headers.only("authorization"), token)
        if not known and not is_open(scope["method"], scope["path"]):
            raise Problem(
                "no_token",
                "wanted the server's token: a header Authorization: Bearer TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )
        return known

    def _host(self, host: str | None) -> str:
        """The name under which the client reached us: foreign ones are an attack on browsers."""
        match = _HOST.fullmatch((host or "").lower())
        name = match[1].strip("[]").rstrip(".") if match else ""
        if name in self._names or self._wildcard and _is_address(name):
            return name
        raise Problem(
            "foreign_host",
            f"Host is {host!r}, under which this server is not known; --allow-host NAME allows it",
        )

    def _origin(self, headers, host) -> None:
        origin, site = headers.only("origin"), headers.only("sec-fetch-site")
        # "null" is that of a sandboxed page, and has no place
        place = None if origin is None else origin.lower().partition("://")[2]
        ours = place is None or place in ((host or "").lower(), *self.shared.settings.hosts)
        if not ours or site not in (None, "same-origin", "none"):
            raise Problem("foreign_origin", "pages of other sites may not change anything here")


def is_open(method: str, path: str) -> bool:
    """Whether a request needs no token, where the server has one."""
    return method in ("GET", "HEAD") and any(
        (path in OPEN, _OF_A_JOB.fullmatch(path), _PAGE.fullmatch(path))
    )


def _names(hosts):
    for host in hosts:
        match = _HOST.fullmatch(host.lower())
        yield match[1].strip("[]") if match else host.lower()


def _is_address(name) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _equal(authorization: str | None, token: str) -> bool:
    kind, _, given = (authorization or "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return same and kind.lower() == "bearer"


class _Headers:
    """The headers of a request; one that is sent twice where one counts is refused."""

    def __init__(self, scope):
        self._pairs = scope["headers"]

    def only(self, name: str) -> str | None:
        found = [value for key, value in self._pairs if key == name.encode()]
        if len(found) > 1:
            raise Problem("bad_option", f"{name}: got the header {len(found)} times; wanted once")
        return found[0].decode("latin-1") if found else None

    def forwarded(self) -> bool:
        """Whether the request came through a proxy that says so."""
        return any(key in (b"x-forwarded-for", b"forwarded") for key, _ in self._pairs)


class _Unread:
    """Know whether the body of a request was read to its end."""

    def __init__(self, scope, receive):
        names = {key for key, _ in scope["headers"]}
        self.left = bool(names & {b"content-length", b"transfer-encoding"})
        self._receive = receive

    async def receive(self):
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            self.left = False
        return message


class _Answer:
    """Add our headers to a response, count it, and let the sender of a refused body finish."""

    def __init__(self, scope, send, unread: _Unread, shared: Shared):
        self._scope, self._send, self._unread, self._shared = scope, send, unread, shared
        self._refused = False

    async def send(self, message: Message):
        if message["type"] == "http.response.start":
            self._shared.answered(message["status"])
            self._refused = message["status"] >= 400
            headers = list(message.get("headers", ()))
            there = {key.lower() for key, _ in headers}
            headers += [pair for pair in HEADERS if pair[0] not in there]
            if b"cache-control" not in there:
                headers.append((b"cache-control", b"no-store"))
            if self._refused and self._unread.left:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif self._refused and self._unread.left and not message.get("more_body"):
            # The answer is complete for its reader, whose connection is closed only when it has
            # sent its body, or much of it: closed earlier, many clients never read the answer.
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _drain(self):
        read = 0
        with anyio.move_on_after(_DRAINED_SECONDS):
            while self._unread.left and read < _DRAINED_BYTES:
                message = await self._unread.receive()
                read += len(message.get("body", b""))
