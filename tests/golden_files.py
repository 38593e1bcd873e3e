"""Where the recorded outputs of the original programs lie.

Tests take every file that matches a pattern, from the repository's own copies and, where it exists,
the larger set beside the repository; the environment variable GOLDEN_DIR replaces both. A file that
is not there is not an error; a folder that is there and holds none of what a test expects is.
"""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
used: set[Path] = set()


def folders() -> list[Path]:
    """The golden folders in use."""
    if chosen := os.environ.get("GOLDEN_DIR"):
        return [Path(chosen)]
    return [HERE / "golden", HERE.parent.parent / "shared" / "golden"]


def golden_files(pattern: str) -> list[Path]:
    """All files that match, such as "nnabla/small_*.npz"; of files in two folders the larger set's.

    Raises ValueError if a folder holds the pattern's directory but nothing that matches, unless
    these are the repository's own copies, which are only the smaller ones.
    """
    found: dict[str, Path] = {}
    for folder in folders():
        place = folder / Path(pattern).parent
        if not place.is_dir():
            continue
        files = sorted(folder.glob(pattern))
        if not files and folder != HERE / "golden" and any(place.iterdir()):
            raise ValueError(f"{folder}: holds nothing that matches {pattern}")
        found |= {path.name: path for path in files}
    used.update(found.values())
    return list(found.values())


def golden(pattern: str, argument: str = "path"):
    """Mark a test as golden and run it once for every file that matches."""
    files = [pytest.param(path, id=path.stem) for path in golden_files(pattern)]
    if not files:
        reason = f"no golden file {pattern}; set GOLDEN_DIR to a folder that holds it"
        files = [pytest.param(None, id="none", marks=pytest.mark.skip(reason=reason))]
    parametrize = pytest.mark.parametrize(argument, files)

    def decorate(test):
        return pytest.mark.golden(parametrize(test))

    return decorate
