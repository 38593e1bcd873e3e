"""Separate a signal as it comes: blocks of any size in, as many samples of every stem out, later.

Where the latency comes from, in samples at the model's rate: a sample of a stem is complete with
the last window over it, which ends up to n_fft samples later. A step takes all its frames at once,
(hops - 1) * hop later than the first of them, and in the background its result is returned hops *
hop later still. At another rate, the delay of the two resamplers is added, which is measured:
`held_back`.
"""

import warnings
from functools import lru_cache
from math import ceil

import jax
import jax.numpy as jnp
import numpy as np

from xumx_jax.audio import StreamResampler
from xumx_jax.audio.resample import whole_rate
from xumx_jax.errors import UserError
from xumx_jax.models.interface import optional
from xumx_jax.separation.inputs import as_floats, check_layout, finite, replaced
from xumx_jax.separation.residual import residual_name
from xumx_jax.separation.stream_buffer import SampleQueue
from xumx_jax.separation.umx import kernels
from xumx_jax.separation.umx.live_steps import Steps

PIECE = 32  # samples that a resampler gets at once
PROBE_SECONDS = 10


class Live:
    """Call `push(block)` repeatedly, then `finish()`; each returns {name: float32 [channel, time]}.

    `push` returns as many samples as it takes, namely those that went in `latency` samples (at
    `rate` hertz) before: the first `latency` samples are silence. `finish` returns the last
    `latency` samples; the next `push` begins a new signal. Without its first `latency` samples, the
    result is that of a Separator for the whole signal.

    hops         frames per step: more mean less work in total, in fewer and larger portions, with
                 (hops - 1) * hop more samples of latency
    background   compute a step while the samples of the next come in, so that `push` need not
                 wait if there is a core for each; adds one step of latency
    residual     as of a Separator
    options      of `wiener`, as a Separator passes them on

    Raises UserError for models and options that need samples which have not been played yet, and
    for a block whose number of channels differs from the first. Warns as a Separator does. Compiles
    when it is made (a mono model with stereo blocks: at the first block).
    """

    def __init__(
        self,
        module,
        variables,
        rate: int,
        *,
        hops: int = 1,
        background: bool = False,
        niter: int = 0,
        residual: bool | str = False,
        difference: bool = False,
        wiener_frames: int | None = None,  # of statistics, which are not made here
        **options,
    ):
        check(module, niter, bool(residual) and not difference)
        rate = whole_rate(rate)
        if hops != int(hops) or hops < 1:
            raise UserError(f"hops is {hops}; wanted a positive whole number")
        self.model, self.rate = module, rate
        self.sources = tuple(module.sources)
        if residual:
            self.sources = (*self.sources, residual_name(module.sources, residual))
        options |= {"niter": 0, "residual": bool(residual), "difference": difference}
        weights = jax.tree.map(jnp.asarray, kernels.fold(module, variables))
        self._steps_of = lambda width: Steps(
            module, weights, tuple(options.items()), width, hops, background
        )
        self._steps_of(module.channels).compile()

        size = hops * module.hop
        self.latency = module.n_fft + size - module.hop + background * size
        if rate != module.sample_rate:
            before = held_back(rate, module.sample_rate)
            samples = self.latency + held_back(module.sample_rate, rate)
            self.latency = ceil(before + samples * rate / module.sample_rate)
        self._begin()

    @property
    def latency_seconds(self) -> float:
        return self.latency / self.rate

    def push(self, block) -> dict[str, np.ndarray]:
        """Take [channel, time] and return as many samples of every stem."""
        block = as_floats(block, "the block")
        if self._channels is None:
            check_layout(block, "the block")
            self._open(block.shape[0])
        if block.shape[0] != self._channels:
            raise UserError(
                f"the block has {block.shape[0]} channels; wanted {self._channels}, as the first"
            )
        count = block.shape[1]
        self._length += count
        self._give(self._steps.push(self._before.push(self._prepared(block[:2]))))
        return self._take(count)

    def finish(self) -> dict[str, np.ndarray]:
        """Return the last `latency` samples of every stem."""
        if self._channels is None:
            self._open(self.model.channels)
        self._give(self._steps.push(self._before.finish()))
        self._give(self._steps.finish())
        self._ready.put(self._shaped(self._after.finish(self._length)))
        stems = self._take(self.latency)
        self._begin()
        return stems

    def _begin(self):
        self._channels, self._length = None, 0

    def _open(self, channels):
        """Prepare for a signal with this number of channels."""
        if channels > 2:
            warnings.warn(
                f"the signal has {channels} channels: the front pair (the first two) is separated "
                "into stereo stems",
                stacklevel=3,
            )
        self._channels = channels
        self._stem_channels = min(channels, 2)
        width, rate = max(self._stem_channels, self.model.channels), self.model.sample_rate
        self._steps = self._steps_of(width)
        self._before = Resampler(self.rate, rate, width)
        self._after = Resampler(rate, self.rate, len(self.sources) * self._stem_channels)
        silence = np.zeros((len(self.sources), self._stem_channels, self.latency), np.float32)
        self._ready = SampleQueue()
        self._ready.put(silence)

    def _prepared(self, block):
        """Make the block finite, with the model's channels."""
        block, bad = finite(block)
        if bad:
            warnings.warn(replaced(bad), stacklevel=3)
        if block.shape[0] < self.model.channels:
            block = np.repeat(block, self.model.channels, axis=0)
        return block

    def _give(self, stems):
        """Resample [source, channel, time] from the model's rate and keep it ready."""
        if not stems.shape[-1]:
            return
        if stems.shape[1] > self._stem_channels:
            stems = stems.mean(axis=1, keepdims=True)
        # [source, channel, time] -> [source * channel, time]
        wave = self._after.push(stems.reshape(-1, stems.shape[-1]))
        self._ready.put(self._shaped(wave))

    def _shaped(self, wave):
        return wave.reshape(len(self.sources), self._stem_channels, -1)

    def _take(self, count):
        """The next `count` samples that are ready, as {name: [channel, time]}."""
        if count:
            stems = self._ready.take(count)
        else:
            stems = np.zeros((len(self.sources), self._stem_channels, 0), np.float32)
        return dict(zip(self.sources, stems, strict=True))


def check(module, niter: int, fitted: bool) -> None:
    """Raise UserError for a model or option that needs more of the signal than has been played."""
    if optional(module, "engine") != "umx":
        context = optional(module, "context")
        ahead = f", which looks {context[1]} slices of its transform ahead" if context else ""
        raise UserError(
            f"the model is a {type(module).__name__}{ahead}; live separation needs an X-UMX or "
            "Open-Unmix trained with unidirectional=True"
        )
    if module.bands is not None:
        raise UserError(
            "the model compares the level of bands with that of the whole signal, which is not "
            "known yet; use one without bands, trained with unidirectional=True"
        )
    if not module.unidirectional:
        raise UserError(
            "the model is bidirectional: half of its LSTMs begin at the end of the signal, which "
            "is not known yet; use one trained with unidirectional=True"
        )
    if niter:
        raise UserError(
            f"niter is {niter}: the Wiener filter's statistics need many frames, which are not "
            "known yet; use niter 0"
        )
    if fitted:
        raise UserError(
            "this residual is what is left when the stems are fitted to the mixture over time, "
            "which is not known yet; use filter openunmix, or no residual"
        )


class Resampler:
    """A StreamResampler that gets PIECE samples at a time, however the signal is cut.

    So its delay never depends on the blocks.
    """

    def __init__(self, rate: int, target_rate: int, channels: int):
        self._stream = StreamResampler(rate, target_rate, channels)
        self._same = rate == target_rate
        self._rest = np.zeros((channels, 0), np.float32)

    def push(self, wave: np.ndarray) -> np.ndarray:
        if self._same:
            return self._stream.push(wave)
        wave = np.concatenate([self._rest, wave], axis=1)
        whole = wave.shape[1] - wave.shape[1] % PIECE
        self._rest = wave[:, whole:]
        pieces = [self._stream.push(wave[:, at : at + PIECE]) for at in range(0, whole, PIECE)]
        return np.concatenate([wave[:, :0], *pieces], axis=1)

    def finish(self, length: int | None = None) -> np.ndarray:
        last = self._stream.push(self._rest)
        return np.concatenate([last, self._stream.finish(length)], axis=1)


@lru_cache(maxsize=32)
def held_back(rate: int, target_rate: int) -> float:
    """The largest delay of a Resampler, in samples at `rate`.

    Measured on silence: it works in portions of fixed size, whatever the signal. Two samples are
    added, for later portions that are rounded differently.
    """
    stream = StreamResampler(rate, target_rate, 1)
    block = np.zeros((1, PIECE), np.float32)
    given, most = 0, 0.0
    for pushed in range(0, PROBE_SECONDS * rate, PIECE):
        most = max(most, pushed - given * rate / target_rate)
        given += stream.push(block).shape[1]
    return most + PIECE - 1 + 2
