"""The model that a wish names, and what is known of every model by name.

A wish is a task and a quality, `--task vocals --quality best`; TASKS is the table that answers it.
It chooses among weights that are `licensed` alone: others are used only when somebody names them.
"""

from dataclasses import dataclass, field
from functools import cache

from xumx_jax import assets
from xumx_jax.errors import UserError
from xumx_jax.weights.published import FOUR, PUBLISHED, Published

QUALITIES = ("fast", "good", "best")
USUAL_TASK, USUAL_QUALITY = "4stems", "good"
OTHER = "other"  # of models for none of the TASKS
VOCALS, REST = "vocals", "instrumental"


@dataclass(frozen=True)
class Task:
    """What somebody may want of a song.

    what    it is, in words
    models  {quality: name of the model}; empty where no weights are licensed
    stems   what is written if it is not each of the model's stems, as `selection.choose` takes
            `aggregate`: {name: {source: factor}}, where the source None is the mixture
    """

    what: str
    models: dict[str, str] = field(default_factory=dict)
    stems: dict[str, dict[str | None, int]] | None = None


FOUR_STEMS = {"fast": "umxhq-nnabla", "good": "htdemucs", "best": "scnet_xl_ihf"}

TASKS = {
    "4stems": Task("vocals, drums, bass and the rest", FOUR_STEMS),
    "vocals": Task(
        "vocals, and all the rest as instrumental",
        FOUR_STEMS,
        {VOCALS: {VOCALS: 1}, REST: {None: 1, VOCALS: -1}},
    ),
    "6stems": Task("guitar and piano as well as the four", dict.fromkeys(QUALITIES, "htdemucs_6s")),
    "karaoke": Task("lead vocals apart from backing vocals"),
    "drums": Task("the parts of a drum kit"),
    "speech": Task("speech apart from noise"),
}
_OF_SOURCES = {
    frozenset(FOUR): "4stems",
    frozenset((*FOUR, "guitar", "piano")): "6stems",
    frozenset((VOCALS,)): "vocals",
    frozenset((REST,)): "vocals",
    frozenset((VOCALS, REST)): "vocals",
    frozenset(("speech", "noise")): "speech",
}


def model_for(task: str = USUAL_TASK, quality: str = USUAL_QUALITY) -> str:
    """Name the model for a task of TASKS and a quality of QUALITIES.

    Raises UserError for those that do not exist, and where no licensed weights do.
    """
    if task not in TASKS:
        raise UserError(f"unknown task {task!r}; wanted {', '.join(TASKS)}")
    if quality not in QUALITIES:
        raise UserError(f"unknown quality {quality!r}; wanted {', '.join(QUALITIES)}")
    if name := TASKS[task].models.get(quality):
        return name
    named = ", ".join(
        f"{name} (licence: {row.licence})"
        for name, row in PUBLISHED.items()
        if task_of(row) == task
    )
    raise UserError(
        f"--task {task}: there are no weights with a licence that allows any use, so none are "
        f"chosen unasked; --model can name {named}"
    )


def task_of(row: Published) -> str:
    """The task of a published model, or OTHER."""
    return row.task or _OF_SOURCES.get(frozenset(row.sources), OTHER)


def wishes_of(name: str) -> list[tuple[str, str]]:
    """All (task, quality) that a model answers."""
    return [
        (task, quality)
        for task, wanted in TASKS.items()
        for quality, chosen in wanted.models.items()
        if chosen == name
    ]


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
