"""Run any model over a stream in chunks of one shape, a batch at a time, spread over devices."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.errors import JaxRuntimeError
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from xumx_jax.postfilters.wiener import wiener
from xumx_jax.separation import out_of_memory
from xumx_jax.separation.overlap_add import OverlapAdd, triangle
from xumx_jax.separation.stream_buffer import StreamBuffer
from xumx_jax.separation.umx import kernels
from xumx_jax.separation.umx.level import Level

LEAST_SECONDS = 1.0  # a shorter chunk is not tried when memory is short


def separate_chunk(
    module, variables, mix: Array, level=None, *, niter=1, window_frames=None, **options
) -> Array:
    """Separate one chunk: [channel, time] -> [source, channel, time], every sample kept.

    The model's masks give magnitudes; `wiener`, with its `options`, turns them into spectra,
    `window_frames` at a time. `level` as in the model's `masks`.
    """
    transform = module.transform
    spec = transform.stft(mix)
    size = jnp.abs(spec)
    heard = {} if level is None else {"level": level}
    masks = module.apply(variables, size[None], method="masks", **heard)[0]
    masks = masks ** (1 / getattr(module, "power", 1))  # of magnitudes, whatever the model masks
    filter = partial(wiener, iterations=niter, **options)
    spec = in_windows(filter, masks * size, spec, window_frames)
    return transform.istft(spec, mix.shape[-1])


def in_windows(filter, magnitudes: Array, mix: Array, frames: int | None) -> Array:
    """Apply `filter` to every `frames` frames for themselves; the last window may be shorter."""
    total = mix.shape[-1]
    if frames is None or frames >= total:
        return filter(magnitudes, mix)
    whole = total - total % frames

    def cut(x):  # [..., frame] -> [window, ..., frame]
        return jnp.moveaxis(x[..., :whole].reshape(*x.shape[:-1], -1, frames), -2, 0)

    # one after the other, and compiled once
    done = lax.map(lambda pair: filter(*pair), (cut(magnitudes), cut(mix)))
    parts = [jnp.moveaxis(done, 0, -2).reshape(*done.shape[1:-1], whole)]
    if whole < total:
        parts.append(filter(magnitudes[..., whole:], mix[..., whole:]))
    return jnp.concatenate(parts, axis=-1)


class Chunked:
    """`stream(blocks [channel, time], tick)` -> [source, channel, time], in chunks.

    chunk     samples; of a stream that is shorter, the next power of two that holds it
    overlap   part that neighbours share, cross-faded; with 0 chunks butt, and the last one is what
              is left
    batch     chunks that run at once; None: one a device

    With an overlap chunks are to give what the whole would: they begin on the whole's grid of
    frames, because masks of other frames differ by 25 dB, and where they are long enough on that
    of the filter's windows; the last one is moved back, and what it still has behind the end is
    reflected; and models with bands are told the level of up to five minutes.
    """

    def __init__(
        self,
        module,
        variables,
        post: dict,
        chunk: float,
        overlap: float,
        batch: int | None = None,
        cpu_fallback: bool = True,
    ):
        self.module, self.post = module, dict(post)
        self.overlap, self.cpu_fallback = overlap, cpu_fallback
        self.devices = tuple(jax.local_devices())
        self.batch = batch or len(self.devices)
        if overlap:
            self.post["window_frames"] = post["window_frames"] or kernels.FRAMES
        self._fit(chunk)
        self._variables, self._placed = variables, None

    def stream(self, blocks, tick):
        """Separate a stream; `tick` is called with the samples that are done."""
        feed, blender, at, first = StreamBuffer(blocks), OverlapAdd(), 0, True
        banded = self.overlap and getattr(self.module, "bands", None)
        level = Level(self.module) if banded else None
        while True:
            now = level and level.hear(feed, at)
            size, starts, last = self._plan(feed, at)
            if not starts:
                return
            cuts = [feed.cut(start, min(start + size, feed.end)) for start in starts]
            # a stream of few chunks runs them alone, and what is left has a shape of its own
            alone = last and (first or not self.overlap)
            try:
                pieces = self._run(cuts, size, len(cuts) if alone else self.batch, now)
            except JaxRuntimeError as error:
                if not out_of_memory.is_out_of_memory(error):
                    raise
                self._shrink()
                at = starts[0]
                continue
            first = False
            if not self.overlap:
                yield from pieces
                at = starts[-1] + size
            else:
                for start, piece in zip(starts, pieces, strict=True):
                    yield from _some(blender.take(start))
                    blender.add(start, piece, triangle(size))
                at = starts[-1] + self.step
            feed.drop(starts[-1])
            if last:
                yield from _some(blender.take(feed.end))
            tick(feed.end if last else starts[-1] + size)
            if last:
                return

    def _fit(self, samples):
        """Choose chunk and step; with an overlap these are whole hops, or windows of the filter."""
        self.chunk = self.step = max(1, round(samples))
        self.unit = 1
        if not self.overlap:
            return
        unit = hop = self.module.hop
        if self.post["niter"] or self.post["residual"]:
            unit = self.post["window_frames"] * hop
            if samples < 1.5 * unit:
                unit = hop
        self.unit, self.chunk = unit, max(1, round(samples / unit)) * unit
        self.step = max(1, int(self.chunk * (1 - self.overlap)) // unit) * unit

    def _plan(self, feed, at):
        """Read as far as the next batch needs -> (chunk, its starts, whether they are the last)."""
        chunk, step = self.chunk, self.step
        # one sample more tells whether the chunk is the last one
        feed.reach(at + (self.batch - 1) * step + chunk + 1)
        starts = []
        while len(starts) < self.batch and at + chunk < feed.end:
            starts.append(at)
            at += step
        last = feed.over and len(starts) < self.batch
        if not last:
            return chunk, starts, False
        if not self.overlap:
            if starts:
                return chunk, starts, False
            return feed.end - at, [at] if at < feed.end else [], True
        if feed.end <= chunk and feed.end:
            return self._bucket(feed.end), [0], True
        if not feed.end:
            return chunk, [], True
        return chunk, [*starts, -(-(feed.end - chunk) // self.unit) * self.unit], True

    def _bucket(self, length):
        """The chunk for a short stream: they share a few shapes."""
        size = max(self.module.n_fft, self.module.hop)
        while size < length:
            size *= 2
        return min(size, self.chunk)

    def _run(self, cuts, size, rows, level=None):
        """Separate chunks of at most `size` -> [chunk, source, channel, time]."""
        run, everywhere, each = compile_chunks(self.module, self.devices, tuple(self.post.items()))
        if self._placed is None:
            self._placed = everywhere(self._variables)
        rows = -(-rows // len(self.devices)) * len(self.devices)
        stacked = np.zeros((rows, cuts[0].shape[0], size), np.float32)
        for row, cut in zip(stacked, cuts, strict=False):
            row[:, : cut.shape[1]] = cut
            missing = size - cut.shape[1]
            if 0 < missing < self.unit and size == self.chunk:  # the last of many
                row[:] = np.pad(cut, ((0, 0), (0, missing)), mode="reflect")
        level = None if level is None else everywhere(level)
        return np.asarray(run(self._placed, each(stacked), level))[: len(cuts)]

    def _shrink(self):
        """Halve what runs at once, then the chunk, then take the CPU, because memory is short."""
        least = max(self.module.n_fft, round(LEAST_SECONDS * self.module.sample_rate))
        if self.batch > len(self.devices):
            self.batch = max(len(self.devices), self.batch // 2)
            out_of_memory.tell(f"batches of {self.batch} chunks")
        elif self.chunk // 2 >= least:
            self._fit(self.chunk / 2)
            out_of_memory.tell(f"chunks of {self.chunk / self.module.sample_rate:.2f} s")
        else:
            least = f"chunks of {self.chunk / self.module.sample_rate:.2f} s"
            self.devices = (out_of_memory.fall_back_to_cpu(self.devices, self.cpu_fallback, least),)
            self.batch, self._placed = 1, None


def _some(samples):
    return () if samples is None else (samples,)


@lru_cache(maxsize=8)
def compile_chunks(module, devices: tuple, post: tuple):
    """The function `(variables, mix [chunk, channel, time], level)`, how to place its arguments.

    `level` is that of the whole for models with bands, or None. Chunks are spread over the devices.
    Compiled once a model, however many Separators share it.
    """
    one = partial(separate_chunk, module, **dict(post))

    def batched(variables, mix, level):
        return jax.vmap(lambda chunk: one(variables, chunk, level))(mix)

    if len(devices) == 1:
        on_device = partial(jax.device_put, device=devices[0])
        return jax.jit(batched), on_device, on_device
    # jit alone would gather all chunks on every device at the FFTs.
    mesh = Mesh(np.array(devices), ("chunk",))
    spread = jax.shard_map(
        batched, mesh=mesh, in_specs=(P(), P("chunk"), P()), out_specs=P("chunk"), check_vma=False
    )
    everywhere = partial(jax.device_put, device=NamedSharding(mesh, P()))
    each = partial(jax.device_put, device=NamedSharding(mesh, P("chunk")))
    return jax.jit(spread), everywhere, each
