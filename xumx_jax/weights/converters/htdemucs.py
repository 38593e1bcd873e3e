"""Name map of Hybrid Transformer Demucs, as the Demucs package and ZFTurbo's program save it."""

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.htdemucs import HTDemucs
from xumx_jax.weights.converters.configuration import agree, of_all, section
from xumx_jax.weights.converters.demucs import (
    RENAMED,
    WITHOUT_EFFECT,
    hdemucs_arguments,
    hdemucs_rules,
    numbers,
    size,
)
from xumx_jax.weights.converters.kinds import TORCH_IGNORE, Kind, Tensors, named_as, sizes, stated
from xumx_jax.weights.converters.rules import Rule
from xumx_jax.weights.converters.unet import convolution, norm

THEIRS = RENAMED | {"use_train_segment": "whole_segment"}
# What training alone depends on.
TRAINING = ("t_dropout", "t_weight_decay", "t_lr", "t_sin_random_shift", "t_cape_augment")
TRAINING += ("t_cape_glob_loc_scale", "t_cape_mean_normalize", "t_max_positions", "num_subbands")
# Of sparse attention, which the package's published models do without.
TRAINING += ("t_mask_type", "t_mask_random_seed", "t_sparse_attn_window", "t_global_window")
TRAINING += ("t_sparsity", "t_auto_sparsity")
PACKAGE_SECONDS = 10  # of a file that states its arguments, and not this one
ROOT = "crosstransformer."


def arguments(tensors: Tensors, info: dict) -> dict:
    """Sizes from tensors; the rest from the settings, the file's arguments, or the defaults."""
    unlike = (*WITHOUT_EFFECT, *TRAINING)
    given = stated(info, "kwargs", named_as(HTDemucs, THEIRS), unlike)
    given |= stated(info, "model_args", named_as(HTDemucs, THEIRS), unlike)
    told = bool(info.get("kwargs") or info.get("model_args"))
    given |= info.get("settings") or {}
    if told:
        given.setdefault("seconds", PACKAGE_SECONDS)
    given["t_norm_in_group"] = int(given.get("t_norm_in_group", 0))
    given["t_group_norm"] = int(given.get("t_group_norm", 0))
    given["t_norm_out"] = bool(numbers(tensors, rf"{ROOT}layers\.(\d+)\.norm_out\..*"))
    given["t_layer_scale"] = bool(numbers(tensors, rf"{ROOT}layers\.(\d+)\.gamma_1\..*"))
    found = hdemucs_arguments(tensors, info, given=given)
    layers = len(numbers(tensors, rf"{ROOT}layers\.(\d+)\..*"))
    found["t_layers"] = layers
    found["bottom_channels"] = max(sizes(tensors, r"channel_upsampler\.weight", 0), default=0)
    channels = size(tensors, rf"{ROOT}layers\.0\.linear2\.weight", 0, "the channels")
    wide = size(tensors, rf"{ROOT}layers\.0\.linear2\.weight", 1, "the hidden size")
    found["t_hidden_scale"] = wide / channels
    found["t_cross_first"] = bool(numbers(tensors, rf"{ROOT}layers\.(0)\.cross_attn\..*"))
    said = info.get("kwargs") or info.get("model_args") or {}
    names = ["t_layers", "bottom_channels", "t_hidden_scale", "t_cross_first", "t_layer_scale"]
    names += ["t_norm_out"] * found.get("t_norm_first", True)  # without it, there is none
    agree(said, {name: found[name] for name in names})
    if learned := sizes(tensors, rf"{ROOT}position_embeddings\.embedding\.weight", 0):
        found |= {"t_emb": "scaled", "t_max_positions": learned[0]}
    if not found["t_norm_in_group"]:
        found["t_norm_in"] = bool(sizes(tensors, rf"{ROOT}norm_in\.weight", 0))
    return found


def configured(config: dict) -> dict:
    """Part of `info` for what a configuration of ZFTurbo's program says."""
    name = config.get("model")
    if name != "htdemucs":
        raise UserError(f"model is {name!r:.60}; wanted htdemucs, which the tensors are")
    training, about = section(config, "training"), of_all(config)
    names = {"samplerate": "samplerate", "segment": "segment", "channels": "audio_channels"}
    said = {theirs: training[here] for here, theirs in names.items() if here in training}
    for name in ("chunk_size", "normalize"):  # there a chunk is a segment, normalised inside
        about["separation"].pop(name, None)
    return {**about, "model_args": {**section(config, "htdemucs"), **said}}


def rules(arguments: dict) -> list[Rule]:
    model = build("htdemucs", **arguments)
    made = hdemucs_rules(arguments, name="htdemucs")
    if model.bottom_channels:
        for ours, theirs in (("widen", "channel_upsampler"), ("narrow", "channel_downsampler")):
            for mine, their in (("", ""), ("_wave", "_t")):
                made += convolution(f"{ours}{mine}", f"{theirs}{their}")
    return made + transformer(model, "transformer", ROOT)


def transformer(model, ours: str, theirs: str) -> list[Rule]:
    """Rules for `layers.cross_transformer.CrossTransformer` of a model with HTDemucs' fields."""
    made = []
    if model.t_norm_in or model.t_norm_in_group:
        made += norm(f"{ours}/norm_in", f"{theirs}norm_in")
        made += norm(f"{ours}/norm_in_wave", f"{theirs}norm_in_t")
    if model.t_emb == "scaled":
        table = f"{theirs}position_embeddings.embedding.weight"
        made.append(Rule(f"params/{ours}/positions", table))
    for number in range(model.t_layers):
        cross = number % 2 != int(model.t_cross_first)
        for mine, their in (("spectra", "layers"), ("waves", "layers_t")):
            made += layer(model, f"{ours}/{mine}_{number}", f"{theirs}{their}.{number}.", cross)
    return made


def layer(model, ours: str, theirs: str, cross: bool) -> list[Rule]:
    attention = f"{theirs}{'cross' if cross else 'self'}_attn."
    linear = {"out": f"{attention}out_proj", "wide": f"{theirs}linear1"}
    linear |= {"narrow": f"{theirs}linear2"}
    made = [
        Rule(f"params/{ours}/qkv", f"{attention}in_proj_weight", np.transpose),
        Rule(f"params/{ours}/qkv_bias", f"{attention}in_proj_bias"),
    ]
    for mine, their in linear.items():
        made.append(Rule(f"params/{ours}/{mine}", f"{their}.weight", np.transpose))
        made.append(Rule(f"params/{ours}/{mine}_bias", f"{their}.bias"))
    norms = {"norm_0": "norm1", "norm_1": "norm2"}
    if cross and model.t_norm_first:
        norms = {"norm_0": "norm1", "norm_other": "norm2", "norm_1": "norm3"}
    if model.t_norm_first and model.t_norm_out:
        norms["norm_out"] = "norm_out"
    for mine, their in norms.items():
        made += norm(f"{ours}/{mine}", f"{theirs}{their}")
    if model.t_layer_scale:
        for number in range(2):
            made.append(Rule(f"params/{ours}/scale_{number}", f"{theirs}gamma_{number + 1}.scale"))
    return made


KINDS = {
    "htdemucs": Kind(
        model="htdemucs",
        anchor=r"(.*?)crosstransformer\.layers\.0\.linear1\.weight",
        also=(r"(.*?)(?<!t)encoder\.0\.conv\.weight",),
        arguments=arguments,
        rules=rules,
        # where normalisation comes after each part, attention to the other branch has one to spare
        ignore=(*TORCH_IGNORE, "crosstransformer.layers*.norm3.*"),
        configured=configured,
    ),
}
