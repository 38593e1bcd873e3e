"""Options of a separation that the file of a model recommends: those of its configuration.

`info["separation"]` of a model has what ZFTurbo's and UVR's programs were told: "chunk_size" in
samples, and "num_overlap", the number of chunks that cover each sample.
"""

from math import nextafter
from typing import Any

from xumx_jax.models.interface import optional


def recommended(options: dict[str, Any], info: dict[str, Any], model) -> dict[str, Any]:
    """Options of `Separator` for a model, completed by what `info` says of it.

    Chunks are as long as it says, since the network was trained on such; how much they overlap is
    its program's choice, and so is taken with that program's protocol alone.
    """
    said, made = info.get("separation") or {}, dict(options)
    if made.get("chunk_seconds") is None and "chunk_size" in said:
        made["chunk_seconds"] = seconds_of(said["chunk_size"], model.sample_rate)
    protocol = made.get("protocol")
    protocol = optional(model, "protocol") if protocol == "original" else protocol
    if protocol == "msst" and made.get("overlap") is None and "num_overlap" in said:
        made["overlap"] = 1 - 1 / said["num_overlap"]
    return made


def seconds_of(samples: int, rate: int) -> float:
    """Seconds that are so many samples, also where they are rounded down."""
    seconds = samples / rate
    return seconds if int(seconds * rate) == samples else nextafter(seconds, seconds + 1)
