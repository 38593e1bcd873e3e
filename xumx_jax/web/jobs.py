"""What a job is: a track that was sent, what is to be done with it, and what became of it."""

from dataclasses import dataclass

UPLOADING, QUEUED, RUNNING = "uploading", "queued", "running"
DONE, FAILED, CANCELLED, EXPIRED = "done", "failed", "cancelled", "expired"
STATES = (UPLOADING, QUEUED, RUNNING, DONE, FAILED, CANCELLED, EXPIRED)
WAITING = (UPLOADING, QUEUED)  # what counts against the limit of the queue, and
ACTIVE = (*WAITING, RUNNING)  # that of a client
EXAMPLE = "example,"  # as `Job.client`: no address, even of a proxy's header, has a comma
ENDED = (DONE, FAILED, CANCELLED)  # what expires


@dataclass(frozen=True)
class Options:
    """How a track is separated, as far as clients may choose.

    model     one of the names that the server offers
    stems     "vocals,bass", or None for all; `two_stems` "vocals": it and the rest
    niter, softmask, alpha, residual   of a `Separator`
    format, bits, bitrate   of the files that a download gives unless it asks for others
    """

    model: str
    stems: str | None = None
    two_stems: str | None = None
    niter: int = 1
    softmask: bool = False
    alpha: float = 1.0
    residual: bool = False
    format: str = "wav"
    bits: str | None = None
    bitrate: int | None = None


@dataclass(frozen=True)
class Stem:
    """A stem of a job that is done: `<name>.wav` (16 bits) and `<name>.f32` in the job's folder.

    offset   of the samples in the WAV file, in bytes
    peak     the largest absolute sample, before the gain
    """

    name: str
    offset: int
    peak: float


@dataclass(frozen=True)
class Result:
    """What a job that is done has made.

    rate, channels, frames   of every stem; a frame is one sample of each channel
    gain       what the WAV files were multiplied by so that none exceeds full scale; the .f32 files
               hold float32 [frame, channel] without it
    """

    rate: int
    channels: int
    frames: int
    gain: float
    stems: tuple[Stem, ...]
    null_error_db: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Live:
    """What is there already of a job that runs: the beginning of each `<name>.f32` in its folder.

    rate, channels   of every stem
    frames   how many there will be, None unless the track's header says it exactly
    ready    how many are there
    stems    their names
    """

    rate: int
    channels: int
    frames: int | None
    ready: int
    stems: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """A job at one moment; the `Store` makes new ones as it changes.

    id         128 random bits in hexadecimal, the only key to it
    name       that the client gave its file; shown, and never the name of a file here
    client     whom it counts against: an address
    bytes, seconds   of the upload, once known
    progress   0 to 1 while it runs; `eta_seconds` None while unknown
    live       of a job that runs, once its stems have begun
    ahead      jobs that come before it while it waits
    error      (code, one line) of a job that failed, else None
    created, started, ended, expires   Unix times, None for what has not happened
    version    grows with every change, so that a stream knows what it has sent
    """

    id: str
    state: str
    name: str
    client: str
    options: Options
    created: float
    bytes: int = 0
    seconds: float | None = None
    progress: float = 0.0
    eta_seconds: float | None = None
    live: Live | None = None
    ahead: int = 0
    error: tuple[str, str] | None = None
    result: Result | None = None
    started: float | None = None
    ended: float | None = None
    expires: float | None = None
    version: int = 0

    @property
    def example(self) -> bool:
        """Whether it is the bundled clip, which no client has sent."""
        return self.client == EXAMPLE
