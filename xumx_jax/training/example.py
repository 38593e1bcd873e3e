"""The excerpt of a validation track that a run separates every few epochs, to be looked at."""

from collections.abc import Callable

import numpy as np

from xumx_jax.training import step
from xumx_jax.training.batches import Data, to_channels, with_silence


def separated(
    data: Data, this: step.Step, separate: Callable, variables: dict
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Separate the excerpt -> mixture [channel, time], true and estimated [source, channel, time].

    `separate` is the model's compiled `apply`. The estimate may be longer. None if there is no
    validation data.
    """
    if (example := data.example()) is None:
        return None
    segment = this.model.segment
    stems, mix = (to_channels(wave, this.model) for wave in example)
    truth = np.asarray(step.mixed(stems[None], data.mixing))[0]
    mix = mix[:, : segment.chunk(mix.shape[-1])]  # less only where that is too long
    length = segment.fit(mix.shape[-1])
    wave = separate(variables, with_silence(mix, length)[None]).wave
    return mix, truth, np.asarray(wave)[0]
