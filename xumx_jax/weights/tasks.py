"""The model that a wish names.

A wish is a task and a quality, `--task vocals --quality best`; TASKS is the table that answers it.
It chooses among weights that are `licensed` alone: others are used only when somebody names them.
"""

from dataclasses import dataclass, field

from xumx_jax.errors import UserError

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
    from xumx_jax.weights.catalogue import PUBLISHED, task_of  # which few need

    named = ", ".join(
        f"{name} (licence: {row.licence})"
        for name, row in PUBLISHED.items()
        if task_of(row) == task
    )
    raise UserError(
        f"--task {task}: there are no weights with a licence that allows any use, so none are "
        f"chosen unasked; --model can name {named}"
    )


def wishes_of(name: str) -> list[tuple[str, str]]:
    """All (task, quality) that a model answers."""
    return [
        (task, quality)
        for task, wanted in TASKS.items()
        for quality, chosen in wanted.models.items()
        if chosen == name
    ]
