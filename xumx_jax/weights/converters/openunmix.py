"""Open-Unmix's weights, from PyTorch and from NNabla: name maps, and the arguments of the model."""

from collections.abc import Iterable

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.weights.converters.kinds import TORCH_IGNORE, Kind, Tensors, groups_in, sizes, vote
from xumx_jax.weights.converters.openunmix_files import (
    NNABLA_TARGET,
    SETTINGS,
    TARGET,
    holds,
    in_order,
    joined,
)
from xumx_jax.weights.converters.readers import Weights
from xumx_jax.weights.converters.rules import Rule
from xumx_jax.weights.converters.umx import (
    TORCH_NORM,
    arguments,
    nnabla_rules,
    nnabla_sizes,
    torch_lstm,
    torch_lstm_sizes,
)

# Open-Unmix's defaults, which it trains with unless told otherwise.
USUAL_N_FFT, USUAL_HOP, USUAL_RATE = 4096, 1024, 44100
IGNORE = (*TORCH_IGNORE, "*sample_rate")


def by_size(whole: Weights) -> list[Weights]:
    """Keep targets of one size together as one set of tensors; others become one set each.

    One model needs one size, and all its targets at once for its Wiener filter; targets of
    different sizes become separate models. If a target's sizes cannot be read, the conversion of
    the whole reports what is wrong.
    """
    targets = whole.info.get("targets", ())
    parts = [part_of(whole, target) for target in targets]
    try:
        found = [{**_arguments(part), "sources": ()} for part in parts]
    except UserError:
        return [whole]
    return [whole] if all(one == found[0] for one in found[1:]) else parts


def part_of(whole: Weights, target: str) -> Weights:
    """One target of several, with its tensors named as in a separate file."""
    tensors = {
        name.removeprefix(before): tensor
        for before in (f"target_models.{target}.", f"{target}/")
        for name, tensor in whole.tensors.items()
        if name.startswith(before)
    }
    return Weights(whole.path / target, tensors, {**whole.info, "targets": (target,)})


def _arguments(part: Weights) -> dict:
    torch = holds(part.tensors, TARGET)
    return (target_arguments if torch else nnabla_target_arguments)(part.tensors, part.info)


def model_arguments(tensors: Tensors, info: dict, prefix: str, targets: Iterable[str]) -> dict:
    """The arguments of the model: sizes from PyTorch's tensors, rate and hop from the settings."""
    rates = [int(tensor) for name, tensor in tensors.items() if name.endswith("sample_rate")]
    known = {**({"sample_rate": rates[0]} if rates else {}), **(info.get("settings") or {})}
    bins = vote(sizes(tensors, rf"{prefix}output_(?:scale|mean)", 0), "the number of bins")
    max_bin = vote(sizes(tensors, rf"{prefix}input_(?:scale|mean)", 0), "the bandwidth")
    channels = [size // bins for size in sizes(tensors, rf"{prefix}(?:fc3|bn3)\..+", 0)]
    made = arguments(
        targets,
        bins=bins,
        max_bin=max_bin,
        inputs=max_bin * vote(channels, "the number of channels"),
        **torch_lstm_sizes(tensors, rf"{prefix}lstm")
        | {"hidden": vote(sizes(tensors, rf"{prefix}bn[12]\..+", 0), "the hidden size")},
    )
    return completed(made, known)


def completed(made: dict, known: dict) -> dict:
    """Complete a model's arguments with what is `known`, else with Open-Unmix's usual values."""
    known = dict(known)
    n_fft = known.pop("n_fft", made["n_fft"])
    if n_fft != made["n_fft"]:
        raise UserError(f"its settings give nfft {n_fft}, its tensors {made['n_fft']}")
    if n_fft == USUAL_N_FFT:
        known = {"sample_rate": USUAL_RATE, "hop": USUAL_HOP, **known}
    missing = [SETTINGS[name] for name in ("sample_rate", "hop") if name not in known]
    if missing:
        raise UserError(
            f"its transform has {n_fft} samples, not Open-Unmix's usual {USUAL_N_FFT}: "
            f"wanted {' and '.join(missing)} in a separator.json beside it"
        )
    return {**made, **known}


def nnabla_arguments(tensors: Tensors, info: dict, before: str, targets: Iterable[str]) -> dict:
    made = arguments(targets, **nnabla_sizes(tensors, before), filter="norbert")
    return completed(made, info.get("settings") or {})


def nnabla_separator_arguments(tensors: Tensors, info: dict) -> dict:
    targets = in_order(groups_in(tensors, f"([^/]+)/{NNABLA_TARGET[0]}"))
    return nnabla_arguments(tensors, info, "[^/]+/", targets)


def nnabla_target_arguments(tensors: Tensors, info: dict) -> dict:
    return nnabla_arguments(tensors, info, "", info.get("targets") or ("target",))


def separator_arguments(tensors: Tensors, info: dict) -> dict:
    targets = groups_in(tensors, r"target_models\.([^.]+)\..*")
    return model_arguments(tensors, info, r"target_models\.[^.]+\.", in_order(targets))


def target_arguments(tensors: Tensors, info: dict) -> dict:
    return model_arguments(tensors, info, "", info.get("targets") or ("target",))


def name_map(prefix: str, model: dict) -> list[Rule]:
    rules = [
        Rule(f"params/{part}/{name}", f"{prefix}{theirs}_{name}")
        for part, theirs in (("enc", "input"), ("dec", "output"))
        for name in ("mean", "scale")
    ]
    for dense, norm, number in (
        ("enc/dense", "enc/norm", 1),
        ("dec/dense_0", "dec/norm_0", 2),
        ("dec/dense_1", "dec/norm_1", 3),
    ):
        rules.append(Rule(f"params/{dense}/kernel", f"{prefix}fc{number}.weight", np.transpose))
        for tree, name, theirs in TORCH_NORM:
            rules.append(Rule(f"{tree}/{norm}/{name}", f"{prefix}bn{number}.{theirs}"))
    return rules + torch_lstm(f"{prefix}lstm", model)


KINDS = {
    "openunmix": Kind(
        model="umx",
        anchor=rf"(.*?)target_models\.[^.]+\.{TARGET[0]}",
        arguments=separator_arguments,
        rules=lambda model: name_map("target_models.{source}.", model),
        ignore=IGNORE,
        joined=joined,
        split=by_size,
        part="openunmix-target",
    ),
    "openunmix-nnabla": Kind(
        model="umx",
        anchor=f"()[^/]+/{NNABLA_TARGET[0]}",
        also=tuple(f"[^/]+/{name}" for name in NNABLA_TARGET),
        arguments=nnabla_separator_arguments,
        rules=lambda model: nnabla_rules(model, before="{source}/", after=""),
        ignore=(),
        joined=joined,
        split=by_size,
        part="openunmix-nnabla-target",
    ),
    "openunmix-target": Kind(
        model="umx",
        anchor=f"(.*?){TARGET[0]}",
        also=tuple(f".*?{name}" for name in TARGET),
        arguments=target_arguments,
        rules=lambda model: name_map("{source}", model),
        spelled=("",),
        ignore=IGNORE,
        split=by_size,
        part="openunmix-target",
    ),
    "openunmix-nnabla-target": Kind(
        model="umx",
        anchor=f"(){NNABLA_TARGET[0]}",
        also=NNABLA_TARGET,
        arguments=nnabla_target_arguments,
        rules=lambda model: nnabla_rules(model, before="{source}", after=""),
        spelled=("",),
        ignore=(),
        split=by_size,
        part="openunmix-nnabla-target",
    ),
}
