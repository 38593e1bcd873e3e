"""Short-time Fourier transform: periodic Hann or flat, centred, reflected edges, no scaling.

The convention of X-UMX and Open-Unmix (`numpy.fft.rfft` of windowed frames) for any n_fft and hop.
Forward and inverse are pure, batched over leading axes, and differentiable.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import DTypeLike

SILENT_WEIGHT = 1e-11  # where no window reaches, the inverse is 0 rather than 0/0


@dataclass(frozen=True)
class Stft:
    """A transform of `n_fft` samples every `hop`; hashable, so it may be a static argument.

    flat           the window is 1 everywhere, as where a program gives PyTorch none
    window_length  of a window in the middle of n_fft samples; None: n_fft
    """

    n_fft: int
    hop: int
    flat: bool = False
    window_length: int | None = None

    def __post_init__(self):
        if not (self.n_fft >= 2 and self.n_fft % 2 == 0 and 1 <= self.hop <= self.n_fft // 2):
            raise ValueError(
                f"n_fft {self.n_fft}, hop {self.hop}: wanted n_fft even and 1 <= hop <= n_fft / 2"
            )
        if not 2 <= (self.window_length or self.n_fft) <= self.n_fft:
            raise ValueError(f"window_length {self.window_length}: wanted 2 to {self.n_fft}, n_fft")

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1

    def frames(self, samples: int) -> int:
        """The number of frames for `samples` samples."""
        return samples // self.hop + 1

    def forward(self, wave: Array) -> tuple[Array]:
        """Transform [..., time] into one block, as `models.interface.Transform` requires."""
        return (self.stft(wave),)

    def inverse(self, blocks: tuple[Array, ...], length: int | None = None) -> Array:
        """Rebuild one block [..., bin, frame] as [..., time]; as `istft`."""
        (spec,) = blocks
        return self.istft(spec, length)

    def stft(self, wave: Array) -> Array:
        """Transform [..., time] into complex64 [..., bin, frame], time // hop + 1 frames.

        Any length is defined: a signal shorter than half a window is reflected repeatedly, as
        `numpy.pad` does; no samples at all give one silent frame.
        """
        return self.forward_frames(wave).swapaxes(-1, -2)

    def forward_frames(self, wave: Array, axis: int = -2) -> Array:
        """Transform [..., time] into complex64 [..., frame, bin], as it is computed.

        `axis` is the axis of the frames in the result, counted from its end.
        """
        frames, half = self.frames(wave.shape[-1]), self.n_fft // 2
        edges = [(0, 0)] * (wave.ndim - 1) + [(half, half)]
        padded = jnp.pad(wave, edges, mode="reflect" if wave.shape[-1] else "constant")
        pieces = self.cut(padded, frames, self.window(wave.dtype))
        return jnp.fft.rfft(jnp.moveaxis(pieces, -2, axis), axis=-1)

    def istft(self, spec: Array, length: int | None = None) -> Array:
        """Rebuild [..., bin, frame] as [..., time] by least squares (window-sum normalised).

        `length` None gives hop * (frames - 1) samples, as the original programs do. A given length
        goes on past that into the last window's tail, so `istft(stft(x), len(x))` keeps every
        sample of x.
        """
        return self.inverse_frames(spec.swapaxes(-1, -2), length)

    def inverse_frames(self, spec: Array, length: int | None = None, axis: int = -2) -> Array:
        """Rebuild [..., frame, bin] as [..., time]; as `istft`, with the frames at `axis`."""
        frames, half = spec.shape[axis], self.n_fft // 2
        if length is None:
            length = self.hop * (frames - 1)
        pieces = jnp.fft.irfft(spec, self.n_fft, axis=-1)
        wave = self.overlap_add(pieces * self.window(pieces.dtype), axis) * self.weight(frames)
        wave = wave[..., half : half + length]
        missing = length - wave.shape[-1]
        return jnp.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, missing)]) if missing else wave

    def window(self, dtype: DTypeLike = np.float64) -> np.ndarray:
        """The window, [n_fft]."""
        length = self.window_length or self.n_fft
        window = np.ones(length)
        if not self.flat:
            window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        before = (self.n_fft - length) // 2
        return np.pad(window, (before, self.n_fft - length - before)).astype(dtype)

    def cut(self, padded: Array, frames: int, window: np.ndarray | None = None) -> Array:
        """Cut [..., time] into overlapping [..., frame, n_fft], multiplied by a window if given."""
        window = np.ones(self.n_fft, padded.dtype) if window is None else window
        # Blocks of one hop, laid side by side: copies of whole rows instead of a gather.
        ratio = -(-self.n_fft // self.hop)
        rows = frames + ratio - 1
        missing = max(0, rows * self.hop - padded.shape[-1])  # if windows are no whole hops
        if missing:
            padded = jnp.pad(padded, [(0, 0)] * (padded.ndim - 1) + [(0, missing)])
        blocks = padded[..., : rows * self.hop].reshape(*padded.shape[:-1], rows, self.hop)
        parts = np.split(window, range(self.hop, self.n_fft, self.hop))
        return jnp.concatenate(
            [
                blocks[..., number : number + frames, : len(part)] * part
                for number, part in enumerate(parts)
            ],
            axis=-1,
        )

    def overlap_add(self, pieces: Array, axis: int = -2) -> Array:
        """Add [..., frame, n_fft] into [..., time], each frame one hop after the one before.

        `axis` is the axis of the frames in `pieces`, counted from its end.
        """
        ratio = -(-self.n_fft // self.hop)
        missing = ratio * self.hop - self.n_fft  # if windows are no whole hops
        if missing:
            pieces = jnp.pad(pieces, [(0, 0)] * (pieces.ndim - 1) + [(0, missing)])
        pieces = pieces.reshape(*pieces.shape[:-1], ratio, self.hop)
        shifted = []
        for part in range(ratio):
            edges = [(0, 0)] * (pieces.ndim - 1)
            edges[axis] = (part, ratio - 1 - part)
            shifted.append(jnp.pad(pieces[..., part, :], edges))
        # the frames' rows, now one hop each, go beside the samples: [..., row, hop] -> [..., time]
        rows = jnp.moveaxis(sum(shifted), axis, -2)
        wave = rows.reshape(*rows.shape[:-2], -1)
        return wave[..., : wave.shape[-1] - missing] if missing else wave

    def weight(self, frames: int, xp=jnp) -> Array:
        """One over the summed squared windows, [time], of `xp` (jax.numpy or numpy).

        All frames but those at the edges see the same sum, so only the edges are computed (in
        float64) and the inside is one hop repeated: a constant whatever the length.
        """
        ratio = -(-self.n_fft // self.hop)
        few = min(frames, 2 * ratio)
        total = np.zeros((few - 1) * self.hop + self.n_fft)
        for frame in range(few):
            total[frame * self.hop :][: self.n_fft] += self.window() ** 2
        weight = np.where(total > SILENT_WEIGHT, 1 / np.maximum(total, SILENT_WEIGHT), 0)
        weight = weight.astype(np.float32)
        if frames == few:
            return xp.asarray(weight)
        edge = ratio * self.hop
        inside = xp.tile(weight[edge : edge + self.hop], frames - few)
        return xp.concatenate([weight[:edge], inside, weight[edge:]])
