"""Run UMX and X-UMX on a signal as it comes, at the model's rate; `separation.live` is for users.

With LSTMs that only look back, a frame of the transform needs nothing behind it. The frames are
those of the whole track, `hops` of them a step, and little is handed from step to step: the states
(h, c) of all sources and layers, the last window of the input, and the output that later windows
have yet to add to. So the stems are those of the whole track, to rounding, from its reflected
beginning to its reflected end.
"""

from collections import deque
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.separation import blocks
from xumx_jax.wiener import wiener


@partial(jax.jit, static_argnums=(0, 1))
def step(module, post: tuple, weights, state, wave: Array, weight: Array, frames: Array):
    """Separate a few windows, [channel, time] -> (state, [source, channel, hops * hop]).

    `state` is ([layer] of (h, c), each [source, hidden]; the unfinished output). `weight`
    [hops * hop] is what the inverse transform multiplies by; `post` are options of `wiener`. Of the
    frames only the first `frames` exist.
    """
    transform, (memory, unfinished) = module.transform, state
    hidden = blocks.encode(module, weights["encoder"], wave)
    x = jnp.broadcast_to(hidden, (len(module.sources), *hidden.shape[1:]))
    recur = jax.vmap(partial(blocks.recur, frames=frames, backward=False))
    after = []
    for layer, before in zip(weights["lstm"], memory, strict=True):
        kept, x = recur((x,), before, tuple(w[:, 0] for w in layer))  # direction 0, the only one
        after.append(kept)
    latent = x.mean(0, keepdims=True) if module.bridge else x
    magnitudes, spec = blocks.masked(module, weights["decoder"], wave, hidden, latent, frames)
    stems = wiener(magnitudes, spec, frame_axis=-2, **dict(post))
    pieces = jnp.fft.irfft(stems, transform.n_fft) * transform.window(np.float32)
    sums = transform.overlap_add(pieces).at[..., : unfinished.shape[-1]].add(unfinished)
    return (after, sums[..., len(weight) :]), sums[..., : len(weight)] * weight


class Steps:
    """One signal of `width` channels: `push([channel, time])`, then `finish()`.

    Both give float32 [source, channel, some time], all together as many samples as went in.
    `weights` are those of `blocks.fold`, on the device; `post` options of `wiener`, as a tuple.
    With `background` a step's stems are given when the next step begins.
    """

    def __init__(self, module, weights, post: tuple, width: int, hops: int, background: bool):
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
        self._ratio = -(-transform.n_fft // transform.hop)
        self._usual_weight = np.asarray(transform.weight(2 * self._ratio))
        self._run = partial(step, module, post, weights)
        sources = len(module.sources) + dict(post).get("residual", False)
        zero = jnp.zeros((len(module.sources), module.hidden_size))
        unfinished = jnp.zeros((sources, width, transform.n_fft - transform.hop))
        self._state = [(zero, zero)] * module.layers, unfinished
        self._running, self._behind = deque(), int(background)
        self._empty = np.zeros((sources, width, 0), np.float32)

    def compile(self) -> None:
        """Compile, so that the first step is as quick as the others."""
        jax.block_until_ready(self._step(self._wave[:, :-1], 0))

    def push(self, wave: np.ndarray) -> np.ndarray:
        """Take [channel, time]; give what is complete."""
        self.length += wave.shape[1]
        done = []
        while wave.shape[1]:
            part = wave[:, : self._wave.shape[1] - self._filled]
            self._wave[:, self._filled :][:, : part.shape[1]] = part
            self._filled += part.shape[1]
            wave = wave[:, part.shape[1] :]
            if self._filled == self._wave.shape[1]:
                self._reflect()
                done.append(self._advance(self._wave[:, :-1], self._hops))
                self._wave[:, : -self._size] = self._wave[:, self._size :].copy()
                self._filled -= self._size
        return self._join(done)

    def finish(self) -> np.ndarray:
        """Reflect the end and give the rest."""
        if not self.length:
            return self._empty
        half, total = self.transform.n_fft // 2, self.transform.frames(self.length)
        wave = self._wave[:, : self._filled]
        if self._frames:
            end = wave[:, -1 - half : -1][:, ::-1]
            wave = np.concatenate([wave, end], axis=1)
        else:
            wave = np.pad(wave[:, half:], ((0, 0), (half, half)), mode="reflect")
        given, done = self._frames * self.transform.hop, []
        for start in range(0, self.length + half - given, self._size):
            piece = wave[:, start : start + self._span]
            piece = np.pad(piece, ((0, 0), (0, self._span - piece.shape[1])))
            left = total - self._frames
            done.append(self._advance(piece, min(max(left, 0), self._hops), total))
        done += [self._fetch() for _ in range(len(self._running))]
        rest = self._join(done)
        # the last step may go on past the end
        return rest[
            ..., : rest.shape[-1] - (self._frames * self.transform.hop - half - self.length)
        ]

    def _reflect(self) -> None:
        """Put the reflected beginning in front of the first window."""
        half = self.transform.n_fft // 2
        if not self._frames:
            self._wave[:, :half] = self._wave[:, half + 1 :][:, :half][:, ::-1]

    def _advance(self, wave, frames, total=None) -> np.ndarray:
        """Begin a step and give the stems of the one before or, without `background`, its own."""
        self._state, stems = self._step(wave, frames, total)
        self._frames += self._hops
        self._running.append(stems)
        return self._fetch() if len(self._running) > self._behind else self._empty

    def _step(self, wave, frames, total=None):
        # a copy, because the device may read it later, or where it lies
        return self._run(self._state, wave.copy(), self._weight(total), np.int32(frames))

    def _fetch(self) -> np.ndarray:
        """Wait for the oldest step: its stems, from where the signal begins."""
        stems = np.asarray(self._running.popleft())
        skipped = min(self._skip, stems.shape[-1])
        self._skip -= skipped
        return stems[..., skipped:]

    def _weight(self, total: int | None) -> np.ndarray:
        """What the next step's output is multiplied by; `total` frames make up the signal.

        None: nobody knows yet, and this step is not one that the end makes a difference to.
        """
        few, hop, weight = 2 * self._ratio, self.transform.hop, self._usual_weight
        if total is not None and total < few:
            few, weight = total, np.asarray(self.transform.weight(total))
        edge = self._ratio * hop
        at = self._frames * hop + np.arange(self._size)
        # Inside the signal the weights of one hop repeat; the end's count from the last frame.
        inside = edge + at % hop
        if total is not None:
            inside = np.maximum(inside, at - (total - few) * hop)
        at = np.where(at < edge, at, inside)
        return np.where(at < len(weight), weight[np.minimum(at, len(weight) - 1)], np.float32(0))

    def _join(self, parts) -> np.ndarray:
        return np.concatenate(parts, axis=-1) if parts else self._empty
