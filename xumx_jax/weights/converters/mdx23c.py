"""Name map of MDX23C, as kuielab's, ZFTurbo's and UVR's programs save it."""

import re

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.models.mdx23c import Mdx23c
from xumx_jax.weights.converters.arrays import cells, plane, spread
from xumx_jax.weights.converters.configuration import (
    agree,
    ask,
    check_whole,
    instruments,
    of_all,
    plain,
    section,
)
from xumx_jax.weights.converters.kinds import Kind, Tensors, groups_in, sizes, source_names, vote
from xumx_jax.weights.converters.rules import Rule

NORMS = {"BatchNorm": "batch", "InstanceNorm": "instance", "None": "none"}
KNOWN = ("act", "bottleneck_factor", "growth", "norm", "num_blocks_per_scale", "num_channels")
KNOWN += ("num_scales", "num_subbands", "scale", "name")
BLOCK = "encoder_blocks.0.tfc_tdf.blocks.0."


def settings_of(config: dict) -> dict:
    """Our arguments for what a configuration of the programs says and tensors do not."""
    audio, model, inference = (section(config, name) for name in ("audio", "model", "inference"))
    unknown = [name for name, value in model.items() if name not in KNOWN and value is not False]
    if unknown:
        raise UserError(f"its model has an unknown argument, {', '.join(unknown[:3])}")
    names = {"n_fft": "n_fft", "hop_length": "hop", "num_channels": "channels"}
    found = {ours: audio[theirs] for theirs, ours in names.items() if theirs in audio}
    found |= {"sample_rate": audio["sample_rate"]} if "sample_rate" in audio else {}
    if frames := inference.get("dim_t") or audio.get("dim_t"):
        found["frames"] = frames
    check_whole(found)
    norm, act = str(model.get("norm", "InstanceNorm")), str(model.get("act", "gelu"))
    groups = re.fullmatch(r"GroupNorm([1-9]\d{0,3})", norm)
    if groups:
        found["norm"] = groups[1]
    elif norm in NORMS:
        found["norm"] = NORMS[norm]
    else:
        raise UserError(f"norm {norm!r:.60}: wanted one of {', '.join(NORMS)}, GroupNorm2")
    alpha = re.fullmatch(r"elu(\d*\.?\d*)", act)
    if alpha:
        found |= {"act": "elu", "alpha": float(alpha[1] or 1)}
    elif act in ("gelu", "relu"):
        found["act"] = act
    else:
        raise UserError(f"act {act!r:.60}: wanted gelu, relu or elu with a number")
    return found


def configured(config: dict) -> dict:
    """Part of `info` for what a configuration says."""
    return {"model_args": config, **of_all(config)}


def arguments(tensors: Tensors, info: dict) -> dict:
    """Sizes from tensors; the rest from the configuration, settings, or the defaults."""
    config = info.get("model_args") or {}
    given = settings_of(config) if config else {}
    given |= info.get("settings") or {}
    features, inputs = (
        vote(sizes(tensors, r"first_conv\.weight", axis), "the first layer") for axis in (0, 1)
    )
    scales = len(groups_in(tensors, r"encoder_blocks\.(\d+)\..+"))
    wider, _, down, right = tensors["encoder_blocks.0.downscale.conv.2.weight"].shape
    inner, bins = tensors[f"{BLOCK}tdf.2.weight"].shape
    channels = given.get("channels", 2)
    subbands = inputs // (2 * channels)
    outputs = vote(sizes(tensors, r"final_conv\.2\.weight", 0), "the sources")
    named = {"sources": instruments(config), **(info.get("settings") or {})}
    made = {
        "sources": source_names(outputs // inputs, {"settings": named}, "vocals"),
        "channels": channels,
        "bins": bins * subbands,
        "features": features,
        "growth": wider - features,
        "scales": scales,
        "scale": (down, right),
        "blocks": len(groups_in(tensors, r"encoder_blocks\.0\.tfc_tdf\.blocks\.(\d+)\..+")),
        "bottleneck": bins // inner,
        "subbands": subbands,
        **given,
    }
    agree(section(config, "model"), shown(made))
    agree(section(config, "audio"), {"dim_f": made["bins"]})
    ask(
        {
            "n_fft": (2 * made["bins"], "audio: n_fft"),
            "hop": (Mdx23c.hop, "audio: hop_length"),
        },
        made,
        "published ones have 8192 and 1024, or 2048 and 512",
    )
    made.setdefault("frames", max(Mdx23c.frames, down**scales))
    if any("running_mean" in name for name in tensors):
        made["norm"] = "batch"
    return made


def shown(made: dict) -> dict:
    """What tensors show, by the programs' names."""
    names = {
        "num_channels": "features", "growth": "growth", "num_scales": "scales", "scale": "scale",
        "num_blocks_per_scale": "blocks", "bottleneck_factor": "bottleneck",
        "num_subbands": "subbands",
    }  # fmt: skip
    return {theirs: made[ours] for theirs, ours in names.items()}


def rules(model: dict) -> list[Rule]:
    """The name map for these arguments."""
    made, scales = [Rule("params/first/kernel", "first_conv.weight", plane)], model["scales"]

    def blocks(ours: str, theirs: str):
        for number in range(model["blocks"]):
            made.extend(block(model, f"{ours}_block_{number}", f"{theirs}.blocks.{number}."))

    for scale in range(scales):
        place = f"encoder_blocks.{scale}"
        blocks(f"encoder_{scale}", f"{place}.tfc_tdf")
        made += norm(model, f"down_{scale}/norm", f"{place}.downscale.conv.0")
        made.append(Rule(f"params/down_{scale}/kernel", f"{place}.downscale.conv.2.weight", cells))
        place = f"decoder_blocks.{scales - 1 - scale}"
        made += norm(model, f"up_{scale}/norm", f"{place}.upscale.conv.0")
        made.append(Rule(f"params/up_{scale}/kernel", f"{place}.upscale.conv.2.weight", spread))
        blocks(f"decoder_{scale}", f"{place}.tfc_tdf")
    blocks("bottleneck", "bottleneck_block")
    for ours, theirs in (("wide", "final_conv.0"), ("last", "final_conv.2")):
        made.append(Rule(f"params/{ours}/kernel", f"{theirs}.weight", plane))
    return made


def block(model: dict, ours: str, theirs: str) -> list[Rule]:
    made = [Rule(f"params/{ours}/shortcut/kernel", f"{theirs}shortcut.weight", plane)]
    for number in range(2):
        conv, dense = f"{theirs}tfc{number + 1}.", f"{theirs}tdf."
        made += norm(model, f"{ours}/conv_{number}_norm", f"{conv}0")
        made.append(Rule(f"params/{ours}/conv_{number}/kernel", f"{conv}2.weight", plane))
        made += norm(model, f"{ours}/dense_{number}_norm", f"{dense}{3 * number}")
        made.append(
            Rule(f"params/{ours}/dense_{number}", f"{dense}{3 * number + 2}.weight", np.transpose)
        )
    return made


def norm(model: dict, ours: str, theirs: str) -> list[Rule]:
    if model.get("norm") == "none":
        return []
    made = [
        Rule(f"params/{ours}/scale", f"{theirs}.weight"),
        Rule(f"params/{ours}/bias", f"{theirs}.bias"),
    ]
    if model.get("norm") == "batch":
        for name in ("mean", "var"):
            made.append(Rule(f"batch_stats/{ours}/{name}", f"{theirs}.running_{name}"))
    return made


KINDS = {
    "mdx23c": Kind(
        model="mdx23c",
        anchor=r"(.*?)first_conv\.weight",
        also=(r".*?encoder_blocks\.0\.tfc_tdf\.blocks\.0\.tdf\.2\.weight",),
        arguments=arguments,
        rules=rules,
        configured=plain(configured),
    ),
}
