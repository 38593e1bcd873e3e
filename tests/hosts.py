"""Several processes of one script that are started by `python -m xumx_jax.training.launch`."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def start(
    workdir, *arguments, processes=2, devices=2, options=(), script="hosts_script.py"
) -> subprocess.Popen:
    """Launch processes of some devices each; `options` are the launcher's."""
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    paths = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = ["-m", "xumx_jax.training.launch", "--processes", processes, *options]
    return subprocess.Popen(
        [sys.executable, *map(str, [*command, script, workdir, *arguments])],
        cwd=HERE,
        env=os.environ | {"DEVICES_FLAG": flags, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
