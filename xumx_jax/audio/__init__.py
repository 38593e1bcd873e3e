"""Read, write and resample audio. Waveforms are float32 [channel, time], full scale is 1.

decode, ffmpeg    any format to blocks of samples
riff              where headers say that the sound is
ogg               Ogg files, and several of them one after another
uniform           sound whose rate or channels change on the way
window            a part of a file as a file
encode            stems to files, all of a track's or none
formats           output formats: what they can hold, and one open file of each
containers        opening files safely, tags, and WAV files of any length
covers            pictures among the tags, and which of them stems get
resample          other sample rates

Integers of b bits are divided by 2^(b-1) when read and multiplied by it when written, so a file
that is read and written again with the same number of bits is unchanged, bit for bit. Nothing here
knows about models or separation.
"""

from xumx_jax.audio.containers import (
    Tags,
    check_file,
    open_binary,
    open_container,
    quantise,
    read_tags,
)
from xumx_jax.audio.decode import (
    AudioStream,
    check_range,
    decode,
    open_blocks,
)
from xumx_jax.audio.encode import StdoutWriter, StemWriter, encode, encode_all
from xumx_jax.audio.formats import BITS, FORMATS, check_format
from xumx_jax.audio.resample import StreamResampler, resample

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
    "open_binary",
    "open_blocks",
    "open_container",
    "quantise",
    "read_tags",
    "resample",
]
