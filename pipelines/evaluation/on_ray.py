"""An evaluation on a Ray cluster: names of tracks go to workers, which write scores for all to see.

All machines see the same folders, so that a worker can do what the program would do here: it opens
the same data and models again. What it prints comes back, and scores are read from their files.
"""

import io
import os
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from pipelines.evaluation import plan
from pipelines.evaluation.messages import say, show_warning
from pipelines.evaluation.work import Work
from xumx_jax import runtime
from xumx_jax.commands import ray_pool
from xumx_jax.errors import UserError


def run(nodes, work: Work, options, applied: dict, evaldir: Path, outdir: Path | None) -> None:
    """Do the remaining work on a cluster with these machines. Raises UserError."""
    tracks = {track.name: track for track in work.left()}
    if not tracks:
        return
    here = os.getcwd()
    ray_pool.check_nodes(nodes, f"{__name__}:fault", here, str(evaldir))
    taken = ray_pool.share(nodes, options.worker_cores, cpu=options.device == "cpu")
    print(ray_pool.line(nodes, taken), flush=True)
    items = [{"track": name} for name in tracks]
    arguments = (options, applied, evaldir, outdir, here)
    for row in ray_pool.rows(f"{__name__}:Remote", arguments, items, taken):
        print(row["out"], end="", flush=True)
        for line in row["err"].splitlines():
            say(*line.removeprefix("evaluate: ").split(": ", 1))
        work.failed += row["failed"]
        work.collect(tracks[row["track"]])


class Remote:
    """The same work in another process, for one track at a time."""

    def __init__(self, options, applied, evaldir, outdir, here):
        if reason := fault(here, str(evaldir)):
            raise UserError(reason)
        os.chdir(here)
        runtime.prepare(options.device)
        warnings.filterwarnings("always", category=UserWarning, module=r"xumx_jax|pipelines")
        warnings.showwarning = show_warning
        work, _ = plan.make(options, applied, evaldir, outdir)
        if work is None:
            raise UserError("there is nothing to evaluate on this machine")
        self._work, self._tracks = work, {track.name: track for track in work.tracks}

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Evaluate a track -> what was printed, and which of its systems failed."""
        name = item["track"]
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            if name in self._tracks:
                self._work.one(self._tracks[name])
            else:
                say("error", f"{name}: is not there on this machine")
                self._work.failed.append(name)
        row = {"track": name, "out": out.getvalue(), "err": err.getvalue()}
        row["failed"], self._work.failed = self._work.failed, []
        return row

    @staticmethod
    def failed(item: dict[str, Any], error: str) -> dict[str, Any]:
        """The row of a track on a machine that cannot work."""
        name = item["track"]
        line = f"evaluate: error: {name}: {error}"
        return {"track": name, "out": "", "err": line, "failed": [name]}


def fault(here: str, evaldir: str) -> str | None:
    """What is missing on this machine."""
    for place in (here, evaldir):
        if not os.path.isdir(place):
            return f"has no {place}; an evaluation needs its folders on all machines"
    return None
