"""The other side of `networks`: one chunk, or one training step, in PyTorch.

    python bench/networks_torch.py FOLDER BENCH ROW TASK THREADS

Imports neither JAX nor ours.
"""

import copy
import importlib
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from worker import serve


def models(bench: str) -> dict:
    """{row: function that makes PyTorch's model}."""
    return importlib.import_module(f"{bench}_torch").MODELS


def load(folder: Path, bench: str, row: str) -> torch.nn.Module:
    """The model, with the weights in the folder."""
    saved = torch.load(folder / "weights.pth")
    model = models(bench)[row](**saved["built_with"])
    model.load_state_dict(saved["state_dict"])
    return model


def gflop(model: torch.nn.Module, mix: torch.Tensor) -> float | None:
    """Billions of operations of products, convolutions, attention and LSTMs, without doing them.

    None of a network that computes its lengths with tensors, as Demucs does.
    """

    def istft(spec, n_fft, hop_length=None, *rest, length=None, **options):
        """As long as `torch.istft`'s result, which looks at values that are not there."""
        length = length or (hop_length or n_fft // 4) * (spec.shape[-1] - 1)
        return torch.zeros((*spec.shape[:-2], length), device=spec.device)

    counter = FlopCounterMode(display=False)
    with ExitStack() as stack:
        for where, name, instead in (
            (torch, "istft", istft),
            (torch.Tensor, "__bool__", lambda checked: True),  # of assertions
        ):
            stack.enter_context(patch.object(where, name, instead))
        for context in (torch.device("meta"), torch.no_grad(), counter):
            stack.enter_context(context)
        try:
            copy.deepcopy(model).to("meta")(mix.to("meta"))
        except RuntimeError as error:
            if "meta tensors" in str(error):
                return None
            raise
    return counter.get_total_flops() / 1e9


def main(folder: Path, bench: str, row: str, task: str, threads: int) -> None:
    torch.set_num_threads(threads)
    # an LSTM with projections says that it is new
    warnings.filterwarnings("ignore", "LSTM with projections")
    model = load(folder, bench, row).train(task == "train")
    if task == "infer" and hasattr(model, "fused"):
        model = model.fused()
    mix = torch.from_numpy(np.load(folder / "mix.npy"))
    work = gflop(model, mix)
    if work and task == "train":
        work *= 3  # the gradients twice as much

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
            if "bias" not in name and parameter.requires_grad
        ]
        return np.array([loss.item(), sum(squares).sqrt().item()])

    serve({"infer": infer, "train": train}[task], version=torch.__version__, gflop=work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5]))
