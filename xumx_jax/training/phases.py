"""Phases: options of a run that change on schedule.

`config.phases` is ((epochs, {"option": value, ...}), ...), such as
((600, {"optimizer.learning_rate": 1e-3}),): after that many epochs the run goes on with these
options changed, in addition to what earlier phases have changed. Weights, moments of the optimizer,
statistics and averages carry over. Gradients that wait for their update (`optimizer.accumulate`)
are dropped. A phase that names an option of the learning rate (RATE) begins its schedule anew, with
a warm-up only if it names one, and takes back what the plateau did to the rate. One that changes
the loss begins the comparison of epochs anew.

A run is in the phase of the epochs that it has completed, so what a checkpoint holds follows from
its config and its epochs.
"""

from typing import Any, NamedTuple

from ml_collections import ConfigDict

from xumx_jax.errors import UserError
from xumx_jax.training import config_checks, optimizer, schedule
from xumx_jax.training.config_checks import flatten

RATE = ("optimizer.learning_rate", "optimizer.schedule", "optimizer.warmup_steps")
# What may change: neither the shapes of the state nor what a batch is.
CHANGEABLE = (
    *RATE, "optimizer.accumulate", "optimizer.clip", "optimizer.weight_decay", "optimizer.plateau",
    "loss", "augment", "recipe",
)  # fmt: skip
NOT_NONE = ("augment", *RATE, "optimizer.accumulate", "optimizer.weight_decay")


class Phase(NamedTuple):
    """After how many epochs it begins, and what it changes: {"option": value}."""

    epochs: int
    changes: dict[str, Any]

    @property
    def restarts_rate(self) -> bool:
        """Whether the schedule of the learning rate begins anew."""
        return any(below(key, RATE) for key in self.changes)

    @property
    def changes_loss(self) -> bool:
        """Whether losses can't be compared with those of earlier epochs."""
        return any(below(key, ("loss",)) for key in self.changes)


def phases_of(config: ConfigDict) -> list[Phase]:
    """The phases of a config, in their order."""
    return [Phase(int(epochs), dict(changes)) for epochs, changes in config.get("phases", ())]


def beginning(config: ConfigDict, epochs: int) -> Phase | None:
    """The phase that begins after exactly so many epochs, if one does."""
    return next((phase for phase in phases_of(config) if phase.epochs == epochs), None)


def during(config: ConfigDict, epochs: int) -> ConfigDict:
    """The config that holds once so many epochs have been completed."""
    begun = [phase for phase in phases_of(config) if phase.epochs <= epochs]
    made = config.copy_and_resolve_references() if begun else config
    for phase in begun:
        if phase.restarts_rate:
            made.optimizer.warmup_steps = 0
        for key, value in phase.changes.items():
            *path, last = key.split(".")
            place = made
            for name in path:
                place = place[name]
            place[last] = value
    return made


def each(config: ConfigDict) -> list[ConfigDict]:
    """The configs that hold one after another, from the beginning to the last phase."""
    return [during(config, epochs) for epochs in (0, *(p.epochs for p in phases_of(config)))]


def scheduled_updates(config: ConfigDict, epochs: int, steps_per_epoch: int) -> int:
    """The number of updates in the life of the schedule that holds after so many epochs.

    That is from the phase that began it, or the start of the run, until a phase begins it anew or
    the run ends.
    """
    restarts = [phase.epochs for phase in phases_of(config) if phase.restarts_rate]
    first = max((start for start in restarts if start <= epochs), default=0)
    end = min((start for start in restarts if start > epochs), default=config.train.epochs)
    borders = [phase.epochs for phase in phases_of(config) if first < phase.epochs < end]
    return sum(
        (stop - start) * steps_per_epoch // during(config, start).optimizer.accumulate
        for start, stop in zip((first, *borders), (*borders, end), strict=True)
    )


def check(config: ConfigDict) -> None:
    """Raise UserError naming the first fault of a config's phases; the rest has been checked."""
    given = config.get("phases", ())
    if not all(map(_is_phase, given)):
        raise UserError(
            f"config.phases is {given!r}, wanted ((epochs, {{'option': value, ...}}), ...)"
        )
    last, epochs = 0, config.train.epochs
    for phase in phases_of(config):
        where = f"config.phases, after {phase.epochs} epochs"
        if not last < phase.epochs < epochs:
            earlier = f"the {last} of the phase before it" if last else "0"
            raise UserError(
                f"{where}: wanted more than {earlier} and less than train.epochs, {epochs}"
            )
        last = phase.epochs
        known = flatten(config.to_dict())
        for key, value in phase.changes.items():
            _check_change(where, key, value, known)
        try:
            changed = during(config, phase.epochs)
            config_checks.check(changed)
            config_checks.check_loss(changed, config_checks.build(changed))
            optimizer.build_schedule(changed.optimizer.schedule, 1.0, 1, 0)
            schedule.Plateau(**changed.optimizer.plateau)
        except (TypeError, ValueError) as error:  # also a UserError
            raise UserError(f"{where}: {str(error).splitlines()[0]}") from error


def below(key: str, parts: tuple[str, ...]) -> bool:
    """Whether an option is one of `parts` or in one of them."""
    return any(key == part or key.startswith(f"{part}.") for part in parts)


def _check_change(where: str, key: str, value: Any, known: dict) -> None:
    if key not in known:
        hint = config_checks.nearest(key, known)
        raise UserError(f"{where}: unknown option {key}{hint}")
    if not below(key, CHANGEABLE):
        raise UserError(
            f"{where}: {key} can't change within a run; what can: {', '.join(CHANGEABLE)}"
        )
    if value is None and below(key, NOT_NONE):
        raise UserError(f"{where}: {key} is None, wanted a value")


def _is_phase(pair) -> bool:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return False
    epochs, changes = pair
    whole = isinstance(epochs, int) and not isinstance(epochs, bool)
    return whole and isinstance(changes, dict | ConfigDict) and len(changes) > 0
