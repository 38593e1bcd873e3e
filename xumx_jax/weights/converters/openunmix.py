"""Open-Unmix's weights: name maps, and its model folders with one file per target.

PyTorch's folder has `<target>.pth`, or `<target>-<start of its SHA-256>.pth`, and JSON files with
the settings that tensors do not show: `separator.json`, and `<target>.json` for each target.
Everything becomes one model, with its tensors named as in the state of Open-Unmix's `Separator`.

Sony's NNabla version has `<target>.h5` in a folder, offered as a .zip; tensors get the name of
their target as a prefix, as in NNabla once its program has read them.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.weights.converters import readers
from xumx_jax.weights.converters.kinds import TORCH_IGNORE, Kind, Tensors, groups_in, sizes, vote
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

SUFFIXES = (".pth", ".pt", ".h5")
ORDER = ("vocals", "drums", "bass", "other", "speech", "noise")  # the rest follows by name
# Open-Unmix's defaults, which it trains with unless told otherwise.
USUAL_N_FFT, USUAL_HOP, USUAL_RATE = 4096, 1024, 44100
SETTINGS = {"sample_rate": "sample_rate", "n_fft": "nfft", "hop": "nhop"}
SPEAKING = r"fc[123]\.weight"
NNABLA_SPEAKING = "fc[123]/affine/W"
IGNORE = (*TORCH_IGNORE, "*sample_rate")


def in_order(targets: Iterable[str]) -> tuple[str, ...]:
    """Sort targets as Open-Unmix lists them."""
    return tuple(sorted(targets, key=lambda t: (ORDER.index(t) if t in ORDER else len(ORDER), t)))


def target_of(path: Path) -> str:
    """The target in a file's name: "vocals" for `vocals-c8df74a5.pth`."""
    return re.sub(r"[-_][0-9a-f]{8}$", "", path.stem)


def is_folder(path: Path) -> bool:
    """Return whether a folder holds one file of weights per target."""
    return path.is_dir() and bool(files_in(path))


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def read(path: Path) -> Weights:
    """Read any weights file, or a folder or .zip with one per target, and the settings beside it.

    For Open-Unmix's, `info["targets"]` names the targets and `info["settings"]` has those of
    SETTINGS that were found.
    Raises UserError on two files for one target and on settings that differ.
    """
    if is_archive(path):
        return read_archive(path)
    if not path.is_dir():
        weights = readers.read(path)
        speaking = rf"(.*[./])?({SPEAKING}|{NNABLA_SPEAKING})"
        if not any(re.fullmatch(speaking, name) for name in weights.tensors):
            return weights  # not Open-Unmix's: what lies beside it means nothing
        beside = settings_of(path.parent, [target_of(path)])
        said = {"targets": (target_of(path),), "settings": beside}
        return Weights(path, weights.tensors, {**weights.info, **said})
    return read_targets(path, files_by_target(path))


def files_by_target(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files_in(folder):
        target = target_of(path)
        if target in found:
            raise UserError(f"{folder}: {found[target].name} and {path.name} are both for {target}")
        found[target] = path
    return found


def read_targets(folder: Path, files: dict[str, Path], settings: dict | None = None) -> Weights:
    """Read {target: file} as one set of tensors; `settings` None: those in the folder."""
    tensors: Tensors = {}
    for target in in_order(files):
        tensors |= named(target, readers.read(files[target]).tensors, files[target])
    if settings is None:
        settings = settings_of(folder, list(files))
    return Weights(folder, tensors, {"targets": in_order(files), "settings": settings})


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
    torch = any(re.fullmatch(SPEAKING, name) for name in part.tensors)
    return (target_arguments if torch else nnabla_target_arguments)(part.tensors, part.info)


def named(target: str, tensors: Tensors, where: Path | str) -> Tensors:
    """The tensors of one target under their names in the whole model."""
    if any(re.fullmatch(SPEAKING, name) for name in tensors):
        before = f"target_models.{target}."
    elif any(re.fullmatch(NNABLA_SPEAKING, name) for name in tensors):
        before = f"{target}/"
    else:
        raise UserError(
            f"{where}: not one target of Open-Unmix; a folder of weights holds one file "
            f"per target, such as vocals.pth (load other weights by their file)"
        )
    return {f"{before}{name}": value for name, value in tensors.items()}


def is_archive(path: Path) -> bool:
    """Return whether a file is a .zip with `.h5` files in it, as offered by Sony."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".h5") for name in archive.namelist())


def read_archive(path: Path) -> Weights:
    """Read a .zip of `<target>.h5`, in any folder inside it, without unpacking it."""
    found: dict[str, Tensors] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".h5")]
            readers.check_size(path, sum(info.file_size for info in members))
            for info in members:
                target = target_of(Path(info.filename))
                if target in found:
                    raise UserError(f"{path}: several files in it are for {target}")
                inside = readers.h5_tensors(io.BytesIO(archive.read(info)), info.file_size)
                found[target] = named(target, inside, f"{path}: {info.filename}")
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: cannot be read, cut off or damaged ({error})") from error
    tensors = {name: value for target in in_order(found) for name, value in found[target].items()}
    return Weights(path, tensors, {"targets": in_order(found), "settings": {}})


def settings_of(folder: Path, targets: list[str]) -> dict[str, Any]:
    """The settings in a folder's JSON files, under the names of SETTINGS; {} if there are none."""
    said: dict[str, Any] = {}
    owner: dict[str, Path] = {}
    for path in (folder / "separator.json", *(folder / f"{target}.json" for target in targets)):
        if not path.is_file():
            continue
        try:
            found = json.loads(path.read_text())
            found = found.get("args", found)
            found = {
                ours: int(found[theirs]) for ours, theirs in SETTINGS.items() if theirs in found
            }
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not settings of Open-Unmix ({error})") from error
        for name, value in found.items():
            if said.setdefault(name, value) != value:
                raise UserError(
                    f"{path}: {SETTINGS[name]} is {value}, in {owner[name].name} {said[name]}"
                )
            owner.setdefault(name, path)
    return said


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
    targets = in_order(groups_in(tensors, rf"([^/]+)/{NNABLA_SPEAKING}"))
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
        anchor=rf"(.*?)target_models\.[^.]+\.{SPEAKING}",
        arguments=separator_arguments,
        rules=lambda model: name_map("target_models.{source}.", model),
        ignore=IGNORE,
    ),
    "openunmix-target": Kind(
        model="umx",
        anchor=rf"(.*?){SPEAKING}",
        arguments=target_arguments,
        rules=lambda model: name_map("{source}", model),
        spelled=("",),
        ignore=IGNORE,
    ),
    "openunmix-nnabla": Kind(
        model="umx",
        anchor=r"()[^/]+/fc1/affine/W",
        arguments=nnabla_separator_arguments,
        rules=lambda model: nnabla_rules(model, before="{source}/", after=""),
        ignore=(),
    ),
    "openunmix-nnabla-target": Kind(
        model="umx",
        anchor="()fc1/affine/W",
        arguments=nnabla_target_arguments,
        rules=lambda model: nnabla_rules(model, before="{source}", after=""),
        spelled=("",),
        ignore=(),
    ),
}
