"""Files that are decoded before they are read at many places: AIFF, MP3, Ogg, M4A and others."""

import os
import wave
from pathlib import Path

import numpy as np

from xumx_jax import audio
from xumx_jax.errors import UserError, warn

BYTES = 2  # per sample of what is written


def decoded_bytes(path: Path) -> int:
    """The size, as far as the file states its length, of what `write_wav` writes.

    Raises UserError if the file is missing or not audio.
    """
    with audio.open_blocks(path) as blocks:
        return 44 + BYTES * blocks.channels * (blocks.length or blocks.estimate)


def write_wav(path: Path, folder: Path) -> None:
    """Decode a file into FOLDER/<its name>.wav, 16 bit, with its time of change.

    A few seconds are in memory at a time. Warns of samples beyond full scale, which 16 bits cannot
    hold. Raises UserError if it is damaged or holds NaN, and OSError if the result cannot be
    written.
    """
    changed, place = path.stat().st_mtime_ns, folder / f"{path.stem}.wav"
    clipped, peak, at = 0, 1.0, 0
    with audio.open_blocks(path) as blocks, open(place, "wb") as raw, wave.open(raw, "wb") as file:
        file.setparams((blocks.channels, BYTES, blocks.rate, 0, "NONE", ""))
        for block in blocks:
            finite = np.isfinite(block).all(0)
            if not finite.all():  # such a sample has no integer
                raise UserError(
                    f"{path}: a sample at {(at + finite.argmin()) / blocks.rate:.2f} s is NaN or "
                    "infinite; wanted finite samples"
                )
            at += block.shape[1]
            levels = np.abs(block)
            clipped += int((levels > 1).sum())
            peak = max(peak, float(levels.max(initial=0)))
            file.writeframesraw(audio.quantise(block.T, 8 * BYTES).tobytes())
    if clipped:
        warn(
            f"{path}: decoded into 16 bits, which clips {clipped} samples beyond full scale "
            f"(up to {peak:.2f}); a WAV or FLAC file is read as it is"
        )
    os.utime(place, ns=(changed, changed))
