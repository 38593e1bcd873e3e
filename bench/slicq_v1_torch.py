"""xumx-sliCQ's first network in PyTorch, for comparison; its weights have the original's names.

Written from the description of the network (Hanssian 2021, and the program's recorded outputs),
with PyTorch's own layers.
"""

import torch
from torch import nn

TARGETS = ("vocals", "drums", "bass", "other")
HIDDEN = (25, 55)


def autoencoder(bands: int, size: int) -> nn.Sequential:
    """That of a block of bands with `size` coefficients in a slice."""
    rows = 1 if bands < 10 else 3 if bands < 20 else 5
    kernel = {"kernel_size": (rows, 7 if size <= 100 else 13), "dilation": (1, 2), "bias": False}
    first, second = HIDDEN
    layers = []
    for layer, inner, outer in (
        (nn.Conv2d, 2, first),
        (nn.Conv2d, first, second),
        (nn.ConvTranspose2d, second, first),
        (nn.ConvTranspose2d, first, 2),
    ):
        layers += [layer(inner, outer, **kernel), nn.BatchNorm2d(outer), nn.ReLU()]
    grown = nn.ConvTranspose2d(2, 2, kernel_size=(1, 3), stride=(1, 2))
    return nn.Sequential(*layers, grown, nn.Sigmoid())


class Block(nn.Module):
    """Masks for the magnitudes of one block, [batch, channel, band, slice, coefficient]."""

    def __init__(self, bands: int, size: int):
        super().__init__()
        self.input_mean = nn.Parameter(torch.zeros(bands))  # stored negated
        self.input_scale = nn.Parameter(torch.ones(bands))
        self.cdae = autoencoder(bands, size)

    def forward(self, frames, shape):
        """From frames [batch, channel, band, frame]; `shape` is that of the masks."""
        x = (frames + self.input_mean[:, None]) * self.input_scale[:, None]
        values = shape[-2] * shape[-1]
        return self.cdae(x)[..., :values].reshape(shape)


class XumxSliCQ(nn.Module):
    """Masks of all targets for magnitudes, a list of blocks.

    blocks    (bands, coefficients in a slice) of each
    networks  how many of them, from the lowest on, have a network; the masks of the others are 1
    """

    def __init__(self, blocks, networks: int, targets=TARGETS):
        super().__init__()
        self.targets = targets
        for target in targets:
            own = nn.ModuleList(Block(*block) for block in blocks[:networks])
            setattr(self, f"bucketed_unmixes_{target}", own)

    def forward(self, magnitudes):
        """Blocks [batch, channel, band, slice, coefficient] -> [batch, target, channel, ...]."""
        networks = [getattr(self, f"bucketed_unmixes_{target}") for target in self.targets]
        masks = []
        for number, block in enumerate(magnitudes):
            if number >= len(networks[0]):
                masks.append(torch.ones_like(block)[:, None].expand(-1, len(networks), *[-1] * 4))
                continue
            frames = overlapped(block)
            masks.append(torch.stack([of[number](frames, block.shape) for of in networks], 1))
        return masks


def overlapped(block):
    """Add slices where they overlap, by half: [..., slice, coefficient] -> [..., frame]."""
    early, late = block.unflatten(-1, (2, -1)).unbind(-2)
    early = nn.functional.pad(early, (0, 0, 0, 1))
    return (early + nn.functional.pad(late, (0, 0, 1, 0))).flatten(-2)
