"""The sliCQ transform and its inverse in JAX: any length, any leading axes, and their gradients.

One array holds all coefficients of a track, [..., slice, coefficient], those of the blocks one
behind the other; `split` and `joined` make blocks [..., band, slice, coefficient] of it and back.

Slices are not rotated as in the originals (a sign for each band does the same, see `tables.sign`),
FFTs are those of real signals, and the inverse gathers what reaches each bin instead of adding band
by band. Analysis and synthesis are each other's adjoint but for weights, which gives their
gradients: derived from the gathers they would be scatters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.transforms.slicq.blocks import Shapes, joined, split
from xumx_jax.transforms.slicq.plan import Plan
from xumx_jax.transforms.slicq.tables import analysis, synthesis

RULES = ("exact", "original")
# Outside of jit, one call instead of some for each of seventy blocks; inside, nothing changes.
_split = jax.jit(split, static_argnums=0, inline=True)
_joined = jax.jit(joined, inline=True)


@dataclass(frozen=True)
class SliCQ(Plan):
    """A sliced constant-Q transform, as `models.interface.Transform` requires it.

    rule  of the inverse: "exact" inverts on every scale; "original" is xumx-sliCQ's, which does
          where no band crosses 0 or half the sample rate
    The other fields are those of `Plan`.
    """

    rule: str = "exact"

    def __post_init__(self):
        if self.rule not in RULES:
            raise ValueError(f"rule {self.rule!r}: wanted {' or '.join(RULES)}")
        super().__post_init__()

    @property
    def shapes(self) -> Shapes:
        """How many bands each block has, and how many coefficients these have in a slice."""
        return tuple((block.bands, block.size) for block in self.blocks)

    def forward(self, wave: Array) -> tuple[Array, ...]:
        """[..., time] -> complex blocks [..., band, slice, coefficient]."""
        return self.split(self.analyse(wave))

    def inverse(self, blocks: Sequence[Array], length: int) -> Array:
        """Blocks [..., band, slice, coefficient] -> [..., length]."""
        return self.synthesise(self.joined(blocks), length)

    def analyse(self, wave: Array) -> Array:
        """[..., time] -> coefficients [..., slice, coefficient]; float64 gives complex128."""
        return _analyse(self, wave)

    def synthesise(self, coefficients: Array, length: int) -> Array:
        """[..., slice, coefficient] -> [..., length]."""
        return _synthesise(self, length, coefficients)

    def analyse_rows(self, rows: Array) -> Array:
        """[..., (slices + 1) * hop] -> coefficients of the slices that lie inside.

        Slice n of a track is that of its samples from (n - 1) * hop on, two hops of them.
        """
        return _bands_of_rows(self, rows, False)

    def synthesise_rows(self, coefficients: Array) -> Array:
        """[..., slice, coefficient] -> [..., (slices + 1) * hop], by the samples that slices cover.

        The first and the last hop still lack what other slices of a track add to them.
        """
        halves = _halves_of(self, coefficients, self.rule)
        edges = [(0, 0)] * (halves.ndim - 3)
        rows = jnp.pad(halves[..., 0, :], [*edges, (0, 1), (0, 0)])
        rows = rows + jnp.pad(halves[..., 1, :], [*edges, (1, 0), (0, 0)])
        return rows.reshape(*rows.shape[:-2], -1)

    def split(self, values: Array) -> tuple[Array, ...]:
        """[..., slice, coefficient] -> blocks [..., band, slice, coefficient]."""
        return _split(self.shapes, values)

    def joined(self, blocks: Sequence[Array]) -> Array:
        """Blocks [..., band, slice, coefficient] -> [..., slice, coefficient]."""
        return _joined(tuple(blocks))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _analyse(plan: SliCQ, wave: Array) -> Array:
    return _bands_of(plan, wave, False)


def _analyse_forward(plan: SliCQ, wave: Array):
    return _analyse(plan, wave), wave.shape[-1]


def _analyse_backward(plan: SliCQ, length: int, cotangent: Array):
    return (_wave_of(plan, length, cotangent.conj(), "adjoint"),)


_analyse.defvjp(_analyse_forward, _analyse_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _synthesise(plan: SliCQ, length: int, coefficients: Array) -> Array:
    return _wave_of(plan, length, coefficients, plan.rule)


def _synthesise_forward(plan: SliCQ, length: int, coefficients: Array):
    return _synthesise(plan, length, coefficients), None


def _synthesise_backward(plan: SliCQ, length: int, _, cotangent: Array):
    return (_bands_of(plan, cotangent, True).conj(),)


_synthesise.defvjp(_synthesise_forward, _synthesise_backward)


def _adjoint_weights(plan: SliCQ) -> np.ndarray:
    """Of `_bands_of`, [coefficient], so that it is the adjoint of the inverse."""
    half = plan.length // 2
    index, windows = analysis(plan)
    mirror = np.abs(np.where(index > half, 2 * half - index, index))
    sizes = np.repeat(plan.sizes[: plan.bands], plan.sizes[: plan.bands])
    weights = windows / plan.diagonal[mirror] * sizes**2 / plan.length
    if plan.rule == "exact":
        outer = np.arange(len(index)) < plan.sizes[0]
        outer |= np.arange(len(index)) >= len(index) - plan.sizes[plan.bands - 1]
        return weights * np.where(outer, 1.0, 2.0)
    inside = (index >= 0) & (index <= half)
    return weights * inside * np.where((mirror == 0) | (mirror == half), 1.0, 2.0)


@partial(jax.jit, static_argnums=(0, 2))
def _bands_of(plan: SliCQ, wave: Array, adjoint: bool) -> Array:
    """[..., time] -> inverse FFTs of weighted bands, [..., slice, coefficient].

    With `adjoint`, it is not the transform but the adjoint of its inverse.
    """
    hop, samples = plan.hop, wave.shape[-1]
    padding = [(0, 0)] * (wave.ndim - 1) + [(hop, plan.slices(samples) * hop - samples)]
    return _bands_of_rows(plan, jnp.pad(wave, padding), adjoint)


@partial(jax.jit, static_argnums=(0, 2))
def _bands_of_rows(plan: SliCQ, rows: Array, adjoint: bool) -> Array:
    """The same of [..., (slices + 1) * hop], which begins with the first slice."""
    length, hop, half = plan.length, plan.hop, plan.length // 2
    slices = rows.shape[-1] // hop - 1
    window = None if adjoint else plan.window.astype(rows.dtype)

    def cut(start):
        piece = jax.lax.dynamic_slice_in_dim(rows, start, length, axis=-1)
        return piece if window is None else piece * window

    pieces = jax.vmap(cut, out_axes=-2)(np.arange(slices, dtype=np.int32) * hop)
    spec = jnp.fft.rfft(pieces)  # [..., slice, bin]
    index, weights = analysis(plan)
    weights = (_adjoint_weights(plan) if adjoint else weights).astype(rows.dtype)
    margin = max(-index.min(), index.max() - half, 0)
    wide = spec
    if margin:  # what lies beyond 0 and half the sample rate
        below, above = spec[..., 1 : margin + 1], spec[..., half - margin : half]
        wide = [jnp.flip(below, -1).conj(), spec, jnp.flip(above, -1).conj()]
        wide = jnp.concatenate(wide, axis=-1)
    outputs, start = [], 0
    for block in plan.blocks:
        stop = start + block.bands * block.size
        at = index[start:stop]
        source = spec
        if at.min() < 0 or at.max() > half:
            source, at = wide, at + margin
        part = source.at[..., at].get(mode="promise_in_bounds") * weights[start:stop]
        part = part.reshape(*part.shape[:-1], block.bands, block.size)
        outputs.append(jnp.fft.ifft(part).reshape(*part.shape[:-2], -1))
        start = stop
    return jnp.concatenate(outputs, axis=-1)


@partial(jax.jit, static_argnums=(0, 1, 3))
def _wave_of(plan: SliCQ, length: int, coefficients: Array, rule: str) -> Array:
    """[..., slice, coefficient] -> [..., length], by a rule of `tables.synthesis`."""
    slices = coefficients.shape[-2]
    halves = _halves_of(plan, coefficients, rule)
    behind = [(0, 0)] * (halves.ndim - 3) + [(0, 1), (0, 0)]
    rows = jnp.pad(halves[..., 1:, 0, :], behind) + halves[..., 1, :]
    wave = rows.reshape(*rows.shape[:-2], slices * plan.hop)[..., :length]
    missing = length - wave.shape[-1]
    return jnp.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, missing)]) if missing > 0 else wave


@partial(jax.jit, static_argnums=(0, 2))
def _halves_of(plan: SliCQ, coefficients: Array, rule: str) -> Array:
    """[..., slice, coefficient] -> samples of each slice, [..., slice, half, hop]."""
    bins, real = plan.length // 2 + 1, coefficients.real.dtype
    parts = []
    start = 0
    for block in plan.blocks:
        stop = start + block.bands * block.size
        part = coefficients[..., start:stop]
        part = part.reshape(*part.shape[:-1], block.bands, block.size)
        parts.append(jnp.fft.fft(part).reshape(*part.shape[:-2], -1))
        start = stop
    flat = jnp.concatenate(parts, axis=-1)
    spec = 0
    for each in synthesis(plan, rule):
        values = flat.at[..., each.index].get(mode="promise_in_bounds")
        values = (values.conj() if each.mirrored else values) * each.weights.astype(real)
        spec = spec + jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [each.padding(bins)])
    pieces = jnp.fft.irfft(spec, plan.length, axis=-1)
    if rule == "adjoint":
        pieces = pieces * plan.window.astype(real)
    return pieces.reshape(*pieces.shape[:-1], 2, plan.hop)
