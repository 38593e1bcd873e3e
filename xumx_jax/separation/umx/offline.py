"""Run UMX and X-UMX over a stream in stages: exactly over a whole track, and with flat memory.

For a segment of up to five minutes, only the audio and one small feature vector per frame are held:

    1. block by block: transform, encoder                       -> features
    2. block by block, in both directions: the LSTMs, states carried -> latents
    3. block by block: transform again, decoder, mask, Wiener, inverse, overlap-add

so a track of one segment has no borders at all. Longer ones are cut into segments whose LSTMs also
read CONTEXT_SECONDS on both sides; everything else is as for the whole track. All blocks have the
same shape, so every track runs the same compiled code, whatever its length. Batch normalisation and
scalings are folded into the kernels once. On a CPU, blocks and sources run in several host threads,
because one scan uses one core and XLA runs the scans of one program one after another.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.errors import JaxRuntimeError

from xumx_jax.postfilters import POST_FILTERS
from xumx_jax.postfilters.wiener import wiener
from xumx_jax.runtime import ahead, host_threads, threads
from xumx_jax.separation import out_of_memory
from xumx_jax.separation.engine import AHEAD_SECONDS, EngineOptions
from xumx_jax.separation.stream_buffer import StreamBuffer
from xumx_jax.separation.umx import kernels
from xumx_jax.separation.umx.kernels import BlockInverse, block_weight, filled
from xumx_jax.transforms.bands import level_of

_loudness = jax.jit(kernels.band_loudness, static_argnums=0)


class BandLevel:
    """The sums that `level_of` needs, over all frames so far."""

    of_chunks, silence = True, 0.0

    def __init__(self, model, lead: int = 0):
        self.model, self.frames = model, 0  # silence, such as the lead, does not change a level
        self.squared = self.plain = 0.0

    def measure(self, buffer, at: int) -> np.float32:
        """Read a StreamBuffer to AHEAD_SECONDS past sample `at` -> its level."""
        transform = self.model.transform
        buffer.reach(at + round(AHEAD_SECONDS * self.model.sample_rate))
        known = buffer.complete(transform)
        span = (kernels.FRAMES - 1) * transform.hop + transform.n_fft
        while self.frames < known:
            last = min(self.frames + kernels.FRAMES, known)
            wave = kernels.filled(buffer.frames(transform, self.frames, last), span)
            squared, plain = _loudness(self.model, wave, last - self.frames)
            self.squared, self.plain = self.squared + float(squared), self.plain + float(plain)
            self.frames = last
        return np.float32(level_of(self.squared, self.plain))

    @staticmethod
    def turned(statistics):
        """The level of the track with its sign turned."""
        return statistics


SEGMENT_SECONDS = 300.0  # of full-size X-UMX 1.5 GB; see `make bench-long`
LEAST_SECONDS = 30.0  # shorter segments are not tried when memory is short
CONTEXT_SECONDS = 15.0
STATIC = ("niter", "softmask", "alpha", "logit", "residual", "difference", "epsilon")


# Compiled once per model, however many Separators share it.
_encode = jax.jit(kernels.encode, static_argnums=0)
_recur = jax.jit(kernels.recur, static_argnames=("backward", "compute"))
_join = jax.jit(kernels.join)
_gather = jax.jit(kernels.gather, static_argnums=0)
_masked = jax.jit(kernels.masked, static_argnums=0)
_wiener = jax.jit(wiener, static_argnames=(*STATIC, "frame_axis"))
_invert = jax.jit(kernels.invert, static_argnums=0)
_invert_masked = jax.jit(kernels.invert_masked, static_argnums=0)


@dataclass
class Span:
    """Frames edges[0] to edges[-1] of the stream in `buffer`, in blocks.

    Blocks `inner` are those whose stems are used, the others are context. `total` is the number
    of frames of the stream if it ends in this segment, else None.
    """

    buffer: StreamBuffer
    edges: list[int]
    inner: range
    total: int | None


class Offline:
    """`stream(blocks [channel, time], progress)` -> [source, channel, time], with a folded UMX.

    The post filter takes `wiener_frames` at a time, by default kernels.FRAMES, and the last two
    windows of a track share the rest. Chunks of `chunk_seconds` are segments with the overlap as
    context.
    """

    @staticmethod
    def takes(options: EngineOptions) -> bool:
        """Its stages contain the Wiener filter of magnitudes, and no other filter."""
        return options.post_filter is not None and POST_FILTERS[options.post_filter].of_magnitudes

    def __init__(self, module, variables, options: EngineOptions):
        given = dict(options.filter_options)
        given.pop("post_filter")  # those that it takes differ in their options alone
        # without statistics, windows make no difference
        frames = given.pop("wiener_frames")
        self.wiener_frames = frames if given["niter"] or given["residual"] else None
        self._filter = given
        self.module = module.clone(compute=options.compute)
        self.transform = module.transform
        self.most = self.wiener_frames or kernels.FRAMES
        segment, context = SEGMENT_SECONDS / options.streams, CONTEXT_SECONDS
        if options.chunk_seconds is not None:
            segment = options.chunk_seconds * (1 - options.overlap)
            context = options.chunk_seconds * options.overlap / 2
        self.segment = self._whole_blocks(segment)
        self.context = round(context * module.sample_rate / module.hop)
        plain = not (given["niter"] or given["softmask"] or given["residual"])
        direct = module.activation == "relu" and module.power == 1 and module.bands is None
        self._masks_alone = plain and direct
        self.cpu_fallback = options.cpu_fallback
        self._variables = variables
        self._place(options.devices[0] if options.chosen else None)

    def _place(self, device):
        """Put the weights on a device, which then computes everything; None: JAX's default."""
        weights = jax.device_put(kernels.fold(self.module, self._variables), device)
        self._encoder, self._decoder = weights["encoder"], weights["decoder"]
        # [source][layer][direction] -> (w_ih, w_hh, bias)
        self._lstm = [
            [
                [tuple(w[source, turn] for w in layer) for turn in range(layer[0].shape[1])]
                for layer in weights["lstm"]
            ]
            for source in range(len(self.module.sources))
        ]
        (self.device,) = self._encoder[0].devices()
        self.threads = host_threads(self.device.platform)

    def stream(self, blocks, progress, lead: int = 0):
        """Separate a stream, every sample kept; `progress` is as in `separation.engine`."""
        buffer, at, inverse = StreamBuffer(blocks), 0, BlockInverse(self.transform)
        level = BandLevel(self.module) if self.module.bands else None
        while (segment := self._next(buffer, at)) is not None:
            now = level and level.measure(buffer, at * self.transform.hop)
            try:
                for done, piece, size in self._separate(segment, now, progress):
                    # `at` moves on first: memory may run short after some blocks of the segment
                    at = segment.edges[done + 1]
                    for samples in inverse.add(piece, size):
                        yield from inverse.trimmed(samples, buffer.end if segment.total else None)
            except JaxRuntimeError as error:
                if not out_of_memory.is_out_of_memory(error):
                    raise
                self._shrink()
                continue
            if segment.total:
                yield from inverse.trimmed(inverse.carry, buffer.end)
                progress(buffer.end)
                return

    def _whole_blocks(self, seconds) -> int:
        """Round a number of frames up to whole blocks."""
        frames = seconds * self.module.sample_rate / self.module.hop
        return max(1, round(frames / self.most)) * self.most

    def _next(self, buffer, at) -> Span | None:
        """Read what the segment that begins with frame `at` needs; None for an empty stream."""
        hop, half, most = self.transform.hop, self.transform.n_fft // 2, self.most
        stop = at + self.segment
        first, last = max(0, at - self.context), stop + self.context
        buffer.drop(max(0, first * hop - half))
        # at least a block is always left for the last segment
        known = buffer.reach((stop + max(self.context, most) - 1) * hop + half + 1)
        if not buffer.end:
            return None
        if not known:
            stop = last = self.transform.frames(buffer.end)
        inner = [*range(at, stop, most)]
        if not (known or self.wiener_frames) and len(inner) > 1:
            # none may be too short for the Wiener filter's statistics
            inner[-1] = (inner[-2] + stop) // 2
        count = len(inner)
        before, after = range(first, at, most), range(stop, last, most)
        inside = range(len(before), len(before) + count)
        return Span(buffer, [*before, *inner, *after, last], inside, None if known else stop)

    def _separate(self, segment, level, progress):
        """Yield (block, its windowed samples [source, channel, time], its frames), in order."""
        transform, edges = self.transform, segment.edges
        hop, n_fft = transform.hop, transform.n_fft
        count, sizes = len(edges) - 1, np.diff(edges)
        span = (self.most - 1) * hop + n_fft
        inner, few = segment.inner, self.threads + 1
        begin, end = edges[inner.start] * hop, edges[inner.stop] * hop

        def report(part):
            progress(begin + part * (end - begin))

        def cut(block):  # the samples that a block's frames cover
            return filled(segment.buffer.frames(transform, edges[block], edges[block + 1]), span)

        with threads(self.threads) as pool:
            hidden = []
            encode = partial(_encode, self.module, self._encoder)
            for block in ahead(pool, lambda block: encode(cut(block), level), range(count), few):
                hidden.append(block)
                report(0.2 * len(hidden) / count)
            latents = []  # of every source; of X-UMX, which needs no more, their sum
            run = partial(self._latents, hidden, sizes)
            for done, latent in enumerate(pool.map(run, range(len(self._lstm))), start=1):
                if latents and self.module.bridge:
                    latents = [list(map(jnp.add, latents[0], latent))]
                else:
                    latents.append(latent)
                report(0.2 + 0.3 * done / len(self._lstm))

            def finish(block):
                latent = _gather(self.module, [latent[block] for latent in latents])
                size = int(sizes[block])
                weight = block_weight(transform, edges[block], size, segment.total)
                return np.asarray(
                    self._render(cut(block), hidden[block], latent, size, filled(weight, span))
                )

            for block, piece in zip(inner, ahead(pool, finish, inner, few), strict=True):
                yield block, piece, int(sizes[block])
                report(0.5 + 0.5 * (block + 1 - inner.start) / len(inner))

    def _render(self, wave, hidden, latent, frames, weight):
        """Stage 3 -> [source, channel, time]."""
        inputs = self.module, self._decoder, wave, hidden, latent, frames
        if self._masks_alone and len(wave) == self.module.channels:
            return _invert_masked(*inputs, weight)
        stems = _wiener(*_masked(*inputs), **self._filter, frame_axis=-2)
        return _invert(self.transform, stems, weight)

    def _latents(self, hidden, sizes, source):
        """Run the LSTMs of one source -> per block [frame, hidden], directions side by side."""
        blocks = [(block[0 if len(block) == 1 else source],) for block in hidden]
        recur = partial(_recur, compute=self.module.compute)
        for layer in self._lstm[source]:
            turned = []
            for turn, weights in enumerate(layer):
                zero = jnp.zeros_like(weights[1][:, 0])
                state, out = (zero, zero), [None] * len(blocks)
                for at in range(len(blocks))[:: -1 if turn else 1]:
                    state, out[at] = recur(
                        blocks[at], state, weights, sizes[at], backward=bool(turn)
                    )
                turned.append(out)
            blocks = list(zip(*turned, strict=True))
        return jax.block_until_ready([_join(turned) for turned in blocks])

    def _shrink(self):
        """Memory is short: run fewer blocks at once, then shorter segments, then on the CPU."""
        seconds = self.segment * self.module.hop / self.module.sample_rate
        if self.threads > 1:
            self.threads //= 2
            out_of_memory.warn(f"at most {self.threads} block{'s' * (self.threads > 1)} at once")
        elif seconds / 2 >= LEAST_SECONDS:
            self.segment = self._whole_blocks(seconds / 2)
            out_of_memory.warn(f"segments of {seconds / 2:.0f} s")
        else:
            least = f"segments of {seconds:.0f} s"
            self._place(out_of_memory.fall_back_to_cpu([self.device], self.cpu_fallback, least))
