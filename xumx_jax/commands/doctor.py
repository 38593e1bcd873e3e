"""`xumx doctor`: what this machine offers, what is wrong with it, and how to fix that."""

import json
import re

LEAST_DISK = 1e9  # free bytes where models and stems are written
LEAST_MEMORY = 2e9  # what a long track takes at most


def add(commands) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "doctor",
        help="show devices, cache and versions, and what is wrong",
        description="Show devices, cache and versions, and what is wrong with them, with what to "
        "do about it. The exit status is 1 if anything is wrong.",
    )
    command.add_argument("--json", action="store_true", help="print everything as JSON")
    command.set_defaults(run=run)


def run(options) -> int:
    """Gather the facts, print them, and return 1 if something is wrong."""
    from xumx_jax.commands import machine

    facts = machine.gather()
    problems = findings(facts)
    if options.json:
        print(json.dumps({**facts, "problems": problems}, indent=1))
    else:
        print("\n".join(lines(facts, problems)))
    return 1 if problems else 0


def findings(facts: dict) -> list[str]:
    """What is wrong among the facts of `machine.gather`: lines that also say what to do."""
    return [
        *_of_packages(facts["versions"], facts["wanted"]),
        *_of_devices(facts),
        *_of_environment(facts["environment"], facts["jax"]),
        *_of_audio(facts["soundfile"], facts["encoders"]),
        *_of_memory(facts["memory"]),
        *_of_places(facts["cache"], facts["temporary"]),
    ]


def _of_packages(versions, wanted):
    from xumx_jax.commands.machine import ACCELERATORS, CORE

    for name in CORE:
        if name not in versions:
            yield f"{name} is not installed; install xumx_jax with pip, which installs it"
    for name, least in wanted.items():
        if name in versions and number(versions[name]) < number(least):
            yield f"{name} is {versions[name]}, older than wanted; pip install '{name}>={least}'"
    jaxlib = versions.get("jaxlib")
    for name, version in versions.items():
        if name.startswith("jax-") and re.match(ACCELERATORS, name) and version != jaxlib:
            yield (
                f"{name} is {version} and jaxlib {jaxlib}, which do not work together; "
                f"pip install '{name}=={jaxlib}'"
            )


def _of_devices(facts):
    seen, environment = facts["jax"], facts["environment"]
    chosen = environment.get("JAX_PLATFORMS", "")
    if seen["error"]:
        if chosen:
            yield (
                f"JAX has no device: JAX_PLATFORMS is {chosen!r}, which is not there "
                f"({seen['error']}); unset JAX_PLATFORMS, or install JAX for it"
            )
        else:
            yield f"JAX does not start ({seen['error']}); reinstall jax and jaxlib"
        return
    for device in seen["devices"]:
        if device["error"]:
            yield (
                f"{device['kind']} cannot compute ({device['error']}); close other programs that "
                "use it, then update its driver"
            )
    if not facts["gpus"] or any(device["platform"] != "cpu" for device in seen["devices"]):
        return
    card = f"there is a GPU ({facts['gpus'][0]}), but JAX sees CPUs only:"
    if chosen:
        yield f"{card} JAX_PLATFORMS is {chosen!r}; unset it"
    elif environment.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        yield f"{card} CUDA_VISIBLE_DEVICES hides it; unset that"
    elif not any(name.startswith("jax-cuda") for name in facts["versions"]):
        yield f"{card} JAX is installed without CUDA; pip install 'xumx_jax[cuda12]' (or cuda13)"
    else:
        yield f"{card} its driver is missing or older than JAX's CUDA; nvidia-smi shows which it is"


def _of_environment(environment, seen):
    if seen["x64"]:
        yield "JAX_ENABLE_X64 is on: more time and memory for no better stems; unset it"
    if environment.get("JAX_DISABLE_JIT", "0").lower() not in ("", "0", "false", "no", "off"):
        yield "JAX_DISABLE_JIT is on: nothing is compiled, everything is slow; unset it"


def _of_audio(soundfile, encoders):
    from xumx_jax.commands.machine import ENCODERS

    if soundfile["error"]:
        yield (
            f"soundfile does not work ({soundfile['error']}); pip install --force-reinstall "
            "soundfile, whose wheels bring libsndfile"
        )
    else:
        lacking = {"WAV", "RF64", "FLAC", "AIFF", "OGG", "VORBIS"} - set(soundfile["able"])
        if lacking:
            yield (
                f"libsndfile {soundfile['libsndfile']} lacks {', '.join(sorted(lacking))}; pip "
                "install --force-reinstall soundfile, whose wheels bring one that has it"
            )
    if encoders["error"]:
        yield f"PyAV does not work ({encoders['error']}); pip install --force-reinstall av"
    elif lacking := [name for name in ENCODERS if name not in encoders["able"]]:
        yield (
            f"FFmpeg lacks the encoders {', '.join(lacking)}, whose formats cannot be written; pip "
            "install --force-reinstall --only-binary av av"
        )


def _of_memory(memory):
    sizes = {"free": memory["free"], "allowed to this container": memory["limit"]}
    for what, size in sizes.items():
        if size is not None and size < LEAST_MEMORY:
            yield f"only {amount(size)} of memory is {what}; long tracks need 2 GB"
            return


def _of_places(cache, temporary):
    if error := cache.get("error"):
        yield f"the cache cannot be inspected ({error}); fix what is reported above first"
    else:
        if cache["writable"]:
            yield (
                f"the cache {cache['path']} cannot be written to ({cache['writable']}); set "
                "XUMX_CACHE to a folder of yours"
            )
        for name, state in cache["models"].items():
            if state != "intact":
                yield f"the model {name} is damaged ({state}); remove it and download it again"
    if temporary["writable"]:
        yield (
            f"{temporary['path']} cannot be written to ({temporary['writable']}); set TMPDIR to a "
            "folder of yours"
        )
    listed = set()
    for place, variable in ((cache, "XUMX_CACHE"), (temporary, "TMPDIR")):
        free = place.get("free")
        if place.get("writable") or free is None or free in listed:
            continue
        if free < LEAST_DISK:
            listed.add(free)  # one disk may hold both
            yield (
                f"{place['path']}: only {amount(free)} is free on its disk; make room, or set "
                f"{variable} to a folder on another"
            )


def number(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "0.10.2rc1" -> (0, 10, 2)."""
    return tuple(int(part) for part in re.split(r"[^\d.]", version)[0].split(".") if part)


def amount(size) -> str:
    """A number of bytes for people to read."""
    if size is None:
        return "unknown"
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= least:
            return f"{size / least:.{0 if size >= 100 * least else 1}f} {unit}"
    return f"{size} bytes"


def lines(facts: dict, problems: list[str]) -> list[str]:
    """The facts and problems as lines for a terminal."""
    memory, cache = facts["memory"], facts["cache"]
    limit = f", {amount(memory['limit'])} for this container" if memory["limit"] else ""
    lines = [
        f"system   {facts['system']}, Python {facts['python']}",
        f"host     {facts['cores']} cores, {amount(memory['total'])} of memory, "
        f"{amount(memory['free'])} free{limit}",
    ]
    lines += [f"gpu      {card}" for card in facts["gpus"]]
    for device in facts["jax"]["devices"]:
        size = f", {amount(device['memory'])} for JAX" if device["memory"] else ""
        state = device["error"] or "computes"
        lines.append(f"device   {device['platform']}, {device['kind']}{size}: {state}")
    if "path" in cache:
        lines += [
            f"cache    {cache['path']}: {amount(cache['size'])}, {amount(cache['free'])} free, "
            + (f"cannot be written ({cache['writable']})" if cache["writable"] else "writable"),
            f"         compiled code: {amount(cache['compiled_size'])} in {cache['compiled']}",
        ]
        lines += [f"model    {name}: {state}" for name, state in cache["models"].items()]
    versions = [f"{name} {version}" for name, version in facts["versions"].items()]
    versions.append(f"libsndfile {facts['soundfile']['libsndfile']}")
    lines += _folded("versions", versions)
    lines += _folded("set", [f"{name}={value}" for name, value in facts["environment"].items()])
    if not problems:
        return [*lines, "nothing is wrong"]
    return [*lines, *(f"wrong    {problem}" for problem in problems)]


def _folded(head, words, width=92) -> list[str]:
    """Words joined by commas into lines of at most `width`, the head before the first."""
    rows = [""] if words else []
    for index, word in enumerate(words):
        word += "," if index < len(words) - 1 else ""
        if rows[-1] and len(rows[-1]) + len(word) > width:
            rows.append("")
        rows[-1] += f" {word}" if rows[-1] else word
    return [f"{head if not index else '':8} {row}" for index, row in enumerate(rows)]
