"""What `make` shows while it installs."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# what pip says of a package, with and without its metadata fetched first
SAID = r"""
Obtaining file:///home/me/xumx_jax
Collecting jaxlib (from -c constraints.txt (line 73))
  Downloading jaxlib-0.10.2-cp311-cp311-manylinux_2_27_x86_64.whl.metadata (1.3 kB)
Requirement already satisfied: six in ./.venv/lib
Downloading jaxlib-0.10.2-cp311-cp311-manylinux_2_27_x86_64.whl (81.2 MB)
   ━━━━━━━━━━ 81.2/81.2 MB 9.1 MB/s eta 0:00:00
Using cached six-1.17.0-py2.py3-none-any.whl (11 kB)
Installing collected packages: six, jaxlib
Successfully installed jaxlib-0.10.2 six-1.17.0
"""
SHOWN = [
    "Downloading jaxlib-0.10.2-cp311-cp311-manylinux_2_27_x86_64.whl (81.2 MB)",
    "Using cached six-1.17.0-py2.py3-none-any.whl (11 kB)",
    "Installing collected packages",
]


def shown(tmp_path, command):
    """What the Makefile shows of a command's output, and its status."""
    (tmp_path / "said").write_text(SAID)
    rule = f"try:\n\t@{command} | $(FETCHED)"
    done = subprocess.run(
        ["make", "--no-print-directory", "--eval", rule, "try"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines(), done.returncode


def test_installing_shows_a_line_for_each_package(tmp_path):
    assert shown(tmp_path, f"cat {tmp_path}/said") == (SHOWN, 0)
    assert shown(tmp_path, "true") == ([], 0)  # everything is there already


def test_a_failure_of_pip_is_one_of_make(tmp_path):
    assert shown(tmp_path, f"(cat {tmp_path}/said; exit 1)") == (SHOWN, 2)
