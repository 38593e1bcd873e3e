"""The threads that separate: two a device, so that one writes while the other computes."""

import errno
import logging
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from xumx_jax import runtime
from xumx_jax.errors import Cancelled, UserError
from xumx_jax.web import decoding, example
from xumx_jax.web.errors import Gone, NoModel, NoRoom, shown
from xumx_jax.web.floats import Floats, write_tags
from xumx_jax.web.jobs import Job, Live, Options, Result, Stem
from xumx_jax.web.models import Separators, offered
from xumx_jax.web.settings import Settings
from xumx_jax.web.store import INPUT, Store
from xumx_jax.web.turns import Turns

LOG = logging.getLogger(__name__)
THREADS = 2  # a device: the second one for a short job beside a long one, too
_IDLE_SECONDS = 0.2  # between two looks at whether to stop


class Device:
    """A device, its Separators and whose turn it is there.

    label  JAX's name of it
    """

    def __init__(self, settings: Settings, label: str, name: str):
        self.label, self.turns = label, Turns()
        self.separators = Separators(settings, name)
        self.lock, self.long = threading.Lock(), False  # whether a long job runs here


class Workers:
    """The threads of all devices, which take the jobs of a store one by one.

    `start` finds the devices: UserError if there is none of those that were asked for, or a model
    is not there. It makes settings of the whole process, before JAX starts. The default model is
    then loaded in the background; `ready` says how that went.
    """

    def __init__(self, store: Store, settings: Settings):
        self._store, self._settings = store, settings
        self._devices: list[Device] = []
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._loaded, self._error = 0, None

    def start(self) -> None:
        """Find the devices and begin to work."""
        runtime.prepare(self._settings.device)
        self._default = next(iter(offered(self._settings)))
        self._devices = [
            Device(self._settings, label, name) for label, name in devices(self._settings.device)
        ]
        for device in self._devices:
            for number in range(THREADS):
                thread = threading.Thread(
                    target=self._work, args=(device, number == 0), name="separate", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def stop(self, seconds: float) -> bool:
        """Stop at the next block: jobs that run wait again. False if some have not stopped by then.

        Those are queued again when the next server starts.
        """
        self._stopping.set()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def ready(self) -> dict:
        """{"ready": whether jobs can be done, "devices", "models" that are loaded, "error"}.

        "error" is one line, None if the default model could be loaded, or still may.
        """
        loaded = {name for device in self._devices for name in device.separators.models()}
        return {
            "ready": bool(self._devices) and self._loaded == len(self._devices),
            "devices": [device.label for device in self._devices],
            "models": sorted(loaded),
            "error": self._error,
        }

    def _work(self, device, first):
        if first:
            self._prepare(device)
            if device is self._devices[0]:  # now, since it should not delay the first
                example.offer(self._store)
        while not self._stopping.is_set():
            try:
                with self._next(device) as job:
                    if job is not None:
                        self._run(job, device)
            except Exception:  # such as a full disk: the thread goes on
                if self._stopping.is_set():  # the store may be closed by now
                    return
                LOG.exception("jobs cannot be taken or ended")
                self._stopping.wait(_IDLE_SECONDS)

    def _prepare(self, device):
        """Load the default model, so that the first job need not wait for it."""
        try:
            with device.separators.using(Options(self._default)):
                self._loaded += 1
        except Exception as error:
            self._error = str(error) if isinstance(error, UserError) else "the model is damaged"
            LOG.error("model %r cannot be loaded", self._default, exc_info=error)

    @contextmanager
    def _next(self, device):
        """Take the next job, or wait a little -> the job or None.

        One thread of a device takes no long jobs while the other one has one: short ones, which
        may come at any time, always find a thread.
        """
        with device.lock:
            job = self._store.take(long_too=not device.long)
            long = job is not None and self._store.is_long(job)
            device.long |= long
        try:
            if job is None:
                self._store.wait(_IDLE_SECONDS)
            yield job
        finally:
            if long:
                device.long = False

    def _run(self, job: Job, device: Device) -> None:
        """Do a job, whatever becomes of it."""
        folder = self._store.folder(job.id)
        try:
            try:
                result = self._separate(job, device, folder)
                if job.example:
                    example.seal(self._store, job.id)
                self._store.done(job.id, result)
            except Exception as error:
                if self._store.cancelled(job.id):
                    raise Gone("the job was removed") from None
                if self._stopping.is_set():
                    self._store.requeue(job.id)
                else:
                    self._store.failed(job.id, *self._reason(error, folder))
                    if job.example:  # which nobody has sent, so that nobody need be told
                        self._store.remove(job.id)
        except Gone:
            self._store.left(job.id)

    def _separate(self, job, device, folder) -> Result:
        from xumx_jax.audio.resample import whole_rate
        from xumx_jax.separation.file import separate_file
        from xumx_jax.separation.selection import choose

        def stopped():
            return self._stopping.is_set() or self._store.cancelled(job.id)

        def check():
            if stopped():
                raise Cancelled("the job was stopped")

        def progress(fraction, eta):
            self._store.progress(job.id, fraction, eta)
            self._store.check_room()  # a small file may become gigabytes of stems
            turn.let_pass(check)

        long, options = self._store.is_long(job), job.options
        separators = device.separators.of_example() if job.example else device.separators
        with separators.using(options) as kept, device.turns.turn(long or job.example) as turn:
            chosen = choose(kept.separator.sources, options.stems, options.two_stems)
            limits = decoding.Limits(max_seconds=self._settings.max_seconds)
            with decoding.open_in_child(folder / INPUT, job.name, limits) as stream:
                write_tags(folder, stream.tags)
                form = (whole_rate(stream.rate), min(2, stream.channels), stream.length)

                def ready(frames):
                    self._store.grown(job.id, Live(*form, frames, tuple(chosen)))

                with Floats(folder, chosen, ready) as floats:
                    found = separate_file(
                        kept.separator,
                        stream,
                        {stem: folder / f"{stem}.wav" for stem in chosen},
                        stems=options.stems,
                        two_stems=options.two_stems,
                        label=job.name,
                        on_progress=progress,
                        cancelled=stopped,
                        device_lock=turn,
                        on_block=floats,
                    )
        warnings = [kept.instead] * bool(kept.instead) + [
            shown(line, folder) for line in found.warnings
        ]
        return Result(
            rate=found.stems_rate,
            channels=form[1],
            frames=found.stems_samples,
            gain=found.gain,
            stems=tuple(
                Stem(stem, offset_of(path), found.peaks[stem]) for stem, path in found.paths.items()
            ),
            null_error_db=found.null_error_db,
            warnings=tuple(warnings),
        )

    def _reason(self, error, folder) -> tuple[str, str]:
        """The code and the line that clients get for an error; the log gets the rest."""
        if isinstance(error, UserError):
            if isinstance(error, NoModel | NoRoom):  # not others, which name their tracks
                LOG.error("a job failed: %s", error, exc_info=error.__cause__)
            cause = error.__context__
            full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
            code = NoRoom.code if full else getattr(error, "code", "bad_input")
            return code, shown(str(error), folder)
        from xumx_jax.separation.out_of_memory import is_out_of_memory

        if isinstance(error, MemoryError) or is_out_of_memory(error):
            LOG.error("a job failed: out of memory", exc_info=error)
            return "out_of_memory", "the server has too little memory for this track"
        LOG.error("a job failed", exc_info=error)
        return "internal", "the server made a mistake, which its log describes"


def devices(kind: str) -> list[tuple[str, str]]:
    """[(JAX's name, what a Separator calls it)] of the devices of a kind that work side by side.

    All processors of the machine are one: a Separator uses every core anyway. Raises UserError.
    """
    found = runtime.devices(kind)
    if found[0].platform == "cpu" or len(found) == 1:
        return [(found[0].device_kind, kind)]
    return [
        (f"{device.device_kind} {number}", f"{device.platform}:{number}")
        for number, device in enumerate(found)
    ]


def offset_of(path: Path) -> int:
    """Where the samples of a WAV file that we wrote begin, in bytes."""
    with path.open("rb") as file:
        return file.read(256).index(b"data") + 8
