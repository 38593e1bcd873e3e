"""Name map of SCNet, as starrytong's and ZFTurbo's programs save it."""

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.models.scnet import SCNet
from xumx_jax.weights.converters.configuration import agree, ask, check_whole, of_network
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
from xumx_jax.weights.converters.umx import stack_sums, stack_turned
from xumx_jax.weights.converters.unet import convolution, norm, taps_first_transposed

# {option of the programs: ours}, for what tensors do not show; and those that they show
OPTIONS = {
    "nfft": "n_fft", "hop_size": "hop", "win_size": "window", "normalized": "normalized",
    "band_SR": "shares", "band_stride": "strides",
    "sample_rate": "sample_rate", "standardized": "standardized",
}  # fmt: skip
SHOWN = ("sources", "audio_channels", "dims", "conv_depths", "compress", "conv_kernel")
SHOWN += ("num_dplayer", "expand", "band_kernel")


def arguments(tensors: Tensors, info: dict) -> dict:
    """Sizes from tensors; the rest from the settings, the options in the file, or the defaults."""
    layers = len(groups_in(tensors, r"encoder\.(\d+)\..+"))
    features = [
        vote(sizes(tensors, rf"encoder\.{n}\.globalconv\.(weight|bias)", 0), f"layer {n}")
        for n in range(layers)
    ]
    place = r"encoder\.0\.conv_modules\.{}\.layers\.(\d+)\..+"
    narrow = r"encoder\.{}\.conv_modules\.\d\.layers\.\d+\.3\.(?:weight|bias)"
    inside = [
        vote(sizes(tensors, narrow.format(n), 0), f"the hidden size of layer {n}")
        for n in range(layers)
    ]
    taps = sizes(tensors, r"encoder\.\d+\.conv_modules\.\d\.layers\.\d+\.3\.weight", 2)
    inputs = vote(sizes(tensors, r"encoder\.0\.SDlayer\.convs\.\d\.weight", 1), "the channels")
    outputs = vote(
        sizes(tensors, rf"decoder\.{layers - 1}\.1\.convtrs\.\d\.(?:bias)", 0), "the sources"
    )
    units = vote(sizes(tensors, r".*dp_modules\.0\..*weight_hh_l0", 1), "the LSTMs' units")
    said = info.get("model_args") or {}
    given = stated(info, "model_args", OPTIONS, SHOWN) | (info.get("settings") or {})
    made: dict = {
        "sources": source_names(outputs // inputs, info),
        "channels": inputs // 2,
        "features": features,
        "taps": [
            vote(sizes(tensors, rf"encoder\.\d+\.SDlayer\.convs\.{n}\.weight", 2), "kernels")
            for n in range(3)
        ],
        "depths": [len(groups_in(tensors, place.format(band))) for band in range(3)],
        "compress": compress(features, inside),
        "frame_taps": vote(taps, "the kernels along frames"),
        "pairs": len(groups_in(tensors, r"separation_net\.dp_modules\.(\d+)\..+")),
        "expand": units // features[-1],
        "masked": any(name.startswith("mask_layer.") for name in tensors),
        **given,
    }
    if made["taps"][0] == 3:  # as published: kernels of bands that are thinned out do not overlap
        made.setdefault("strides", (1, *made["taps"][1:]))
    agree(said, shown(made, inside, said))
    ask(
        {
            "shares": (SCNet.shares, "model: band_SR"),
            "strides": (SCNet.strides, "model: band_stride"),
        },
        made,
        "the usual shares are those of the small one; 0.225, 0.372, 0.403 and 0.23, 0.37, 0.4 are "
        "those of the large and of the XL ones",
    )
    if made.get("window") == made.get("n_fft", 4096):
        made["window"] = None
    return made


def configured(config: dict) -> dict:
    """Part of `info` for what a configuration says, its `normalize` among it."""
    about = of_network(config)
    if about["separation"].pop("normalize", False):
        about["settings"]["standardized_track"] = True
    return about


def shown(made: dict, inside: list[int], said: dict) -> dict:
    """What tensors show, by the programs' names."""
    names = {
        "audio_channels": "channels", "band_kernel": "taps", "conv_depths": "depths",
        "conv_kernel": "frame_taps", "num_dplayer": "pairs", "expand": "expand",
    }  # fmt: skip
    found = {theirs: made[ours] for theirs, ours in names.items()}
    by = said.get("compress") or made["compress"]  # several may give the same layers
    check_whole({"compress": by})
    same = [int(outer / by) for outer in made["features"]] == inside
    found["compress"] = by if same else made["compress"]
    return {**found, "dims": (2 * made["channels"], *made["features"])}


def compress(features: list[int], inside: list[int]) -> int:
    """By what layers of so many channels have so many inside, rounded down."""
    pairs = list(zip(features, inside, strict=True))
    for found in (4, *range(1, max(features) + 1)):
        if all(outer // found == inner for outer, inner in pairs):
            return found
    raise UserError(f"layers of {features} channels have {inside} inside, in no common proportion")


def rules(model: dict) -> list[Rule]:
    """The name map for these arguments."""
    made, layers = [], len(model["features"])
    for number in range(layers):
        ours, theirs = f"encoder_{number}", f"encoder.{number}."
        made += convolution(f"{ours}/all", f"{theirs}globalconv")
        for band, depth in enumerate(model["depths"]):
            made += convolution(f"{ours}/band_{band}", f"{theirs}SDlayer.convs.{band}")
            for layer in range(depth):
                place = f"{theirs}conv_modules.{band}.layers.{layer}."
                made += frames(f"{ours}/frames_{band}_{layer}", place)
        ours, theirs = f"decoder_{number}", f"decoder.{layers - 1 - number}."
        made += convolution(f"{ours}/all", f"{theirs}0.conv")
        for band in range(3):
            made += convolution(
                f"{ours}/band_{band}", f"{theirs}1.convtrs.{band}", taps_first_transposed
            )
    for number in range(model["pairs"]):
        made += pair(f"pair_{number}", f"separation_net.dp_modules.{number}.")
    if model["masked"]:
        made.append(Rule("params/position", "pos_embed_f", lambda x: x[0, :, :, 0].T))
        made += convolution("mask_wide", "mask_layer.0")
        made += convolution("mask", "mask_layer.2")
    return made


def frames(ours: str, theirs: str) -> list[Rule]:
    made = norm(f"{ours}/norm_0", f"{theirs}0") + norm(f"{ours}/norm_1", f"{theirs}4")
    made += convolution(f"{ours}/squeeze", f"{theirs}1")
    made += convolution(f"{ours}/expand", f"{theirs}6")
    made.append(Rule(f"params/{ours}/each", f"{theirs}3.weight", lambda x: x[:, 0].T))
    made.append(Rule(f"params/{ours}/each_bias", f"{theirs}3.bias"))
    return made


def pair(ours: str, theirs: str) -> list[Rule]:
    made = []
    for number, axis in enumerate(("bins", "frames")):
        made += norm(f"{ours}/{axis}_norm", f"{theirs}norm_layers.{number}")
        place, ends = f"{theirs}lstm_layers.{number}.", ("_l0", "_l0_reverse")
        for mine, their in (("w_ih", "weight_ih"), ("w_hh", "weight_hh")):
            names = tuple(f"{place}{their}{end}" for end in ends)
            made.append(Rule(f"params/{ours}/{axis}/{mine}_0", names, stack_turned))
        names = tuple(f"{place}bias_{part}{end}" for end in ends for part in ("ih", "hh"))
        made.append(Rule(f"params/{ours}/{axis}/bias_0", names, stack_sums))
        linear = f"{theirs}linear_layers.{number}"
        made += convolution(f"{ours}/{axis}/linear", linear, np.transpose)
    return made


KINDS = {
    "scnet": Kind(
        model="scnet",
        anchor=r"(.*?)encoder\.0\.SDlayer\.convs\.0\.weight",
        arguments=arguments,
        rules=rules,
        configured=configured,
    ),
}
