"""Configurations of ZFTurbo's and UVR's programs: the `.yaml` that comes with a checkpoint.

    audio: {chunk_size: 352800, sample_rate: 44100}
    model: {dim: 384, depth: 6}                         arguments of the network
    training: {instruments: [vocals, other], target_instrument: vocals}
    inference: {num_overlap: 2}

A checkpoint `name.ckpt` has the one beside it that is called `name.yaml`, `name_config.yaml` or
`config_name.yaml`, and else the only one in its folder, if it is the only checkpoint there.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from xumx_jax.errors import UserError
from xumx_jax.models import frozen
from xumx_jax.weights.converters import yamlfile
from xumx_jax.weights.converters.readers import ARGUMENTS, SUFFIXES, Weights

NAMES = ("{}.yaml", "{}.yml", "{}_config.yaml", "config_{}.yaml")
SECTIONS = ("audio", "model", "training", "inference")
LARGEST = 2**31  # of counts, such as samples of a chunk


def beside(path: Path) -> Path | None:
    """The configuration of a checkpoint, or None.

    Raises UserError if several are called after it, and if the only one in its folder may be that
    of another checkpoint.
    """
    named = [path.with_name(name.format(path.stem)) for name in NAMES]
    found = [place for place in named if place.is_file()]
    if len(found) > 1:
        raise UserError(f"{path}: {found[0].name} and {found[1].name} are both called after it")
    if found:
        return found[0]
    others = [one for one in sorted(path.parent.iterdir()) if one.suffix in (".yaml", ".yml")]
    alone = sum(one.suffix in SUFFIXES for one in path.parent.iterdir()) == 1
    if len(others) == 1 and alone and is_configuration(others[0]):
        return others[0]
    return None


def is_configuration(path: Path) -> bool:
    """Whether a `.yaml` looks like one: other programs write such files as well."""
    try:
        content = yamlfile.read(path)
    except UserError:
        return False
    return isinstance(content, dict) and any(name in content for name in SECTIONS)


def read(path: Path) -> dict[str, Any]:
    """Read a configuration. Raises UserError unless its sections are such."""
    content = yamlfile.read(path)
    if not isinstance(content, dict) or not any(name in content for name in SECTIONS):
        wanted = ", ".join(SECTIONS)
        raise UserError(f"{path}: not a configuration of a network; wanted some of {wanted}")
    for name in SECTIONS:
        section = content.get(name)
        if section is not None and not isinstance(section, dict) and name != "model":
            raise UserError(f"{path}: {name} is {section!r:.60}; wanted names and values")
    return {name: value for name, value in content.items() if value is not None}


def completed(weights: Weights, translate: Callable[[dict], dict[str, Any]]) -> Weights:
    """Weights with what the configuration beside them says, if there is one, in their `info`.

    `translate` makes a part of `info` of a configuration. A file that states its arguments itself
    needs none.
    """
    info = weights.info
    if weights.path.is_dir() or any(info.get(place) for place in ARGUMENTS):
        return weights
    path = beside(weights.path)
    if path is None:
        return weights
    config = read(path)
    try:
        found = translate(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return replace(weights, info={**info, **found, "configuration": path.name})


def of_network(config: dict) -> dict[str, Any]:
    """Part of `info` for networks whose arguments are those of the section `model`."""
    rate = section(config, "audio").get("sample_rate")
    more = {} if rate is None else {"sample_rate": rate}
    return {"model_args": {**more, **section(config, "model")}, **of_all(config)}


def of_all(config: dict) -> dict[str, Any]:
    """Part of `info` for any network: its stems, and how the programs separate with it."""
    names = instruments(config)
    return {
        "settings": {"sources": tuple(names)} if names else {},
        "separation": separation(config),
    }


def section(config: dict, name: str) -> dict[str, Any]:
    """A part of a configuration. Raises UserError unless it has names and values."""
    found = config.get(name)
    found = {} if found is None else found
    if not isinstance(found, dict):
        raise UserError(f"{name} is {found!r:.60}; wanted names and values")
    return {str(key): value for key, value in found.items() if value is not None}


def instruments(config: dict) -> list[str]:
    """The stems, in lower case: the target alone, if there is one. [] if none are named."""
    training = section(config, "training")
    target = training.get("target_instrument")
    names = training.get("instruments", []) if target is None else [target]
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(f"the instruments of training are {names!r:.60}; wanted a list of names")
    return [name.lower() for name in names]


def plain(translate: Callable[[dict], dict[str, Any]]) -> Callable[[dict], dict[str, Any]]:
    """The same for networks that cannot be told to normalise the waveform."""

    def translated(config: dict) -> dict[str, Any]:
        about = translate(config)
        if about["separation"].get("normalize"):
            raise UserError("inference has normalize, which of these networks SCNet alone has here")
        return about

    return translated


def separation(config: dict) -> dict[str, Any]:
    """How the programs separate: samples of a chunk, how many cover each sample, normalisation."""
    inference = section(config, "inference")
    given = section(config, "audio") | inference
    found = {name: given[name] for name in ("chunk_size", "num_overlap") if name in given}
    check_whole(found)
    return found | ({"normalize": True} if inference.get("normalize") else {})


def check_whole(found: dict[str, Any]) -> None:
    """Raise UserError unless the values are whole numbers above 0."""
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < LARGEST:
            raise UserError(f"{name} is {value!r:.60}; wanted a whole number above 0")


def agree(said: dict[str, Any], shown: dict[str, Any]) -> None:
    """Raise UserError if the options `said`, by the program's names, are not as tensors show."""
    for name, value in shown.items():
        given = said.get(name)
        if None not in (given, value) and frozen({name: given}) != frozen({name: value}):
            raise UserError(f"{name} is stated as {given!r:.60}; its tensors have {value!r:.60}")


def check_used(settings: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Raise UserError if arguments that a user gave are not those of the model that was made."""
    agree(settings, arguments)
    for name in settings:
        if name not in arguments:
            raise UserError(f"its {name} cannot be set")


def ask(missing: dict[str, tuple[Any, str]], known: dict[str, Any], usual: str) -> None:
    """Raise UserError if an argument that no tensor shows is not in `known`: how to give it.

    missing  {our name: (a usual value, "section: key" of a configuration)}
    usual    what published ones have
    """
    open_ones = [name for name in missing if name not in known]
    if not open_ones:
        return
    ours = " ".join(f"--setting {name}={shown(missing[name][0])}" for name in open_ones)
    sections: dict[str, list[str]] = {}
    for name in open_ones:
        value, place = missing[name]
        part, key = place.split(": ")
        text = f"[{shown(value).replace(',', ', ')}]" if isinstance(value, tuple) else value
        sections.setdefault(part, []).append(f"{key}: {text}")
    theirs = ", ".join(f"{part}: {{{', '.join(rows)}}}" for part, rows in sections.items())
    raise UserError(
        f"no tensor shows {' and '.join(open_ones)}; {usual}. Put a file of its name with .yaml "
        f"beside it, with {{{theirs}}} in it, or give xumx convert {ours}"
    )


def shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
