"""Arguments of BS-RoFormer and Mel-Band RoFormer from their tensors and configurations."""

import re

from xumx_jax.errors import UserError
from xumx_jax.models.roformer import WIDTHS
from xumx_jax.transforms.bands import mel_bands
from xumx_jax.weights.converters.configuration import agree, ask, check_whole
from xumx_jax.weights.converters.kinds import (
    Tensors,
    groups_in,
    sizes,
    source_names,
    stated,
    vote,
)

# {option of the programs: ours}, for what tensors do not show
OPTIONS = {
    "stft_n_fft": "n_fft", "stft_hop_length": "hop", "stft_win_length": "window",
    "sample_rate": "sample_rate", "zero_dc": "zero_dc", "skip_connection": "skips",
    "stereo": "channels",
}  # fmt: skip
# What tensors show, what only training or its speed depend on, and a scale that cancels out.
SHOWN = ("dim", "depth", "num_stems", "time_transformer_depth", "freq_transformer_depth")
SHOWN += ("linear_transformer_depth", "freqs_per_bands", "num_bands", "dim_head", "heads")
SHOWN += ("mask_estimator_depth", "mlp_expansion_factor", "use_pope", "stft_normalized")
SHOWN += ("attn_dropout", "ff_dropout", "flash_attn", "use_torch_checkpoint", "sage_attention")
SHOWN += ("dim_freqs_in", "match_input_audio_length", "multi_stft_resolutions_window_sizes")
SHOWN += ("multi_stft_hop_size", "multi_stft_resolution_loss_weight", "multi_stft_normalized")
SIZES = [2**power for power in range(5, 15)]  # of transforms, where none is stated
USUAL = {"n_fft": 2048, "hop": 441}
# {what tensors' names then have: what it is}
VARIANTS = {
    r"to_value_residual_mix": "value residual",
    r"\.segm\.|hyperace": "HyperACE",
    r"(?i)fno": "Fourier neural operators (FNO)",
    r"(?i)siamese": "Siamese branches",
    r"static_alpha|static_beta|dynamic_alpha|dynamic_beta|hyper_conn": "hyper-connections",
    r"lora_[AB]\b": "LoRA adapters that are not merged",
}
LAYER, BAND = r"layers\.0\.{}\.layers\.(\d+)\..+", r"band_split\.to_features\.(\d+)\..+"


def arguments(tensors: Tensors, info: dict, mel: bool) -> dict:
    """Sizes from tensors; the rest from the settings, the options in the file, or the defaults."""
    if uncovered := variant(tensors):
        raise UserError(uncovered)
    first = len(groups_in(tensors, r"layers\.0\.(\d+)\..+")) - 2  # 1 if there is a linear one
    counts = [len(groups_in(tensors, LAYER.format(n))) for n in range(first + 2)]
    heads = vote(sizes(tensors, r".*\.to_gates\.(?:weight|bias)", 0), "the heads")
    rows = vote(sizes(tensors, rf"layers\.\d+\.{first}\..*\.to_qkv\.weight", 0), "the head size")
    features = vote(sizes(tensors, r"layers\..*\.norm\.gamma", 0), "the features")
    sources = len(groups_in(tensors, r"mask_estimators\.(\d+)\..+"))
    depth = len(groups_in(tensors, r"mask_estimators\.0\.to_freqs\.0\.0\.(\d+)\.weight")) - 1
    said = info.get("model_args") or {}
    given = stated(info, "model_args", OPTIONS, SHOWN)
    if "channels" in given:
        if not isinstance(given["channels"], bool):
            raise UserError(f"stereo is {given['channels']!r:.60}; wanted true or false")
        given["channels"] = 1 + given["channels"]
    given |= info.get("settings") or {}
    made = {
        "sources": source_names(sources, info, "vocals"),
        "sample_rate": 44100,
        "features": features,
        "layers": len(groups_in(tensors, r"layers\.(\d+)\..+")),
        "time_layers": counts[-2],
        "band_layers": counts[-1],
        "linear_layers": counts[0] if first else 0,
        "heads": heads,
        "head_size": rows // (3 * heads),
        "position": "polar" if any("pope_embed" in name for name in tensors) else "rotary",
        "mask_layers": depth,
        **given,
    }
    if depth:
        hidden = vote(sizes(tensors, r"mask_estimators\..*\.0\.0\.bias", 0), "the hidden size")
        made["mask_width"] = hidden // features
    check_whole({name: made[name] for name in ("n_fft", "hop", "sample_rate") if name in made})
    values = [vote(band_sizes(tensors, band), f"band {band}") for band in range(bands(tensors))]
    made |= (mel_layout if mel else layout)(values, made)
    if made.get("window") == made["n_fft"]:
        made["window"] = None
    agree(said, {**shown(made), **(shown_of_mel if mel else shown_of_bands)(made)})
    if mel and made["n_fft"] == USUAL["n_fft"]:
        made.setdefault("hop", USUAL["hop"])
    ask({"hop": (USUAL["hop"], "model: stft_hop_length")}, made, "most have 441, some 512")
    return made


def variant(tensors: Tensors) -> str | None:
    """What to say of a RoFormer whose tensors' names show that it is one that is not covered."""
    if not any("band_split.to_features." in name for name in tensors):
        return None
    for pattern, what in VARIANTS.items():
        found = next((name for name in tensors if re.search(pattern, name)), None)
        if found is not None:
            return f"a RoFormer with {what}, which is not covered (it has {found:.80})"
    return None


def shown(made: dict) -> dict:
    """What tensors show, by the programs' names."""
    names = {
        "dim": "features", "depth": "layers", "time_transformer_depth": "time_layers",
        "freq_transformer_depth": "band_layers", "linear_transformer_depth": "linear_layers",
        "heads": "heads", "dim_head": "head_size", "mlp_expansion_factor": "mask_width",
    }  # fmt: skip
    found = {theirs: made[ours] for theirs, ours in names.items() if ours in made}
    found |= {"num_stems": len(made["sources"]), "stereo": made["channels"] == 2}
    return {**found, "stft_n_fft": made["n_fft"], "use_pope": made["position"] == "polar"}


def shown_of_bands(made: dict) -> dict:
    widths = made.get("widths") or WIDTHS
    return {"freqs_per_bands": widths, "mask_estimator_depth": made["mask_layers"] + 1}


def shown_of_mel(made: dict) -> dict:
    return {"num_bands": made["bands"], "mask_estimator_depth": made["mask_layers"]}


def bands(tensors: Tensors) -> int:
    return len(groups_in(tensors, BAND))


def band_sizes(tensors: Tensors, band: int) -> list[int]:
    """The values of a band, as its tensors have them."""
    place = rf"band_split\.to_features\.{band}\."
    return sizes(tensors, place + r"0\.gamma", 0) + sizes(tensors, place + r"1\.weight", 1)


def layout(values: list[int], made: dict) -> dict:
    """Channels, n_fft and widths of bands beside each other, from how many values each has."""
    for channels in [made["channels"]] if "channels" in made else [2, 1]:
        bins, left = divmod(sum(values), 2 * channels)
        n_fft = 2 * (bins - 1)
        if left or n_fft not in ([made["n_fft"]] if "n_fft" in made else SIZES):
            continue
        if any(value % (2 * channels) for value in values):
            continue
        widths = tuple(value // (2 * channels) for value in values)
        found = {"channels": channels, "n_fft": n_fft}
        return found if widths == WIDTHS else found | {"widths": widths}
    found = f"its {len(values)} bands have {sum(values)} values"
    raise UserError(f"{found}, which do not fit {known(made)}")


def mel_layout(values: list[int], made: dict) -> dict:
    """Channels and n_fft of bands equally wide in mel, from how many values each has."""
    for channels in [made["channels"]] if "channels" in made else [2, 1]:
        for n_fft in [made["n_fft"]] if "n_fft" in made else SIZES:
            if not len(values) <= n_fft <= 2 * sum(values):
                continue
            try:
                wanted = mel_bands(made["sample_rate"], n_fft, len(values))
            except ValueError:
                continue
            if [2 * channels * (high - low) for low, high in wanted] == values:
                return {"channels": channels, "n_fft": n_fft, "bands": len(values)}
    raise UserError(
        f"the widths of its {len(values)} bands are not those of mel bands with {known(made)} at "
        f"{made['sample_rate']} Hz"
    )


def known(made: dict) -> str:
    """Which transforms were tried, in words."""
    found = [f"{name} {made[name]}" for name in ("channels", "n_fft") if name in made]
    return " and ".join(found) or "any transform"
