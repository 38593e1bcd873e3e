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

FULL = {"sources": ["bass", "drums", "vocals", "other"], "hidden_size": 512, "max_bin": 1487}


def main(folder: Path) -> None:
    imported = time.perf_counter() - BEGIN
    asteroid_xumx.x_umx._ISTFT.forward = asteroid_xumx.istft_fast
    model = asteroid_xumx.build(**FULL)
    weights = folder / "weights.pth"
    if weights.exists():
        model.load_state_dict(torch.load(weights)["state_dict"])
    else:
        asteroid_xumx.randomise(model, seed=1, offset=0.0)
        saved = {"state_dict": model.state_dict(), "model_args": model.get_model_args()}
        torch.save(saved, weights)
    mix = torch.from_numpy(np.load(folder / "mix.npy"))[None]

    def separate():
        with torch.no_grad():
            return model(mix)[1][:, 0].numpy()

    loaded = time.perf_counter() - BEGIN
    serve(separate, imported=imported, loaded=loaded, version=torch.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
