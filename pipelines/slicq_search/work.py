"""The trials of a search, in one or several processes: each compiles one transform for all tracks.

Rows are kept as they come, so a search that is stopped loses what is under way and no more.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from pipelines.slicq_search.music import Music
from pipelines.slicq_search.results import Results, Row
from pipelines.slicq_search.space import Candidate, Sampler
from xumx_jax import runtime
from xumx_jax.errors import UserError

N_FFT, HOP = 4096, 1024
# The STFTs to compare with, by their windows: a good one, and the one of the published search.
STFTS = {f"STFT {N_FFT} / {HOP}, {window}": window for window in ("Hann", "rectangular")}
_shared: list["Shared"] = []  # in a process of a pool, the one that it was begun with


@dataclass(frozen=True)
class Shared:
    """What all trials have in common: the tracks, what is scored, how, and where."""

    music: tuple[Music, ...]
    targets: tuple[str, ...]
    rule: str
    device: str = "auto"


def measure(candidate: Candidate | str, number: int | None, shared: Shared) -> Row:
    """Score a transform, or one of the STFTs, on all tracks. Raises UserError."""
    import jax

    from xumx_jax.evaluation import mix_phase
    from xumx_jax.transforms.stft import Stft

    runtime.choose_device(shared.device)
    music, targets = shared.music, shared.targets
    begin, longest = time.perf_counter(), max(one.samples for one in music)
    if isinstance(candidate, str):
        stft = Stft(N_FFT, HOP)
        oracle = mix_phase.of_stft(stft, longest, STFTS[candidate])
        about = {"slice": N_FFT, "bands": stft.bins, "redundancy": stft.bins / HOP}
        name, parameters = candidate, {"n_fft": N_FFT, "hop": HOP, "window": STFTS[candidate]}
    else:
        plan = candidate.transform(music[0].rate, shared.rule)
        oracle = mix_phase.of_slicq(plan, longest)
        density = plan.coefficients / plan.hop
        about = {"slice": plan.length, "bands": plan.bands, "redundancy": density}
        name, parameters = str(candidate), dict(vars(candidate))
    compiled, compiling, scores = {}, 0.0, []
    for one in music:
        shape = len(one.sources), one.channels
        if shape not in compiled:
            start = time.perf_counter()
            compiled[shape] = oracle.compiled(*shape)
            compiling += time.perf_counter() - start
        found = mix_phase.sdr(oracle, one.waves(), compiled[shape])
        scores.append([x if one.has(t) else np.nan for t, x in zip(targets, found, strict=False)])
    del compiled
    jax.clear_caches()  # nobody needs this transform's code again
    each = np.nanmean(np.array(scores), axis=0)
    return Row(
        name, number, parameters, **about, score=float(each.mean()),
        targets=dict(zip(targets, map(float, each), strict=True)),
        compile_seconds=round(compiling, 2), seconds=round(time.perf_counter() - begin, 2),
    )  # fmt: skip


def search(
    results: Results,
    sampler: Sampler,
    trials: int,
    compared: Sequence[Candidate | str],
    pool: "Pool",
    on_row: Callable[[Row], object],
) -> None:
    """Do what is left of the rows to compare with and of the trials, and keep each row."""
    done = results.trials()
    for number, row in done.items():
        sampler.learn(number, Candidate(**row.parameters), row.score)
    names = results.names()
    left: Iterator = iter(
        [(one, None) for one in compared if str(one) not in names]
        + [(None, number) for number in range(trials) if number not in done]
    )

    def submit() -> Future | None:
        for what, number in left:
            return pool.submit(what or sampler.propose(number), number)
        return None

    waiting = {future for _ in range(pool.jobs) if (future := submit())}
    while waiting:
        finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in finished:
            row = _result(future)
            if row.number is not None:
                sampler.learn(row.number, Candidate(**row.parameters), row.score)
            results.add(row)
            on_row(row)
            if further := submit():
                waiting.add(further)


def _result(future: Future) -> Row:
    try:
        return future.result()
    except BrokenProcessPool:
        raise UserError(
            "a process of the search has died, perhaps for lack of memory; fewer --jobs need less, "
            "and the same command goes on"
        ) from None


class Pool:
    """Measures in this process or, if there are any, in others; see `pool`."""

    def __init__(self, jobs: int, shared: Shared, others: ProcessPoolExecutor | None):
        self.jobs, self._shared, self._others = jobs, shared, others

    def submit(self, candidate: Candidate | str, number: int | None) -> Future:
        """Begin to score a transform; without other processes, do it."""
        if self._others is not None:
            return self._others.submit(_measure, candidate, number)
        future: Future = Future()
        future.set_result(measure(candidate, number, self._shared))
        return future


@contextmanager
def pool(jobs: int, shared: Shared) -> Iterator[Pool]:
    """Processes for `jobs` trials at once; they end with this context, whatever they are at."""
    runtime.prevent_fft_deadlock()
    if jobs == 1:
        yield Pool(1, shared, None)
        return
    # None of them may take the memory of a GPU for itself.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    spawn = multiprocessing.get_context("spawn")
    others = ProcessPoolExecutor(jobs, spawn, _begin, (shared,))
    try:
        yield Pool(jobs, shared, others)
    finally:
        others.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


def _begin(shared: Shared) -> None:
    """Take what all trials share; ^C is the first process's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _shared.append(shared)


def _measure(candidate: Candidate | str, number: int | None) -> Row:
    return measure(candidate, number, _shared[-1])
