"""Open-Unmix from PyPI against ours, for `parity.py`: spectrograms, and its whole Separator.

The original runs in double precision, because its filter inverts covariances that float32 cannot.
"""

import json
from pathlib import Path

import asteroid_xumx  # which puts an empty torchaudio in place: Open-Unmix imports it, too
import jax
import numpy as np
import torch
from openunmix.model import OpenUnmix, Separator

from xumx_jax.separation.separator import Separator as Ours
from xumx_jax.weights import load

MUSIC = {
    "targets": ("vocals", "drums", "bass", "other"),
    "network": {"nb_bins": 2049, "nb_channels": 2, "hidden_size": 512, "max_bin": 1487},
    "transform": {"n_fft": 4096, "n_hop": 1024, "sample_rate": 44100},
}
SPEECH = {
    "targets": ("speech", "noise"),
    "network": {"nb_bins": 513, "nb_channels": 1, "hidden_size": 256, "max_bin": 513},
    "transform": {"n_fft": 1024, "n_hop": 512, "sample_rate": 16000},
}
LIVE = MUSIC | {"network": MUSIC["network"] | {"unidirectional": True}}

# Ratio masks leave no residual but rounding, so not both at once.
RUNS = ({"niter": 0}, {"niter": 1}, {"niter": 1, "residual": True}, {"niter": 2, "softmask": True})


def write_folder(folder: Path, models: dict, transform: dict, channels: int) -> None:
    """As Open-Unmix's training leaves it: a file per target and one for all."""
    folder.mkdir()
    for target, model in models.items():
        torch.save(model.state_dict(), folder / f"{target}.pth")
    names = {"n_fft": "nfft", "n_hop": "nhop", "sample_rate": "sample_rate"}
    said = {theirs: transform[name] for name, theirs in names.items()}
    (folder / "separator.json").write_text(json.dumps(said | {"nb_channels": channels}))


def compare(folder: Path, seed: int, mix: np.ndarray, case: dict, differ):
    """Yield (tensor, difference) for spectrograms and, with options of the filter, for stems."""
    channels = case["network"]["nb_channels"]
    models = {}
    for index, target in enumerate(case["targets"]):
        models[target] = OpenUnmix(**case["network"]).eval()
        asteroid_xumx.randomise(models[target], 10 * seed + index, offset=0.5)
    folder = folder / f"openunmix-{seed}"
    write_folder(folder, models, case["transform"], channels)
    module, variables, _ = load.load_module(folder)

    original = Separator(models, nb_channels=channels, **case["transform"]).eval().double()
    audio = torch.from_numpy(mix).double()
    with torch.no_grad():
        size = original.complexnorm(original.stft(audio))
        theirs = {target: model(size.clone()) for target, model in models.items()}
    magnitudes = size.float().numpy()
    run = jax.jit(lambda v, x: module.apply(v, x, method="masks"))
    ours = run(variables, magnitudes) * magnitudes[:, None]
    for index, target in enumerate(module.sources):
        yield f"spectrogram {target}", differ(ours[:, index], theirs[target])

    for options in RUNS:
        original.niter = options["niter"]
        original.residual = options.get("residual", False)
        original.softmask = options.get("softmask", False)
        with torch.no_grad():
            stems = original.to_dict(original(audio))
        found = Ours(module, variables, **options)(mix[0], module.sample_rate)
        said = ", ".join(
            name if value is True else f"{name} {value}" for name, value in options.items()
        )
        for target, stem in stems.items():
            yield f"{said}: {target}", differ(found[target], stem[0])
