"""What a player reads of stems, also of a job that still runs: samples, peaks, a picture."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from xumx_jax.web import sending, spectrogram
from xumx_jax.web.answers import Problem
from xumx_jax.web.jobs import Job, Live, Result
from xumx_jax.web.routes import check_query, errors, get
from xumx_jax.web.routes.jobs import Here, Id, get_in_thread
from xumx_jax.web.routes.stems import NOT_DONE, RANGE, Start, Stem, check_stem, result_of
from xumx_jax.web.shared import Shared

router = APIRouter(tags=["stems"], dependencies=[Depends(check_query)])
MOST_SECONDS = 30  # of samples in one answer


@get(
    router,
    "/jobs/{id}/stems/{stem}.f32",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/octet-stream": {}},
            "description": "float32 [frame, channel], little-endian",
        },
        **errors("bad_option", *NOT_DONE),
    },
)
async def get_floats(
    request: Request,
    here: Here,
    id: Id,
    stem: Stem,
    start: Start = 0,
    frames: Annotated[
        int | None,
        Query(description="how many, at most 30 s; default: what is there, up to 30 s", ge=0),
    ] = None,
) -> Response:
    """Get samples of a stem as they were computed, before the gain: at most 30 s in one answer.

    A job that runs gives what `live.ready` says is there, so that one can listen before its end.
    """
    job, made = await _begun(here, id, stem)
    there = made.ready if isinstance(made, Live) else made.frames
    most = MOST_SECONDS * made.rate
    if start > there:
        raise _beyond(job, f"start is {start}", there)
    frames = min(most, there - start) if frames is None else frames
    if frames > most:
        raise Problem("bad_option", f"frames is {frames}; wanted at most {most}, {MOST_SECONDS} s")
    if start + frames > there:
        raise _beyond(job, f"frames is {frames} from {start} on", there)
    frame = 4 * made.channels
    path = here.store.folder(job.id) / f"{stem}.f32"
    return sending.part(request, path, start * frame, frames * frame, "application/octet-stream")


@get(
    router,
    "/jobs/{id}/stems/{stem}.peaks",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "int8 [frame / 512, 2]"},
        **RANGE,
        **errors(*NOT_DONE),
    },
)
async def get_peaks(here: Here, id: Id, stem: Stem) -> Response:
    """Get a stem's peaks, to draw it: for every 512 frames two int8, lowest and highest sample.

    They are those of all channels together; 127 is full scale, before the gain. While the job runs
    these are the first of them.
    """
    job, made = await _begun(here, id, stem)
    path = here.store.folder(job.id) / f"{stem}.peaks"
    kept = sending.ASKED_AGAIN if isinstance(made, Live) else sending.KEPT
    return sending.file(path, None, "application/octet-stream", kept)


@get(
    router,
    "/jobs/{id}/stems/{stem}.png",
    response_class=FileResponse,
    responses={
        200: {"content": {"image/png": {}}, "description": "the picture"},
        **RANGE,
        **errors("bad_option", *NOT_DONE),
    },
)
async def get_spectrogram(
    request: Request,
    here: Here,
    id: Id,
    stem: Stem,
    width: Annotated[
        int, Query(description="in pixels", ge=spectrogram.WIDTHS[0], le=spectrogram.WIDTHS[1])
    ] = 1200,
    height: Annotated[
        int, Query(description="in pixels", ge=spectrogram.HEIGHTS[0], le=spectrogram.HEIGHTS[1])
    ] = 256,
) -> Response:
    """Get a stem's spectrogram: time to the right, and octaves from 40 Hz to 20 kHz upwards.

    It is light on dark, transparent where nothing is heard, and as wide as the song is long.
    """
    job = await get_in_thread(here, id)
    result = result_of(job)
    check_stem(stem, [one.name for one in result.stems])
    folder = here.store.folder(job.id)
    work = partial(spectrogram.picture, folder, result, stem, width, height)
    return sending.file(await sending.made(request, here, work), None, "image/png")


async def _begun(here: Shared, id: str, stem: str) -> tuple[Job, Live | Result]:
    """A job that has such a stem, or a beginning of it. Raises Problem."""
    job = await get_in_thread(here, id)
    if job.live is None:
        result = result_of(job)
        check_stem(stem, [one.name for one in result.stems])
        return job, result
    check_stem(stem, job.live.stems)
    return job, job.live


def _beyond(job: Job, got: str, there: int) -> Problem:
    if job.live is None:
        return Problem("bad_option", f"{got}; the song has {there} frames")
    return Problem("not_done", f"{got}; the job is running, and {there} frames are there yet")
