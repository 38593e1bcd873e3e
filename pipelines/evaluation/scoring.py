"""From true and estimated sources to the scores of one track, by museval's rules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.evaluation.waves import Waves, scan
from pipelines.tracks.names import ACCOMPANIMENT, VOCALS
from xumx_jax import metrics
from xumx_jax.errors import UserError
from xumx_jax.evaluation.scores import METRICS, TrackScores

# What --metrics asks for, by the names in the reports.
CHOICES = {"v4": METRICS, "sdr": ("SDR",), "usdr": ("uSDR",), "si-sdr": ("SI-SDR",)}
FILTER_LENGTH = 512


@dataclass(frozen=True)
class Settings:
    """What is measured: metrics by their names in the reports, windows, precision of v4."""

    metrics: tuple[str, ...] = METRICS
    window_seconds: float = 1.0
    hop_seconds: float = 1.0
    precision: str = "float64"

    @property
    def full(self) -> bool:
        """Whether all four measures of BSSEval v4 are computed, not only SDR."""
        return set(METRICS) <= set(self.metrics)


def settings(choices: Sequence[str], window_seconds: float, hop_seconds: float, precision: str):
    """Make settings from the words of --metrics; "v4" includes "sdr"."""
    names = dict.fromkeys(name for choice in choices for name in CHOICES[choice])
    ordered = dict.fromkeys(name for choice in CHOICES.values() for name in choice)
    chosen = tuple(name for name in ordered if name in names)
    return Settings(chosen, float(window_seconds), float(hop_seconds), precision)


def score(
    track: str, targets: Sequence[str], references: Waves, estimates: Waves, rate: int,
    wanted: Settings, protocol: dict, notes: Sequence[str] = (),
) -> TrackScores:  # fmt: skip
    """Score [target, channel, time] -> TrackScores.

    Where museval would give a track no scores because a target's reference or estimate is silent
    throughout, only that target has none, and the others are scored among themselves, as museval
    does without that target. Raises UserError if no target is left, and if samples are NaN or
    infinite.
    """
    notes, targets = list(notes), list(targets)
    scorable = _scorable(targets, references, estimates, rate, notes)
    if not scorable:
        raise UserError(f"silent throughout: {', '.join(targets)}; there is nothing to score")
    frames, regularised = {}, {}
    if "SDR" in wanted.metrics:
        for group, kept in scenarios(scorable):
            rows = [targets.index(name) for name in group]
            pair = references.pick(rows), estimates.pick(rows)
            sides = _framewise(pair, rate, wanted, notes)
            for at, name in enumerate(group):
                if name in kept:
                    frames[name] = {metric: v[at] for metric, v in sides[0].items()}
                    if sides[1]:
                        regularised[name] = {metric: v[at] for metric, v in sides[1].items()}
    return TrackScores(
        track=track,
        frames={name: frames.get(name, {}) for name in scorable},
        window_seconds=wanted.window_seconds,
        hop_seconds=wanted.hop_seconds,
        whole=_whole(targets, references, estimates, wanted),
        protocol=protocol,
        notes=list(dict.fromkeys(notes)),
        regularised=regularised,
    )


def scenarios(targets: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Which targets are scored together, and whose scores are kept.

    Vocals and accompaniment are scored as a pair; the other targets are scored with the vocals and
    without the accompaniment, since what interferes with a target differs.
    """
    if not {VOCALS, ACCOMPANIMENT} <= set(targets):
        yield list(targets), list(targets)
        return
    yield [VOCALS, ACCOMPANIMENT], [VOCALS, ACCOMPANIMENT]
    others = [name for name in targets if name != ACCOMPANIMENT]
    if len(others) > 1:
        yield others, [name for name in others if name != VOCALS]


def _framewise(pair, rate, wanted: Settings, notes) -> tuple[dict, dict]:
    """Frames of each metric [source, frame], and regularised ones where references are singular."""
    windows = {"window_seconds": wanted.window_seconds, "hop_seconds": wanted.hop_seconds}
    sources = pair[0].shape[0]
    if not wanted.full or sources == 1:
        if wanted.full:
            notes.append("a single target is left: SDR alone, v4 compares targets with each other")
        return {"SDR": metrics.sdr_frames(*pair, rate, **windows)}, {}
    found = metrics.bss_eval(
        *pair, rate, **windows, filter_length=FILTER_LENGTH, precision=wanted.precision
    )
    values = {"SDR": found.sdr, "ISR": found.isr, "SIR": found.sir, "SAR": found.sar}
    return values, found.regularised or {}


def _scorable(targets, references: Waves, estimates: Waves, rate: int, notes) -> list[str]:
    """List the targets that can be scored. Raises UserError on samples that are not finite."""
    silent = np.zeros(len(targets), bool)
    for kind, waves in (("reference", references), ("estimate", estimates)):
        found = scan(waves, rate)
        for row in np.flatnonzero(found.bad)[:1]:
            path = waves.sums[row][0].file.path
            raise UserError(
                f"{path}: {found.bad[row]} samples are NaN or infinite, the first at "
                f"{found.first_bad[row] / rate:.2f} s; wanted finite samples"
            )
        notes += [
            f"the {kind} of {targets[row]} is silent throughout: {targets[row]} was left out"
            for row in np.flatnonzero(found.silent)
        ]
        silent |= found.silent
    return [name for name, quiet in zip(targets, silent, strict=True) if not quiet]


def _whole(targets, references: Waves, estimates: Waves, wanted: Settings) -> dict:
    """The chosen measures over the whole track, for every target, silent or not (as in MDX)."""
    chosen = [name for name in ("uSDR", "SI-SDR") if name in wanted.metrics]
    if not chosen:
        return {}
    found = metrics.whole_track(references, estimates)
    return {
        target: {name: float(found[name][row]) for name in chosen}
        for row, target in enumerate(targets)
    }
