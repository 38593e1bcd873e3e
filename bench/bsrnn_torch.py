"""BandSplitRNN in PyTorch, for comparison: names and shapes of its weights are those of AIMLESS.

Written from the description of the network (Luo and Yu 2023, and AIMLESS's recorded outputs), with
PyTorch's own layers.
"""

import torch
from torch import nn


class BandSplitRNN(nn.Module):
    """Masks for magnitudes [batch, channel, bin, frame]; several sources have an axis after batch.

    edges    of the bands, in bins
    sources  1: a sigmoid mask; more: softmax over them
    """

    def __init__(self, edges, hidden_size=128, num_layers=12, norm_groups=4, sources=1):
        super().__init__()
        self.widths = [high - low for low, high in zip(edges, edges[1:], strict=False)]
        self.sources, size = sources, hidden_size

        def lstms():
            made = [
                nn.LSTM(size, size, batch_first=True, bidirectional=True, proj_size=size // 2)
                for _ in range(num_layers)
            ]
            return nn.ModuleList(made)

        def norms():
            return nn.ModuleList(nn.GroupNorm(norm_groups, size) for _ in range(num_layers))

        self.norm1_list = nn.ModuleList(nn.LayerNorm(width) for width in self.widths)
        self.fc1_list = nn.ModuleList(nn.Linear(width, size) for width in self.widths)
        self.time_lstms, self.time_group_norms = lstms(), norms()
        self.band_lstms, self.band_group_norms = lstms(), norms()
        self.norm2_list = nn.ModuleList(nn.LayerNorm(size) for _ in self.widths)
        self.mlps = nn.ModuleList(
            nn.Sequential(
                nn.Linear(size, 4 * size), nn.Tanh(), nn.Linear(4 * size, width * sources)
            )
            for width in self.widths
        )

    def forward(self, magnitudes):
        batch, channels, _, frames = magnitudes.shape
        x = torch.log(magnitudes.flatten(0, 1) + 1e-8).transpose(1, 2)  # [item, frame, bin]
        parts = zip(x.split(self.widths, -1), self.norm1_list, self.fc1_list, strict=True)
        x = torch.stack([linear(norm(part)) for part, norm, linear in parts], 1)
        for layer in range(len(self.time_lstms)):  # [item, band, frame, feature]
            x = x + run(x, self.time_group_norms[layer], self.time_lstms[layer])
            x = x.transpose(1, 2)
            x = x + run(x, self.band_group_norms[layer], self.band_lstms[layer])
            x = x.transpose(1, 2)
        parts = zip(x.unbind(1), self.norm2_list, self.mlps, strict=True)
        masks = [mlp(norm(part)).unflatten(-1, (self.sources, -1)) for part, norm, mlp in parts]
        mask = torch.cat(masks, -1).permute(0, 2, 3, 1)  # [item, source, bin, frame]
        mask = mask.unflatten(0, (batch, channels)).transpose(1, 2)
        return mask.softmax(1) if self.sources > 1 else mask[:, 0].sigmoid()


def run(x, norm, lstm):
    """Normalise [item, row, step, feature] over steps, and run the LSTM over them."""
    rows = x.flatten(0, 1)
    y, _ = lstm(norm(rows.transpose(1, 2)).transpose(1, 2))
    return y.view(x.shape)
