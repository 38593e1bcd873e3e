"""Impulse responses of rooms and devices: read from a folder once, before a run."""

import logging
from functools import cache
from pathlib import Path

import numpy as np

from xumx_jax import files
from xumx_jax.audio import decode
from xumx_jax.errors import UserError

LOG = logging.getLogger(__name__)
SUFFIXES = (".wav", ".flac")


def impulse_responses(rate: int, channels: int, *, folder: str = "") -> np.ndarray:
    """Read the WAV and FLAC files of a folder, at any depth: float32 [response, channel, tap].

    They are in the order of their names; one of a single channel gets `channels` equal ones, and
    short ones end in silence. Raises UserError unless there are any, all of that rate and with one
    channel or `channels`, finite and not silent.
    """
    if not folder:
        raise UserError("augmentation 'impulse' has no folder; wanted one of impulse responses")
    place = files.expanded(folder)
    if not place.is_dir():
        raise UserError(f"{place}: no such folder; wanted one of impulse responses")
    found = sorted(
        path
        for path in place.rglob("*")
        if path.suffix.lower() in SUFFIXES and not files.hidden(path.name)
    )
    if not found:
        raise UserError(f"{place}: no {' or '.join(SUFFIXES)} file in it; wanted impulse responses")
    return decoded(tuple((path, path.stat().st_mtime_ns) for path in found), rate, channels)


@cache  # a config is checked, and then used
def decoded(versions: tuple[tuple[Path, int], ...], rate: int, channels: int) -> np.ndarray:
    """The responses of files (path, time of change) as `impulse_responses` gives them."""
    waves = [response(path, rate, channels) for path, _ in versions]
    made = np.zeros((len(waves), channels, max(wave.shape[1] for wave in waves)), np.float32)
    for row, wave in zip(made, waves, strict=True):
        row[:, : wave.shape[1]] = wave
    LOG.info(
        "impulse responses: %d, up to %.2f s, %.1f MiB in the compiled step",
        len(made), made.shape[2] / rate, made.nbytes / 2**20,
    )  # fmt: skip
    made.flags.writeable = False
    return made


def response(path: Path, rate: int, channels: int) -> np.ndarray:
    """Read one, [channel, tap] with one channel or `channels`; see `impulse_responses`."""
    wave, its = decode(path)
    if its != rate:
        raise UserError(f"{path}: has {its} Hz; wanted an impulse response of {rate} Hz")
    if len(wave) not in (1, channels):
        wanted = "1 channel" if channels == 1 else f"1 or {channels} channels"
        raise UserError(f"{path}: has {len(wave)} channels; wanted an impulse response of {wanted}")
    if not (np.isfinite(wave).all() and np.any(wave)):
        raise UserError(f"{path}: is silent or not finite; wanted an impulse response")
    return wave
