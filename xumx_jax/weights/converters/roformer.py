"""Name maps of BS-RoFormer and Mel-Band RoFormer, as lucidrains' and ZFTurbo's programs save them.

There a module holds each layer, band and source; here layers are stacked, and the bands lie beside
each other. Pairs of features that rotary embedding turns are neighbours there; here one of each is
in either half of a head.
"""

from collections.abc import Callable, Iterable

import numpy as np

from xumx_jax.models.roformer import WIDTHS
from xumx_jax.weights.converters.arrays import joined, joined_turned, stacked, stacked_turned
from xumx_jax.weights.converters.configuration import of_network, plain
from xumx_jax.weights.converters.kinds import Kind
from xumx_jax.weights.converters.roformer_arguments import arguments
from xumx_jax.weights.converters.rules import Rule

MASK = "mask_estimators.{}.to_freqs.{}.0.{}.{}"


def rules(model: dict, mel: bool) -> list[Rule]:
    """The name map for these arguments."""
    layers, first = range(model["layers"]), int(bool(model["linear_layers"]))
    axes = {"time": (first, model["time_layers"]), "band": (first + 1, model["band_layers"])}
    made: list[Rule] = []
    if first:
        made += transformer(layers, "linear", 0, model["linear_layers"], mel)
        made += linear_rules(layers, model["linear_layers"])
    for axis, (number, count) in axes.items():
        made += transformer(layers, axis, number, count, mel)
        made += attention_rules(layers, axis, number, count, model)
    if not mel:
        made.append(Rule("params/norm", "final_norm.gamma"))
    split = [f"band_split.to_features.{band}." for band in range(count_of(model, mel))]
    each = lambda name: tuple(place + name for place in split)  # noqa: E731
    made += [
        Rule("params/split/gain", each("0.gamma"), joined),
        Rule("params/split/kernel", each("1.weight"), joined_turned),
        Rule("params/split/bias", each("1.bias"), stacked),
    ]
    return made + mask_rules(model, len(split))


def count_of(model: dict, mel: bool) -> int:
    return model["bands"] if mel else len(model.get("widths") or WIDTHS)


def transformer(layers, axis: str, number: int, count: int, mel: bool) -> list[Rule]:
    """What all transformers have: the feed-forward layers, and for mel the norm of the output."""
    made = []
    parts = {
        "wide_norm": ("1.net.0.gamma", stacked), "wide": ("1.net.1.weight", stacked_turned),
        "wide_bias": ("1.net.1.bias", stacked), "narrow": ("1.net.4.weight", stacked_turned),
        "narrow_bias": ("1.net.4.bias", stacked), "norm": ("0.norm.gamma", stacked),
    }  # fmt: skip
    for inner in range(count):
        for ours, (theirs, how) in parts.items():
            names = tuple(f"layers.{n}.{number}.layers.{inner}.{theirs}" for n in layers)
            made.append(Rule(f"params/stack/{axis}/{ours}_{inner}", names, how))
    if mel:
        names = tuple(f"layers.{n}.{number}.norm.gamma" for n in layers)
        made.append(Rule(f"params/stack/{axis}/norm", names, stacked))
    return made


def linear_rules(layers, count: int) -> list[Rule]:
    made = []
    for inner in range(count):
        place, target = f"layers.{{}}.0.layers.{inner}.0.", "params/stack/linear/"
        each = partial_names(place, layers)
        made += [
            Rule(f"{target}qkv_{inner}", each("to_qkv.0.weight"), stacked_turned),
            Rule(f"{target}out_{inner}", each("to_out.1.weight"), stacked_turned),
            Rule(f"{target}temperature_{inner}", each("temperature"), flat),
        ]
    return made


def attention_rules(layers, axis: str, number: int, count: int, model: dict) -> list[Rule]:
    polar = model["position"] == "polar"
    made = []
    frequencies = "pope_embed.inv_freqs" if polar else "rotary_embed.freqs"
    everywhere = [f"layers.{n}.{number}.layers.{i}.0." for n in layers for i in range(count)]
    names = tuple(one + frequencies for one in everywhere)
    made.append(Rule(f"constants/{axis}_frequencies", names, shared))
    if polar:
        names = tuple(one + "pope_embed.bias" for one in everywhere)
        made.append(Rule(f"params/{axis}_phase", names, shared))
    heads = stacked_turned if polar else halved(model["heads"])
    for inner in range(count):
        each = partial_names(f"layers.{{}}.{number}.layers.{inner}.0.", layers)
        target = f"params/stack/{axis}/"
        made += [
            Rule(f"{target}qkv_{inner}", each("to_qkv.weight"), heads),
            Rule(f"{target}gates_{inner}", each("to_gates.weight"), stacked_turned),
            Rule(f"{target}gates_bias_{inner}", each("to_gates.bias"), stacked),
            Rule(f"{target}out_{inner}", each("to_out.0.weight"), stacked_turned),
        ]
    return made


def mask_rules(model: dict, count: int) -> list[Rule]:
    sources, depth = range(len(model["sources"])), model["mask_layers"]

    def each(layer: int, name: str) -> tuple[str, ...]:
        return tuple(
            MASK.format(s, band, 2 * layer, name) for s in sources for band in range(count)
        )

    def of_sources(how: Callable[..., np.ndarray]):
        """Apply to the tensors of each source -> [source, ...]."""

        def applied(*parts):
            found = [how(*parts[s * count : (s + 1) * count]) for s in sources]
            # not stacked: it may be half of a large file
            return found[0][None] if len(found) == 1 else np.stack(found)

        return applied

    made = []
    for layer in range(depth):
        made.append(
            Rule(f"params/merge/hidden_{layer}", each(layer, "weight"), of_sources(stacked_turned))
        )
        made.append(
            Rule(f"params/merge/hidden_{layer}_bias", each(layer, "bias"), of_sources(stacked))
        )

    def kernel(*weights):
        return of_sources(joined_halves)(*weights).transpose(1, 0, 3, 2)

    def bias(*biases):
        return of_sources(joined_halves)(*biases).swapaxes(0, 1)

    made.append(Rule("params/merge/kernel", each(depth, "weight"), kernel))
    made.append(Rule("params/merge/bias", each(depth, "bias"), bias))
    return made


def partial_names(place: str, layers: Iterable) -> Callable[[str], tuple[str, ...]]:
    """(name) -> that name in every layer."""
    return lambda name: tuple(place.format(n) + name for n in layers)


def flat(*parts: np.ndarray) -> np.ndarray:
    """One vector per layer, whatever its shape."""
    return np.stack([part.reshape(-1) for part in parts])


def joined_halves(*parts: np.ndarray) -> np.ndarray:
    """[value and gate, ...] per band -> [2, value of all, ...]."""
    halves = [part.reshape(2, -1, *part.shape[1:]) for part in parts]
    return np.concatenate(halves, axis=1)


def shared(*parts: np.ndarray) -> np.ndarray:
    """What all layers have in common. Raises ValueError if they do not."""
    if any((part != parts[0]).any() for part in parts[1:]):
        raise ValueError("wanted the same in all layers")
    return parts[0]


def halved(heads: int):
    """Queries and keys with one feature of each pair in either half of a head; [layer, in, out]."""

    def how(*weights: np.ndarray) -> np.ndarray:
        found = []
        for weight in weights:
            parts = weight.reshape(3, heads, -1, weight.shape[1])
            even, odd = parts[:2, :, 0::2], parts[:2, :, 1::2]
            turned = np.concatenate([np.concatenate([even, odd], axis=2), parts[2:]])
            found.append(turned.reshape(weight.shape).T)
        return np.stack(found)

    return how


def kind(mel: bool) -> Kind:
    # transformers that normalise their output: not to be taken for those inside the transformers
    ending = r"(?!.*layers.*layers).*layers\.0\.0\.norm\.gamma"
    return Kind(
        model="mel_band_roformer" if mel else "bs_roformer",
        anchor=r"(.*?)band_split\.to_features\.0\.0\.gamma",
        arguments=lambda tensors, info: arguments(tensors, info, mel),
        rules=lambda model: rules(model, mel),
        also=(ending if mel else r".*?final_norm\.gamma",),
        configured=plain(of_network),
    )


KINDS = {"bs_roformer": kind(False), "mel_band_roformer": kind(True)}
