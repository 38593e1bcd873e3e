"""Uploads: from a request's body to a job that waits in the queue, or to nothing at all."""

import asyncio
import re
import time
from functools import partial

import anyio
from anyio import to_thread
from starlette.requests import ClientDisconnect, Request

from xumx_jax.audio.formats import check_format
from xumx_jax.errors import UserError
from xumx_jax.separation.engine import check_options
from xumx_jax.separation.residual import residual_name
from xumx_jax.separation.selection import check_choice, choose
from xumx_jax.web import decoding, names
from xumx_jax.web.answers import Problem
from xumx_jax.web.catalogue import stems_of
from xumx_jax.web.jobs import Job, Options
from xumx_jax.web.settings import MEGABYTE
from xumx_jax.web.shared import Shared, client_of
from xumx_jax.web.store import INPUT

_TYPES = re.compile(r"(application/octet-stream|audio/[\w.+-]+|video/[\w.+-]+)\s*(;.*)?", re.I)
_LOOK_SECONDS = 0.2  # between two looks at whether the server is being stopped
_PIECE = MEGABYTE  # bytes that are written to the disk at once


def options_of(here: Shared, *, model: str | None, **given) -> Options:
    """The options of a job. Raises Problem, naming the parameter, if they make no sense."""
    model = model if model is not None else next(iter(here.offered))
    if model not in here.offered:
        known = ", ".join(here.offered)
        raise Problem("bad_option", f"model: unknown model {model[:80]!r}; known: {known}")
    try:
        check_options(**{name: given[name] for name in ("niter", "softmask", "alpha")})
        check_choice(given["stems"], given["two_stems"], None)
        if stems := stems_of(here.offered[model]):
            sources = (*stems, residual_name(stems)) if given["residual"] else stems
            choose(sources, given["stems"], given["two_stems"])
        check_format(given["format"], given["bits"], given["bitrate"])
    except UserError as error:
        text = re.sub(r"--([a-z-]+)", lambda option: option[1].replace("-", "_"), str(error))
        raise Problem("bad_option", text) from None
    return Options(model=model, **given)


async def receive(request: Request, here: Shared, name: str, options: Options) -> Job:
    """Receive a file as a new job. Raises Problem; whatever goes wrong, nothing is left then."""
    check_head(request, here)
    name = names.cleaned(name)
    job = await to_thread.run_sync(here.store.create, name, options, client_of(request))
    try:
        size = await _written(request, here, job)
        seconds = await _seconds(here, job)
        return await to_thread.run_sync(here.store.uploaded, job.id, size, seconds)
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(here.store.discard, job.id)
        if isinstance(error, decoding.Refused):
            raise Problem(error.code, str(error)) from None
        if isinstance(error, ClientDisconnect):  # nobody hears this
            raise Problem("cut_off", f"{name}: the upload was cut off") from None
        raise


def check_head(request: Request, here: Shared) -> None:
    """Raise Problem if the headers alone show that an upload cannot be taken."""
    kind, length = request.headers.get("content-type"), request.headers.get("content-length")
    if kind is not None and not _TYPES.fullmatch(kind):
        raise Problem(
            "bad_type",
            f"Content-Type is {kind[:80]!r}; wanted application/octet-stream, audio/* or video/*, "
            "with the file itself as the body (curl -T FILE)",
        )
    coding = request.headers.get("content-encoding", "identity")
    if coding != "identity":
        raise Problem("bad_type", f"Content-Encoding is {coding[:80]!r}; wanted none")
    if length is None and here.settings.length_wanted:
        raise Problem("length_wanted", "wanted a Content-Length")
    if length is not None and int(length) > here.settings.max_bytes:
        raise _too_large(here)


def _too_large(here) -> Problem:
    most = here.settings.max_bytes / MEGABYTE
    return Problem("too_large", f"the file is too large; wanted at most {most:g} MB")


async def _written(request, here: Shared, job) -> int:
    """Write the body to the job's folder -> its size in bytes."""
    size, waiting, unchecked = 0, bytearray(), 0
    path = here.store.folder(job.id) / INPUT
    with await to_thread.run_sync(partial(open, path, "xb")) as file:
        async for piece in _pieces(request, here):
            size += len(piece)
            if size > here.settings.max_bytes:
                raise _too_large(here)
            here.uploaded += len(piece)
            waiting += piece
            if len(waiting) >= _PIECE:
                await to_thread.run_sync(file.write, bytes(waiting))
                unchecked += len(waiting)
                waiting.clear()
            if unchecked >= 16 * _PIECE:
                await to_thread.run_sync(here.store.check_room)
                unchecked = 0
        await to_thread.run_sync(file.write, bytes(waiting))
    if not size:
        raise Problem("not_audio", f"{job.name}: the file is empty")
    return size


async def _pieces(request, here: Shared):
    """The pieces of a body as they come. Raises Problem if none comes for too long."""
    pieces = aiter(request.stream())
    idle = here.settings.idle_seconds
    while True:
        _check_draining(here)
        coming = asyncio.ensure_future(anext(pieces))
        end = time.monotonic() + idle
        try:
            while not (await asyncio.wait({coming}, timeout=min(_LOOK_SECONDS, idle)))[0]:
                _check_draining(here)
                if time.monotonic() >= end:
                    raise Problem("too_slow", f"nothing of the file came for {idle:g} s")
            piece = coming.result()
        except StopAsyncIteration:
            return
        finally:
            coming.cancel()
        yield piece


def _check_draining(here):
    if here.draining.is_set():
        raise Problem("draining", "the server is being stopped; send the file again later")


async def _seconds(here: Shared, job) -> float | None:
    """The length of the track, as a child process finds it. Raises decoding.Refused."""
    limits = decoding.Limits(max_seconds=here.settings.max_seconds)
    path = here.store.folder(job.id) / INPUT
    look = partial(decoding.probe, path, job.name, limits)
    probe = await to_thread.run_sync(look, limiter=here.probing)
    return probe.seconds or None
