"""The short-time Fourier transforms of Demucs' spectral branch: normalised, no Nyquist bin."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from xumx_jax.transforms.stft import Stft

EDGES = ("reflect", "zero", "centred")


@dataclass(frozen=True)
class HybridStft:
    """A transform of `n_fft` samples every quarter of it; hashable.

    The bins are n_fft / 2, without the highest, which is taken as 0. `edges` says which frames
    there are and what surrounds the signal:

    reflect  one frame for every hop that has begun, so that strides of a waveform branch meet them;
             reflected edges
    zero     the same with silent edges, and an inverse that is one and a half hops late: a mistake
             of the first hybrid models, to which their weights have adapted
    centred  as `Stft`
    """

    n_fft: int
    edges: str = "reflect"

    def __post_init__(self):
        if self.edges not in EDGES:
            raise ValueError(f"edges {self.edges!r}: wanted one of {', '.join(EDGES)}")
        if self.n_fft < 8 or self.n_fft % 8:
            raise ValueError(f"n_fft {self.n_fft}: wanted a multiple of 8")

    @property
    def hop(self) -> int:
        return self.n_fft // 4

    @property
    def bins(self) -> int:
        return self.n_fft // 2

    @property
    def stft(self) -> Stft:
        """The transform that it is made of."""
        return Stft(self.n_fft, self.hop)

    def frames(self, samples: int) -> int:
        """The number of frames for `samples` samples."""
        return self.stft.frames(samples) if self.edges == "centred" else -(-samples // self.hop)

    def forward(self, wave: Array) -> tuple[Array]:
        """Transform [..., time] into one block [..., bin, frame]."""
        return (self.forward_frames(wave).swapaxes(-1, -2),)

    def inverse(self, blocks: tuple[Array], length: int) -> Array:
        """Rebuild one block [..., bin, frame] as [..., length]."""
        (spec,) = blocks
        return self.inverse_frames(spec.swapaxes(-1, -2), length)

    def forward_frames(self, wave: Array, axis: int = -2) -> Array:
        """Transform [..., time] into complex64 [..., frame, bin], with the frames at `axis`."""
        scale = self.n_fft**-0.5
        if self.edges == "centred":
            return self.stft.forward_frames(wave, axis)[..., :-1] * scale
        frames = self.frames(wave.shape[-1])
        side = self.hop // 2 * 3
        padded = pad(wave, side, side + frames * self.hop - wave.shape[-1], self.edges)
        window = self.stft.window(wave.dtype) * wave.dtype.type(scale)
        pieces = self.stft.cut(padded, frames, window)
        return jnp.fft.rfft(jnp.moveaxis(pieces, -2, axis), axis=-1)[..., :-1]

    def inverse_frames(self, spec: Array, length: int, axis: int = -2) -> Array:
        """Rebuild [..., frame, bin] as [..., length], with the frames at `axis`."""
        spec = jnp.pad(spec, [(0, 0)] * (spec.ndim - 1) + [(0, 1)])
        scale = self.n_fft**0.5
        if self.edges == "centred":
            return self.stft.inverse_frames(spec, length, axis) * scale
        # In the original two silent frames precede these and two follow, which the sum of windows
        # counts: with them it is the same from the third hop on.
        frames, hop = spec.shape[axis], self.hop
        pieces = jnp.fft.irfft(spec, self.n_fft, axis=-1)
        wave = self.stft.overlap_add(
            pieces * (self.stft.window() * scale).astype(pieces.dtype), axis
        )
        begin = hop // 2 * 3 if self.edges == "reflect" else 0
        weight = self.stft.weight(frames + 4)[2 * hop + begin :][:length]
        return wave[..., begin : begin + length] * weight


def pad(wave: Array, left: int, right: int, edges: str) -> Array:
    """Extend [..., time]; a signal too short to be reflected is first followed by silence."""
    edge = [(0, 0)] * (wave.ndim - 1)
    if edges == "zero":
        return jnp.pad(wave, [*edge, (left, right)])
    missing = max(0, max(left, right) - wave.shape[-1] + 1)
    behind = min(right, missing)
    before = missing - behind
    wave = jnp.pad(wave, [*edge, (before, behind)])
    return jnp.pad(wave, [*edge, (left - before, right - behind)], mode="reflect")
