"""Jobs: sent, looked at, listed, moved, removed."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from xumx_jax.web import sending, uploads
from xumx_jax.web.answers import Problem
from xumx_jax.web.errors import Gone
from xumx_jax.web.jobs import ACTIVE, Job
from xumx_jax.web.routes import check_query, errors, get
from xumx_jax.web.schema import JobList, JobOut, job_out
from xumx_jax.web.shared import Shared, shared

router = APIRouter(tags=["jobs"], dependencies=[Depends(check_query)])
Id = Annotated[str, Path(description="of the job")]
Here = Annotated[Shared, Depends(shared)]
_BODY = {
    "requestBody": {
        "required": True,
        "description": "the file itself, audio or video in any format, as it is",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def found(here: Shared, id: str) -> Job:
    """A job. Raises Problem if there is none of that id."""
    job = here.store.get(id)
    if job is None:
        raise Problem("unknown", "there is no such job, or not any more")
    return job


def local(request: Request) -> None:
    """Raise Problem unless the client is one of this machine or has the token."""
    if not request.scope["xumx.local"]:
        raise Problem("not_local", "the list of jobs is for this machine, or for a token's owner")


@router.put("/jobs", status_code=202, include_in_schema=False)  # what curl -T sends
@router.post(
    "/jobs",
    status_code=202,
    response_description="the job, which waits now",
    responses=errors(
        *("bad_option", "no_token", "foreign_host", "foreign_origin", "too_slow", "length_wanted"),
        *("too_large", "not_audio", "bad_type", "too_long", "cut_off", "took_too_long"),
        *("too_many", "draining", "no_room"),
    ),
    openapi_extra=_BODY,
)
async def create_job(
    request: Request,
    response: Response,
    here: Here,
    name: Annotated[
        str, Query(description="of the file, for the names of its stems", max_length=1000)
    ] = "track",
    model: Annotated[
        str | None, Query(description="one of /api/v1/models; default: its default")
    ] = None,
    stems: Annotated[
        str | None, Query(description="some of the model's, A,B; default: all")
    ] = None,
    two_stems: Annotated[str | None, Query(description="this stem and the rest")] = None,
    niter: Annotated[int, Query(description="iterations of the Wiener filter", ge=0, le=10)] = 1,
    softmask: Annotated[bool, Query(description="start from ratio masks")] = False,
    alpha: Annotated[float, Query(description="exponent of the ratio masks", gt=0, le=10)] = 1.0,
    residual: Annotated[bool, Query(description="a stem more: what the others leave")] = False,
    format: Annotated[
        str, Query(description="of downloads: wav, flac, mp3, ogg, m4a, opus")
    ] = "wav",
    bits: Annotated[str | None, Query(description="16, 24 or 32f (wav), 16 or 24 (flac)")] = None,
    bitrate: Annotated[int | None, Query(description="of the others, in kbit/s")] = None,
) -> JobOut:
    """Send a track: the body is the file itself, and the job waits in the queue when it is here.

    `curl -T song.mp3 'http://127.0.0.1:8000/api/v1/jobs?name=song.mp3'`. An upload that is cut off
    leaves nothing; closing the page later cancels nothing. PUT, which curl sends, is the same.
    """
    options = uploads.options_of(
        here,
        model=model,
        stems=stems,
        two_stems=two_stems,
        niter=niter,
        softmask=softmask,
        alpha=alpha,
        residual=residual,
        format=format,
        bits=bits,
        bitrate=bitrate,
    )
    job = await uploads.receive(request, here, name, options)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job_out(job)


@get(
    router,
    "/jobs",
    response_model=JobList,
    responses={
        304: {"description": "nothing has changed since the answer with the ETag of If-None-Match"},
        **errors("no_token", "not_local"),
    },
    dependencies=[Depends(local)],
)
def list_jobs(request: Request, response: Response, here: Here) -> JobList | Response:
    """List all jobs: for clients on the server's machine, and for those who have its token.

    The answer has an `ETag`, so that asking again and again costs little.
    """
    tag = f'"{here.store.moment()}"'  # before it is looked at: what changes meanwhile is sent again
    headers = {"ETag": tag, "Cache-Control": f"private, {sending.ASKED_AGAIN}"}
    if tag in sending.tags_known(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return JobList(jobs=[job_out(job) for job in here.store.jobs()])


@get(router, "/jobs/{id}", responses=errors("unknown"))
def get_job(here: Here, id: Id) -> JobOut:
    """Look at a job."""
    return job_out(found(here, id))


@router.delete(
    "/jobs/{id}",
    status_code=204,
    response_description="it had ended, and is removed",
    responses={202: {"description": "it was waiting or running, and is cancelled"}}
    | errors("no_token", "foreign_origin", "unknown", "example"),
)
def remove_job(here: Here, id: Id) -> Response:
    """Cancel a job, and remove all there is of it."""
    job = found(here, id)
    if job.example:
        raise Problem("example", "this is the example of the program, which stays")
    if not here.store.remove(id):
        raise Problem("unknown", "there is no such job, or not any more")
    return Response(status_code=202 if job.state in ACTIVE else 204)


@router.post(
    "/jobs/{id}/move",
    responses=errors(
        "bad_option", "no_token", "foreign_origin", "not_local", "unknown", "not_queued"
    ),
    dependencies=[Depends(local)],
)
def move_job(
    here: Here,
    id: Id,
    before: Annotated[
        str | None,
        Query(description="id of the queued job that it is put before; default: the end"),
    ] = None,
) -> JobOut:
    """Put a job that waits before another one, or at the end of the queue.

    For clients on the server's machine, and for those who have its token.
    """
    found(here, id)
    try:
        return job_out(here.store.move(id, before))
    except Gone as error:
        raise Problem("not_queued", str(error)) from None


async def get_in_thread(here: Shared, id: str) -> Job:
    """`found`, for routes that run in the event loop."""
    return await to_thread.run_sync(found, here, id)
