"""A job as a stream of server-sent events."""

import asyncio
import time
from contextlib import contextmanager

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from xumx_jax.web.answers import Problem
from xumx_jax.web.jobs import ACTIVE, Job
from xumx_jax.web.routes import check_query, errors, get
from xumx_jax.web.routes.jobs import Here, Id, get_in_thread
from xumx_jax.web.schema import job_out
from xumx_jax.web.shared import Shared, client_of

router = APIRouter(tags=["jobs"], dependencies=[Depends(check_query)])
PAUSE_SECONDS, HEARTBEAT_SECONDS = 0.2, 15.0


@get(
    router,
    "/jobs/{id}/events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "the job, whenever it changes"},
        204: {"description": "it has ended, and the client has read so: nothing more will come"},
        **errors("unknown", "too_many_streams"),
    },
)
async def get_events(request: Request, here: Here, id: Id) -> Response:
    """Follow a job: its JSON as server-sent events, at most five a second, until it has ended.

    A comment comes every 15 seconds. Nothing happens to the job when its reader leaves; one that
    returns with `Last-Event-ID` after the end gets 204, so that an `EventSource` stops asking.
    """
    job = await get_in_thread(here, id)
    if request.headers.get("last-event-id") == _key(job) and job.state not in ACTIVE:
        return Response(status_code=204)
    client = client_of(request)
    most = here.settings.max_streams
    if here.streams[client] >= most:
        raise Problem("too_many_streams", f"{most} event streams of yours are open; close some")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would hold it back
    if request.method == "HEAD":
        return Response(headers=headers, media_type="text/event-stream")
    return _Events(_counted(here, client, id), headers=headers, media_type="text/event-stream")


class _Events(StreamingResponse):
    """A stream whose generator is closed when its reader leaves, at once rather than some time."""

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.body_iterator.aclose()  # pyright: ignore[reportAttributeAccessIssue]


async def _counted(here: Shared, client: str, id: str):
    with _open(here, client):
        async for text in _texts(here, id):
            yield text


@contextmanager
def _open(here: Shared, client: str):
    here.streams[client] += 1
    try:
        yield
    finally:
        here.streams[client] -= 1
        if not here.streams[client]:
            del here.streams[client]


async def _texts(here: Shared, id: str):
    sent, spoken = "", time.monotonic()
    while not here.draining.is_set():
        job = await to_thread.run_sync(here.store.get, id)
        if job is None:  # removed, by whoever had its id
            yield "event: removed\ndata: {}\n\n"
            return
        if _key(job) != sent:
            sent, spoken = _key(job), time.monotonic()
            yield f"id: {sent}\ndata: {job_out(job).model_dump_json()}\n\n"
            if job.state not in ACTIVE:
                return
        elif time.monotonic() - spoken >= HEARTBEAT_SECONDS:
            spoken = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(PAUSE_SECONDS)


def _key(job: Job) -> str:
    return f"{job.state}-{job.version}"
