"""Files that are decoded before they are read at many places: AIFF, MP3, Ogg, M4A and others."""

import os
import wave
from pathlib import Path

from xumx_jax import audio

BYTES = 2  # per sample of what is written


def decoded_bytes(path: Path) -> int:
    """The size, as far as the file states its length, of what `write_wav` writes.

    Raises UserError if the file is missing or not audio.
    """
    with audio.open_blocks(path) as blocks:
        return 44 + BYTES * blocks.channels * (blocks.length or blocks.estimate)


def write_wav(path: Path, folder: Path) -> None:
    """Decode a file into FOLDER/<its name>.wav, 16 bit, with its time of change.

    A few seconds are in memory at a time. Raises UserError if it is damaged, and OSError if the
    result cannot be written.
    """
    changed, place = path.stat().st_mtime_ns, folder / f"{path.stem}.wav"
    with audio.open_blocks(path) as blocks, open(place, "wb") as raw, wave.open(raw, "wb") as file:
        file.setparams((blocks.channels, BYTES, blocks.rate, 0, "NONE", ""))
        for block in blocks:
            file.writeframesraw(audio.quantise(block.T, 8 * BYTES).tobytes())
    os.utime(place, ns=(changed, changed))
