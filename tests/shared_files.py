"""Real music, and files of other programs, that some tests read and the repository does not hold.

XUMX_TEST_DATA names their folder; by default it is `shared/data` beside the clone, if that exists.
It may hold `musdb18-7-sample/train/*.stem.mp4` (one track of MUSDB18's 7 s preview), tracks in MP3,
and `Music Delta - 80s Rock.json` (scores of that track, as museval 0.3.0 wrote them).
"""

import os
from pathlib import Path

import pytest

VARIABLE = "XUMX_TEST_DATA"
BESIDE = Path(__file__).parents[2] / "shared" / "data"


def folder() -> Path:
    """The folder in use, which need not exist."""
    return Path(os.environ.get(VARIABLE) or BESIDE)


def shared(name: str) -> Path:
    """The path of one of the files or folders, which need not exist."""
    return folder() / name


def needs(name: str):
    """Mark a test that cannot run without `name`."""
    reason = f"reads {name}; set {VARIABLE} to a folder that holds it"
    return pytest.mark.skipif(not shared(name).exists(), reason=reason)
