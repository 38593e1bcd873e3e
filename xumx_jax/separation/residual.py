"""What the stem is called that is the rest of the mixture."""

from collections.abc import Sequence

RESIDUAL = "residual"
# {the only source of a model: what the mixture is without it}, in the words of those who publish
# such models; whatever else has no name of its own is RESIDUAL
COMPLEMENTS = {
    "vocals": "instrumental",
    "instrumental": "vocals",
    "accompaniment": "vocals",
    "karaoke": "lead_vocals",
    "lead_vocals": "karaoke",
    "noreverb": "reverb",
    "reverb": "noreverb",
    "noecho": "echo",
    "echo": "noecho",
    "denoised": "noise",
    "noise": "denoised",
    "dry": "other",
    "crowd": "nocrowd",
    "nocrowd": "crowd",
}


def residual_name(sources: Sequence[str], asked: bool | str = True) -> str:
    """What the residual of a model with these sources is called; `asked` may be a name for it."""
    if isinstance(asked, str):
        return asked
    return COMPLEMENTS.get(sources[0], RESIDUAL) if len(sources) == 1 else RESIDUAL
