"""The engine for any model: chunks of a stream, a batch at a time, cross-faded."""

from copy import copy

from jax.errors import JaxRuntimeError

from xumx_jax.models.interface import optional
from xumx_jax.postfilters import WINDOW_FRAMES
from xumx_jax.separation import out_of_memory
from xumx_jax.separation.chunk_plan import ChunkPlan
from xumx_jax.separation.chunk_runner import ChunkRunner
from xumx_jax.separation.engine import EngineOptions
from xumx_jax.separation.normalization import normalization
from xumx_jax.separation.overlap_add import OverlapAdd
from xumx_jax.separation.protocols import PROTOCOLS
from xumx_jax.separation.stream_buffer import StreamBuffer

LEAST_SECONDS = 1.0  # shorter chunks are not tried when memory is short


class Chunked:
    """`stream(blocks [channel, time], progress)` -> [source, channel, time], in chunks.

    Without `chunk_seconds`, chunks have the model's usual length. With an overlap, the result
    should be that of the whole track: chunks begin on the track's grid of frames, because masks of
    shifted frames differ by 25 dB, and, if they are long enough, on the grid of the filter's
    windows; and statistics are those of the track (`separation.normalization`). With `overlap` 0
    each chunk is separated on its own. With a `protocol`, chunks are cut and blended as another
    program does (`separation.protocols`).
    """

    def __init__(self, model, variables, options: EngineOptions):
        self.model, self.options = model, options
        self.batch = options.batch or len(options.devices)
        given = dict(options.filter_options)
        if options.overlap and options.post_filter:
            given["wiener_frames"] = given["wiener_frames"] or WINDOW_FRAMES
        self._filter = given
        ways = {"mid_side": options.mid_side, "denoise": options.denoise}
        applied = given | {way: True for way, wanted in ways.items() if wanted}
        self.runner = ChunkRunner(model, variables, applied, options.devices, options.compute)
        seconds = options.chunk_seconds
        self._fit(seconds * model.sample_rate if seconds else model.segment.usual)

    @staticmethod
    def takes(options: EngineOptions) -> bool:
        """It takes all options."""
        return True

    def stream(self, blocks, progress, lead: int = 0):
        """Separate a stream; `progress` and `lead` are as in `separation.engine`."""
        buffer, stems, at, first = StreamBuffer(blocks), OverlapAdd(), 0, True
        blended, statistics = self.plan.blended, self._statistics(lead)
        while True:
            # a plan keeps what it found of the end for its own chunks, and others run beside these
            plan = copy(self.plan)
            measured = statistics and statistics.measure(buffer, at)
            buffer.reach(plan.reach(at, self.batch))
            batch = plan.next(at, self.batch, buffer.end, buffer.over)
            if not batch.chunks:
                if batch.last and blended:
                    yield from _some(stems.take(buffer.end))
                if batch.last or batch.following is None:
                    return
                at = batch.following
                continue
            # of a model that is given the track's statistics, it is silence as the network sees
            silence = statistics.silence if statistics else 0.0
            cuts = [plan.cut(buffer, chunk, batch.length, lead, silence) for chunk in batch.chunks]
            # a stream of few chunks runs them alone, and what is left has a shape of its own
            alone = batch.length != plan.length or (batch.last and (first or not blended))
            rows = None if alone else self.batch
            try:
                padding = plan.padding(batch)
                pieces = self.runner.run(cuts, batch.length, rows, measured, padding)
            except JaxRuntimeError as error:
                if not out_of_memory.is_out_of_memory(error):
                    raise
                self._shrink()
                continue
            first = False
            for chunk, piece in zip(batch.chunks, pieces, strict=True):
                piece = piece[..., chunk.wanted - chunk.start : chunk.stop - chunk.start]
                if blended:
                    yield from _some(stems.take(chunk.wanted))
                    stems.add(chunk.wanted, piece, plan.weights(batch, chunk))
                else:
                    yield piece
            following = batch.following
            at = batch.chunks[-1].wanted + plan.step if following is None else following
            buffer.drop(plan.keep(at))
            if batch.last and blended:
                yield from _some(stems.take(buffer.end))
            progress(buffer.end if batch.last else batch.chunks[-1].stop)
            if batch.last:
                return

    def _statistics(self, lead: int):
        name = optional(self.model, "normalization")
        if name is None:
            return None
        kind = normalization(name)
        return None if kind.of_chunks and not self.options.overlap else kind(self.model, lead)

    def _fit(self, samples: float) -> None:
        """Choose the plan; with an overlap, chunks are whole windows of the filter, if possible."""
        segment = self.model.segment
        if self.options.protocol is not None:
            plan = PROTOCOLS[self.options.protocol](self.model)
            power = self.options.transition_power
            self.plan = plan(self.model, samples, self.options.overlap, power)
            return
        unit = segment.grid
        if self.options.post_filter and (self._filter.get("niter") or self._filter["residual"]):
            window = (self._filter["wiener_frames"] or 0) * segment.grid
            # without a grid, no one number of samples is a window of all blocks
            if window and segment.grid > 1 and samples >= 1.5 * window:
                unit = window
        self.plan = ChunkPlan(segment, samples, self.options.overlap, unit)

    def _shrink(self) -> None:
        """Memory is short: halve what runs at once, then the chunk, then switch to the CPU."""
        rate, length = self.model.sample_rate, self.plan.length
        devices = self.runner.devices
        segment = self.model.segment
        least = max(segment.fit(segment.least), 4 * segment.grid, round(LEAST_SECONDS * rate))
        shorter = segment.chunk(length / 2)
        if self.batch > len(devices):
            self.batch = max(len(devices), self.batch // 2)
            out_of_memory.warn(f"batches of {self.batch} chunks")
        elif length // 2 >= least and shorter < length and self.options.protocol is None:
            self._fit(length / 2)
            out_of_memory.warn(f"chunks of {self.plan.length / rate:.2f} s")
        else:
            what = f"chunks of {length / rate:.2f} s"
            cpu = out_of_memory.fall_back_to_cpu(devices, self.options.cpu_fallback, what)
            self.runner.use((cpu,))
            self.batch = 1


def _some(samples):
    return () if samples is None else (samples,)
