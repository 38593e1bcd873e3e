"""Rules by which models are used together: what each is asked for before their stems are averaged.

The average itself is the same for all rules: for each source, that of the models that have it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from xumx_jax.errors import UserError

Options = dict[str, Any]  # of a `separation.Separator`, where they are not the user's
TARGET_FILTER = "aimless"  # of models of one source, which it weighs against the residual


def mean(models: Sequence) -> list[Options]:
    """Nothing but the user's options."""
    return [{} for _ in models]


def cdx(models: Sequence) -> list[Options]:
    """As AIMLESS separates films into music, effects and speech (Sound Demixing Challenge 2023).

    Models for mono separate stereo as left and right and as mid and side. Models of one source that
    work on spectra get the Wiener filter with a model of the residual, which is then dropped.
    Raises UserError for a model that is neither.
    """
    found = []
    for model in models:
        mono = model.channels == 1
        target = len(model.sources) == 1 and model.transform is not None
        if not (mono or target):
            raise UserError(
                "the rule cdx is for models for mono, and for models of one source that work on "
                f"spectra; one takes {model.channels} channels and has {', '.join(model.sources)}"
            )
        # by this name whatever the source, since it is dropped by it
        filtered = {"post_filter": TARGET_FILTER, "residual": "residual"} if target else {}
        found.append({"mid_side": True} | filtered if mono else filtered)
    return found


# {rule: (modules) -> options of each}. Raises UserError if it does not fit them.
COMBINATIONS: dict[str, Callable[[Sequence], list[Options]]] = {"mean": mean, "cdx": cdx}


def shares(rule: str, models: Sequence) -> list[Options]:
    """What a rule adds to the options of each model. Raises UserError if it does not fit them."""
    if rule not in COMBINATIONS:
        raise UserError(
            f"unknown rule to combine models {rule!r}; known: {', '.join(COMBINATIONS)}"
        )
    if rule != "mean" and len(models) < 2:
        raise UserError(f"combine is {rule}, which is for several models; got one")
    return COMBINATIONS[rule](models)
