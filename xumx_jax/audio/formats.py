"""Which output formats there are, and what they can hold; nothing is opened here."""

from bisect import bisect_left

import numpy as np

from xumx_jax.errors import UserError

# {format: bits of a sample}, the default first
BITS = {"wav": ("16", "24", "32f"), "flac": ("16", "24")}
# {format: kbit/s of a stereo file: default, least, most}
BITRATES = {
    "mp3": (256, 32, 320),
    "ogg": (256, 64, 500),
    "m4a": (256, 32, 512),
    "opus": (192, 16, 510),
}
FORMATS = (*BITS, *BITRATES)

_MPEG = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
# {format: sample rates that it supports}; the others support any
_RATES = {
    "mp3": _MPEG,
    "m4a": (*_MPEG, 64000, 88200, 96000),
    "opus": (48000,),
}


def check_format(format, bits=None, bitrate=None):
    """Raise UserError unless `format`, `bits` (a string) and `bitrate` (kbit/s) go together.

    None is the format's own default.
    """
    if format not in FORMATS:
        raise UserError(f"format {format!r} is not known; wanted one of {', '.join(FORMATS)}")
    if format in BITS:
        if bits is not None and bits not in BITS[format]:
            known = ", ".join(BITS[format])
            raise UserError(f"{format} files cannot hold {bits!r} bits; wanted one of {known}")
        if bitrate is not None:
            raise UserError(f"{format} files have no bitrate; wanted --bits or another format")
        return
    if bits is not None:
        raise UserError(f"{format} files have no bits ({bits!r}); wanted --bitrate")
    _, least, most = BITRATES[format]
    if bitrate is not None and not least <= bitrate <= most:
        raise UserError(f"bitrate is {bitrate}; wanted {least} to {most} kbit/s for {format} files")


def is_float(format, bits) -> bool:
    """Whether files of this format keep samples beyond full scale."""
    return format == "wav" and bits == "32f"


def stored_rate(format, rate) -> int:
    """The rate at which `format` stores a signal of `rate` hertz: the next one it supports."""
    known = _RATES.get(format)
    if known is None:
        return rate
    return known[min(bisect_left(known, rate), len(known) - 1)]


def quantise(wave, bits):
    """Round float samples to integers of `bits`, same shape; 24 bits sit in the top of int32.

    Done here because libsndfile scales by 2^(b-1) - 1 when writing but by 2^(b-1) when reading.
    """
    full = 2 ** (bits - 1)
    levels = np.clip(np.rint(wave.astype(np.float64) * full), -full, full - 1)
    if bits == 16:
        return levels.astype(np.int16)
    return levels.astype(np.int32) << (32 - bits)
