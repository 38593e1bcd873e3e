"""Rows of the documentation's tables of published models, the head first; read from the zoo."""

from collections import Counter

# dB between a published mean and one computed here that rounding, another decoder of STEMS and
# other chunks explain
TOLERANCE = 0.1
MUSDB_TARGETS = ("vocals", "drums", "bass", "other", "accompaniment")


def zoo() -> list[tuple]:
    """Every published model: its networks, scores, size and licence."""
    from xumx_jax.weights.converters import KINDS
    from xumx_jax.weights.published import FOUR, PUBLISHED

    rows = [("name", "what", "networks", *FOUR, "mean", "protocol", "other scores", "MB",
             "weights' licence", "licensed")]  # fmt: skip
    for name, model in PUBLISHED.items():
        numbers = [f"{model.scores[s]:.2f}" if s in model.scores else "" for s in FOUR]
        mean = "" if model.mean is None else f"{model.mean:.2f}"
        count = Counter(KINDS[member.kind].model for member in model.members)
        networks = ", ".join(f"{many} `{key}`" for key, many in count.items())
        others = "; ".join(
            f"{whose}: {', '.join(f'{source} {value:.2f}' for source, value in each.items())}"
            for whose, each in model.elsewhere.items()
        )
        size = "" if model.megabytes is None else f"{model.megabytes:.0f}"
        known = [model.protocol if mean else "", others, size, model.licence]
        licensed = "yes" if model.licensed else ""
        rows.append((f"`{name}`", model.what, networks, *numbers, mean, *known, licensed))
    return rows


def tasks() -> list[tuple]:
    """What each task is, and the models of its qualities with their rough times."""
    from xumx_jax.commands.models import rounded
    from xumx_jax.weights.catalogue import about
    from xumx_jax.weights.tasks import QUALITIES, TASKS

    rows = [("`--task`", "gives", *(f"`{quality}`" for quality in QUALITIES))]
    for name, task in TASKS.items():
        cells = [
            f"`{chosen}`, {rounded(about(chosen, 'cpu').seconds)}"
            for chosen in map(task.models.get, QUALITIES)
            if chosen
        ]
        rows.append((f"`{name}`", task.what, *(cells or ["by `--model` alone", "", ""])))
    return rows


def reproduce() -> list[tuple]:
    """Every published model: the command that scores it, and what is to be expected."""
    from xumx_jax.weights.published import PUBLISHED

    rows = [("name", "command", "expected, dB", "tolerance")]
    for name, model in PUBLISHED.items():
        command = command_of(name, model)
        if command is None:
            rows.append((f"`{name}`", "none: MUSDB18 has no such stems", "", ""))
        elif model.mean is None:
            rows.append((f"`{name}`", f"`{command}`", "none reported for these songs", ""))
        else:
            each = "".join(f"{source} {value:.2f}, " for source, value in model.scores.items())
            expected = f"{each}mean {model.mean:.2f}"
            rows.append((f"`{name}`", f"`{command}`", expected, f"{TOLERANCE:g} of the mean"))
    return rows


def command_of(name: str, model) -> str | None:
    """How a model is scored as its score was made; None if MUSDB18 has no stem of its."""
    named = ["accompaniment" if source == "instrumental" else source for source in model.sources]
    found = [target for target in MUSDB_TARGETS if target in named]
    if not found or model.task == "karaoke":  # MUSDB18's vocals are all voices
        return None
    if len(found) < len(named) and "other" in found:
        found.remove("other")  # less than MUSDB18's: without guitar and piano
    words = f"xumx evaluate --model {name} --root {model.songs} --evaldir scores/{name}"
    words += f" --metrics {'usdr' if model.protocol == 'whole songs' else 'sdr'}"
    if len(found) < 4:
        words += f" --targets {' '.join(found)}"
    return words
