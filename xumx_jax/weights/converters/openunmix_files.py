"""Open-Unmix's model folders and archives, with one file per target, read as one set of tensors.

PyTorch's folder has `<target>.pth`, or `<target>-<start of its SHA-256>.pth`, and JSON files with
the settings that tensors do not show: `separator.json`, and `<target>.json` for each target. The
tensors are named as in the state of Open-Unmix's `Separator`.

Sony's NNabla version has `<target>.h5` in a folder, offered as a .zip; tensors get the name of
their target as a prefix, as in NNabla once its program has read them.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from xumx_jax.errors import UserError
from xumx_jax.weights.converters import readers
from xumx_jax.weights.converters.kinds import Tensors
from xumx_jax.weights.converters.readers import Weights

SUFFIXES = (".pth", ".pt", ".h5")
ORDER = ("vocals", "drums", "bass", "other", "speech", "noise")  # the rest follows by name
SETTINGS = {"sample_rate": "sample_rate", "n_fft": "nfft", "hop": "nhop"}
# What tells a target of Open-Unmix: each pattern matches a name. All together, since other models
# have an fc1 as well; several names fit each, so that a single one that is missing can be named.
EITHER_END = "(?:in|out)put_(?:mean|scale)"
TARGET = (r"fc[123]\.weight", r"bn[123]\..+", r"lstm\..+", EITHER_END)
NNABLA_TARGET = ("fc[123]/affine/W", "fc[123]/bn/.+", "lstm/lstm/.+", EITHER_END)


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
        if not any(holds(weights.tensors, one, "(.*[./])?") for one in (TARGET, NNABLA_TARGET)):
            return weights  # not Open-Unmix's: what lies beside it means nothing
        beside = settings_of(path.parent, [target_of(path)])
        more = {"targets": (target_of(path),), "settings": beside}
        return Weights(path, weights.tensors, {**weights.info, **more})
    return read_targets(path, files_by_target(path))


def files_by_target(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files_in(folder):
        target = target_of(path)
        if target in found:
            raise UserError(f"{folder}: {found[target].name} and {path.name} are both for {target}")
        found[target] = path
    return found


def read_targets(folder: Path, files: dict[str, Path]) -> Weights:
    """Read {target: file} as one set of tensors, and the settings in their folder."""
    tensors = joined({target: readers.read(files[target]) for target in files})
    settings = settings_of(folder, list(files))
    return Weights(folder, tensors, {"targets": in_order(files), "settings": settings})


def joined(parts: dict[str, Weights]) -> Tensors:
    """The tensors of {target: its file} under their names in the whole model."""
    tensors: Tensors = {}
    for target in in_order(parts):
        tensors |= named(target, parts[target].tensors, parts[target].path)
    return tensors


def holds(tensors: Iterable[str], patterns: Sequence[str], before: str = "") -> bool:
    """Return whether each pattern, with `before` in front, matches a name."""
    names = list(tensors)
    return all(any(re.fullmatch(before + one, name) for name in names) for one in patterns)


def named(target: str, tensors: Tensors, where: Path | str) -> Tensors:
    """The tensors of one target under their names in the whole model."""
    if holds(tensors, TARGET):
        before = f"target_models.{target}."
    elif holds(tensors, NNABLA_TARGET):
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
    except UserError:
        raise
    except readers.DAMAGE as error:
        raise readers.damaged(path, error) from error
    tensors = {name: value for target in in_order(found) for name, value in found[target].items()}
    return Weights(path, tensors, {"targets": in_order(found), "settings": {}})


def settings_of(folder: Path, targets: list[str]) -> dict[str, Any]:
    """The settings in a folder's JSON files, under the names of SETTINGS; {} if there are none."""
    settings: dict[str, Any] = {}
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
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not settings of Open-Unmix ({error})") from error
        for name, value in found.items():
            if settings.setdefault(name, value) != value:
                raise UserError(
                    f"{path}: {SETTINGS[name]} is {value}, in {owner[name].name} {settings[name]}"
                )
            owner.setdefault(name, path)
    return settings
