"""The other side of `make bench-aimless`: one chunk, or one training step, in PyTorch.

    python bench/aimless_torch.py FOLDER ROW TASK THREADS

Demucs and Hybrid Demucs are those of the Demucs package; AIMLESS's networks, which are on no
registry, are written in PyTorch's own layers. Imports neither JAX nor ours.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from bsrnn_torch import BandSplitRNN
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs_split_torch import DemucsSplit
from worker import serve

SOURCES = ("drums", "bass", "other", "vocals")


class Masked(BandSplitRNN):
    """BandSplitRNN from waveform to waveform, [batch, channel, time], as ours is."""

    def forward(self, mix):
        n_fft = 2 * (sum(self.widths) - 1)
        hop, window = n_fft // 4, torch.hann_window(n_fft)
        settings = {"n_fft": n_fft, "hop_length": hop, "window": window}
        spec = torch.stft(
            mix.flatten(0, 1), **settings, pad_mode="reflect", return_complex=True
        ).unflatten(0, mix.shape[:2])
        masked = super().forward(spec.abs()) * spec
        return torch.istft(masked.flatten(0, 1), **settings).unflatten(0, mix.shape[:2])


MODELS = {
    "hdemucs": lambda **args: HDemucs(SOURCES, **args),
    "demucs": lambda **args: Demucs(SOURCES, **args),
    "bsrnn": Masked,
    "demucs_split": DemucsSplit,
}


def load(folder: Path, row: str) -> torch.nn.Module:
    """The model, with the weights in the folder."""
    saved = torch.load(folder / "weights.pth")
    model = MODELS[row](**saved["built_with"])
    model.load_state_dict(saved["state_dict"])
    return model


def main(folder: Path, row: str, task: str, threads: int) -> None:
    torch.set_num_threads(threads)
    # an LSTM with projections says that it is new
    warnings.filterwarnings("ignore", "LSTM with projections")
    model = load(folder, row).train(task == "train")
    mix = torch.from_numpy(np.load(folder / "mix.npy"))

    def infer():
        with torch.inference_mode():
            return model(mix).numpy()

    def train():
        """The loss, the mean square of what comes out, and the gradient's norm without biases."""
        model.zero_grad()
        loss = model(mix).square().mean()
        loss.backward()
        squares = [
            torch.linalg.vector_norm(parameter.grad).square()
            for name, parameter in model.named_parameters()
            if "bias" not in name
        ]
        return np.array([loss.item(), sum(squares).sqrt().item()])

    serve({"infer": infer, "train": train}[task], version=torch.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
