"""Separate many tracks on a server that runs `xumx serve`; JAX is not imported here."""

import os
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from xumx_jax import files
from xumx_jax.audio.formats import is_float
from xumx_jax.client import Client, ServerError
from xumx_jax.commands import console
from xumx_jax.commands.batch.job import TrackJob, closing_pipe
from xumx_jax.commands.batch.run import run_all
from xumx_jax.commands.options import TOKEN
from xumx_jax.errors import Cancelled, UserError
from xumx_jax.separation import record
from xumx_jax.separation.residual import RESIDUAL
from xumx_jax.separation.selection import choose

# What the server applies, with the values that it takes when nothing is given
_APPLIED = {"niter": 1, "softmask": False, "alpha": 1.0, "residual": False}
# {option: its default} of what only local separation does
_LOCAL = {
    **{"combine": None, "device": "auto", "allow_fallback": False, "strict": False},
    **{"start": 0.0, "duration": None, "allow_truncated": False, "aggregate": None},
    **{"channels": "front", "rate": "original", "logit": None, "wiener_frames": None},
    **{"post_filter": None, "shifts": 0, "seed": 0, "chunk_seconds": None, "overlap": None},
    **{"protocol": None, "transition_power": 1.0, "mid_side": False, "batch": None},
    **{"denoise": False, "compute": "float32"},
    **{"manifest": None, "shard": None, "runner": "local", "address": None, "worker_cores": None},
}
_ATTENUATED = "samples reach "  # how the warning begins that the gain of 16 bits needs


def check(options, models) -> None:
    """Raise UserError for an option that does not reach the server, naming it."""
    for name, usual in _LOCAL.items():
        if getattr(options, name) != usual:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} does not work with --server; separate here, or leave it out")
    if len(models) > 1 or models[0][1] != 1:
        raise UserError("--server takes one --model, without a weight")


def separate(models, tracks, options, report) -> None:
    """Let the server separate the tracks; raises errors that concern more than one track."""
    piped = console.STDOUT in (options.out, options.json)
    say_line = partial(console.say_line, out=sys.stderr if piped else sys.stdout)
    try:
        client = Client(options.server, options.token or os.environ.get(TOKEN))
        known = client.models()
    except ServerError as error:
        raise UserError(f"--server {error}" if not error.status else str(error)) from None
    model = models[0][0] or known["default"]
    sources = _sources(known, model, options)
    chosen = choose(sources, options.stems, options.two_stems, options.mix)
    if report.path:
        report.head |= {"models": [{"name": model, "weight": 1.0}], "server": client.url}
    say_line(f"model {model}; server {client.url}")
    with console.stoppable() as stop:
        job = RemoteJob(client, model, options, chosen, stop)
        run_all(job, tracks, report, say_line, None, "server")


def _sources(known, model, options) -> tuple[str, ...]:
    """The stems of a model of the server's. Raises UserError for one that it has not got."""
    tasks = {one["name"]: task for task in known["tasks"] for one in task["models"]}
    if model not in tasks:
        raise UserError(f"--model {model}: the server has {', '.join(tasks)}")
    stems = tasks[model]["stems"]
    if stems is None:  # only its weights tell; what is asked for is taken for granted
        asked = (options.stems or "").split(",") + (options.mix or "").split("+")
        asked = [name.strip() for name in asked if name.strip()]
        if not asked:
            raise UserError(
                f"--model {model}: the server does not say which stems it has; use --stems or --mix"
            )
        return tuple(asked)
    # a server of an earlier version knows no other name
    return (*stems, *[tasks[model].get("residual", RESIDUAL)] * options.residual)


class RemoteJob(TrackJob):
    """Separate tracks on a server."""

    def __init__(self, client, model, options, chosen, stop):
        super().__init__(options, chosen, stop)
        self._client = client
        self._mix = [name.strip() for name in options.mix.split("+")] if options.mix else None
        if self._mix:
            self._mix = list(dict.fromkeys(self._mix))
        stems = ",".join(self._mix) if self._mix else options.stems
        applied = {name: getattr(options, name) for name in _APPLIED}
        self._asked = {"model": model, "stems": stems, "two_stems": options.two_stems, **applied}
        self._asked |= {name: getattr(options, name) for name in ("format", "bits", "bitrate")}
        self._applied = {name: value for name, value in applied.items() if value != _APPLIED[name]}
        # the server does not tell what is in its weights, so where they are stands for that
        sha256 = files.digest_of([client.url, "\n", model])
        self._models = ({"name": model, "sha256": sha256, "weight": 1.0},)

    def record_of(self, track) -> record.Record:
        """See `recorded`."""
        return self.recorded(track, self._models, self._applied)

    def run(self, track, entry: dict, on_warning, on_progress) -> str:
        """Separate one track, fill its entry of the report and return its summary."""
        begin = time.perf_counter()
        client, stop = self._client, self.stop.asked
        try:
            job = client.send(track.path, stop, **self._asked)
            try:
                job = client.wait(job["id"], on_progress, stop)
                self._fetch(job, track)
            finally:
                self._removed(job["id"])
        except ServerError as error:
            if error.code == "cancelled":
                raise Cancelled(f"{track.label}: was cancelled") from None
            raise UserError(_told(error, track)) from None
        exact = is_float(self.options.format, self.options.bits)
        for warning in job["warnings"]:
            # a mix, and files of floats, have a gain of their own
            if not (warning.startswith(_ATTENUATED) and (exact or self._mix)):
                on_warning(warning)
        entry |= {"stems_samples": job["frames"], "samples": job["frames"]}
        entry |= {"peak": {stem["name"]: stem["peak"] for stem in job["stems"]}}
        entry |= {"gain": 1.0 if exact else None if self._mix else job["gain"]}
        entry |= {"null_error_db": job["null_error_db"], "stems_rate": job["rate"]}
        entry["seconds"] = job["frames"] / job["rate"]
        timings = {"separate": job["ended"] - job["started"], "total": time.perf_counter() - begin}
        entry["timings"] = {name: round(took, 3) for name, took in timings.items()}
        return self.summary(track, entry)

    def _fetch(self, job, track) -> None:
        """Download the stems to where local separation would write them."""
        stop, places = self.stop.asked, self.paths(track)
        if self.options.out == console.STDOUT:
            with tempfile.TemporaryDirectory(prefix="xumx-") as folder:
                (path,) = self._client.fetch(job, folder, self._mix, stop).values()
                with closing_pipe(), path.open("rb") as file:
                    _copy(file)
            return
        wanted = self.record_of(track)
        made = [part for part in (track.folder, *track.folder.parents) if not part.exists()]
        near = next(part for part in track.folder.absolute().parents if part.is_dir())
        try:
            with tempfile.TemporaryDirectory(
                prefix=".xumx-", suffix=files.PART, dir=near
            ) as folder:
                found = self._client.fetch(job, folder, self._mix, stop)
                if found.keys() != places.keys():
                    raise UserError(
                        f"{track.label}: the server made {', '.join(found)}; wanted "
                        f"{', '.join(places)}"
                    )
                track.folder.mkdir(parents=True, exist_ok=True)
                with files.locked(track.folder), record.renaming(places.values(), wanted):
                    for stem, path in found.items():
                        files.rename(path, places[stem], durable=False)
        except OSError as error:
            raise UserError(f"{track.folder}: cannot be written: {error.strerror}") from None
        except BaseException:
            for folder in made:  # those with a stem in them stay
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
            raise

    def _removed(self, id) -> None:
        try:
            self._client.remove(id)
        except ServerError:  # it expires anyway
            pass


def _copy(file) -> None:
    try:
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise UserError(f"stdout: cannot be written: {error.strerror}") from None


def _told(error, track) -> str:
    """A server's line about a track, which knows it by the name of its file."""
    name, line = Path(track.path).name, error.message
    if line.startswith(f"{name}: "):
        return f"{track.label}{line[len(name) :]}"
    return f"{track.label}: {line}"
