"""Every augmentation, for tests that use all of them."""

import numpy as np
import soundfile

from xumx_jax.augment import AUGMENTATIONS, options_of

# for examples of a fraction of a second, and little to compile
SMALL = {"n_fft": 64, "hop": 16, "semitones": (-1, 2)}


def all_of_them(folder, rate: int = 8000, **everywhere) -> tuple[tuple[str, dict], ...]:
    """A config's `augment` with all, and with these options for those that have them."""
    folder.mkdir(exist_ok=True)
    room = np.random.default_rng(0).normal(size=(9, 2)) * 0.8 ** np.arange(9)[:, None]
    soundfile.write(folder / "room.wav", room, rate, subtype="FLOAT")
    everywhere = {"folder": str(folder)} | everywhere
    return tuple(
        (name, {key: everywhere[key] for key in options_of(name) if key in everywhere})
        for name in AUGMENTATIONS
    )
