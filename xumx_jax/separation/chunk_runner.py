"""Run a model over chunks of one length, on all devices; nothing here knows about whole tracks."""

from functools import lru_cache, partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from xumx_jax import postfilters
from xumx_jax.models.interface import matmul_precision, optional
from xumx_jax.runtime import give_memory_back
from xumx_jax.separation.normalization import normalization
from xumx_jax.stems import Stems

# JAX's precision for each `compute`, for models that do not handle it themselves.
PRECISIONS = {"bfloat16": "bfloat16", "tf32": "tensorfloat32"}


def separate_chunk(
    model,
    variables,
    mix: Array,
    statistics: Array | None = None,
    *,
    post_filter: str | None = None,
    wiener_frames: int | None = None,
    residual: bool = False,
    precision: str = "highest",
    **options,
) -> Array:
    """Separate one chunk: [channel, time] -> [source, channel, time], every sample kept.

    `statistics` are those of the whole track, for models with a `normalization`. `post_filter` is a
    key of POST_FILTERS and filters `wiener_frames` at a time; without one the model's stems are
    used as they are. If no filter gives the residual, it is the mixture minus the sum of the stems,
    times the model's `residual_gain`. `precision` is JAX's of matrix products, for models that set
    none. `options` are those of the filter.
    """
    with matmul_precision(model, "compute", precision):
        given = {} if statistics is None else {"statistics": statistics}
        if mix.shape[0] > model.channels and not optional(model, "any_channels"):
            # a channel is an item of its own
            batched = model.apply(variables, mix[:, None], **given)
            estimate = jax.tree.map(lambda x: jnp.moveaxis(x[:, :, 0], 0, 1), batched)
        else:
            batched = model.apply(variables, mix[None], **given)
            estimate = jax.tree.map(lambda x: x[0], batched)
        length = mix.shape[-1]
        if post_filter is not None:
            if "residual" in postfilters.POST_FILTERS[post_filter].arguments:
                options["residual"], residual = residual, False
            wave = filtered(model, estimate, mix, post_filter, wiener_frames, **options)
        else:
            wave = estimate.wave
            if wave.shape[-1] < length:
                wave = model.transform.inverse(estimate.spec, length)
        if not residual:
            return wave
        rest = mix - optional(model, "residual_gain") * wave.sum(0)
        return jnp.concatenate([wave, rest[None]])


def filtered(
    model, estimate: Stems, mix: Array, name: str, frames: int | None = None, **options
) -> Array:
    """Filter one item's estimate of `mix` [channel, time] -> [source, channel, time].

    `name` is a key of POST_FILTERS, `frames` and `options` are those of `postfilters.apply`.
    """
    transform, power = postfilters.POST_FILTERS[name].transform, optional(model, "power")
    if transform is not None:
        estimate, power = Stems(estimate.wave, transform.forward(estimate.wave)), 1
    else:
        transform = model.transform
    spec = postfilters.apply(name, estimate, transform.forward(mix), power, frames, **options)
    return transform.inverse(spec, mix.shape[-1])


def separate_mid_side(model, variables, mix: Array, statistics=None, **options) -> Array:
    """Separate [channel, time] with a model for mono, twice if it is stereo: the mean of both.

    Once left and right are separated, and once mid, (left + right) / 2, and side, (left - right) /
    2, of which left and right are made again: what is in the middle is then separated on its own.
    All four run at once. `options` are those of `separate_chunk`.
    """
    if len(mix) == 1:
        return separate_chunk(model, variables, mix, statistics, **options)
    left, right = mix
    pairs = jnp.stack([mix, jnp.stack([left + right, left - right]) / 2])
    direct, turned = jax.vmap(
        lambda pair: separate_chunk(model, variables, pair, statistics, **options)
    )(pairs)
    mid, side = turned[:, 0], turned[:, 1]
    return (direct + jnp.stack([mid + side, mid - side], axis=1)) / 2


def separate_turned(one, invert, mix: Array, statistics: Array | None = None) -> Array:
    """The mean of what `one` makes of [channel, time], and of the same with its sign turned.

    What a network adds whatever it hears is gone: UVR's "denoise". `invert` maps the statistics of
    a mixture to those of the turned one. They run one after the other, since memory is scarce.
    """
    if statistics is None:
        found = lax.map(one, jnp.stack([mix, -mix]))
    else:
        turned = invert(statistics)
        pair = jnp.stack([mix, -mix]), jnp.stack([statistics, turned])
        found = lax.map(lambda given: one(*given), pair)
    return (found[0] - found[1]) / 2


class ChunkRunner:
    """`run(chunks, length)`: chunks [channel, time] -> [chunk, source, channel, length].

    options  of `separate_chunk`, "mid_side" for `separate_mid_side`, "denoise" for
             `separate_turned`
    devices  over which chunks are spread
    compute  precision of matrix products, of `layers.dense.DTYPES`
    """

    def __init__(self, model, variables, options: dict, devices: tuple, compute: str = "float32"):
        if "compute" in type(model).__dataclass_fields__:
            model = model.clone(compute=compute)
        elif compute != "float32":  # which `separate_chunk` takes by itself
            options = {**options, "precision": PRECISIONS[compute]}
        self.model, self.variables, self.options = model, variables, options
        self.use(devices)

    def use(self, devices: tuple) -> None:
        """Switch to these devices."""
        self.devices, self._placed = tuple(devices), None

    def run(
        self,
        chunks: list[np.ndarray],
        length: int,
        rows: int | None = None,
        statistics=None,
        mode: Literal["constant", "reflect"] = "constant",
    ) -> np.ndarray:
        """Fill chunks up to `length` and separate them at once.

        `rows` is the number that the compiled function takes, if that is more. A shorter chunk is
        followed by silence or, with `mode` "reflect", by its own reflection.
        """
        function, everywhere, each = compile_chunks(
            self.model, self.devices, tuple(self.options.items())
        )
        if self._placed is None:
            self._placed = everywhere(self.variables)
        count = len(self.devices)
        rows = -(-max(rows or 0, len(chunks)) // count) * count
        stacked = np.zeros((rows, chunks[0].shape[0], length), np.float32)
        for row, chunk in zip(stacked, chunks, strict=False):
            missing = length - chunk.shape[1]
            row[:] = np.pad(chunk, ((0, 0), (0, missing)), mode=mode) if missing else chunk
        statistics = None if statistics is None else everywhere(statistics)
        return np.asarray(function(self._placed, each(stacked), statistics))[: len(chunks)]


class Compiled:
    """A jitted function that gives back what compiling it leaves behind, before it first runs.

    For a large network that is half a gigabyte, in pieces that its arrays do not fit into. `known`
    has the code for each combination of shapes.
    """

    def __init__(self, function):
        self.function, self.known = function, {}

    def __call__(self, *arguments):
        leaves, structure = jax.tree.flatten(arguments)
        key = (structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves))
        if key not in self.known:
            self.known[key] = self.function.lower(*arguments).compile()
            give_memory_back()
        return self.known[key](*arguments)


@lru_cache(maxsize=8)
def compile_chunks(model, devices: tuple, options: tuple):
    """The function `(variables, mix [chunk, channel, time], statistics)`, how to place arguments.

    `statistics` are the same for all chunks, or None. Compiled once per model, however many
    Separators share it.
    """
    given = dict(options)
    function = separate_mid_side if given.pop("mid_side", False) else separate_chunk
    denoise, name = given.pop("denoise", False), optional(model, "normalization")
    invert = normalization(name).turned if denoise and name else None

    def batched(variables, mix, statistics):
        one = partial(function, model, variables, **given)
        if denoise:
            one = partial(separate_turned, one, invert)
        return jax.vmap(lambda chunk: one(chunk, statistics))(mix)

    if len(devices) == 1:
        on_device = partial(jax.device_put, device=devices[0])
        return Compiled(jax.jit(batched)), on_device, on_device
    # jit alone would gather all chunks on every device at the FFTs.
    mesh = Mesh(np.array(devices), ("chunk",))
    spread = jax.shard_map(
        batched, mesh=mesh, in_specs=(P(), P("chunk"), P()), out_specs=P("chunk"), check_vma=False
    )
    everywhere = partial(jax.device_put, device=NamedSharding(mesh, P()))
    each = partial(jax.device_put, device=NamedSharding(mesh, P("chunk")))
    return Compiled(jax.jit(spread)), everywhere, each
