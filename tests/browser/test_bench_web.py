"""`make bench-web` in its quick form: all figures are there, and the page is small."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_small_and_the_player_measured(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "web.py", "--quick"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "XUMX_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["bench"] == "web" and found["quick"]
    assert 0 < found["page_kb"] < 150  # how large the page is depends on no machine
    assert 0 < found["ready_seconds"] and 0.03 < found["seek_seconds"]
    assert 20 < found["memory_mb"] < 1000 and found["memory_ratio"] > 0 < found["ready_ratio"]
