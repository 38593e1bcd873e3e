"""Name maps of Demucs and Hybrid Demucs, as the Demucs package and Torchaudio save them."""

import re
from functools import partial

from xumx_jax.errors import UserError
from xumx_jax.layers.hybrid_levels import levels_of
from xumx_jax.models import build
from xumx_jax.models.demucs import Demucs
from xumx_jax.models.hdemucs import HDemucs
from xumx_jax.weights.converters.kinds import (
    BY_NUMBER,
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
from xumx_jax.weights.converters.unet import convolution, dconv, lstm, norm, taps_first_transposed

# Arguments of the Demucs package that have other names here.
RENAMED = {
    "samplerate": "sample_rate",
    "audio_channels": "channels",
    "channels": "width",
    "channels_time": "width_time",
    "nfft": "n_fft",
    "segment": "seconds",
    "cac": "complex_channels",
}
# Of the second version: the length of its chunks in training, in samples.
WITHOUT_EFFECT = ("segment_length",)
# AIMLESS's configs list its sources so; its data sets give them in the usual order all the same.
AIMLESS_LIST = ("vocals", "drums", "bass", "other")
# The lists of layers: encoder and decoder of spectra, and of waveforms.
DEMUCS = ("encoder", "decoder", "tencoder", "tdecoder")
TORCHAUDIO = ("freq_encoder", "freq_decoder", "time_encoder", "time_decoder")


def given_to(model, info: dict) -> dict:
    """The arguments that a file or a row states, by our names."""
    if info.get("args"):
        raise UserError("its model was made with arguments without names; wanted kwargs alone")
    found = stated(info, "kwargs", named_as(model, RENAMED), WITHOUT_EFFECT)
    return found | (info.get("settings") or {})


def numbers(tensors: Tensors, pattern: str) -> list[int]:
    """The numbers that the group of `pattern` matches in names, rising, each once."""
    return sorted(map(int, groups_in(tensors, pattern)))


def size(tensors: Tensors, pattern: str, axis: int, what: str) -> int:
    return vote(sizes(tensors, pattern, axis), what)


def branches(tensors: Tensors, encoder: str, decoder: str, depth: int) -> dict:
    """The arguments of residual branches, from names and sizes of tensors."""
    inside = r"(?:layers\.\d+\.)?(?:dconv|\d+)\.layers"  # of the Demucs package, of hybrid models
    there = [bool(numbers(tensors, rf"{part}\.(\d+)\.{inside}\..*")) for part in (encoder, decoder)]
    found: dict = {"dconv_mode": there[0] + 2 * there[1]}
    if not any(there):
        return found
    side = rf"{encoder if there[0] else decoder}\.(\d+)\.{inside}\.\d+"
    squeeze = side.replace(r"(\d+)", r"\d+", 1) + r"\.0\.weight"
    inner, outer = (size(tensors, squeeze, axis, "the size of a branch") for axis in (0, 1))
    found["dconv_depth"] = len(numbers(tensors, side.replace(r"(\d+)", "0", 1)[:-3] + r"(\d+)\..*"))
    found["dconv_comp"] = outer / inner
    if there[0]:
        for name, part in (("dconv_lstm", "lstm"), ("dconv_attn", "content")):
            found[name] = min(numbers(tensors, rf"{side}\.\d+\.{part}\..*"), default=depth)
    return found


def hdemucs_arguments(tensors: Tensors, info: dict, parts=DEMUCS, given=None) -> dict:
    """Sizes from tensors; `given` are arguments that the file or a row states."""
    encoder, decoder, wave_encoder, _ = parts
    band = r"(?:layers\.\d+\.)?"  # of bands with weights of their own
    conv, back = band + r"conv\.weight", band + r"conv_tr\.weight"
    depth = len(numbers(tensors, rf"{encoder}\.(\d+)\..*"))
    given = given_to(HDemucs, info) if given is None else given
    inputs = size(tensors, rf"{encoder}\.0\.{conv}", 1, "the number of channels")
    width = size(tensors, rf"{encoder}\.0\.{conv}", 0, "the width")
    hybrid = bool(numbers(tensors, rf"{wave_encoder}\.(\d+)\..*"))
    found: dict = {"depth": depth, "width": width, "hybrid": hybrid}
    if hybrid:
        wave = rf"{wave_encoder}\.0\.conv\.weight"
        found["channels"] = size(tensors, wave, 1, "the number of channels")
        found["width_time"] = size(tensors, wave, 0, "the width")
    else:
        found["channels"] = given.get("channels", 2)
    found["complex_channels"] = inputs == 2 * found["channels"]
    outputs = size(tensors, rf"{decoder}\.{depth - 1}\.{back}", 1, "the number of sources")
    found["sources"] = source_names(outputs // inputs, info, "speech")
    found["kernel_size"] = size(tensors, rf"{encoder}\.0\.{conv}", 2, "the size of kernels")
    if depth > 1:
        found["growth"] = size(tensors, rf"{encoder}\.1\.{conv}", 0, "the growth") / width
    found["norm_starts"] = min(numbers(tensors, rf"{encoder}\.(\d+)\.norm1\..*"), default=depth)
    rewrite = band + r"rewrite\.weight"
    found["rewrite"] = bool(numbers(tensors, rf"{decoder}\.(\d+)\.{rewrite}"))
    if found["rewrite"]:
        for name, part in (("context", decoder), ("context_enc", encoder)):
            taps = size(tensors, rf"{part}\.\d+\.{rewrite}", -1, "the context")
            found[name] = taps // 2
    embedding = sizes(tensors, r"freq_emb\.embedding\.weight", 0)
    if embedding:
        found["n_fft"] = 2 * given.get("stride", HDemucs.stride) * embedding[0]
    elif "kwargs" not in info:  # a file that states its arguments leaves out only defaults
        found["freq_emb"] = 0.0
    found |= branches(tensors, encoder, decoder, depth)
    return {**found, **given, "sources": found["sources"]}


def torchaudio_arguments(tensors: Tensors, info: dict) -> dict:
    """As `hdemucs_arguments`; of AIMLESS's sources, the order in which they are (see AIMLESS_LIST).

    Torchaudio's own files state none.
    """
    found = hdemucs_arguments(tensors, info, TORCHAUDIO)
    if found["sources"] == AIMLESS_LIST and "sources" not in (info.get("settings") or {}):
        found["sources"] = BY_NUMBER[len(AIMLESS_LIST)]
    return found


def hdemucs_rules(arguments: dict, parts=DEMUCS, name: str = "hdemucs") -> list[Rule]:
    model = build(name, **arguments)
    encoder, decoder, wave_encoder, wave_decoder = parts
    rules = []
    levels = levels_of(model)
    waves = [level for level in levels if level.has_wave]
    for number, level in enumerate(levels):
        back = len(levels) - 1 - number
        here, opposite = f"{encoder}.{number}", f"{decoder}.{back}"
        if level.multi:
            for band in range(len(model.multi_freqs) + 1):
                mine, their = f"band_{band}", f"layers.{band}"
                rules += encoder_rules(
                    f"encoder_{number}/{mine}", f"{here}.{their}", level.options, model.dconv_mode
                )
                rules += decoder_rules(
                    f"decoder_{number}/{mine}",
                    f"{opposite}.{their}",
                    level.options,
                    model.dconv_mode,
                )
        else:
            rules += encoder_rules(f"encoder_{number}", here, level.options, model.dconv_mode)
            rules += decoder_rules(f"decoder_{number}", opposite, level.options, model.dconv_mode)
        if level.has_wave:
            mode, empty = model.dconv_mode, level.merges
            here = f"{wave_encoder}.{number}"
            opposite = f"{wave_decoder}.{len(waves) - 1 - number}"
            rules += encoder_rules(f"wave_encoder_{number}", here, level.wave, mode, empty)
            rules += decoder_rules(f"wave_decoder_{number}", opposite, level.wave, mode, empty)
    if model.freq_emb:
        rules.append(Rule("params/embedding", "freq_emb.embedding.weight"))
    return rules


def encoder_rules(ours: str, theirs: str, options, mode: int, empty: bool = False) -> list[Rule]:
    """Rules for `layers.unet.Encoder` of a hybrid model."""
    rules = convolution(f"{ours}/conv", f"{theirs}.conv")
    if empty:
        return rules
    if options.groups:
        rules += norm(f"{ours}/norm_0", f"{theirs}.norm1")
    if mode & 1:
        rules += dconv(f"{ours}/dconv", f"{theirs}.dconv", options)
    return rules + (rewrite_rules(ours, theirs, options, "norm_1", "norm2"))


def decoder_rules(ours: str, theirs: str, options, mode: int, empty: bool = False) -> list[Rule]:
    """Rules for `layers.unet.Decoder` of a hybrid model."""
    rules = convolution(f"{ours}/conv", f"{theirs}.conv_tr", taps_first_transposed)
    if options.groups:
        rules += norm(f"{ours}/norm_1", f"{theirs}.norm2")
    if empty:
        return rules
    if mode & 2:
        rules += dconv(f"{ours}/dconv", f"{theirs}.dconv", options)
    return rules + rewrite_rules(ours, theirs, options, "norm_0", "norm1")


def rewrite_rules(ours: str, theirs: str, options, our_norm: str, their_norm: str) -> list[Rule]:
    if not options.rewrite:
        return []
    rules = convolution(f"{ours}/rewrite", f"{theirs}.rewrite")
    return rules + norm(f"{ours}/{our_norm}", f"{theirs}.{their_norm}") * bool(options.groups)


def modern(tensors: Tensors) -> Tensors:
    """Number the layers of Demucs' second version as later versions of the package do.

    Where they have a place for normalisation, it has none: 2 stands for 3.
    """
    if any(re.fullmatch(r"(?:en|de)coder\.\d+\.[13]\..*", name) for name in tensors):
        return tensors
    return {
        re.sub(r"^((?:en|de)coder\.\d+)\.2\.", r"\1.3.", name): tensor
        for name, tensor in tensors.items()
    }


def demucs_arguments(tensors: Tensors, info: dict) -> dict:
    depth = len(numbers(tensors, r"encoder\.(\d+)\..*"))
    given = given_to(Demucs, info)
    found: dict = {"depth": depth}
    for name, axis in (("width", 0), ("channels", 1), ("kernel_size", 2)):
        found[name] = size(tensors, r"encoder\.0\.0\.weight", axis, f"the {name}")
    if depth > 1:
        wider = size(tensors, r"encoder\.1\.0\.weight", 0, "the growth")
        found["growth"] = wider / found["width"]
    found |= branches(tensors, "encoder", "decoder", depth)
    # of the outermost decoder, the last convolution; its first one rewrites
    outer = numbers(tensors, rf"decoder\.{depth - 1}\.(\d+)\.weight")
    back = rf"decoder\.{depth - 1}\.{outer[-1]}\.weight" if outer else "-"
    outputs = size(tensors, back, 1, "the number of sources")
    found["sources"] = source_names(outputs // found["channels"], info)
    found["rewrite"] = len(outer) > 1
    if found["rewrite"]:
        first = rf"decoder\.{depth - 1}\.{outer[0]}\.weight"
        found["glu"] = size(tensors, first, 0, "the gate") == 2 * found["width"]
        found["context"] = size(tensors, first, 2, "the context") // 2
    found["norm_starts"] = min(numbers(tensors, r"encoder\.(\d+)\.1\..*"), default=depth)
    found["lstm_layers"] = len(numbers(tensors, r"lstm\.lstm\.weight_ih_l(\d+)"))
    # the second version has rectifiers and no residual branches
    found["gelu"] = bool(found["dconv_mode"])
    return {**found, **given, "sources": found["sources"]}


def demucs_rules(arguments: dict) -> list[Rule]:
    model: Demucs = build("demucs", **arguments)  # pyright: ignore[reportAssignmentType]
    rules = []
    for number in range(model.depth):
        options = model.options(number)
        mine, their = f"encoder_{number}", f"encoder.{number}"
        rules += convolution(f"{mine}/conv", f"{their}.0")
        rules += norm(f"{mine}/norm_0", f"{their}.1") * bool(options.groups)
        at = 3
        if model.dconv_mode & 1:
            rules += dconv(f"{mine}/dconv", f"{their}.{at}", options)
            at += 1
        if model.rewrite:
            rules += convolution(f"{mine}/rewrite", f"{their}.{at}")
            rules += norm(f"{mine}/norm_1", f"{their}.{at + 1}") * bool(options.groups)
        mine, their, at = f"decoder_{number}", f"decoder.{model.depth - 1 - number}", 0
        if model.rewrite:
            rules += convolution(f"{mine}/rewrite", f"{their}.0")
            rules += norm(f"{mine}/norm_0", f"{their}.1") * bool(options.groups)
            at = 3
        if model.dconv_mode & 2:
            rules += dconv(f"{mine}/dconv", f"{their}.{at}", options)
            at += 1
        rules += convolution(f"{mine}/conv", f"{their}.{at}", taps_first_transposed)
        if number:
            rules += norm(f"{mine}/norm_1", f"{their}.{at + 1}") * bool(options.groups)
    if model.lstm_layers:
        rules += lstm("lstm", "lstm.lstm", model.lstm_layers, "lstm.linear")
    return rules


KINDS = {
    "hdemucs-torchaudio": Kind(
        model="hdemucs",
        anchor=r"(.*?)freq_encoder\.0\.(?:layers\.0\.)?conv\.weight",
        arguments=torchaudio_arguments,
        rules=partial(hdemucs_rules, parts=TORCHAUDIO),
        # Torchaudio makes a normalisation where the branches merge and never uses it
        ignore=(*TORCH_IGNORE, "time_encoder.*.norm1.*"),
    ),
    "hdemucs": Kind(
        model="hdemucs",
        anchor=r"(.*?)(?<!t)encoder\.0\.(?:layers\.0\.)?conv\.weight",
        arguments=hdemucs_arguments,
        rules=hdemucs_rules,
    ),
    "demucs": Kind(
        model="demucs",
        anchor=r"(.*?)encoder\.0\.0\.weight",
        also=(r".*?decoder\.0\.0\.weight",),
        arguments=demucs_arguments,
        rules=demucs_rules,
        prepared=modern,
    ),
}
