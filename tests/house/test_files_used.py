"""How many of the package's files the commonest command needs: what a newcomer has to read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import xumx_jax

PACKAGE = Path(xumx_jax.__file__).parent
LIMIT = 48

COUNT = """
import sys, threading
used = set()

def hook(frame, event, argument):
    if event == "call" and frame.f_code.co_name != "<module>":
        used.add(frame.f_code.co_filename)

sys.setprofile(hook)
threading.setprofile(hook)
from xumx_jax.cli import main
status = main(["separate", sys.argv[1], "--model", "demo", "--out", sys.argv[2]])
sys.setprofile(None)
print(*sorted(used), sep="\\n", file=open(sys.argv[3], "w"))
sys.exit(status)
"""


@pytest.mark.slow
def test_separating_the_bundled_clip_runs_functions_of_few_files(tmp_path):
    """Functions, methods and class bodies count, in all threads; imports alone do not."""
    listed = tmp_path / "files"
    command = [sys.executable, "-c", COUNT, PACKAGE / "assets" / "demo.flac", tmp_path, listed]
    environment = os.environ | {"XUMX_CACHE": str(tmp_path / "cache")}
    subprocess.run(command, check=True, cwd=PACKAGE.parent, env=environment, capture_output=True)
    inside = [
        Path(line) for line in listed.read_text().splitlines() if line.startswith(str(PACKAGE))
    ]
    names = [path.relative_to(PACKAGE).as_posix() for path in inside]
    assert len(names) <= LIMIT, f"{len(names)} files, {LIMIT} allowed:\n" + "\n".join(names)
