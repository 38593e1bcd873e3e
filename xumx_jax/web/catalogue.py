"""What is known of the models on offer without loading them: tasks, stems, licences, scores."""

from xumx_jax import assets
from xumx_jax.separation.residual import residual_name
from xumx_jax.web.schema import ModelOut, Models, Task


def stems_of(source: str | None) -> tuple[str, ...] | None:
    """The stems of a model that `models.offered` gives; None if only its weights tell."""
    from xumx_jax.weights import published, zoo

    name = zoo.DEFAULT if source in (None, assets.DEMO) else source
    row = published.PUBLISHED.get(name)
    return row.sources if row else None


def listed(offered: dict[str, str | None], backend: str = "cpu") -> Models:
    """The models on offer, by what they separate, in the order of `tasks`.

    `backend` is JAX's name of what they run on, for the time that they take.
    """
    from xumx_jax.weights import tasks

    found: dict[tuple, list[tuple]] = {}
    for name, source in offered.items():
        stems = stems_of(source)
        task, place, made = _described(name, source, backend)
        found.setdefault((task, stems and tuple(sorted(stems))), []).append((place, made))
    order = [*tasks.TASKS, tasks.OTHER, None]
    groups = sorted(found.items(), key=lambda group: order.index(group[0][0]))
    return Models(
        default=next(iter(offered)),
        tasks=[
            Task(
                task=task,
                what=tasks.TASKS[task].what if task in tasks.TASKS else None,
                stems=list(stems) if stems else None,
                residual=residual_name(stems or ()),
                models=[made for _, made in sorted(models, key=lambda pair: pair[0])],
            )
            for (task, stems), models in groups
        ],
    )


def _described(name, source, backend) -> tuple[str | None, tuple, ModelOut]:
    """(task, place within it, what is known); the task of a model from a path is None."""
    from xumx_jax.weights import tasks, zoo

    key = source or zoo.DEFAULT
    if key not in zoo.names():
        what = "a model of this server"
        made = ModelOut(name=name, what=what, licence=None, score=None, mean_sdr_db=None, here=True)
        return None, (), made
    about = tasks.about(key, backend)
    wishes: dict[str, list[str]] = {}
    for task, quality in about.wishes:
        wishes.setdefault(task, []).append(quality)
    made = ModelOut(
        name=name,
        what=about.what,
        licence=about.licence,
        score=about.score or None,
        mean_sdr_db=about.mean,
        here=about.cached,
        licensed=about.licensed,
        wishes=wishes,
        megabytes=about.megabytes,
        seconds_per_minute=about.seconds,
        measured_on=about.measured,
        protocol=about.protocol,
    )
    return about.task, tasks.place(about), made
