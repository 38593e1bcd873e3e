"""MDX-Net in PyTorch's own layers, for `modern_torch`: no registry has a package of it.

Kim et al. 2021, https://arxiv.org/abs/2111.12203; the names of tensors are those of kuielab's
checkpoints, which our name map knows.
"""

import torch
from torch import nn


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Convolution, normalisation and ReLU."""
    plane = nn.Conv2d(inputs, outputs, size, stride, padding=(size - stride) // 2)
    return nn.Sequential(plane, nn.BatchNorm2d(outputs), nn.ReLU())


class Block(nn.Module):
    """Three convolutions, and two layers along frequency that are added to them."""

    def __init__(self, features: int, bins: int, narrow: int = 8):
        super().__init__()
        self.tfc = nn.Module()
        self.tfc.H = nn.ModuleList(convolution(features, features, 3) for _ in range(3))
        sizes = ((bins, bins // narrow), (bins // narrow, bins))
        layers = (
            (nn.Linear(*pair, bias=False), nn.BatchNorm2d(features), nn.ReLU()) for pair in sizes
        )
        self.tdf = nn.Sequential(*(layer for three in layers for layer in three))

    def forward(self, x):
        for layer in self.tfc.H:
            x = layer(x)
        return x + self.tdf(x)


class MdxNet(nn.Module):
    """From waveform to waveform, [batch, channel, time]."""

    def __init__(self, bins: int, n_fft: int, features: int, blocks: int, dim_t: int):
        super().__init__()
        self.bins, self.n_fft, scales = bins, n_fft, blocks // 2
        self.first_conv = convolution(4, features, 1)
        self.encoding_blocks, self.ds = nn.ModuleList(), nn.ModuleList()
        self.decoding_blocks, self.us = nn.ModuleList(), nn.ModuleList()
        for scale in range(scales):
            wide = features * (scale + 1)
            self.encoding_blocks.append(Block(wide, bins >> scale))
            self.ds.append(convolution(wide, wide + features, 2, 2))
        self.bottleneck_block = Block(features * (scales + 1), bins >> scales)
        for scale in reversed(range(scales)):
            wide = features * (scale + 1)
            wider = nn.ConvTranspose2d(wide + features, wide, 2, 2)
            self.us.append(nn.Sequential(wider, nn.BatchNorm2d(wide), nn.ReLU()))
            self.decoding_blocks.append(Block(wide, bins >> scale))
        self.final_conv = nn.Sequential(nn.Conv2d(features, 4, 1))
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def fused(self):
        """As in the .onnx files: what follows a convolution is part of it."""
        for parent in list(self.modules()):
            names = dict(parent.named_children())
            if isinstance(parent, nn.Sequential) and isinstance(names.get("0"), nn.Conv2d):
                if isinstance(names.get("1"), nn.BatchNorm2d):
                    parent[0] = nn.utils.fuse_conv_bn_eval(parent[0], parent[1])
                    parent[1] = nn.Identity()
        return self

    def network(self, x):
        """Of the spectrum [batch, 4, bin, frame]."""
        x, kept = self.first_conv(x).transpose(-1, -2), []
        for block, down in zip(self.encoding_blocks, self.ds, strict=True):
            kept.append(block(x))
            x = down(kept[-1])
        x = self.bottleneck_block(x)
        for up, block in zip(self.us, self.decoding_blocks, strict=True):
            x = block(up(x) * kept.pop())
        return self.final_conv(x.transpose(-1, -2))

    def forward(self, mix):
        settings = {"n_fft": self.n_fft, "hop_length": 1024, "window": self.window}
        spec = torch.stft(mix.flatten(0, 1), **settings, pad_mode="reflect", return_complex=True)
        parts = torch.view_as_real(spec).permute(0, 3, 1, 2)  # [channel, part, bin, frame]
        x = parts[:, :, : self.bins].reshape(len(mix), 4, self.bins, -1).clone()
        x[:, :, :3] = 0
        found = self.network(x).reshape(-1, 2, self.bins, x.shape[-1])
        found = nn.functional.pad(found, (0, 0, 0, self.n_fft // 2 + 1 - self.bins))
        spec = torch.view_as_complex(found.permute(0, 2, 3, 1).contiguous())
        return torch.istft(spec, **settings).unflatten(0, mix.shape[:2])
