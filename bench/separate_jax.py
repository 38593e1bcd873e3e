"""Our side of `make bench-separate`: the Separator as `separate.py` makes it.

python bench/separate_jax.py FOLDER NITER
"""

import sys
import time
from pathlib import Path

BEGIN = time.perf_counter()

import jax  # noqa: E402
import numpy as np  # noqa: E402
from worker import serve  # noqa: E402

from xumx_jax.loading import load_module  # noqa: E402
from xumx_jax.separation.separator import Separator  # noqa: E402


def main(folder: Path, niter: int) -> None:
    imported = time.perf_counter() - BEGIN
    module, variables, _ = load_module(folder / "weights.safetensors")
    separator = Separator(module, variables, niter=niter)
    mix = np.load(folder / "mix.npy")

    def separate():
        return list(separator(mix, 44_100).values())

    loaded = time.perf_counter() - BEGIN
    serve(separate, imported=imported, loaded=loaded, version=jax.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
