"""What recorded outputs of xumx-sliCQ and nsgt hold."""

import json
from functools import cache

import numpy as np

from xumx_jax.transforms.slicq import SliCQ

SCALES = {"lin": "linear"}  # names in the recordings, where ours differ


@cache
def arrays(path) -> dict:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def meta(path) -> dict:
    return json.loads(str(arrays(path)["meta"]))


def transform(about: dict, **options) -> SliCQ:
    """That of a recording."""
    return SliCQ(
        SCALES.get(about["kind"], about["kind"]),
        about["bins"],
        about["fmin"],
        gamma_hz=about.get("gamma") or 0.0,
        transition=about["trlen"] if about.get("trlen_override") else None,
        **options,
    )


def decibels(ours, wanted) -> float:
    """How far below what was wanted the difference lies."""
    difference = np.linalg.norm(np.ravel(ours) - np.ravel(wanted))
    return 20 * np.log10(difference / np.linalg.norm(wanted) + 1e-30)


def flat(blocks) -> np.ndarray:
    """Blocks as the recordings have them, one behind the other."""
    return np.concatenate([np.ravel(block) for block in blocks])
