"""Run a network on a sliCQ over a stream, some slices at a time, exactly as over the whole track.

    samples -> coefficients -> masks -> stems' coefficients -> filter -> samples

A mask depends on few slices around its own (`model.context`), with which a block of slices is
computed; neighbouring blocks' samples overlap by half a slice and are added. So there are no
borders whatever the length of a block, which only sets the windows of the filter and how much
memory is used. A filter with a transform of its own is a second stage (`stft_filter`), in windows
of its own. All blocks have one shape. On a CPU they run in several host threads.
"""

from functools import partial
from itertools import chain, count

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.errors import JaxRuntimeError

from xumx_jax import postfilters
from xumx_jax.models.interface import matmul_precision, optional
from xumx_jax.runtime import ahead, give_memory_back, host_threads, threads
from xumx_jax.separation import out_of_memory
from xumx_jax.separation.chunk_runner import PRECISIONS
from xumx_jax.separation.engine import EngineOptions
from xumx_jax.separation.stft_filter import filtered
from xumx_jax.separation.stream_buffer import StreamBuffer
from xumx_jax.stems import Stems

SECONDS = 5.0  # of a block; twice as many take half as much memory again, and the same time
LEAST = 8  # slices of a block; shorter ones are not tried when memory is short
FAR = 1 << 20  # a slice behind the end of any track


def separate_slices(
    model,
    variables,
    rows: Array,
    span: tuple,
    *,
    post_filter: str | None = None,
    wiener_frames: int | None = None,
    residual: bool = False,
    precision: str = "highest",
    **options,
) -> Array:
    """Separate a block: [channel, (context + slices + 1) * hop] to [source, channel, time].

    `rows` begin with the first slice of the context; the result, (slices + 1) * hop samples, with
    the first slice behind it. `span` are the first slice of the track and the one after its last,
    counted from the first slice given. The rest is as for `chunk_runner.separate_chunk`.
    """
    transform, (before, after) = model.transform, model.context
    slices = rows.shape[-1] // transform.hop - 1 - before - after
    own = before, before + slices
    alone = rows.shape[0] > model.channels  # a channel is then an item of its own
    with matmul_precision(model, "compute", precision):
        mix = transform.analyse_rows(rows[:, None] if alone else rows[None])
        spec, _ = model.apply(variables, mix, span=span, own=own, method="estimates")
        mix = mix[..., own[0] : own[1], :]
        if alone:
            spec, mix = jnp.moveaxis(spec[:, :, 0], 0, 1), mix[:, 0]
        else:
            spec, mix = spec[0], mix[0]
        if post_filter is not None:
            if "residual" in postfilters.POST_FILTERS[post_filter].arguments:
                options["residual"], residual = residual, False
            stems = Stems(jnp.zeros(()), transform.split(spec))
            power = optional(model, "power")
            blocks = postfilters.apply(
                post_filter, stems, transform.split(mix), power, wiener_frames, **options
            )
            spec = transform.joined(blocks)
        if residual:
            spec = jnp.concatenate([spec, (mix - spec.sum(0))[None]])
        return transform.synthesise_rows(spec)


STATIC = ("post_filter", "wiener_frames", "residual", "precision", "niter", "softmask", "alpha")
STATIC += ("logit", "epsilon", "difference")
_separate = jax.jit(separate_slices, static_argnums=0, static_argnames=STATIC)


class Slices:
    """`stream(blocks [channel, time], progress)` -> [source, channel, time], blocks of slices.

    A filter on the sliCQ takes `wiener_frames` slices at a time, by default a block. Blocks are of
    about `chunk_seconds`, and of whole windows of the filter.
    """

    def __init__(self, model, variables, options: EngineOptions):
        self.model, self.options = model, options
        given = dict(options.filter_options)
        precision = PRECISIONS.get(options.compute, "highest")
        own = "compute" in type(model).__dataclass_fields__
        self.model = model.clone(compute=options.compute) if own else model
        self._filter = None
        name = options.post_filter
        if name is not None and postfilters.POST_FILTERS[name].transform is not None:
            del given["post_filter"]
            self._filter = partial(filtered, name=name, **given)
            given = {}
        self._given = {"precision": precision, **given}
        self._run = partial(_separate, self.model, **self._given)
        seconds = options.chunk_seconds or SECONDS
        self.window = given.get("wiener_frames") or 1
        self._fit(seconds * model.sample_rate / model.transform.hop)
        self._compiled = 0  # slices of the blocks that code is there for
        self._variables = variables
        self._place(options.devices if options.chosen else (None,))

    @staticmethod
    def takes(options: EngineOptions) -> bool:
        """It takes all options that make sense without chunks."""
        return True

    def _fit(self, slices: float) -> None:
        self.slices = max(1, round(slices / self.window)) * self.window

    def _place(self, devices: tuple) -> None:
        """Put the weights on devices, which take turns; None: JAX's default."""
        self._placed = [jax.device_put(self._variables, device) for device in devices]
        (self.device,) = jax.tree.leaves(self._placed[0])[0].devices()
        self.threads = max(len(devices), host_threads(self.device.platform))

    def stream(self, blocks, progress, lead: int = 0):
        """Separate a stream, every sample kept; `progress` is as in `separation.engine`."""
        pairs = self._pairs(blocks, progress)
        yield from (stems for _, stems in pairs) if self._filter is None else self._filter(pairs)

    def _pairs(self, blocks, progress):
        """(mixture [channel, time], stems [source, channel, time]), block by block."""
        buffer, at, carry = StreamBuffer(blocks), 0, np.float32(0)
        hop = self.model.transform.hop
        while True:
            try:
                for first, mix, piece in self._blocks(buffer, at):
                    at = first + self.slices
                    piece[..., :hop] += carry
                    carry = piece[..., -hop:].copy()
                    start = (first - 1) * hop  # of the first sample of the piece
                    known = min(buffer.end if buffer.over else at * hop, (at - 1) * hop)
                    own = slice(max(0, -start), max(0, known - start))
                    if own.stop > own.start:
                        yield mix[..., own], piece[..., own]
                    progress(min(buffer.end, (at - 1) * hop))
            except JaxRuntimeError as error:
                if not out_of_memory.is_out_of_memory(error):
                    raise
                self._shrink()
                continue
            return

    def _blocks(self, buffer: StreamBuffer, at: int):
        """(first slice, samples of the mixture and of stems) of each block from slice `at` on."""
        inputs = self._inputs(buffer, at)
        if self._compiled != self.slices:
            # before threads run it, which would compile it several times
            if (first := next(inputs, None)) is None:
                return
            self._compile(first[2])
            self._compiled, inputs = self.slices, chain([first], inputs)
        with threads(self.threads) as pool:
            yield from ahead(pool, self._separated, inputs, self.threads)

    def _inputs(self, buffer: StreamBuffer, at: int):
        """(first slice, samples with context, slices of the track) for each block."""
        plan, (before, after) = self.model.transform, self.model.context
        hop = plan.hop
        for number, first in zip(count(), count(at, self.slices)):
            start, stop = (first - before - 1) * hop, (first + self.slices + after) * hop
            buffer.reach(stop + 2 * hop)
            if not buffer.end or (buffer.over and first >= plan.slices(buffer.end)):
                return
            buffer.drop(start)
            wave = buffer.cut(max(0, start), min(stop, buffer.end))
            edges = max(0, -start), stop - max(max(0, start) + wave.shape[1], 0)
            last = plan.slices(buffer.end) if buffer.over else FAR
            yield number, first, np.pad(wave, ((0, 0), edges)), last

    def _separated(self, block: tuple) -> tuple[int, np.ndarray, np.ndarray]:
        number, first, rows, last = block
        before, hop = self.model.context[0], self.model.transform.hop
        begin = first - before
        span = np.int32(-begin), np.int32(last - begin)
        variables = self._placed[number % len(self._placed)]
        stems = np.array(self._run(variables, rows, span))
        return first, rows[:, before * hop :][:, : stems.shape[-1]], stems

    def _compile(self, rows: np.ndarray) -> None:
        """Compile the code, and return what the compiler took before blocks take theirs."""
        for variables in self._placed:
            span = np.int32(0), np.int32(0)
            _separate.lower(self.model, variables, rows, span, **self._given).compile()
        give_memory_back()

    def _shrink(self) -> None:
        """Memory is short: run fewer blocks at once, then shorter ones, then on the CPU."""
        plan = self.model.transform
        seconds = self.slices * plan.hop / self.model.sample_rate
        if self.threads > len(self._placed):
            self.threads = max(len(self._placed), self.threads // 2)
            out_of_memory.warn(f"at most {self.threads} block{'s' * (self.threads > 1)} at once")
        elif self.slices // 2 >= LEAST and self.slices > self.window:
            self._fit(self.slices / 2)
            out_of_memory.warn(f"blocks of {seconds / 2:.1f} s")
        else:
            what = f"blocks of {seconds:.1f} s"
            cpu = out_of_memory.fall_back_to_cpu([self.device], self.options.cpu_fallback, what)
            self._place((cpu,))
