"""The mix-phase oracle: what a transform allows a network that finds the magnitudes.

Each source gets its true magnitudes and the phases of the mixture, and is transformed back. The
parameters of xumx-sliCQ were found by it (`pipelines.slicq_search`). Its score is one number for
each source, over all channels and samples: 10 log10((sum s^2 + e) / (sum (s - estimate)^2 + e)).

Tracks are read in blocks with margins. The result is that of the whole track at once, memory does
not grow with it, and tracks of any length share what was compiled for one transform.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.transforms.slicq import SliCQ
from xumx_jax.transforms.stft import SILENT_WEIGHT, Stft

BLOCK = 1 << 18  # samples; 6 s, some 150 MB of coefficients for four stereo sources
EPSILON = 1e-10
OFFSET = 5e-10 * (1 + 1j)  # of the mixture's coefficients: xumx-sliCQ's, so that 0 has a phase

# Blocks [source, channel, margin + size + margin] -> estimates [source, channel, size].
Estimate = Callable[[Array, Array, Array], Array]
# (block, its first sample, samples of the track) -> energies of sources and of errors
Energies = Callable[[np.ndarray, int, int], tuple[Array, Array]]


@dataclass(frozen=True)
class Oracle:
    """A transform that is applied in blocks.

    hop        in samples; blocks begin at multiples of it
    size       samples of a block, a multiple of `hop`
    margin     samples more on either side that a block's estimates depend on
    reflected  how far beyond the ends of a track its mirror image goes; then zeros
    estimate   the computation, of (block, its first sample, samples of the track)
    """

    hop: int
    size: int
    margin: int
    reflected: int
    estimate: Estimate

    def compiled(self, sources: int, channels: int) -> Energies:
        """Compile the energies of one block, for tracks of so many sources and channels."""
        length = self.size + 2 * self.margin
        block = jax.ShapeDtypeStruct((sources, channels, length), np.float32)
        number = jax.ShapeDtypeStruct((), np.int32)
        found = jax.jit(partial(_energies, self)).lower(block, number, number).compile()
        return lambda block, first, samples: found(block, np.int32(first), np.int32(samples))


def of_slicq(transform: SliCQ, longest: int | None = None) -> Oracle:
    """The oracle of a sliCQ; `longest` are the samples of the longest track, if it is short."""
    hop = transform.hop  # a sample depends on two slices, and they on a hop before and behind
    return Oracle(hop, _size(hop, longest), hop, 0, partial(_sliced, transform))


def of_stft(stft: Stft, longest: int | None = None, window: str = "Hann") -> Oracle:
    """The oracle of an STFT, which reflects tracks at their ends.

    Its own window is "Hann"; "rectangular" is what xumx-sliCQ's search compares with. Raises
    ValueError for a hop that does not divide half of n_fft.
    """
    hop, half = stft.hop, stft.n_fft // 2
    if half % hop:
        raise ValueError(f"n_fft {stft.n_fft}, hop {hop}: wanted half of n_fft a multiple of hop")
    values = stft.window(np.float32) if window == "Hann" else np.ones(stft.n_fft, np.float32)
    return Oracle(hop, _size(hop, longest), stft.n_fft, half, partial(_framed, stft, values))


def sdr(oracle: Oracle, references, energies: Energies | None = None) -> np.ndarray:
    """Score [source, channel, time] -> dB [source], float64; the mixture is their sum.

    `references` may be anything with a `shape` whose `[:, :, start:stop]` is an array. `energies`
    are the oracle's, if they are compiled already.
    """
    sources, channels, samples = references.shape
    energies = energies or oracle.compiled(sources, channels)
    total = np.zeros((2, sources))
    for first in range(0, samples, oracle.size):
        bounds = first - oracle.margin, first + oracle.size + oracle.margin
        block = _read(references, *bounds, oracle.reflected)
        total += [np.asarray(e, float).sum((1, 2)) for e in energies(block, first, samples)]
    signal, error = total + EPSILON
    return 10 * np.log10(signal / error)


def _size(hop: int, longest: int | None) -> int:
    wanted = BLOCK if longest is None else min(BLOCK, longest)
    return hop * max(1, -(-wanted // hop))


def _read(waves, start: int, stop: int, reflected: int) -> np.ndarray:
    """Samples `start` to `stop` of [..., time], float32; beyond its ends mirrored, then zeros."""
    samples = waves.shape[-1]
    first, last = min(max(start, 0), samples), min(max(stop, 0), samples)
    block = np.zeros((*waves.shape[:-1], stop - start), np.float32)
    block[..., first - start : last - start] = waves[:, :, first:last]
    place = np.arange(start, stop)
    near = (place >= -reflected) & (place < samples + reflected)
    outside = near & ((place < 0) | (place >= samples))
    if outside.any():
        period = max(2 * (samples - 1), 1)
        at = place[outside] % period
        at = np.where(at < samples, at, period - at)
        block[..., outside] = waves[:, :, at.min() : at.max() + 1][..., at - at.min()]
    return block


def _energies(oracle: Oracle, block: Array, first: Array, samples: Array) -> tuple[Array, Array]:
    """Sum the squares of sources and of errors over each hop, [source, channel, hop].

    In parts that float32 can add up; they are added in float64 outside.
    """
    truth = block[..., oracle.margin : oracle.margin + oracle.size]
    difference = truth - oracle.estimate(block, first, samples)
    inside = first + jnp.arange(oracle.size, dtype=np.int32) < samples
    rows = [
        jnp.where(inside, jnp.square(wave), 0).reshape(*wave.shape[:-1], -1, oracle.hop)
        for wave in (truth, difference)
    ]
    return rows[0].sum(-1), rows[1].sum(-1)


def _with_mix_phase(spec: Array) -> Array:
    """[source, ...] -> the same magnitudes, all with the phases of their sum."""
    mix = spec.sum(0) + OFFSET
    return jnp.abs(spec) / jnp.abs(mix) * mix


def _sliced(transform: SliCQ, block: Array, first: Array, samples: Array) -> Array:
    spec = _with_mix_phase(transform.analyse(block))
    return transform.synthesise(spec, block.shape[-1])[..., transform.hop : -transform.hop]


def _framed(stft: Stft, window: np.ndarray, block: Array, first: Array, samples: Array) -> Array:
    """As `Stft` does, of which it takes the frames from sample 0 to the last, and no others."""
    margin, hop, half = stft.n_fft, stft.hop, stft.n_fft // 2
    frames = (block.shape[-1] - stft.n_fft) // hop + 1
    number = (first - margin + half) // hop + jnp.arange(frames, dtype=np.int32)
    there = (number >= 0) & (number <= samples // hop)
    spec = _with_mix_phase(jnp.fft.rfft(stft.cut(block, frames, window)))
    pieces = jnp.fft.irfft(spec, stft.n_fft, axis=-1) * (window * there[:, None])
    weight = stft.overlap_add(jnp.square(window) * there[:, None])
    wave = stft.overlap_add(pieces) / jnp.maximum(weight, SILENT_WEIGHT)
    return wave[..., margin:-margin]
