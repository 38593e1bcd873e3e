"""What is known of every model by name, and the task that each is for."""

from dataclasses import dataclass
from functools import cache

from xumx_jax import assets
from xumx_jax.weights.published import FOUR, PUBLISHED, Published
from xumx_jax.weights.tasks import OTHER, QUALITIES, REST, TASKS, VOCALS, wishes_of

_OF_SOURCES = {
    frozenset(FOUR): "4stems",
    frozenset((*FOUR, "guitar", "piano")): "6stems",
    frozenset((VOCALS,)): "vocals",
    frozenset((REST,)): "vocals",
    frozenset((VOCALS, REST)): "vocals",
    frozenset(("speech", "noise")): "speech",
}


def task_of(row: Published) -> str:
    """The task of a published model, or OTHER."""
    return row.task or _OF_SOURCES.get(frozenset(row.sources), OTHER)


@dataclass(frozen=True)
class About:
    """What is known of a model without loading it.

    wishes     (task, quality) that it answers
    combine    the rule by which its members are used together, if it is not their average
    score      all that is reported, and by whose measure; "" if nothing
    mean       SDR in dB on MUSDB18's test songs, as `protocol` of `published.PROTOCOLS` measures
    megabytes  of the download; None: not known
    seconds    that a minute of music takes, roughly; None: not known
    measured   the backend of JAX, "cpu" and so on, of which `seconds` are
    cached     whether it works offline
    """

    name: str
    task: str
    wishes: list[tuple[str, str]]
    what: str
    sources: tuple[str, ...]
    licence: str
    licensed: bool
    score: str
    mean: float | None
    protocol: str | None
    megabytes: float | None
    seconds: float | None
    measured: str | None
    cached: bool
    combine: str | None = None


def about(name: str, backend: str) -> About:
    """Gather what is known of a published model, or of the bundled one, on a backend of JAX."""
    from xumx_jax.weights import zoo

    if name == assets.DEMO:
        what = "the small model that comes with this program"
        size = round(assets.DEMO_FILE.stat().st_size / 1e6, 1)
        licence = assets.DEMO_LICENCE
        known = ("4stems", [], what, FOUR, licence, True, "", None, None, size)
        return About(name, *known, *_took([("xumx", 1.0)], backend), cached=True)
    from xumx_jax.weights.converters import KINDS

    row = PUBLISHED[name]
    parts = [(KINDS[member.kind].model, member.work) for member in row.members]
    seconds, measured = _took(parts, backend)
    return About(
        name=name,
        task=task_of(row),
        wishes=wishes_of(name),
        what=row.what,
        sources=row.sources,
        licence=row.licence,
        licensed=row.licensed,
        score=row.score,
        mean=row.mean,
        protocol=None if row.mean is None else row.protocol,
        megabytes=row.megabytes,
        seconds=seconds,
        measured=measured,
        cached=zoo.cached(name).exists(),
        combine=row.combine,
    )


def _took(parts, backend: str) -> tuple[float | None, str | None]:
    """Seconds that a minute of music takes by (network, work), and the backend they are of."""
    works = [work for _, work in parts]
    speeds = [speed for name, _ in parts if (speed := _speed(name))]
    if len(speeds) < len(works):
        return None, None
    known = backend if all(backend in each for each in speeds) else "cpu"
    return sum(60 * w / each[known] for w, each in zip(works, speeds, strict=True)), known


@cache
def _speed(network: str) -> dict[str, float] | None:
    """The `usual_speed` of a network of the default size."""
    from xumx_jax.models import build
    from xumx_jax.models.interface import optional

    return optional(build(network), "usual_speed")


def by_task(backend: str) -> dict[str, list[About]]:
    """All models by task, those first that a wish names, then the licensed ones."""
    found: dict[str, list[About]] = {task: [] for task in (*TASKS, OTHER)}
    for name in (*PUBLISHED, assets.DEMO):
        made = about(name, backend)
        found[made.task].append(made)
    for models in found.values():
        models.sort(key=place)
    return found


def place(one: About) -> tuple[int, bool]:
    """Where a model stands among those of its task: by quality, licensed ones before others."""
    own = [QUALITIES.index(quality) for task, quality in one.wishes if task == one.task]
    return min(own, default=len(QUALITIES)), not one.licensed
