"""Separate a signal as it comes: blocks of any size in, as many samples of every stem out, later.

Where the latency comes from, in samples at the model's rate. A sample of a stem is complete with
the last window over it, which ends up to n_fft samples later. A step takes all its frames at once,
(hops - 1) * hop later than the first of them, and in the background is given hops * hop later
still. At another rate there is what the two resamplers hold back, which is measured: `held_back`.
"""

import warnings
from collections import deque
from functools import lru_cache
from math import ceil

import jax
import jax.numpy as jnp
import numpy as np

from xumx_jax.audio import StreamResampler
from xumx_jax.errors import UserError
from xumx_jax.separation import blocks
from xumx_jax.separation.staged import can_stage
from xumx_jax.separation.steps import Steps

# So many samples go into the first resampler at once: what it holds back must not depend on how
# the signal is cut into blocks.
PIECE = 32
PROBE_SECONDS = 5


class Live:
    """`push(block)`, again and again, then `finish()`; each gives {name: float32 [channel, time]}.

    `push` gives as many samples as it takes, those that went in `latency` samples (of `rate`
    hertz) before: the first `latency` samples are silence. `finish` gives the last `latency`
    samples; the next `push` begins a new signal. Whoever drops the first `latency` samples of all
    has what a Separator gives for the whole signal.

    hops         frames a step: more are less work in all, in fewer and larger portions, with
                 (hops - 1) * hop more samples of latency
    background   compute a step while the samples of the next come in, so that `push` need not
                 wait; one step more of latency
    options      of `wiener`, as a Separator hands them on

    Raises UserError on models and options that need to know what has not been played yet, and
    where a block differs from the first in its channels. Warns as a Separator does. Compiles when
    made (but in a mono model's case of stereo blocks: at the first).
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
        residual: bool = False,
        difference: bool = False,
        window_frames: int | None = None,  # of statistics, which are not made here
        **options,
    ):
        check(module, niter, residual and not difference)
        if rate < 1:
            raise UserError(f"the sample rate is {rate}; wanted at least 1 hertz")
        if hops != int(hops) or hops < 1:
            raise UserError(f"hops is {hops}; wanted a positive whole number")
        self.model, self.rate = module, rate
        self.sources = tuple(module.sources) + ("residual",) * residual
        options |= {"iterations": 0, "residual": residual, "difference": difference}
        weights = jax.tree.map(jnp.asarray, blocks.fold(module, variables))
        self._steps_of = lambda width: Steps(
            module, weights, tuple(options.items()), width, hops, background
        )
        self._steps_of(module.channels).compile()

        size = hops * module.hop
        self.latency = module.n_fft + size - module.hop + background * size
        if rate != module.sample_rate:
            before = held_back(rate, module.sample_rate, PIECE, PIECE) + PIECE - 1
            # the first step's output begins half a window before the signal
            first = size - module.n_fft // 2 % size
            after = held_back(module.sample_rate, rate, first, size)
            samples = (self.latency + after) * rate / module.sample_rate
            self.latency = ceil(before + samples) + 1
        self._begin()

    @property
    def latency_seconds(self) -> float:
        return self.latency / self.rate

    def push(self, block) -> dict[str, np.ndarray]:
        """Take [channel, time]; give as much of every stem."""
        block = np.asarray(block, np.float32)
        if block.ndim != 2 or not block.shape[0]:
            raise UserError(f"the block has shape {block.shape}; wanted [channel, time]")
        if self._channels is None:
            self._open(block.shape[0])
        if block.shape[0] != self._channels:
            raise UserError(
                f"the block has {block.shape[0]} channels; wanted {self._channels}, as the first"
            )
        count = block.shape[1]
        self._length += count
        self._push(self._tidy(block[:2]))
        return self._take(count)

    def finish(self) -> dict[str, np.ndarray]:
        """Give the last `latency` samples of every stem."""
        if self._channels is None:
            self._open(self.model.channels)
        if self._rest.shape[1]:
            self._give(self._steps.push(self._before.push(self._rest)))
        self._give(self._steps.push(self._before.finish()))
        self._give(self._steps.finish())
        self._ready.append(self._shaped(self._after.finish(self._length)))
        stems = self._take(self.latency)
        self._begin()
        return stems

    def _begin(self):
        self._channels, self._length = None, 0

    def _open(self, channels):
        """Make ready for a signal of so many channels."""
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
        self._before = StreamResampler(self.rate, rate, width)
        flat = len(self.sources) * self._stem_channels
        self._after = StreamResampler(rate, self.rate, flat)
        self._rest = np.zeros((width, 0), np.float32)
        silence = np.zeros((len(self.sources), self._stem_channels, self.latency), np.float32)
        self._ready = deque([silence])

    def _tidy(self, block):
        """Make the block finite and as wide as the model."""
        finite = np.isfinite(block)
        bad = block.size - np.count_nonzero(finite)
        if bad:
            warnings.warn(f"{bad} samples are NaN or infinite and were replaced by 0", stacklevel=3)
            block = np.where(finite, block, np.float32(0))
        if block.shape[0] < self.model.channels:
            block = np.repeat(block, self.model.channels, axis=0)
        return block

    def _push(self, block):
        """Resample, separate, resample: what is complete gets ready."""
        if self.rate == self.model.sample_rate:
            self._give(self._steps.push(block))
            return
        block = np.concatenate([self._rest, block], axis=1)
        whole = block.shape[1] // PIECE * PIECE
        for start in range(0, whole, PIECE):
            piece = self._before.push(block[:, start : start + PIECE])
            if piece.shape[1]:
                self._give(self._steps.push(piece))
        self._rest = block[:, whole:]

    def _give(self, stems):
        """Resample [source, channel, time] from the model's rate and keep it ready."""
        if not stems.shape[-1]:
            return
        if stems.shape[1] > self._stem_channels:
            stems = stems.mean(axis=1, keepdims=True)
        # [source, channel, time] -> [source * channel, time]
        wave = self._after.push(stems.reshape(-1, stems.shape[-1]))
        self._ready.append(self._shaped(wave))

    def _shaped(self, wave):
        return wave.reshape(len(self.sources), self._stem_channels, -1)

    def _take(self, count):
        """The next `count` samples that are ready, as {name: [channel, time]}."""
        parts = [np.zeros((len(self.sources), self._stem_channels, 0), np.float32)]
        while count:
            part = self._ready.popleft()
            parts.append(part[..., :count])
            if part.shape[-1] > count:
                self._ready.appendleft(part[..., count:])
            count -= parts[-1].shape[-1]
        stems = np.concatenate(parts, axis=-1)
        return dict(zip(self.sources, stems, strict=True))


def check(module, niter: int, fitted: bool) -> None:
    """Raise UserError on what needs more of the signal than has been played."""
    if not can_stage(module):
        raise UserError(
            "the model looks at a whole excerpt at once; live wanted an X-UMX or Open-Unmix "
            "without bands, trained with unidirectional=True"
        )
    if not module.unidirectional:
        raise UserError(
            "the model is bidirectional: half of its LSTMs begin at the end of the signal, which "
            "is not there yet; live wanted one trained with unidirectional=True"
        )
    if niter:
        raise UserError(
            f"niter is {niter}: the Wiener filter's statistics are those of many frames, which are "
            "not there yet; live wanted niter 0"
        )
    if fitted:
        raise UserError(
            "this residual is what is left when the stems are fitted to the mixture over time, "
            "which is not there yet; live wanted filter openunmix, or no residual"
        )


@lru_cache(maxsize=32)
def held_back(rate: int, target_rate: int, first: int, size: int) -> float:
    """The most that a resampler holds back, in samples of `rate`, after any of the blocks it gets.

    Tried out with silence, in blocks of `first` and then `size` samples: it works in portions of
    its own, the same for any signal.
    """
    resampler = StreamResampler(rate, target_rate, 1)
    pushed, given, most = first, resampler.push(np.zeros((1, first))).shape[1], 0.0
    block = np.zeros((1, size), np.float32)
    while pushed < PROBE_SECONDS * rate:
        most = max(most, pushed - given * rate / target_rate)
        given += resampler.push(block).shape[1]
        pushed += size
    return most
