"""Which transforms a search chooses from, and the samplers that choose."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.transforms.slicq import SCALES, SliCQ

STEP_HZ = 0.1
TRIES = 300  # draws for one trial


@dataclass(frozen=True)
class Candidate:
    """What is searched of a transform; `gamma_hz` is 0 unless the scale is "vqlog"."""

    scale: str
    bins: int
    low_hz: float
    gamma_hz: float = 0.0

    def __str__(self) -> str:
        gamma = f" + {self.gamma_hz:g}" if self.gamma_hz else ""
        return f"{self.scale} {self.bins}, {self.low_hz:g}{gamma} Hz"

    def transform(self, rate: int, rule: str = "exact") -> SliCQ:
        """The transform for a sample rate. Raises ValueError if there is none."""
        options: dict[str, Any] = dict(gamma_hz=self.gamma_hz, sample_rate=rate, rule=rule)
        return SliCQ(self.scale, self.bins, self.low_hz, **options)


def parse(text: str) -> Candidate:
    """Parse SCALE:BINS:HZ, and for vqlog SCALE:BINS:HZ:GAMMA. Raises UserError."""
    scale, *numbers = text.split(":")
    if scale not in SCALES or len(numbers) not in ((2, 3) if scale == "vqlog" else (2,)):
        raise UserError(
            f"{text!r}: wanted SCALE:BINS:HZ such as bark:262:32.9, or vqlog:BINS:HZ:GAMMA; scales "
            f"are {', '.join(SCALES)}"
        )
    try:
        bins, hertz = int(numbers[0]), [float(word) for word in numbers[1:]]
        made = Candidate(scale, bins, *hertz)
        made.transform(44100)
    except ValueError as error:
        raise UserError(f"{text!r}: {error}") from None
    return made


@dataclass(frozen=True)
class Space:
    """The transforms to choose from; ranges include both ends, and frequencies go in steps.

    max_slice  samples of a slice at most; what has longer ones is drawn again
    """

    scales: tuple[str, ...] = ("bark", "mel", "cqlog", "vqlog")
    bins: tuple[int, int] = (10, 299)
    low_hz: tuple[float, float] = (10.0, 130.0)
    gamma_hz: tuple[float, float] = (0.0, 100.0)
    max_slice: int = 44100

    def __post_init__(self):
        for name in self.scales:
            if name not in SCALES:
                raise UserError(f"unknown scale {name!r}; known: {', '.join(SCALES)}")
        for name, least in (("bins", 1), ("low_hz", 1e-9), ("gamma_hz", 0)):
            low, high = getattr(self, name)
            option = f"--{name.replace('_', '-')}"
            if not (np.isfinite([low, high]).all() and least <= low <= high):
                raise UserError(f"{option} {low} {high}: wanted the least, then the most, positive")

    def holds(self, candidate: Candidate, rate: int) -> bool:
        """Whether there is such a transform, with slices that are short enough."""
        try:
            return candidate.transform(rate).length <= self.max_slice
        except ValueError:  # gaps between bands, or bands wider than a slice
            return False


class Sampler(Protocol):
    """Chooses candidates: `propose` for the trial of a number, `learn` how it came out."""

    def propose(self, number: int) -> Candidate: ...
    def learn(self, number: int, candidate: Candidate, score: float) -> None: ...


class RandomSampler:
    """Draws each trial from its own stream of (seed, number): their order does not matter."""

    def __init__(self, space: Space, rate: int, seed: int, several: bool):
        self.space, self.rate, self.seed = space, rate, seed

    def propose(self, number: int) -> Candidate:
        """Draw. Raises UserError if the space is empty, as far as can be seen."""
        draw, space = np.random.default_rng([self.seed, number]), self.space
        for _ in range(TRIES):
            scale = space.scales[draw.integers(len(space.scales))]
            bins = int(draw.integers(space.bins[0], space.bins[1] + 1))
            low, gamma = (_step(draw, *ends) for ends in (space.low_hz, space.gamma_hz))
            found = Candidate(scale, bins, low, gamma if scale == "vqlog" else 0.0)
            if space.holds(found, self.rate):
                return found
        raise _empty(space)

    def learn(self, number: int, candidate: Candidate, score: float) -> None:
        """Ignore it."""


class OptunaSampler:
    """Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), which learns from scores.

    With several trials at once those under way count as bad ones, so that they differ.
    """

    def __init__(self, space: Space, rate: int, seed: int, several: bool):
        try:
            import optuna
        except ImportError as error:
            raise UserError(
                "--sampler optuna needs Optuna, which is not installed: pip install '.[search]'"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they call this option an experiment
            sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=several)
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.optuna, self.space, self.rate = optuna, space, rate
        self.asked: dict[int, Any] = {}

    def propose(self, number: int) -> Candidate:
        """Ask. Raises UserError if the space is empty, as far as can be seen."""
        space, states = self.space, self.optuna.trial.TrialState
        for _ in range(TRIES):
            trial = self.study.ask()
            scale = trial.suggest_categorical("scale", space.scales)
            bins = trial.suggest_int("bins", *space.bins)
            low, gamma = trial.suggest_float("low_hz", *space.low_hz, step=STEP_HZ), 0.0
            if scale == "vqlog":
                gamma = trial.suggest_float("gamma_hz", *space.gamma_hz, step=STEP_HZ)
            found = Candidate(scale, bins, round(low, 6), round(gamma, 6))
            if space.holds(found, self.rate):
                self.asked[number] = trial
                return found
            self.study.tell(trial, state=states.FAIL)
        raise _empty(space)

    def learn(self, number: int, candidate: Candidate, score: float) -> None:
        """Tell the score of what was proposed, now or in an earlier run."""
        if number in self.asked:
            self.study.tell(self.asked.pop(number), score)
            return
        kinds, space = self.optuna.distributions, self.space
        known = {
            "scale": kinds.CategoricalDistribution(space.scales),
            "bins": kinds.IntDistribution(*space.bins),
            "low_hz": kinds.FloatDistribution(*space.low_hz, step=STEP_HZ),
        }
        if candidate.scale == "vqlog":
            known["gamma_hz"] = kinds.FloatDistribution(*space.gamma_hz, step=STEP_HZ)
        values = {name: getattr(candidate, name) for name in known}
        create = self.optuna.trial.create_trial
        self.study.add_trial(create(params=values, distributions=known, value=score))


SAMPLERS: dict[str, Callable[[Space, int, int, bool], Sampler]] = {
    "random": RandomSampler,
    "optuna": OptunaSampler,
}


def _step(draw: np.random.Generator, low: float, high: float) -> float:
    steps = int((high - low) / STEP_HZ + 1e-6)
    return round(low + STEP_HZ * int(draw.integers(steps + 1)), 6)


def _empty(space: Space) -> UserError:
    return UserError(
        f"none of {TRIES} transforms drawn has slices of at most {space.max_slice} samples; wanted "
        "fewer --bins, a higher --low-hz or a larger --max-slice"
    )
