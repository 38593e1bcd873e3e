"""Effects of the package pedalboard, which the extra `effects` installs."""

import numpy as np


def played(kind: str, wave: np.ndarray, rate: int, settings: dict) -> np.ndarray:
    """Play [channel, time] through a new plug-in of that class, without what rings on."""
    import pedalboard

    return getattr(pedalboard, kind)(**settings)(np.ascontiguousarray(wave), rate)
