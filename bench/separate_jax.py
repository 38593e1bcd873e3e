"""Our side of `make bench-separate`: `separate.py`, from file to files, in a lasting process.

python bench/separate_jax.py FOLDER OUT NITER
"""

import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

BEGIN = time.perf_counter()

import jax  # noqa: E402
from worker import serve  # noqa: E402

from xumx_jax.cli import main as program  # noqa: E402
from xumx_jax.separation.separator import Separator  # noqa: E402
from xumx_jax.weights.load import load_module  # noqa: E402


def main(folder: Path, out: Path, niter: int) -> None:
    imported = time.perf_counter() - BEGIN
    weights = folder / "weights.safetensors"
    begin = time.perf_counter()
    Separator(*load_module(weights)[:2], niter=niter)
    loading = time.perf_counter() - begin
    options = ["--model", weights, "--out", out, "--bits", "32f", "--niter", niter]
    command = [str(part) for part in ("separate", folder / "mix.wav", *options)]

    def separate():
        with redirect_stdout(StringIO()):
            if status := program(command):
                raise SystemExit(status)

    serve(separate, imported=imported, loading=loading, version=jax.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
