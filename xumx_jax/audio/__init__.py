"""Read, write and resample audio. Waveforms are float32 [channel, time], full scale is 1.

decode, ffmpeg    any format to blocks of samples
encode, writers   stems to files, all of a track's or none
containers        headers of audio files, and WAV files of any length
formats           which output formats there are and what they can hold
resample          other sample rates
tags              titles and cover pictures

Integers of b bits are divided by 2^(b-1) when read and multiplied by it when written, so a file
that is read and written again with the same number of bits is unchanged, bit for bit. Nothing here
knows about models or separation.
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
