"""A Separator in a process that was forked after JAX had started: one line where it would hang."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHILD = """
import os, signal, sys
import numpy as np

model, when = sys.argv[1:]

def separate(separator=None):
    import xumx_jax

    separator = separator or xumx_jax.load(model)
    return separator(np.zeros((2, 500), np.float32), 8000)

separator = None
if when == "used":
    import xumx_jax

    separator = xumx_jax.load(model)
    separate(separator)
elif when == "started":
    import jax
    import xumx_jax.separation.separator

    jax.numpy.zeros(3).block_until_ready()
elif when == "imported":
    import jax
    import xumx_jax.separation.separator

child = os.fork()
if not child:
    signal.alarm(60)  # rather than hang
    try:
        separate(separator)
        print("separated", flush=True)
    except ValueError as error:
        print(type(error).__name__, error, flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
sys.exit(status)
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["used", "started", "imported", "not yet"])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_a_separator_in_a_forked_process(tiny_model, when):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, str(tiny_model), when],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_ENABLE_COMPILATION_CACHE": "0"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    if when in ("imported", "not yet"):  # nothing has started there
        assert done.stdout == "separated\n"
    else:
        assert done.stdout.startswith(
            "UserError this process was forked after JAX had started, so JAX would hang in it"
        )
        assert done.stdout.count("\n") == 1
