"""Audio files in and out, and resampling. Waveforms are float32 [channel, time], full scale is 1.

Integers of b bits are divided by 2^(b-1) when read and multiplied by it when written, so a file
that is read and written again at its own depth comes back bit for bit.
"""

from xumx_jax.audio.decode import AudioStream, check_file, check_range, decode, open_blocks
from xumx_jax.audio.encode import StdoutWriter, StemWriter, encode, encode_all
from xumx_jax.audio.formats import BITS, FORMATS, check_format, quantise
from xumx_jax.audio.resample import StreamResampler, resample
from xumx_jax.audio.tags import Tags, read_tags

__all__ = [
    "AudioStream",
    "BITS",
    "FORMATS",
    "StdoutWriter",
    "StemWriter",
    "StreamResampler",
    "Tags",
    "check_file",
    "check_format",
    "check_range",
    "decode",
    "encode",
    "encode_all",
    "open_blocks",
    "quantise",
    "read_tags",
    "resample",
]
