"""Name maps of AIMLESS's networks of waveforms: DemucsSplit and RelTDemucs."""

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.layers.sinc_resample import torchaudio_kernel
from xumx_jax.models.demucs_split import DemucsSplit
from xumx_jax.models.rel_tdemucs import RelTDemucs
from xumx_jax.weights.converters.kinds import (
    TORCH_IGNORE,
    Kind,
    Tensors,
    groups_in,
    named_as,
    sizes,
    source_names,
    stated,
    vote,
)
from xumx_jax.weights.converters.rules import Rule
from xumx_jax.weights.converters.unet import (
    convolution,
    lstm,
    norm,
    taps_first,
    taps_first_transposed,
)

RESAMPLERS = {"up_sample.kernel": (1, 2), "down_sample.kernel": (2, 1)}
# Constants among the tensors, which are computed here.
IGNORE = (*TORCH_IGNORE, *RESAMPLERS, "*inv_freq")
# Arguments of AIMLESS that have other names here.
RENAMED = {"channels": "width", "in_channels": "channels", "nhead": "heads"}
RENAMED |= {"dim_feedforward": "hidden_size"}
WITHOUT_EFFECT = ("num_sources",)  # which tensors show


def arguments(model, tensors: Tensors, info: dict) -> dict:
    """What the tensors show of both, and what only the file's own arguments say."""
    given = stated(info, "model_args", named_as(model, RENAMED), WITHOUT_EFFECT)
    depth = len(groups_in(tensors, r"encoder\.(\d+)\.0\.weight"))
    channels = vote(sizes(tensors, r"encoder\.0\.0\.weight", 1), "the number of channels")
    last = rf"decoder\.{depth - 1}\.[02]\.bias"
    count = vote(sizes(tensors, last, 0), "the number of sources") // channels
    resample = check_resamplers(tensors)
    return {
        **given,
        **(info.get("settings") or {}),
        "sources": source_names(count, info),
        "channels": channels,
        "width": vote(sizes(tensors, r"encoder\.0\.0\.weight", 0), "the width"),
        "depth": depth,
        "kernel_size": vote(sizes(tensors, r"encoder\.\d+\.0\.weight", 2), "the kernel size"),
        "resample": resample,
    }


def check_resamplers(tensors: Tensors) -> bool:
    """Whether the network resamples.

    Raises UserError if its kernels are not those computed here.
    """
    for name, rates in RESAMPLERS.items():
        if name in tensors:
            wanted = torchaudio_kernel(*rates)[:, None]
            if tensors[name].shape != wanted.shape or np.abs(tensors[name] - wanted).max() > 1e-4:
                raise UserError(f"tensor {name} is not torchaudio's kernel for the rates {rates}")
    return any(name in tensors for name in RESAMPLERS)


def split_arguments(tensors: Tensors, info: dict) -> dict:
    layers = len(groups_in(tensors, r"lstm\.weight_ih_l(\d+)"))
    return arguments(DemucsSplit, tensors, info) | {"lstm_layers": layers}


def rel_arguments(tensors: Tensors, info: dict) -> dict:
    attention = r"transformer\.layers\.\d+\.self_attn\.u"
    return arguments(RelTDemucs, tensors, info) | {
        "attention_layers": len(groups_in(tensors, r"transformer\.layers\.(\d+)\..*")),
        "heads": vote(sizes(tensors, attention, 0), "the number of heads"),
        "hidden_size": vote(
            sizes(tensors, r"transformer\.layers\.\d+\.linear1\.weight", 0), "the hidden size"
        ),
    }


def encoder_rules(model: dict) -> list[Rule]:
    rules = []
    for number in range(model["depth"]):
        rules += convolution(f"encoder_{number}/conv", f"encoder.{number}.0")
        rules += convolution(f"encoder_{number}/rewrite", f"encoder.{number}.2")
    return rules


def split_rules(model: dict) -> list[Rule]:
    rules, count = encoder_rules(model), len(model["sources"])
    rules += lstm("lstm", "lstm", model["lstm_layers"], "lstm_linear")

    def by_source(bias):
        return bias.reshape(count, -1)

    def kernels_by_source(kernel):  # [source * output, input, tap] -> [source, tap, input, output]
        outputs, inputs, taps = kernel.shape
        return kernel.reshape(count, outputs // count, inputs, taps).transpose(0, 3, 2, 1)

    def turned_by_source(kernel):  # [source * input, output, tap] -> [source, tap, input, output]
        inputs, outputs, taps = kernel.shape
        return kernel.reshape(count, inputs // count, outputs, taps).transpose(0, 3, 1, 2)

    for number in range(model["depth"]):
        at = model["depth"] - 1 - number
        ours = f"params/decoder_{number}"
        rules += [
            Rule(f"{ours}/skip/kernel", f"convs_1x1.{at}.weight", taps_first),
            Rule(f"{ours}/context_kernel", f"dec_pre_convs.{at}.weight", kernels_by_source),
            Rule(f"{ours}/context_bias", f"dec_pre_convs.{at}.bias", by_source),
            Rule(f"{ours}/conv_kernel", f"decoder.{at}.0.weight", turned_by_source),
            Rule(f"{ours}/conv_bias", f"decoder.{at}.0.bias", by_source),
        ]
    return rules


def attention_rules(ours: str, theirs: str, heads: int) -> list[Rule]:
    """`layers.relative_attention`; in theirs, each head has query, key and value side by side."""

    def project(weight):  # [head * 3 * size, input] -> [input, 3 * head * size]
        inputs = weight.shape[1]
        parts = weight.reshape(heads, 3, -1, inputs)
        return parts.transpose(3, 1, 0, 2).reshape(inputs, -1)

    def per_head(vectors):  # [head, size] -> [head, 1, size]
        return vectors[:, None]

    return [
        Rule(f"params/{ours}project/kernel", f"{theirs}in_proj_weight", project),
        Rule(f"params/{ours}u", f"{theirs}u", per_head),
        Rule(f"params/{ours}v", f"{theirs}v", per_head),
        Rule(f"params/{ours}distance/kernel", f"{theirs}pos_emb_proj.weight", np.transpose),
        Rule(f"params/{ours}out/kernel", f"{theirs}out_proj.weight", np.transpose),
    ]


def rel_rules(model: dict) -> list[Rule]:
    rules = encoder_rules(model)
    for number in range(model["depth"]):
        at = model["depth"] - 1 - number
        rules.append(Rule(f"params/context_{number}/kernel", f"decoder.{at}.0.weight", taps_first))
        rules += convolution(f"decoder_{number}", f"decoder.{at}.2", taps_first_transposed)

    for layer in range(model["attention_layers"]):
        ours, theirs = f"layer_{layer}", f"transformer.layers.{layer}"
        rules += attention_rules(f"{ours}/attention/", f"{theirs}.self_attn.", model["heads"])
        for number in range(2):
            linear, name = f"{theirs}.linear{number + 1}", f"{theirs}.norm{number + 1}"
            rules += convolution(f"{ours}/linear_{number}", linear, np.transpose)
            rules += norm(f"{ours}/norm_{number}", name)
    return rules


KINDS = {
    "demucs-split": Kind(
        model="demucs_split",
        anchor=r"(.*?)dec_pre_convs\.0\.weight",
        arguments=split_arguments,
        rules=split_rules,
        ignore=IGNORE,
    ),
    "rel-tdemucs": Kind(
        model="rel_tdemucs",
        anchor=r"(.*?)transformer\.layers\.0\.self_attn\.pos_emb_proj\.weight",
        arguments=rel_arguments,
        rules=rel_rules,
        ignore=IGNORE,
    ),
}
