"""PyTorch's models of `make bench-aimless`.

Demucs and Hybrid Demucs are those of the Demucs package; AIMLESS's networks, which are on no
registry, are written in PyTorch's own layers. Imports neither JAX nor ours.
"""

import torch
from bsrnn_torch import BandSplitRNN
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs_split_torch import DemucsSplit

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
