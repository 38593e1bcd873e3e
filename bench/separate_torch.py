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


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Draw weights and statistics that keep activations of order one, as in a trained model."""
    draw = torch.Generator().manual_seed(seed)

    def normal(tensor):
        return torch.randn(tensor.shape, generator=draw)

    for name, tensor in model.state_dict().items():
        if name.endswith(("window", "num_batches_tracked")):
            continue
        if "running_var" in name:
            value = 0.5 + normal(tensor).square()
        elif "scale" in name:
            value = 0.5 + 0.1 * normal(tensor)
        elif tensor.ndim > 1:
            value = normal(tensor) / tensor.shape[-1] ** 0.5
        else:
            value = 0.3 * normal(tensor)
        tensor.copy_(value)


def istft(self, magnitudes, phase):
    """As asteroid's own, with sine and cosine once for all sources."""
    spec = torch.complex(magnitudes * phase.cos(), magnitudes * phase.sin())
    wave = torch.istft(spec.flatten(0, 2), self.n_fft, self.hop_length, window=self.window)
    return wave.unflatten(0, spec.shape[:3])


def main(folder: Path) -> None:
    imported = time.perf_counter() - BEGIN
    asteroid_xumx.x_umx._ISTFT.forward = istft
    model = asteroid_xumx.build(**FULL)
    weights = folder / "weights.pth"
    if weights.exists():
        model.load_state_dict(torch.load(weights)["state_dict"])
    else:
        randomise(model, seed=1)
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
