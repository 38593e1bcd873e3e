"""asteroid's X-UMX from PyPI, made to run.

asteroid 0.7.0 calls the transform as in PyTorch 1, and therefore fails to build the model. Here its
two transform layers call today's `torch.stft` and `torch.istft`; the network between them is
asteroid's own. torchaudio is imported by asteroid but not used here.
"""

import sys
import types
from pathlib import Path

import torch

sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))

from asteroid.models import x_umx  # noqa: E402


def stft(self, wave):
    """[batch, channel, time] -> [batch, channel, bin, frame, 2]."""
    spec = torch.stft(
        wave.flatten(0, 1), self.n_fft, self.n_hop, window=self.window, return_complex=True
    )
    return torch.view_as_real(spec).unflatten(0, wave.shape[:2])


def istft(self, magnitudes, phase):
    """[source, batch, channel, bin, frame] twice -> [source, batch, channel, time]."""
    spec = torch.polar(magnitudes, phase.expand_as(magnitudes))
    wave = torch.istft(spec.flatten(0, 2), self.n_fft, self.hop_length, window=self.window)
    return wave.unflatten(0, spec.shape[:3])


x_umx._STFT.forward = stft
x_umx._ISTFT.forward = istft


def istft_fast(self, magnitudes, phase):
    """Like asteroid's own, with sine and cosine once for all sources; for the benchmarks."""
    spec = torch.complex(magnitudes * phase.cos(), magnitudes * phase.sin())
    wave = torch.istft(spec.flatten(0, 2), self.n_fft, self.hop_length, window=self.window)
    return wave.unflatten(0, spec.shape[:3])


def randomise(model: torch.nn.Module, seed: int, offset: float) -> None:
    """Draw every weight and statistic at random, so that no default value hides a mistake.

    Vectors are drawn around `offset`; with 0, activations stay of order one, as in a trained model.
    """
    draw = torch.Generator().manual_seed(seed)

    def normal(tensor):
        return torch.randn(tensor.shape, generator=draw)

    for name, tensor in model.state_dict().items():
        if name.endswith("window"):
            continue
        if name.endswith("num_batches_tracked"):
            value = torch.tensor(1234)
        elif "running_var" in name:
            value = 0.5 + normal(tensor).square()
        elif "scale" in name:
            value = 0.5 + 0.1 * normal(tensor)
        elif tensor.ndim > 1:
            value = normal(tensor) / tensor.shape[-1] ** 0.5
        else:
            value = offset + 0.3 * normal(tensor)
        tensor.copy_(value)


def build(**arguments) -> torch.nn.Module:
    """Build X-UMX with asteroid's defaults, in evaluation mode, returning waveforms as well."""
    return x_umx.BrokenXUMX(**{"return_time_signals": True, **arguments}).eval()


def published_size(folder: Path) -> torch.nn.Module:
    """The model at its full size, with the weights of FOLDER/weights.pth, drawn if there are none.

    With the inverse transform in its faster form.
    """
    x_umx._ISTFT.forward = istft_fast
    model = build(sources=["bass", "drums", "vocals", "other"], hidden_size=512, max_bin=1487)
    weights = folder / "weights.pth"
    if weights.exists():
        model.load_state_dict(torch.load(weights)["state_dict"])
    else:
        randomise(model, seed=1, offset=0.0)
        saved = {"state_dict": model.state_dict(), "model_args": model.get_model_args()}
        torch.save(saved, weights)
    return model


def as_aimless(state: dict, sources: list[str]) -> dict:
    """Rename a state_dict to AIMLESS's layout of the same function; AIMLESS is not on PyPI."""

    def all_sources(name, extra=()):
        return torch.cat([state[name.replace("*", source)] for source in sources])[(..., *extra)]

    renamed = {
        "input_means": all_sources("mean_scale.input_mean_*"),
        "input_scale": all_sources("mean_scale.input_scale_*"),
        "output_means": all_sources("mean_scale.output_mean_*"),
        "output_scale": all_sources("mean_scale.output_scale_*"),
    }
    for theirs, part, index in (
        ("affine1", "layer_enc.*.enc", 0),
        ("affine2", "layer_dec.*.dec", 0),
        ("affine2", "layer_dec.*.dec", 3),
    ):
        # linear layers become convolutions of width 1
        weight = all_sources(f"{part}.{index}.weight", (None,))
        renamed[f"{theirs}.{index}.weight"] = weight
        for name in ("weight", "bias", "running_mean", "running_var"):
            renamed[f"{theirs}.{index + 1}.{name}"] = all_sources(f"{part}.{index + 1}.{name}")
        counter = part.replace("*", sources[0]) + f".{index + 1}.num_batches_tracked"
        renamed[f"{theirs}.{index + 1}.num_batches_tracked"] = state[counter]
    for source in sources:
        prefix = f"layer_lstm.{source}."
        for name, tensor in state.items():
            if name.startswith(prefix):
                renamed[f"{source}_lstm.{name.removeprefix(prefix)}"] = tensor
    return renamed
