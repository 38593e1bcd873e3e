"""Files and what is computed, on their way to a client."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from xumx_jax.errors import UserError
from xumx_jax.web.answers import Problem
from xumx_jax.web.errors import Gone
from xumx_jax.web.names import disposition
from xumx_jax.web.shared import Shared

# Stems never change, but may be removed; nobody between us and their owner keeps them.
KEPT = "private, max-age=3600"
ASKED_AGAIN = "no-cache"  # kept, but looked at whether it has changed
_Made = TypeVar("_Made")


def file(path: Path, name: str | None, kind: str, kept: str = KEPT) -> Response:
    """A file, as an attachment if it has a name; takes Range. Raises Problem."""
    headers = {"Cache-Control": kept}
    if name is not None:
        headers["Content-Disposition"] = disposition(name)
    try:
        status = path.stat()  # now, so that a file which is gone is a 404
    except FileNotFoundError:
        raise Problem("unknown", "the job was removed") from None
    return _File(path, headers=headers, media_type=kind, stat_result=status)


def tags_known(header: str) -> list[str]:
    """The tags of an If-None-Match: what the client has already."""
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


def part(request: Request, path: Path, offset: int, size: int, kind: str) -> Response:
    """So many bytes of a file, from an offset on. Raises Problem."""
    if not path.exists():
        raise Problem("unknown", "the job was removed")

    def pieces():
        left = size
        with path.open("rb") as file:
            file.seek(offset)
            while left:
                piece = file.read(min(left, _File.chunk_size))
                if not piece:
                    raise OSError("the file is shorter than it was")
                left -= len(piece)
                yield piece

    headers = {"Content-Length": str(size), "Cache-Control": KEPT}
    if request.method == "HEAD":
        return Response(headers=headers, media_type=kind)
    return _Pieces(pieces(), headers=headers, media_type=kind)


class _File(FileResponse):
    """A file whose errors have the form of all others."""

    chunk_size = 1 << 18

    async def __call__(self, scope, receive, send):
        known = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
        if self.headers["etag"] in tags_known(known):
            kept = {name: self.headers[name] for name in ("etag", "cache-control", "last-modified")}
            return await Response(status_code=304, headers=kept)(scope, receive, send)

        left = 0

        async def told(message):
            nonlocal left
            if message["type"] == "http.response.start":
                if message["status"] in (400, 416):
                    size = self.headers["content-length"]
                    line = f"Range: wanted bytes=FIRST-LAST of {size} bytes"
                    raise Problem("bad_range", line, {"Content-Range": f"bytes */{size}"})
                left = int(dict(message["headers"])[b"content-length"])
            else:  # the file may have grown since its size was told
                message = {**message, "body": message["body"][:left]}
                left -= len(message["body"])
            await send(message)

        try:
            await super().__call__(scope, receive, told)
        except FileNotFoundError:  # removed since: the connection ends before its time
            return


async def streamed(
    request: Request, here: Shared, work: Callable, name: str, kind: str
) -> Response:
    """Send a `mixing.Download` that `work(check=...)` gives, as an attachment. Raises Problem."""
    download = await made(request, here, work)
    headers = {
        "Content-Length": str(download.size),
        "Content-Disposition": disposition(name),
        "Cache-Control": KEPT,
        "Accept-Ranges": "none",
    }
    if request.method == "HEAD":
        return Response(headers=headers, media_type=kind)
    return _Pieces(download.pieces, headers=headers, media_type=kind)


class _Pieces(StreamingResponse):
    """What is computed while it is sent: an error is a connection that ends before its time."""

    async def stream_response(self, send):
        try:
            await super().stream_response(send)
        except (Problem, UserError, OSError, ValueError):  # the job was removed, the server stops
            return


async def made(request: Request, here: Shared, work: Callable[..., _Made]) -> _Made:
    """Run `work(check=...)` in a thread, few at a time; it stops if its client leaves.

    Raises Problem.
    """
    left = threading.Event()

    def check():
        if here.draining.is_set():
            raise Problem("draining", "the server is being stopped; try again when it is back")
        if left.is_set():
            raise Problem("cut_off", "the client has left")

    async def watch():
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left.set()

    watching = asyncio.create_task(watch())
    try:
        return await to_thread.run_sync(partial(work, check=check), limiter=here.making)
    except (Gone, FileNotFoundError):
        raise Problem("unknown", "the job was removed") from None
    except UserError as error:
        raise Problem("bad_option", str(error).replace("--", "")) from None
    finally:
        watching.cancel()
