"""Files made of a job's floats when asked for, against what the command line writes."""

import re

import numpy as np
import pytest
import soundfile
from web_jobs import RATE, Shares, finished, sound

from xumx_jax.audio import decode, encode
from xumx_jax.audio.containers import Tags
from xumx_jax.errors import Cancelled, UserError
from xumx_jax.separation.file import separate_file
from xumx_jax.web import mixing
from xumx_jax.web.balance import Balance

FORMS = [
    ("wav", "24", None),
    ("wav", "32f", None),
    ("flac", None, None),
    ("flac", "24", None),
    ("mp3", None, None),
    ("mp3", None, 128),
    ("ogg", None, None),
    ("m4a", None, 96),
    ("opus", None, None),
]
LOUD = 2.0  # a level at which stems exceed full scale


def whole(balance_parts):
    return Balance({name: (1.0, 0.0) for name in balance_parts})


def content(download):
    """The bytes of a download, whose length must be what it states."""
    made = b"".join(download.pieces)
    assert len(made) == download.bytes
    return made


def same(content):
    """A file without what differs each time that the very same is encoded.

    Ogg's encoders draw a serial number, which each page has with its checksum (RFC 3533, section 6).
    """
    return re.sub(rb"(OggS.{10}).{4}(.{4}).{4}", rb"\1\2", content, flags=re.S)


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("song") / "song.flac"
    encode(path, sound(), RATE, "flac", tags=Tags({"title": "Überfahrt", "artist": "Ä"}))
    return path


@pytest.fixture(scope="module")
def jobs(song, tmp_path_factory):
    """{level: (folder, result)} of the song at a usual level, and at one beyond full scale."""
    place = tmp_path_factory.mktemp("jobs")
    made = {level: place / str(level) for level in (0.25, LOUD)}
    return {level: (folder, finished(folder, song, level)) for level, folder in made.items()}


@pytest.mark.parametrize("level", [0.25, LOUD])
@pytest.mark.parametrize(["format", "bits", "bitrate"], FORMS)
def test_a_stem_is_the_file_of_the_command_line(jobs, song, tmp_path, level, format, bits, bitrate):
    folder, result = jobs[level]
    form = dict(format=format, bits=bits, bitrate=bitrate)
    separate_file(Shares(level), song, tmp_path, **form, on_warning=lambda message: None)
    path = mixing.encoded(folder, result, "vocals", **form)
    assert same(path.read_bytes()) == same((tmp_path / f"vocals.{format}").read_bytes())
    assert (result.gain < 1) == (level == LOUD)


@pytest.mark.parametrize("level", [0.25, LOUD])
@pytest.mark.parametrize(["format", "bits", "bitrate"], [("wav", "16", None), *FORMS])
def test_a_mix_is_the_file_of_the_command_line(jobs, song, tmp_path, level, format, bits, bitrate):
    folder, result = jobs[level]
    form = dict(format=format, bits=bits, bitrate=bitrate)
    separate_file(Shares(level), song, tmp_path, mix="drums+bass", **form)
    made = content(mixing.mix(folder, result, whole(("drums", "bass")), **form))
    assert same(made) == same((tmp_path / f"drums+bass.{format}").read_bytes())
