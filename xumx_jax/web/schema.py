"""The JSON of the interface, from which its OpenAPI document is made."""

from typing import Literal

from pydantic import BaseModel, Field

from xumx_jax.separation.residual import RESIDUAL
from xumx_jax.web import jobs, names

ROOT = "/api/v1"
State = Literal["uploading", "queued", "running", "done", "failed", "cancelled", "expired"]


class ErrorText(BaseModel):
    """What went wrong."""

    code: str = Field(description="for programs; part of the interface", examples=["not_audio"])
    message: str = Field(
        description="for people: one line",
        examples=["song.pdf: not an audio file that can be decoded"],
    )


class Error(BaseModel):
    """The body of every response with a status of 400 or more."""

    error: ErrorText


class StemOut(BaseModel):
    """A stem of a job that is done."""

    name: str = Field(examples=["vocals"])
    url: str = Field(description="its file, in the job's format")
    wav: str = Field(description="its file as WAV with 16 bits, for players: Range is cheap there")
    offset: int = Field(description="of the samples in `wav`, in bytes")
    floats: str = Field(
        description="address of its samples as they were computed, before `gain`: float32, a part "
        "at a time"
    )
    peaks: str = Field(
        description="its peaks: for every 512 frames two int8, the lowest and the highest sample; "
        "127 is full scale, before the gain"
    )
    peak: float = Field(description="its largest absolute sample, before `gain`")


class LiveStemOut(BaseModel):
    """A stem of a job that runs."""

    name: str = Field(examples=["vocals"])
    floats: str = Field(description="address of its samples, a part at a time")
    peaks: str = Field(description="its peaks, as many as there are by now")


class LiveOut(BaseModel):
    """What is there already of a job that runs, to be played along with it."""

    rate: int = Field(description="in hertz")
    channels: int
    frames: int | None = Field(
        description="samples per channel that are expected in all; null: the track does not say"
    )
    ready: int = Field(description="samples per channel that are there, of every stem")
    stems: list[LiveStemOut]


class OptionsOut(BaseModel):
    """How a job is separated."""

    model: str
    stems: list[str] | None = Field(description="those asked for; null: all")
    two_stems: str | None
    niter: int
    softmask: bool
    alpha: float
    residual: bool
    format: str = Field(description="of `stems[].url`")
    bits: str | None
    bitrate: int | None = Field(description="in kbit/s")


class JobOut(BaseModel):
    """A job."""

    id: str = Field(description="128 random bits in hexadecimal: whoever knows it has the stems")
    name: str = Field(description="that its sender gave; data, never markup")
    state: State
    progress: float = Field(description="0 to 1, of what the model computes", ge=0, le=1)
    eta_seconds: float | None = Field(description="left; null while unknown")
    ahead: int = Field(description="jobs that come before it while it is queued")
    example: bool = Field(
        description="whether it is the clip that comes with the program, which nobody has sent"
    )
    error: ErrorText | None = Field(description="of a job that failed")
    stems: list[StemOut] = Field(description="empty until it is done")
    live: LiveOut | None = Field(description="of a job that runs, once its stems have begun")
    rate: int | None = Field(description="of the stems, in hertz; null until it is done")
    channels: int | None
    frames: int | None = Field(description="samples per channel")
    gain: float | None = Field(
        description="what all stems were multiplied by so that none exceeds full scale"
    )
    null_error_db: float | None = Field(
        description="how far the sum of the model's stems is from the track, in dB below it; null "
        "for silence, and until it is done"
    )
    warnings: list[str] = Field(description="what was odd about the track, one line each")
    options: OptionsOut
    seconds: float | None = Field(description="length of the track, as its header says")
    created: float = Field(description="Unix time")
    started: float | None
    ended: float | None
    expires: float | None = Field(
        description="Unix time at which the stems are removed; null: never"
    )
    events: str = Field(description="address of its event stream")
    all: str | None = Field(description="address of all stems as a zip; null until it is done")


class JobList(BaseModel):
    """Jobs, those that wait in their order first."""

    jobs: list[JobOut]


class ModelOut(BaseModel):
    """A model that jobs may ask for."""

    name: str = Field(examples=["x-umx"])
    what: str
    licence: str | None = Field(description="of the weights; null: unknown")
    score: str | None = Field(description="published: SDR in dB on MUSDB18's test songs")
    mean_sdr_db: float | None
    here: bool = Field(
        description="whether its weights are on this server; if not, they are fetched"
    )
    licensed: bool | None = Field(
        default=None,
        description="whether its makers state a licence that allows any use; null: unknown",
    )
    wishes: dict[str, list[str]] = Field(
        default={},
        description="the tasks for which it is chosen, with the qualities: fast, good, best",
        examples=[{"4stems": ["good"], "vocals": ["good"]}],
    )
    megabytes: float | None = Field(default=None, description="of its download; null: unknown")
    seconds_per_minute: float | None = Field(
        default=None, description="that a minute of music takes, roughly; null: unknown"
    )
    measured_on: str | None = Field(
        default=None, description="cpu, gpu or tpu, of which that is known", examples=["cpu"]
    )
    protocol: str | None = Field(
        default=None,
        description="how `mean_sdr_db` was measured: museval, or whole songs; "
        "the two cannot be compared",
    )


class Task(BaseModel):
    """Models that separate the same stems."""

    task: str | None = Field(
        default=None, description="as `--task` names it, or other; null: of models from files"
    )
    what: str | None = Field(default=None, description="the task in words")
    stems: list[str] | None = Field(description="null: known once the model is loaded")
    residual: str = Field(
        default=RESIDUAL, description="what that of theirs is called", examples=["instrumental"]
    )
    models: list[ModelOut]


class Models(BaseModel):
    """What can be separated, and by which models."""

    default: str = Field(description="the model of jobs that name none")
    tasks: list[Task]


class Limits(BaseModel):
    """What a client may send, and to what."""

    max_bytes: int = Field(description="of an upload")
    max_seconds: float = Field(description="of a track")
    max_queue: int = Field(description="jobs that wait, of all clients")
    max_per_client: int = Field(description="jobs that wait or run, of one client")
    max_streams: int = Field(description="open event streams of one client")
    idle_seconds: float = Field(description="without a byte, after which an upload is cut off")
    keep_seconds: float = Field(description="for which stems are kept")
    length_wanted: bool = Field(description="whether an upload has to say its length")
    formats: dict[str, list[str]] = Field(description="of downloads, with the values of `bits`")
    bitrates: dict[str, list[int]] = Field(description="by format: default, least, most kbit/s")
    version: str = Field(description="of the server")


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The server separates."""

    status: Literal["ready"] = "ready"
    devices: list[str] = Field(description="where it computes", examples=[["cpu"]])
    models: list[str] = Field(description="those that are loaded")


def job_out(job: jobs.Job) -> JobOut:
    """A job as clients see it."""
    base, options = f"{ROOT}/jobs/{job.id}", job.options
    result = job.result if job.state == jobs.DONE else None
    return JobOut(
        id=job.id,
        name=names.cleaned(job.name),
        state=job.state,  # pyright: ignore[reportArgumentType]
        progress=1.0 if result else job.progress,
        eta_seconds=job.eta_seconds,
        ahead=job.ahead,
        example=job.example,
        error=job.error and ErrorText(code=job.error[0], message=job.error[1]),
        stems=[
            StemOut(
                name=stem.name,
                url=f"{base}/stems/{stem.name}.{options.format}",
                wav=f"{base}/stems/{stem.name}.wav?bits=16",
                offset=stem.offset,
                floats=f"{base}/stems/{stem.name}.f32",
                peaks=f"{base}/stems/{stem.name}.peaks",
                peak=stem.peak,
            )
            for stem in (result.stems if result else ())
        ],
        live=job.live and _live(job.live, base),
        rate=result.rate if result else None,
        channels=result.channels if result else None,
        frames=result.frames if result else None,
        gain=result.gain if result else None,
        null_error_db=result.null_error_db if result else None,
        warnings=list(result.warnings) if result else [],
        options=OptionsOut(
            **{
                **vars(options),
                "stems": options.stems.split(",") if options.stems is not None else None,
            }
        ),
        **{name: getattr(job, name) for name in ("seconds", "created", "started", "ended")},
        expires=job.expires,
        events=f"{base}/events",
        all=f"{base}/all.zip" if result else None,
    )


def _live(live: jobs.Live, base: str) -> LiveOut:
    stems = [
        LiveStemOut(
            name=name, floats=f"{base}/stems/{name}.f32", peaks=f"{base}/stems/{name}.peaks"
        )
        for name in live.stems
    ]
    return LiveOut(**{**vars(live), "stems": stems})
