"""Name map of AIMLESS's BandSplitRNN, for one source or for several.

PyTorch has a module per band and per layer; here bands lie side by side on the axis of the bins,
and layers are stacked.
"""

import numpy as np

from xumx_jax.transforms.bands import split_edges
from xumx_jax.weights.converters.arrays import joined, joined_turned, stacked, stacked_turned
from xumx_jax.weights.converters.kinds import (
    Kind,
    Tensors,
    groups_in,
    sizes,
    source_names,
    stated,
    vote,
)
from xumx_jax.weights.converters.rules import Rule

ENDS = ("", "_reverse")
# {AIMLESS's option: ours}, for what tensors do not show; and those that they show
OPTIONS = {"norm_groups": "groups", "hop_length": "hop", "sample_rate": "sample_rate"}
SHOWN = ("n_fft", "hidden_size", "num_layers", "n_sources", "split_freqs", "split_sections")
SHOWN += ("sources",)


def arguments(tensors: Tensors, info: dict) -> dict:
    """Sizes from tensors; the rest from the settings, the options in the file, or the defaults."""
    count = len(groups_in(tensors, r"(?:norm[12]_list|fc1_list|mlps)\.(\d+)\..+"))
    edges = np.cumsum([0, *(width(tensors, band) for band in range(count))])
    n_fft = 2 * (int(edges[-1]) - 1)
    sources = vote(
        [
            size // int(bins)
            for band, bins in enumerate(np.diff(edges))
            for size in sizes(tensors, rf"mlps\.{band}\.2\.(weight|bias)", 0)
        ],
        "the number of sources",
    )
    return {
        "sources": source_names(sources, info, "music"),
        "sample_rate": 44100,
        "n_fft": n_fft,
        "hop": n_fft // 4,
        "hidden_size": vote(sizes(tensors, r"norm2_list\.\d+\.weight", 0), "the hidden size"),
        "layers": len(groups_in(tensors, r"(?:time|band)_(?:lstms|group_norms)\.(\d+)\..+")),
        "bands": bands_of(tuple(map(int, edges)), n_fft),
        **stated(info, "model_args", OPTIONS, SHOWN),
        **(info.get("settings") or {}),
    }


def width(tensors: Tensors, band: int) -> int:
    """Bins of a band, as most of its tensors have it."""
    found = sizes(tensors, rf"norm1_list\.{band}\.(weight|bias)", 0)
    return vote([*found, *sizes(tensors, rf"fc1_list\.{band}\.weight", 1)], f"the width of {band}")


def bands_of(edges: tuple[int, ...], n_fft: int) -> tuple[int, ...] | None:
    """None if these are the model's own."""
    try:
        return None if edges == split_edges(n_fft) else edges
    except ValueError:
        return edges


def rules(model: dict) -> list[Rule]:
    """The name map for these arguments."""
    edges = model["bands"] or split_edges(model["n_fft"])
    sources = len(model["sources"])

    def each(pattern: str) -> tuple[str, ...]:
        return tuple(pattern.format(band) for band in range(len(edges) - 1))

    return [
        Rule("params/split/scale", each("norm1_list.{}.weight"), joined),
        Rule("params/split/shift", each("norm1_list.{}.bias"), joined),
        Rule("params/split/kernel", each("fc1_list.{}.weight"), joined_turned),
        Rule("params/split/bias", each("fc1_list.{}.bias"), stacked),
        *lstm_rules(model["layers"], "time"),
        *lstm_rules(model["layers"], "band"),
        Rule("params/merge/scale", each("norm2_list.{}.weight"), stacked),
        Rule("params/merge/shift", each("norm2_list.{}.bias"), stacked),
        Rule("params/merge/wide", each("mlps.{}.0.weight"), stacked_turned),
        Rule("params/merge/wide_bias", each("mlps.{}.0.bias"), stacked),
        Rule("params/merge/kernel", each("mlps.{}.2.weight"), per_bin(sources)),
        Rule("params/merge/bias", each("mlps.{}.2.bias"), biases_per_bin(sources)),
    ]


def lstm_rules(layers: int, part: str) -> list[Rule]:
    """Rules for the LSTMs over time or over bands, and for the normalisation before each."""
    target = f"params/stack/{part}"

    def each(name: str) -> tuple[str, ...]:
        return tuple(f"{part}_group_norms.{layer}.{name}" for layer in range(layers))

    def both(*names: str) -> tuple[str, ...]:
        return tuple(
            f"{part}_lstms.{layer}.{name}_l0{end}"
            for layer in range(layers)
            for end in ENDS
            for name in names
        )

    return [
        Rule(f"{target}_norm/scale", each("weight"), stacked),
        Rule(f"{target}_norm/bias", each("bias"), stacked),
        Rule(f"{target}_lstm/w_ih", both("weight_ih"), paired_turned),
        Rule(f"{target}_lstm/w_hh", both("weight_hh"), paired_turned),
        Rule(f"{target}_lstm/w_hr", both("weight_hr"), paired_turned),
        Rule(f"{target}_lstm/bias", both("bias_ih", "bias_hh"), paired_sums),
    ]


def paired_turned(*weights: np.ndarray) -> np.ndarray:
    """[output, input] per layer and direction -> [layer, direction, input, output]."""
    turned = stacked_turned(*weights)
    return turned.reshape(-1, 2, *turned.shape[1:])


def paired_sums(*biases: np.ndarray) -> np.ndarray:
    """Two biases per layer and direction, which only act as their sum: [layer, direction, gate]."""
    return np.stack(biases).reshape(-1, 2, 2, len(biases[0])).sum(2)


def per_bin(sources: int):
    """[source * bin, hidden] per band -> [hidden, bin, source]."""

    def how(*weights: np.ndarray) -> np.ndarray:
        parts = [weight.reshape(sources, -1, weight.shape[1]) for weight in weights]
        return np.concatenate(parts, axis=1).transpose(2, 1, 0)

    return how


def biases_per_bin(sources: int):
    """[source * bin] per band -> [source, bin]."""

    def how(*biases: np.ndarray) -> np.ndarray:
        return np.concatenate([bias.reshape(sources, -1) for bias in biases], axis=1)

    return how


KINDS = {
    "bsrnn": Kind(
        model="bsrnn",
        anchor=r"(.*?)norm1_list\.0\.weight",
        arguments=arguments,
        rules=rules,
        also=(r".*?time_lstms\.0\.weight_hr_l0",),
    ),
}
