"""The other side of `make bench-separate`: asteroid's X-UMX on a whole track.

    python bench/separate_torch.py FOLDER

A `worker.serve` in an environment without our process's memory: imports neither JAX nor ours. Makes
random full-size weights and saves them as FOLDER/weights.pth if they are not there.
"""

import sys
import time
from pathlib import Path

BEGIN = time.perf_counter()

import asteroid_xumx  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from worker import serve  # noqa: E402


def main(folder: Path) -> None:
    imported = time.perf_counter() - BEGIN
    model = asteroid_xumx.published_size(folder)
    mix = torch.from_numpy(np.load(folder / "mix.npy"))[None]

    def separate():
        with torch.no_grad():
            return model(mix)[1][:, 0].numpy()

    loaded = time.perf_counter() - BEGIN
    serve(separate, imported=imported, loaded=loaded, version=torch.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
