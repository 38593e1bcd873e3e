"""The other side of `make bench-slicq`, in PyTorch.

    python bench/slicq_torch.py FOLDER ROW

The transform and the second version's network are those of the package xumx-slicq-v2; the first
version's, which is on no registry, is written in PyTorch's own layers. Imports neither JAX nor
ours.
"""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from slicq_v1_torch import TARGETS, XumxSliCQ
from worker import serve
from xumx_slicq_v2.model import Unmix
from xumx_slicq_v2.separator import Separator
from xumx_slicq_v2.transforms import ComplexNorm, NSGTBase, make_filterbanks

# In a mean over the 14 proper groups of four sources, how often a source's square and the product
# of two occur
OWN, CROSS = 7 / 14, 3 / 14


def filterbanks(options: dict):
    """(transform, its inverse, blocks of it to take shapes from)."""
    with redirect_stdout(sys.stderr):  # it says what its scale is
        base = NSGTBase(*options["transform"], device="cpu")
        return *make_filterbanks(base), base.predict_input_size(1, 2, 2.0)[0]


def network(options: dict) -> torch.nn.Module:
    """The network of a row, with weights that nobody chose."""
    if "networks" in options:
        return XumxSliCQ(options["blocks"], options["networks"])
    return Unmix(ComplexNorm()(filterbanks(options)[2]))


def load(folder: Path, options: dict) -> torch.nn.Module:
    """The network, with the weights in the folder."""
    model = network(options)
    model.load_state_dict(torch.load(folder / "weights.pth"))
    return model


def read(folder: Path, name: str) -> torch.Tensor:
    return torch.from_numpy(np.load(folder / f"{name}.npy"))


def flat(blocks) -> np.ndarray:
    """Blocks [..., band, slice, coefficient] -> [..., slice, coefficient]."""
    parts = [block.transpose(-3, -2).flatten(-2) for block in map(complex_of, blocks)]
    return torch.cat(parts, -1).numpy()


def complex_of(block):
    return block if block.is_complex() else torch.view_as_complex(block)


def split(values, options: dict):
    """What `flat` joined."""
    sizes = [bands * size for bands, size in options["blocks"]]
    parts = zip(values.split(sizes, -1), options["blocks"], strict=True)
    return [part.unflatten(-1, shape).transpose(-3, -2).contiguous() for part, shape in parts]


def forward(folder: Path, options: dict):
    mix, (encode, _, _) = read(folder, "mix"), filterbanks(options)
    return (lambda: encode(mix)), flat


def transform(folder: Path, options: dict):
    mix, (encode, decode, _) = read(folder, "mix"), filterbanks(options)
    return (lambda: decode(encode(mix), mix.shape[-1])), torch.Tensor.numpy


def v2(folder: Path, options: dict):
    """From waveform to waveform, as its program separates."""
    mix, (encode, decode, _) = read(folder, "mix"), filterbanks(options)
    encoder = (encode, decode, ComplexNorm())
    separator = Separator(xumx_model=load(folder, options), encoder=encoder, quiet=True)
    separator.freeze()
    return (lambda: separator(mix)), lambda waves: waves.transpose(0, 1).numpy()


def v1(folder: Path, options: dict):
    """From coefficients to coefficients."""
    model = load(folder, options).eval()
    mix = split(read(folder, "coefficients"), options)

    def run():
        masks = model([block.abs() for block in mix])
        return [mask * block[:, None] for mask, block in zip(masks, mix, strict=True)]

    return run, flat


def v1_train(folder: Path, options: dict):
    """Loss and gradient of a step: transforms, network, error of the magnitudes of all groups."""
    model = load(folder, options).train()
    stems, (encode, _, _) = read(folder, "stems"), filterbanks(options)

    def magnitudes(wave):
        return [complex_of(block).abs() for block in encode(wave)]

    def run():
        model.zero_grad()
        with torch.no_grad():
            mix = magnitudes(stems.sum(1))
            truth = [x.unflatten(0, stems.shape[:2]) for x in magnitudes(stems.flatten(0, 1))]
        errors = [
            mask * block[:, None] - true
            for mask, block, true in zip(model(mix), mix, truth, strict=True)
        ]
        loss = torch.stack([square(error) for error in errors]).mean()
        loss.backward()
        squares = [torch.linalg.vector_norm(p.grad).square() for p in model.parameters()]
        return np.array([loss.item(), sum(squares).sqrt().item()])

    return run, np.asarray


def square(error):
    """Mean square of the errors of all groups of sources, [batch, source, ...] -> a number."""
    own = (OWN - CROSS) * error.square().sum(1)
    return (own + CROSS * error.sum(1).square()).mean()


TASKS = {
    "forward": forward,
    "transform": transform,
    "v2": v2,
    "v1": v1,
    "v1_train": v1_train,
}
SOURCES = {"v2": Separator.sources, "v1": TARGETS}


def main(folder: Path, row: str) -> None:
    options = json.loads((folder / "options.json").read_text())
    run, saved = TASKS[row](folder, options)

    def task():
        with torch.inference_mode(row != "v1_train"):
            return run()

    sources = list(SOURCES.get(row, ()))
    serve(task, saved=saved, version=torch.__version__, sources=sources)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
