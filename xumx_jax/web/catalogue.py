"""What is known of the models on offer without loading them: stems, licences, scores."""

from xumx_jax import assets
from xumx_jax.web.schema import ModelOut, Models, Task


def stems_of(source: str | None) -> tuple[str, ...] | None:
    """The stems of a model that `models.offered` gives; None if only its weights tell."""
    from xumx_jax.weights import published, zoo

    name = zoo.DEFAULT if source in (None, assets.DEMO) else source
    row = published.PUBLISHED.get(name)
    return row.sources if row else None


def listed(offered: dict[str, str | None]) -> Models:
    """The models on offer, by what they separate."""
    tasks: dict[tuple[str, ...] | None, list[ModelOut]] = {}
    for name, source in offered.items():
        stems = stems_of(source)
        tasks.setdefault(stems and tuple(sorted(stems)), []).append(_described(name, source))
    return Models(
        default=next(iter(offered)),
        tasks=[
            Task(stems=list(stems) if stems else None, models=found)
            for stems, found in tasks.items()
        ],
    )


def _described(name, source) -> ModelOut:
    from xumx_jax.weights import published, zoo

    key = source or zoo.DEFAULT
    if row := published.PUBLISHED.get(key):
        return ModelOut(
            name=name,
            what=row.what,
            licence=row.licence,
            score=row.score,
            mean_sdr_db=row.mean,
            here=zoo.cached(key).exists(),
        )
    what, licence = "a model of this server", None
    if key == assets.DEMO:
        what, licence = "the small model that comes with the program", assets.DEMO_LICENCE
    return ModelOut(name=name, what=what, licence=licence, score=None, mean_sdr_db=None, here=True)
