"""What a job has made: stems in any format, mixes of any balance, a zip of all."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from xumx_jax.web import archive, jobs, mixing, sending
from xumx_jax.web.answers import Problem
from xumx_jax.web.balance import Balance
from xumx_jax.web.jobs import Job, Result
from xumx_jax.web.routes import check_query, errors, get, parameters
from xumx_jax.web.routes.jobs import Here, Id, get_in_thread
from xumx_jax.web.shared import Shared

router = APIRouter(tags=["stems"])
Stem = Annotated[str, Path(description="name of one of the job's stems")]
Format = Literal["wav", "flac", "mp3", "ogg", "m4a", "opus"]
Form = Annotated[Format, Path(description="of the file")]
Bits = Annotated[
    Literal["16", "24", "32f"] | None,
    Query(
        description="of a sample: 16, 24 or 32f (wav), 16 or 24 (flac); default: the job's, or 16"
    ),
]
Bitrate = Annotated[
    int | None,
    Query(description="of lossy formats, in kbit/s; default: the job's, or the format's own"),
]
Start = Annotated[int, Query(description="first frame of a region", ge=0)]
Frames = Annotated[int | None, Query(description="frames of a region; default: to the end", ge=1)]
TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "opus": "audio/ogg",
    "zip": "application/zip",
}
NOT_DONE = ("unknown", "not_done", "failed", "cancelled", "expired")
RANGE = {206: {"description": "the part of the file that `Range` asked for"}}

_SOUND = {
    200: {
        "content": {
            kind: {} for kind in dict.fromkeys(TYPES.values()) if kind != "application/zip"
        },
        "description": "the file, as an attachment",
    }
}


@get(
    router,
    "/jobs/{id}/stems/{stem}.{format}",
    response_class=FileResponse,
    dependencies=[Depends(check_query)],
    responses=_SOUND | RANGE | errors("bad_option", "bad_range", *NOT_DONE),
)
async def get_stem(
    request: Request,
    here: Here,
    id: Id,
    stem: Stem,
    format: Form,
    bits: Bits = None,
    bitrate: Bitrate = None,
    start: Start = 0,
    frames: Frames = None,
) -> Response:
    """Get a stem, whole, or a region of it, as an attachment with the song's name.

    It is what `xumx separate` writes, bit for bit. Whole stems take `Range`, and have an `ETag`.
    """
    job, result = await _done(here, id, stem)
    form = _form(job, format, bits, bitrate)
    name = archive.file_name(job.name, stem, format)
    folder = here.store.folder(job.id)
    if start or frames is not None:
        work = partial(mixing.region, folder, result, stem, start, frames, *form)
        return await sending.streamed(request, here, work, name, TYPES[format])
    path = await sending.made(request, here, partial(mixing.encoded, folder, result, stem, *form))
    return sending.file(path, name, TYPES[format])


@get(
    router,
    "/jobs/{id}/mix.{format}",
    response_class=StreamingResponse,
    responses=_SOUND | errors("bad_option", *NOT_DONE),
    openapi_extra={
        "parameters": [
            {
                "in": "query",
                "name": "balance",
                "style": "form",
                "explode": True,
                "description": "a parameter for each stem that is heard, called like the stem: its "
                "gain, 0 to 10, and after a comma its pan, -1 (left) to 1 (right)",
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
                "example": {"vocals": "0.8", "drums": "1,-0.3"},
            }
        ]
    },
)
async def get_mix(
    request: Request,
    here: Here,
    id: Id,
    format: Form,
    bits: Bits = None,
    bitrate: Bitrate = None,
    start: Start = 0,
    frames: Frames = None,
    speed: Annotated[
        float, Query(description="times as fast, at the same pitch", ge=0.5, le=2)
    ] = 1.0,
    transpose: Annotated[
        int, Query(description="semitones higher, at the same speed", ge=-12, le=12)
    ] = 0,
) -> Response:
    """Mix stems in any balance, whole or a region, slower or faster, higher or lower.

    WAV is computed while it is sent.
    """
    job, result = await _done(here, id)
    balance = Balance(_parts(request), start, frames, speed, transpose)
    form = _form(job, format, bits, bitrate)
    work = partial(mixing.mix, here.store.folder(job.id), result, balance, *form)
    name = archive.file_name(job.name, "+".join(balance.parts), format)
    return await sending.streamed(request, here, work, name, TYPES[format])


@get(
    router,
    "/jobs/{id}/all.zip",
    response_class=StreamingResponse,
    dependencies=[Depends(check_query)],
    responses={
        200: {"content": {"application/zip": {}}, "description": "the zip, as an attachment"},
        **errors("bad_option", *NOT_DONE),
    },
)
async def get_zip(
    request: Request,
    here: Here,
    id: Id,
    format: Annotated[Format | None, Query(description="default: the job's")] = None,
    bits: Bits = None,
    bitrate: Bitrate = None,
) -> Response:
    """Get all stems as one zip, which stores them as they are."""
    job, result = await _done(here, id)
    chosen = format or job.options.format
    form = _form(job, chosen, bits, bitrate)
    folder = here.store.folder(job.id)

    def work(check):
        paths = {}
        for stem in result.stems:
            path = mixing.encoded(folder, result, stem.name, *form, check=check)
            paths[archive.file_name(job.name, stem.name, chosen)] = path
        return archive.zipped(paths)

    name = f"{archive.song(job.name)}.zip"
    return await sending.streamed(request, here, work, name, TYPES["zip"])


async def _done(here: Shared, id: str, stem: str | None = None) -> tuple[Job, Result]:
    """A job that is done, and its result. Raises Problem if it is not, or has no such stem."""
    job = await get_in_thread(here, id)
    result = result_of(job)
    if stem is not None:
        check_stem(stem, [one.name for one in result.stems])
    return job, result


def result_of(job: Job) -> Result:
    """The result of a job that is done. Raises Problem if it is not."""
    if job.state == jobs.FAILED and job.error is not None:
        raise Problem("failed", f"the job failed: {job.error[1]}")
    if job.state == jobs.EXPIRED:
        raise Problem("expired", "the stems were removed, since their time was over")
    if job.state == jobs.CANCELLED:
        raise Problem("cancelled", "the job was cancelled")
    if job.state != jobs.DONE or job.result is None:
        raise Problem("not_done", f"the job is {job.state}; its stems are not there yet")
    return job.result


def check_stem(stem: str, known: Iterable[str]) -> None:
    """Raise Problem if a job has no such stem."""
    if stem not in known:
        raise Problem("unknown", f"the job has no stem {stem[:80]!r}; it has {', '.join(known)}")


def _form(job: Job, format: str, bits, bitrate) -> tuple[str, str | None, int | None]:
    """Format, bits and bitrate of a file: where a request is silent, those of the job."""
    options = job.options
    if format == options.format:
        bits, bitrate = bits or options.bits, bitrate or options.bitrate
    return format, bits, bitrate


def _parts(request: Request) -> dict[str, tuple[float, float]]:
    """The balance that the parameters name. Raises Problem."""
    parts, others = {}, parameters(get_mix)
    for name, text in request.query_params.multi_items():
        if name in others:
            continue
        if name in parts:
            raise Problem("bad_option", f"{name[:40]}: got it twice; wanted it once")
        try:
            gain, _, pan = text.partition(",")
            parts[name] = (float(gain), float(pan or 0))
        except ValueError:
            raise Problem(
                "bad_option", f"{name[:40]}: got {text[:40]!r}; wanted GAIN or GAIN,PAN"
            ) from None
    return parts
