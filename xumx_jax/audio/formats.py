"""Output formats: what each can hold, and one open file of it, with `write([channel, time])`."""

import os
from bisect import bisect_left
from contextlib import ExitStack
from fractions import Fraction
from typing import Any

import numpy as np

from xumx_jax.audio import covers
from xumx_jax.audio.containers import NO_TAGS, SOUNDFILE, Tags, WavFile, quantise
from xumx_jax.audio.resample import StreamResampler, whole_rate
from xumx_jax.errors import UserError, warn

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
_COVERS = ("flac", "mp3", "m4a", "opus")
_LONGEST = 1 << 16  # characters of a tag; some formats hold no more than 16 MB

_MPEG = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
# {format: sample rates that it supports}; the others support any, up to the highest
_RATES = {
    "mp3": _MPEG,
    "m4a": (*_MPEG, 64000, 88200, 96000),
    "opus": (48000,),
}
_VORBIS_HIGHEST = 192000  # libvorbis crashes above 200 kHz
_FLAC_HIGHEST = (1 << 20) - 1  # its header has 20 bits for it
# {format: channels that its files hold at most}
CHANNELS = {**dict.fromkeys(FORMATS, 2), "wav": 65535 // 4, "flac": 8}
# {format: (FFmpeg's codec, FFmpeg's container)}; its own Vorbis encoder is an experiment
_CODECS = {
    "flac": ("flac", "flac"),
    "mp3": ("libmp3lame", "mp3"),
    "m4a": ("aac", "mp4"),
    "opus": ("libopus", "opus"),
}
# By number of channels, as FLAC orders them
_LAYOUTS = (None, "mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
_VORBIS_BLOCK = 1 << 14  # samples at once: libvorbis copies them to the stack
# Vorbis' qualities 0 to 10 and what they come to, in kbit/s of stereo at 44.1 kHz
_VORBIS_KBITS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)


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
            raise UserError(f"{format} files have no bitrate; use --bits or another format")
        return
    if bits is not None:
        raise UserError(f"{format} files have no bits ({bits!r}); use --bitrate")
    _, least, most = BITRATES[format]
    if bitrate is not None and not least <= bitrate <= most:
        raise UserError(f"bitrate is {bitrate}; wanted {least} to {most} kbit/s for {format} files")


def is_float(format, bits) -> bool:
    """Whether files of this format keep samples beyond full scale."""
    return format == "wav" and bits == "32f"


def stored_rate(format, rate) -> int:
    """The rate at which `format` stores a signal of `rate` hertz: the next one it supports.

    Above the highest it is the highest.
    """
    known = _RATES.get(format)
    if known is None:
        return min(rate, _VORBIS_HIGHEST) if format == "ogg" else rate
    return known[min(bisect_left(known, rate), len(known) - 1)]


def check_signal(path, rate, channels, format) -> int:
    """The rate as an int. Raises UserError if no file of `format` can hold such a signal."""
    rate = whole_rate(rate)
    if not 0 < channels <= CHANNELS[format]:
        raise UserError(f"{path}: {format} files cannot hold {channels} channels; use wav")
    highest = {"flac": _FLAC_HIGHEST, "wav": 0xFFFFFFFF // (4 * channels)}.get(format, rate)
    if rate > highest:
        raise UserError(
            f"{path}: {format} files hold at most {highest} Hz with {channels} channels, and this "
            f"is {rate} Hz; use a lossy format, or the model's rate"
        )
    return rate


def storable(tags, format) -> Tags:
    """The tags that files of `format` hold; warns of what is left out.

    Not of a cover where the format has none, which is no fault of the track.
    """
    text = {name: value for name, value in tags.text.items() if len(value) <= _LONGEST}
    if left := ", ".join(name for name in tags.text if name not in text):
        warn(f"tags of more than {_LONGEST} characters are not copied to the stems: {left}")
    if not tags.cover or format not in _COVERS:
        return Tags(text)
    if problem := covers.problem(tags.cover):
        warn(f"the cover picture {problem}, so it is not copied to the stems")
        return Tags(text)
    return Tags(text, tags.cover, covers.mime(tags.cover))


def ERRORS():
    """What libraries raise if a file cannot be written; soundfile asserts on a full disk."""
    import soundfile
    from av.error import FFmpegError

    return OSError, FFmpegError, soundfile.LibsndfileError, AssertionError


class named:
    """Turn a library's error while it writes `path` into a UserError that names the file."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        pass

    def __exit__(self, kind, error, trace):
        if kind is not None and issubclass(kind, ERRORS()) and not issubclass(kind, UserError):
            reason = getattr(error, "strerror", None) or str(error) or "is the disk full?"
            raise UserError(f"{self.path}: cannot be written: {reason}") from None


def open_writer(path, rate, channels, format, bits, bitrate, length=None, tags=NO_TAGS):
    """Open `path` for one stem; formats that do not support `rate` get the next that they do."""
    kept = stored_rate(format, rate)
    if format == "wav":
        return WavFile(open(path, "wb"), rate, channels, bits, length, tags)
    kbits = bitrate or BITRATES.get(format, (None,))[0]
    if format == "ogg":
        writer = VorbisFile(path, kept, channels, kbits, tags)
    else:
        writer = FFmpegFile(path, kept, channels, format, bits, kbits, tags)
    return writer if kept == rate else Resampled(writer, rate, kept, channels)


class Resampled:
    """A writer that takes samples at another rate than its file's."""

    def __init__(self, writer, rate, kept, channels):
        self.writer, self.closed = writer, False
        self.stream = StreamResampler(rate, kept, channels)

    def write(self, block):
        self.writer.write(self.stream.push(block))

    def close(self):
        if not self.closed:
            self.closed = True
            self.writer.write(self.stream.finish())
        self.writer.close()


class VorbisFile:
    """Ogg Vorbis with libsndfile, at the quality whose bitrate is nearest."""

    def __init__(self, path, rate, channels, kbits, tags):
        import soundfile

        # the table is of stereo at 44.1 kHz
        quality = np.interp(kbits, _VORBIS_KBITS, np.linspace(0, 1, len(_VORBIS_KBITS)))
        self.path, self.frames = path, 0
        open(path, "wb").close()  # libsndfile would let nobody else write to it, whatever the umask
        self.file = soundfile.SoundFile(
            *(os.fsencode(path), "w", rate, channels),  # pyright: ignore[reportArgumentType]
            subtype="VORBIS",
            format="OGG",
            compression_level=1 - float(quality),
        )
        for name, attribute in SOUNDFILE.items():
            if name in tags.text:
                setattr(self.file, attribute, tags.text[name])

    def write(self, block):
        for at in range(0, block.shape[1], _VORBIS_BLOCK):
            self.file.write(np.ascontiguousarray(block[:, at : at + _VORBIS_BLOCK].T))
        self.frames += block.shape[1]

    def close(self):
        import soundfile

        if self.file.closed:
            return
        self.file.close()
        # closing reports nothing
        written = soundfile.info(os.fsencode(self.path))  # pyright: ignore[reportArgumentType]
        if written.frames != self.frames:
            raise OSError("the file did not take all samples; is the disk full?")


class FFmpegFile:
    """FLAC or a lossy format, with FFmpeg's encoders; decoders return every sample."""

    def __init__(self, path, rate, channels, format, bits, kbits, tags):
        import av

        self.av, self.rate, self.bits, self.frames, self.closed = av, rate, bits, 0, False
        codec, container = _CODECS[format]
        # MP4 states where the sound ends in units of this, by default of milliseconds
        options = {"movie_timescale": str(rate), "brand": "M4A "} if container == "mp4" else {}
        # FFmpeg would take a name with a colon for a protocol, such as "http:" or "pipe:1"
        self.file = open(path, "wb")
        with ExitStack() as stack:
            stack.callback(self.file.close)
            self.container = av.open(self.file, "w", format=container, options=options)
            self._set_up(codec, channels, kbits, tags)
            stack.pop_all()

    def _set_up(self, codec, channels, kbits, tags):
        self.stream: Any = self.container.add_stream(codec, rate=self.rate)
        self.layout = self.stream.layout = _LAYOUTS[channels]
        if kbits:
            self.stream.bit_rate = 1000 * kbits * channels // 2
        # what the encoder takes, in pieces of the size that it takes
        self.sample_format = {"16": "s16", "24": "s32"}.get(self.bits, "fltp")
        self.stream.format = self.sample_format if codec != "libopus" else "flt"
        self.container.metadata.update(tags.text)
        cover = None
        if tags.cover and codec == "libopus":
            self.container.metadata["METADATA_BLOCK_PICTURE"] = covers.block(tags.cover)
        elif tags.cover:
            cover = self._add_cover(tags.cover)
        self.stream.open()
        if cover:
            self.container.start_encoding()
            self.container.mux(cover)
        self.pieces = self.av.AudioResampler(
            self.stream.format.name,  # pyright: ignore[reportAttributeAccessIssue]
            self.layout,
            self.rate,
            self.stream.frame_size or None,
        )

    def _add_cover(self, picture):
        packet = self.av.Packet(picture)
        with covers.opened(picture) as source:
            stream: Any = self.container.add_stream_from_template(source)
        packet.stream, stream.disposition = stream, covers.ATTACHED
        packet.pts = packet.dts = 0
        return packet

    def write(self, block):
        if not block.shape[1]:
            return
        if self.bits:
            block = quantise(block, int(self.bits)).T.reshape(1, -1)  # interleaved
        frame = self.av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block), self.sample_format, self.layout
        )
        frame.sample_rate, frame.pts = self.rate, self.frames
        frame.time_base = Fraction(1, self.rate)
        self.frames += frame.samples
        self._mux(self.pieces.resample(frame))

    def close(self):
        if self.closed:
            return
        self.closed = True
        with self.file, self.container as container:
            # a lossy container without samples is not a valid file
            if not self.frames and not self.bits:
                self.write(np.zeros((self.stream.channels, 1), np.float32))
            self._mux(self.pieces.resample(None))
            container.mux(self.stream.encode(None))

    def _mux(self, pieces):
        for piece in pieces:
            self.container.mux(self.stream.encode(piece))
