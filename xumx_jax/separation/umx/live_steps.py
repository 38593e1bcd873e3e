"""Run UMX and X-UMX step by step on a signal as it comes; `separation.umx.live` is for users.

With LSTMs that only look back, a frame of the transform needs nothing that follows it. The frames
are those of the whole track, `hops` of them per step, and little is passed from step to step: the
states (h, c) of all sources and layers, the last window of the input, and the output to which later
windows still have to be added. So the stems are those of the whole track, up to rounding, from its
reflected beginning to its reflected end.
"""

from collections import deque
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.postfilters.wiener import wiener
from xumx_jax.separation.umx import kernels
from xumx_jax.separation.umx.kernels import block_weight


@partial(jax.jit, static_argnums=(0, 1))
def step(module, wiener_options: tuple, weights, state, wave: Array, weight: Array, frames: Array):
    """Separate a few windows, [channel, time] -> (state, [source, channel, hops * hop]).

    `state` is ([layer] of (h, c), each [source, hidden]; the unfinished output). `weight`
    [hops * hop] is what the inverse transform multiplies by; `wiener_options` are as named. Of the
    frames only the first `frames` exist.
    """
    transform, (memory, unfinished) = module.transform, state
    hidden = kernels.encode(module, weights["encoder"], wave, None)
    x = jnp.broadcast_to(hidden, (len(module.sources), *hidden.shape[1:]))
    recur = jax.vmap(partial(kernels.recur, frames=frames, backward=False))
    after = []
    for layer, before in zip(weights["lstm"], memory, strict=True):
        kept, x = recur((x,), before, tuple(w[:, 0] for w in layer))  # direction 0, the only one
        after.append(kept)
    latent = x.mean(0, keepdims=True) if module.bridge else x
    magnitudes, spec = kernels.masked(module, weights["decoder"], wave, hidden, latent, frames)
    stems = wiener(magnitudes, spec, frame_axis=-2, **dict(wiener_options))
    pieces = jnp.fft.irfft(stems, transform.n_fft) * transform.window(np.float32)
    sums = transform.overlap_add(pieces).at[..., : unfinished.shape[-1]].add(unfinished)
    return (after, sums[..., len(weight) :]), sums[..., : len(weight)] * weight


class Steps:
    """One signal of `width` channels: `push([channel, time])`, then `finish()`.

    Both return float32 [source, channel, some time], in total as many samples as went in.
    `weights` are those of `kernels.fold`, on the device; `wiener_options` is a tuple of pairs.
    With `background`, a step's stems are returned when the next step begins.
    """

    def __init__(
        self, module, weights, wiener_options: tuple, width: int, hops: int, background: bool
    ):
        self.transform = transform = module.transform
        self.length = 0  # samples that came
        self._hops, self._size = hops, hops * transform.hop  # of a step
        self._span = self._size - transform.hop + transform.n_fft  # of its windows together
        self._frames = 0  # that were taken
        # What the windows of the next step cover and one sample more, for `_reflect` and `finish`;
        # the first half window is the reflected beginning.
        self._wave = np.zeros((width, self._span + 1), np.float32)
        self._filled = transform.n_fft // 2
        self._skip = transform.n_fft // 2  # samples of the output that lie before the signal
        self._run = partial(step, module, wiener_options, weights)
        sources = len(module.sources) + dict(wiener_options).get("residual", False)
        zero = jnp.zeros((len(module.sources), module.hidden_size))
        unfinished = jnp.zeros((sources, width, transform.n_fft - transform.hop))
        self._state = [(zero, zero)] * module.layers, unfinished
        self._running, self._behind = deque(), int(background)
        self._empty = np.zeros((sources, width, 0), np.float32)

    def compile(self) -> None:
        """Compile, so that the first step is as quick as the others."""
        jax.block_until_ready(self._step(self._wave[:, :-1], np.zeros(self._size, np.float32), 0))

    def push(self, wave: np.ndarray) -> np.ndarray:
        """Take [channel, time] and return the samples that are complete."""
        self.length += wave.shape[1]
        done = [self._empty]
        while wave.shape[1]:
            part = wave[:, : self._wave.shape[1] - self._filled]
            self._wave[:, self._filled :][:, : part.shape[1]] = part
            self._filled += part.shape[1]
            wave = wave[:, part.shape[1] :]
            if self._filled == self._wave.shape[1]:
                self._reflect()
                weight = block_weight(self.transform, self._frames, self._hops, None)
                done.append(self._advance(self._wave[:, :-1], weight, self._hops))
                self._wave[:, : -self._size] = self._wave[:, self._size :].copy()
                self._filled -= self._size
        return np.concatenate(done, axis=-1)

    def finish(self) -> np.ndarray:
        """Reflect the end of the signal and return the rest."""
        if not self.length:
            return self._empty
        half, hop, size = self.transform.n_fft // 2, self.transform.hop, self._size
        wave = self._wave[:, : self._filled]
        if self._frames:
            end = wave[:, -1 - half : -1][:, ::-1]
            wave = np.concatenate([wave, end], axis=1)
        else:
            wave = np.pad(wave[:, half:], ((0, 0), (half, half)), mode="reflect")
        total, first = self.transform.frames(self.length), self._frames
        weight = block_weight(self.transform, first, total - first, total)
        wanted, done = half + self.length - first * hop, [self._empty]
        for at in range(0, wanted, size):  # the last of them only empty what is left
            frames = min(max(total - self._frames, 0), self._hops)
            done.append(self._advance(wave[:, at:], weight[at:], frames))
        done += [self._fetch() for _ in range(len(self._running))]
        # the last step may go on past the end
        beyond = self._frames * hop - half - self.length
        return np.concatenate(done, axis=-1)[..., : -beyond or None]

    def _reflect(self) -> None:
        """Put the reflected beginning in front of the first window."""
        half = self.transform.n_fft // 2
        if not self._frames:
            self._wave[:, :half] = self._wave[:, half + 1 :][:, :half][:, ::-1]

    def _advance(self, wave, weight, frames) -> np.ndarray:
        """Begin a step and return the stems of the one before or, without `background`, its own."""
        self._state, stems = self._step(wave, weight, frames)
        self._frames += self._hops
        self._running.append(stems)
        return self._fetch() if len(self._running) > self._behind else self._empty

    def _step(self, wave, weight, frames):
        # new arrays, because the device may read them later, and where they lie
        wave, weight = _exactly(wave, self._span), _exactly(weight, self._size)
        return self._run(self._state, wave, weight, np.int32(frames))

    def _fetch(self) -> np.ndarray:
        """Wait for the oldest step: its stems, from where the signal begins."""
        stems = np.asarray(self._running.popleft())
        skipped = min(self._skip, stems.shape[-1])
        self._skip -= skipped
        return stems[..., skipped:]


def _exactly(values, length):
    """Copy the first `length` samples of [..., time], or as many as there are, then zeros."""
    result = np.zeros((*values.shape[:-1], length), np.float32)
    result[..., : values.shape[-1]] = values[..., :length]
    return result
