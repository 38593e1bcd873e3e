"""Name maps of X-UMX as three programs save it: NNabla's original, asteroid's, AIMLESS's.

All three are the same network. They differ in names, in what is transposed or stacked, in having
two LSTM biases (PyTorch) or one, and in how sources are distinguished.
"""

import re
from collections.abc import Callable

import numpy as np

from xumx_jax.weights.converters.kinds import Kind, Tensors, groups_in, sizes, vote
from xumx_jax.weights.converters.rules import Rule


def arguments(sources, bins, max_bin, inputs, hidden, layers, directions, **known) -> dict:
    """Arguments of the model from sizes of tensors; `known` holds those that no tensor shows."""
    n_fft = 2 * (bins - 1)
    return {
        "sources": tuple(sources),
        "sample_rate": 44100,
        "n_fft": n_fft,
        "hop": n_fft // 4,
        "channels": max(1, inputs // max_bin),
        "hidden_size": hidden,
        "layers": layers,
        "max_bin": max_bin,
        "unidirectional": directions == 1,
        **known,
    }


# NNabla: one tensor holds all directions and gates, one more all layers after the first.

NNABLA_NORM = (("scale", "gamma"), ("bias", "beta"))
NNABLA_STATISTICS = (("mean", "mean"), ("var", "var"))


def nnabla_sizes(tensors: Tensors, before: str = "", after: str = "") -> dict:
    """Sizes from the tensors; `before` and `after` match the parts around a source's name."""
    dense, bias = f"{before}fc1{after}/affine/W", f"{before}lstm{after}/lstm/bias"
    output, input_ = (f"{before}{part}_(?:scale|mean){after}" for part in ("output", "input"))
    return {
        "bins": vote(sizes(tensors, output, 0), "the number of bins"),
        "max_bin": vote(sizes(tensors, input_, 0), "the bandwidth"),
        "inputs": vote(sizes(tensors, dense, 0), "the number of channels"),
        "hidden": vote(sizes(tensors, dense, 1), "the hidden size"),
        "layers": vote(sizes(tensors, bias, 0), "the number of layers"),
        "directions": vote(sizes(tensors, bias, 1), "the number of directions"),
    }


def nnabla_arguments(tensors: Tensors, info: dict) -> dict:
    sources = groups_in(tensors, r"(?:fc[123]|lstm)_(.+?)/.*")
    return arguments(sources, **nnabla_sizes(tensors, after="_.+"))


def nnabla_input(weight: np.ndarray) -> np.ndarray:
    """[direction, gate, hidden, input + hidden] -> [direction, input, gate * hidden]."""
    directions, gates, hidden, both = weight.shape
    return weight[..., : both - hidden].reshape(directions, gates * hidden, -1).swapaxes(1, 2)


def nnabla_recurrent(weight: np.ndarray) -> np.ndarray:
    """[direction, gate, hidden, input + hidden] -> [direction, hidden, gate * hidden]."""
    directions, gates, hidden, both = weight.shape
    return weight[..., both - hidden :].reshape(directions, gates * hidden, -1).swapaxes(1, 2)


def nnabla_layer(index: int, count: int, how: Callable) -> Callable:
    """Apply `how` to one of `count` layers in a tensor [layer, ...]."""

    def pick(tensor):
        if len(tensor) != count:
            raise ValueError(f"{len(tensor)} layers, wanted {count}")
        return how(tensor[index])

    return pick


def nnabla_rules(model: dict, before: str = "", after: str = "_{source}") -> list[Rule]:
    """The name map; the source's name is `before` or `after` the names of layers."""
    layers = model["layers"]
    rules = [
        Rule(f"params/{part}/{name}", f"{before}{theirs}_{name}{after}")
        for part, theirs in (("enc", "input"), ("dec", "output"))
        for name in ("mean", "scale")
    ]
    for dense, norm, theirs in (
        ("enc/dense", "enc/norm", "fc1"),
        ("dec/dense_0", "dec/norm_0", "fc2"),
        ("dec/dense_1", "dec/norm_1", "fc3"),
    ):
        theirs = f"{before}{theirs}{after}"
        rules.append(Rule(f"params/{dense}/kernel", f"{theirs}/affine/W"))
        for tree, pairs in (("params", NNABLA_NORM), ("batch_stats", NNABLA_STATISTICS)):
            for name, their_name in pairs:
                target = f"{tree}/{norm}/{name}"
                rules.append(Rule(target, f"{theirs}/bn/{their_name}", np.ravel))
    lstm = f"{before}lstm{after}/lstm"
    for layer in range(layers):
        weight, input_of, recurrent_of = "weight_l0", nnabla_input, nnabla_recurrent
        if layer:
            weight = "weight"
            input_of = nnabla_layer(layer - 1, layers - 1, nnabla_input)
            recurrent_of = nnabla_layer(layer - 1, layers - 1, nnabla_recurrent)
        bias_of = nnabla_layer(layer, layers, lambda bias: bias.reshape(len(bias), -1))
        rules += [
            Rule(f"params/lstm_{layer}/w_ih", f"{lstm}/{weight}", input_of),
            Rule(f"params/lstm_{layer}/w_hh", f"{lstm}/{weight}", recurrent_of),
            Rule(f"params/lstm_{layer}/bias", f"{lstm}/bias", bias_of),
        ]
    return rules


# PyTorch: matrices are [output, input]; two biases per gate, which only ever act as their sum.

TORCH_NORM = (
    ("params", "scale", "weight"),
    ("params", "bias", "bias"),
    ("batch_stats", "mean", "running_mean"),
    ("batch_stats", "var", "running_var"),
)


def torch_lstm_sizes(tensors: Tensors, prefix: str) -> dict:
    """Hidden size, layers and directions of the LSTMs whose names start with `prefix`."""
    layers = groups_in(tensors, prefix + r"\.[a-z]+_[ih]h_l(\d+).*")
    both_ways = any(re.fullmatch(prefix + ".*_reverse", name) for name in tensors)
    return {
        "hidden": vote(sizes(tensors, prefix + r"\.weight_ih_l\d+", 1), "the hidden size"),
        "layers": len(layers),
        "directions": 2 if both_ways else 1,
    }


def torch_lstm(prefix: str, model: dict) -> list[Rule]:
    """Rules for an `nn.LSTM` called `prefix`."""
    ends = ("",) if model["unidirectional"] else ("", "_reverse")
    weights = {
        ours: tuple(f"{prefix}.weight_{theirs}_l{{layer}}{end}" for end in ends)
        for ours, theirs in (("w_ih", "ih"), ("w_hh", "hh"))
    }
    biases = tuple(f"{prefix}.bias_{part}_l{{layer}}{end}" for end in ends for part in ("ih", "hh"))
    return [
        *(Rule(f"params/lstm_{{layer}}/{name}", w, stack_turned) for name, w in weights.items()),
        Rule("params/lstm_{layer}/bias", biases, stack_sums),
    ]


def stack_turned(*weights: np.ndarray) -> np.ndarray:
    """Per direction [gate * hidden, input] -> [direction, input, gate * hidden]."""
    return np.stack([weight.T for weight in weights])


def stack_sums(*biases: np.ndarray) -> np.ndarray:
    """Pairs of biases, per direction -> [direction, gate * hidden]."""
    return np.stack([a + b for a, b in zip(biases[::2], biases[1::2], strict=True)])


def asteroid_arguments(tensors: Tensors, info: dict) -> dict:
    given = info.get("model_args") or {}
    names = {"n_hop": "hop", "sample_rate": "sample_rate", "spec_power": "power"}
    return arguments(
        groups_in(tensors, r"layer_enc\.([^.]+)\..*"),
        bins=vote(sizes(tensors, r"mean_scale\.output_.+", 0), "the number of bins"),
        max_bin=vote(sizes(tensors, r"mean_scale\.input_.+", 0), "the bandwidth"),
        inputs=vote(sizes(tensors, r"layer_enc\..+\.enc\.0\.weight", 1), "the number of channels"),
        **torch_lstm_sizes(tensors, r"layer_lstm\.[^.]+"),
        **{ours: int(given[theirs]) for theirs, ours in names.items() if given.get(theirs)},
    )


def asteroid_rules(model: dict) -> list[Rule]:
    rules = [
        Rule(f"params/{part}/{name}", f"mean_scale.{theirs}_{name}_{{source}}")
        for part, theirs in (("enc", "input"), ("dec", "output"))
        for name in ("mean", "scale")
    ]
    for dense, norm, sequence, index in (
        ("enc/dense", "enc/norm", "layer_enc.{source}.enc", 0),
        ("dec/dense_0", "dec/norm_0", "layer_dec.{source}.dec", 0),
        ("dec/dense_1", "dec/norm_1", "layer_dec.{source}.dec", 3),
    ):
        rules.append(Rule(f"params/{dense}/kernel", f"{sequence}.{index}.weight", np.transpose))
        for tree, name, theirs in TORCH_NORM:
            rules.append(Rule(f"{tree}/{norm}/{name}", f"{sequence}.{index + 1}.{theirs}"))
    return rules + torch_lstm("layer_lstm.{source}", model)


# AIMLESS: all sources in one tensor, as grouped convolutions of width 1, save for the four LSTMs.

AIMLESS_SOURCES = ("drums", "bass", "other", "vocals")  # the order of its data set's targets
AIMLESS_LSTMS = ("bass", "drums", "vocals", "other")  # mere names: their outputs are averaged


def aimless_arguments(tensors: Tensors, info: dict) -> dict:
    count = len(AIMLESS_SOURCES)
    return arguments(
        AIMLESS_SOURCES,
        bins=vote(sizes(tensors, "output_(means|scale)", 0), "the number of bins") // count,
        max_bin=vote(sizes(tensors, "input_(means|scale)", 0), "the bandwidth") // count,
        inputs=vote(sizes(tensors, r"affine1\.0\.weight", 1), "the number of channels"),
        **torch_lstm_sizes(tensors, "[a-z]+_lstm"),
    )


def by_source(tensor: np.ndarray) -> np.ndarray:
    """[source * feature] -> [source, feature]."""
    return tensor.reshape(len(AIMLESS_SOURCES), -1)


def kernels_by_source(tensor: np.ndarray) -> np.ndarray:
    """[source * output, input, 1] -> [source, input, output]."""
    outputs, inputs, _width = tensor.shape
    parts = tensor.reshape(len(AIMLESS_SOURCES), outputs // len(AIMLESS_SOURCES), inputs)
    return parts.swapaxes(1, 2)


def aimless_rules(model: dict) -> list[Rule]:
    rules = [
        Rule("params/enc/mean", "input_means", by_source),
        Rule("params/enc/scale", "input_scale", by_source),
        Rule("params/dec/mean", "output_means", by_source),
        Rule("params/dec/scale", "output_scale", by_source),
    ]
    for dense, norm, sequence, index in (
        ("enc/dense", "enc/norm", "affine1", 0),
        ("dec/dense_0", "dec/norm_0", "affine2", 0),
        ("dec/dense_1", "dec/norm_1", "affine2", 3),
    ):
        theirs = f"{sequence}.{index}.weight"
        rules.append(Rule(f"params/{dense}/kernel", theirs, kernels_by_source))
        for tree, name, theirs in TORCH_NORM:
            target = f"{tree}/{norm}/{name}"
            rules.append(Rule(target, f"{sequence}.{index + 1}.{theirs}", by_source))
    return rules + torch_lstm("{source}_lstm", model)


KINDS = {
    "xumx-nnabla": Kind(
        model="xumx",
        anchor=r"(.*?)fc1_[^/]+/affine/W",
        arguments=nnabla_arguments,
        rules=nnabla_rules,
        # Buffers of the transform, in files of NNabla before 1.24.
        ignore=("conv_r", "conv_i", "conv_cos", "conv_sin"),
    ),
    "xumx-asteroid": Kind(
        model="xumx",
        anchor=r"(.*?)layer_enc\.[^.]+\.enc\.0\.weight",
        arguments=asteroid_arguments,
        rules=asteroid_rules,
    ),
    "xumx-aimless": Kind(
        model="xumx",
        anchor=r"(.*?)affine1\.0\.weight",
        arguments=aimless_arguments,
        rules=aimless_rules,
        spelled=AIMLESS_LSTMS,
    ),
}
