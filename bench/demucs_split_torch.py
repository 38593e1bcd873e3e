"""DemucsSplit in plain PyTorch, grouped convolutions and all, to compare outputs and speed with.

    python bench/demucs_split_torch.py golden/torch/aimless_demucs_split*.npz    largest differences
    python bench/demucs_split_torch.py --seconds 10 --rounds 3                   CPU seconds

Written from the shapes and recorded outputs of AIMLESS's model. Needs PyTorch and NumPy alone; the
resampling kernels come from the recordings, or are random, which costs the same.
"""

import argparse
import json
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Resample(nn.Module):
    """Resample [batch, channel, time] by 2 (`kernel` has two rows) or by half."""

    def __init__(self, up: bool):
        super().__init__()
        self.up = up
        self.register_buffer("kernel", torch.randn((2, 1, 15) if up else (1, 1, 28)))

    def forward(self, x):
        old, width = (1, 7) if self.up else (2, 13)
        rows = F.pad(x.flatten(0, 1)[:, None], (width, width + old))
        y = F.conv1d(rows, self.kernel, stride=old)  # [batch * channel, phase, time]
        length = 2 * x.shape[-1] if self.up else (x.shape[-1] + 1) // 2
        return y.transpose(1, 2).reshape(*x.shape[:2], -1)[..., :length]


class DemucsSplit(nn.Module):
    """Four sources of stereo from [batch, channel, time]; the arguments are AIMLESS's."""

    def __init__(
        self, channels=64, depth=6, resample=True, kernel_size=8, stride=4, lstm_layers=2, groups=4
    ):
        super().__init__()
        self.groups, audio = groups, 2
        if resample:
            self.up_sample, self.down_sample = Resample(True), Resample(False)
        else:
            self.up_sample = self.down_sample = nn.Identity()
        widths = [channels * 2**number for number in range(depth)]
        self.encoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(before, width, kernel_size, stride),
                nn.ReLU(),
                nn.Conv1d(width, 2 * width, 1),
                nn.GLU(1),
            )
            for before, width in zip([audio, *widths[:-1]], widths, strict=True)
        )
        self.lstm = nn.LSTM(widths[-1], widths[-1], lstm_layers, bidirectional=True)
        self.lstm_linear = nn.Linear(2 * widths[-1], groups * widths[-1] // 2)
        self.convs_1x1, self.dec_pre_convs = nn.ModuleList(), nn.ModuleList()
        self.decoder = nn.ModuleList()
        for number in reversed(range(depth)):
            width = groups * widths[number] // 2
            made = groups * widths[number - 1] // 2 if number else groups * audio
            self.convs_1x1.append(nn.Conv1d(widths[number], 2 * width, 3, padding=1, bias=False))
            self.dec_pre_convs.append(nn.Conv1d(width, 2 * width, 3, padding=1, groups=groups))
            layers = [nn.ConvTranspose1d(width, made, kernel_size, stride, groups=groups)]
            self.decoder.append(nn.Sequential(*layers, *([nn.ReLU()] if number else [])))

    def forward(self, mix):
        mono = mix.mean(1, keepdim=True)
        mean, scale = mono.mean(-1, keepdim=True), mono.std(-1, keepdim=True) + 1e-5
        x, skips = self.up_sample((mix - mean) / scale), []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
        x = self.lstm_linear(self.lstm(x.permute(2, 0, 1))[0]).permute(1, 2, 0)
        layers = zip(self.dec_pre_convs, self.convs_1x1, self.decoder, strict=True)
        for own, shared, up in layers:
            x = own(x) + shared(skips.pop()[..., : x.shape[-1]])
            value, gate = x.unflatten(1, (self.groups, 2, -1)).unbind(2)
            x = up((value * gate.sigmoid()).flatten(1, 2))
        x = self.down_sample(x) * scale + mean
        return x.unflatten(1, (self.groups, -1))


def differences(paths) -> None:
    """Print how far each recording is from this, absolutely."""
    for path in paths:
        with np.load(path) as file:
            model = DemucsSplit(**json.loads(str(file["meta"]))["kwargs"]).eval()
            names = [name for name in file.files if name.startswith("w/")]
            model.load_state_dict({name[2:]: torch.from_numpy(file[name]) for name in names})
            ours = model(torch.from_numpy(file["in/x"]))
            print(path, float((ours - torch.from_numpy(file["out/y"])).abs().max()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="*", help="compare with these .npz files")
    parser.add_argument("--channels", type=int, default=48)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with torch.inference_mode():
        if given.recordings:
            return differences(given.recordings)
        model = DemucsSplit(given.channels).eval()
        mix = 0.1 * torch.randn(1, 2, round(44100 * given.seconds))
        model(mix)
        for _ in range(given.rounds):
            cpu, wall = time.process_time(), time.perf_counter()
            model(mix)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            print(f"{cpu:.2f} CPU seconds, {wall:.2f} s")


if __name__ == "__main__":
    main()
