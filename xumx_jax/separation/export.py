"""Export a model as StableHLO, weights included: one function that runs without this package.

    OUT/model.jax_export   for `jax.export.deserialize`
    OUT/model.stablehlo    the same for other programs: StableHLO bytecode, a portable artifact
    OUT/about.json         rate, sources, shapes, options, licence, digests, versions

The function separates chunks, [batch, channel, time] -> [batch, source, channel, time], with the
Wiener filter: each on its own, as a `Separator` with `overlap` 0 does.
"""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jax import export as jax_export

from xumx_jax.errors import UserError
from xumx_jax.files import digest, replacing_folder
from xumx_jax.models.interface import optional
from xumx_jax.separation.chunk_runner import separate_chunk
from xumx_jax.separation.engine import check_options
from xumx_jax.separation.normalization import normalization
from xumx_jax.separation.separator import Separator
from xumx_jax.versions import installed
from xumx_jax.weights import safetensors
from xumx_jax.weights.load import load_module

FORMAT = "xumx_jax export 1"
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
USUAL = ("cpu", "cuda", "tpu")
ABOUT, FOR_JAX, FOR_OTHERS = "about.json", "model.jax_export", "model.stablehlo"
# What is exported about the weights; paths of the machine that they come from are not.
TRAVELS = ("kind", "origin", "url", "licence", "score")


def export(
    name_or_path: str | Path | None,
    target: str | Path,
    *,
    seconds: float = 10.0,
    batch: int | None = None,
    platforms: tuple[str, ...] = USUAL,
    niter: int = 1,
    residual: bool = False,
) -> dict[str, Any]:
    """Write the model as the folder `target`, in one step, and return the content of about.json.

    seconds    length of a chunk, which is fixed: the nearest that the model takes
    batch      None: any number of chunks, which some compilers other than XLA do not support
    platforms  the platforms to compile for, of PLATFORMS
    niter, residual  as in `Separator`

    An earlier export in `target` is replaced; anything else there is an error.
    """
    target = Path(target)
    check_options(niter=niter, chunk_seconds=seconds, batch=batch)
    platforms = tuple(dict.fromkeys(platforms))
    unknown = [name for name in platforms if name not in PLATFORMS]
    if unknown or not platforms:
        got = ", ".join(unknown) or "none"
        raise UserError(f"platforms: {got}; wanted any of {', '.join(PLATFORMS)}")
    check_place(target)
    module, variables, info = load_module(name_or_path)
    # It knows which filter belongs to the model, and which options go together.
    separator = Separator(
        module, variables, niter=niter, residual=residual, chunk_seconds=seconds, overlap=0
    )
    # On the grid of frames, so that the chunks of a track can lie on it.
    grid = module.segment.grid
    samples = module.segment.chunk(max(1, round(seconds * separator.rate / grid)) * grid)
    options = {"post_filter": separator.post_filter, **separator.wiener_options}
    exported = lower(module, variables, samples, batch, platforms, options)
    files = {FOR_JAX: bytes(exported.serialize()), FOR_OTHERS: exported.mlir_module_serialized}
    about = {
        "format": FORMAT,
        "model": info["model"],
        "rate": module.sample_rate,
        "sources": list(separator.sources),
        "input": {
            "axes": "[batch, channel, time]",
            "shape": [batch or "batch", module.channels, samples],
            "type": "float32",
        },
        "output": {
            "axes": "[batch, source, channel, time]",
            "shape": [batch or "batch", len(separator.sources), module.channels, samples],
            "type": "float32",
        },
        "options": {"seconds": seconds, "niter": niter, "residual": residual},
        "platforms": list(platforms),
        # Code for several platforms takes the platform as an argument; JAX passes it by itself.
        "platform_argument": len(platforms) > 1,
        "weights": {key: info[key] for key in TRAVELS if key in info}
        | {"sha256": safetensors.tensors_digest(dict(flatten_dict(variables, sep="/")))},
        "versions": installed(("xumx_jax", "jax", "jaxlib")),
    }
    return write(target, files, about)


def lower(module, variables, samples, batch, platforms, options) -> jax_export.Exported:
    """Trace one chunk of `samples`, with the weights as constants -> JAX's export."""
    name = optional(module, "normalization")
    kind = normalization(name) if name else None
    measure = None if kind is None or kind.of_chunks else kind.of_track

    def one(mix):
        return separate_chunk(module, variables, mix, measure and measure(mix), **options)

    if batch is None:
        (batch,) = jax_export.symbolic_shape("batch")
    mix = jax.ShapeDtypeStruct((batch, module.channels, samples), jnp.float32)
    return jax_export.export(jax.jit(jax.vmap(one)), platforms=platforms)(mix)


def check_place(target: Path):
    """Raise UserError unless `target` is free, empty or an earlier export."""
    if not os.path.lexists(target):
        return
    if target.is_dir() and (not any(target.iterdir()) or _about(target)):
        return
    raise UserError(f"{target}: exists and is not an earlier export; use a new folder")


def write(target: Path, files: dict[str, bytes], about: dict) -> dict:
    """Write the files and about.json to a temporary folder, then rename it."""
    try:
        with replacing_folder(target.resolve()) as partial_:
            for name, content in files.items():
                (partial_ / name).write_bytes(content)
            about["files"] = {
                name: {"bytes": len(content), "sha256": digest(partial_ / name)}
                for name, content in files.items()
            }
            (partial_ / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror or error}") from error
    return about


@dataclass(frozen=True)
class Exported:
    """An exported model: call it with chunks of a mixture, [batch, channel, time] at `rate`."""

    about: dict[str, Any]
    function: jax_export.Exported

    @property
    def rate(self) -> int:
        return self.about["rate"]

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.about["sources"])

    @cached_property
    def _compiled(self):
        return jax.jit(self.function.call)

    def __call__(self, mix) -> np.ndarray:
        """Separate [batch, channel, time] -> [batch, source, channel, time]."""
        mix = np.asarray(mix, np.float32)
        wanted = self.about["input"]["shape"]
        if mix.ndim != 3 or any(
            size != want for size, want in zip(mix.shape, wanted, strict=True) if want != "batch"
        ):
            raise UserError(
                f"the chunks have shape {mix.shape}; wanted {self.about['input']['axes']}, "
                f"({', '.join(map(str, wanted))})"
            )
        return np.asarray(self._compiled(mix))


def load_exported(folder: str | Path) -> Exported:
    """Read what `export` wrote. Raises UserError if it is missing or damaged."""
    folder = Path(folder)
    about = _about(folder)
    if about is None:
        raise UserError(f"{folder}: holds no exported model; wanted the folder of `xumx export`")
    path = folder / FOR_JAX
    try:
        content = path.read_bytes()
        if digest(path) != about["files"][FOR_JAX]["sha256"]:
            raise UserError(f"{path}: damaged, its digest is not the one in {ABOUT}")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return Exported(about, jax_export.deserialize(bytearray(content)))
    except ValueError as error:
        raise UserError(f"{path}: JAX {jax.__version__} cannot read it: {error}") from error


def _about(folder: Path) -> dict | None:
    try:
        about = json.loads((folder / ABOUT).read_text())
        return about if about["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
