"""BSSEval version 4: how much of an estimate's error is distortion, interference, artefact.

Every source's estimate is split by two projections, onto its own reference through 512-tap filters
between the channels (`own`), and onto all references through such filters (`all`). The filters are
those of the whole track; energies are taken in frames, each filtered as if it stood alone, and
compared in dB:

    SDR  reference : estimate - reference        ISR  reference : own - reference
    SIR  own : all - own                         SAR  all : estimate - all

E. Vincent, H. Sawada, P. Bofill, S. Makino and J. Rosca, "First stereo audio source separation
evaluation campaign", ICA 2007; F.-R. Stoeter, A. Liutkus and N. Ito, "The 2018 signal separation
evaluation campaign", LVA/ICA 2018. Numbers, frames and their exceptions are museval's.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from xumx_jax.metrics.framing import (
    Frames,
    Framing,
    add_channels,
    any_silent,
    check_waves,
    in_threads,
    pad,
    read,
)
from xumx_jax.metrics.toeplitz import Solution, solve

BLOCK = 8192  # samples of an FFT in correlations
BLOCKS = 8  # of these at a time
FRAME_SAMPLES = 2 * 44_100  # so many at a time in frames
RIDGE = 1e-10  # of a channel's energy
# Below this the filters hang on rounding. References in 16 bits have 1e-8, decoded AAC has none.
SINGULAR = 1e-9
# Energy per sample of the dither of 16-bit audio: (2^-15)^2 / 4.
DITHER = 2.0**-32
DEPENDENT = 1e-12  # of a channel's energy left by the other channel: it is the same, at some gain
ROUNDING = 1e-13  # of correlations in double precision


@dataclass(frozen=True)
class BssEval:
    """Ratios in dB, float64 [source, frame]: NaN if a source is silent, infinity if perfect.

    singular      the references do not determine the filters: ISR, SIR and SAR depend on rounding
    regularised   then {"ISR", "SIR", "SAR"} with the energy of 16-bit dither added to each channel
                  of the references: stable, and near what dithered references give. Else None.
    """

    sdr: np.ndarray
    isr: np.ndarray
    sir: np.ndarray
    sar: np.ndarray
    singular: bool
    regularised: dict[str, np.ndarray] | None


def bss_eval(
    references,
    estimates,
    rate: int,
    *,
    window_seconds: float = 1.0,
    hop_seconds: float = 1.0,
    filter_length: int = 512,
    precision: str | None = None,
) -> BssEval:
    """Score estimates against references, both [source, channel, time], full scale is 1.

    Both are read as `waves[:, :, start:stop]`, a few seconds at a time, twice: they may be memory
    maps or readers of files. `precision` "float64" takes all of it in double precision, on the
    default device. "float32" takes the filters from double precision on the host, and projects in
    single on the device: measured on a CPU this moves SDR by up to 1e-5 dB and the others by 1e-3.
    None takes `usual_precision()`. Memory grows with the window (20 s, two stereo sources: 1.3 GB),
    not with the track.

    As museval: frames whose window passes the end do not count, a signal shorter than the window
    is one frame, and a frame in which any reference or estimate is silent (its channels cancel
    counts as silent) is NaN for all sources. Raises ValueError on shapes that differ, on a source
    that is silent throughout, and on samples that are not finite.
    """
    sources, channels, length = check_waves(references, estimates)
    precision = usual_precision() if precision is None else precision
    if precision not in ("float64", "float32"):
        raise ValueError(f"precision is {precision!r}; wanted float64 or float32")
    double = precision == "float64"
    if filter_length < 1:
        raise ValueError(f"the filters have {filter_length} taps; wanted at least 1")
    frames = Frames(references, estimates, rate, window_seconds, hop_seconds, FRAME_SAMPLES)
    cross = _correlations(references, estimates, filter_length, None if double else _host())

    def ratios(noise):
        every, own = _filters(cross, sources, channels, noise)
        smallest = min(float(every.smallest), float(own.smallest.min()))
        return _ratios(frames, every.taps, own.taps, double), smallest < SINGULAR

    (sdr, isr, sir, sar), singular = ratios(0.0)
    if not singular:
        return BssEval(sdr, isr, sir, sar, False, None)
    steady, _ = ratios(DITHER * length)
    regularised: dict[str, np.ndarray] = dict(zip(("ISR", "SIR", "SAR"), steady[1:], strict=True))
    return BssEval(sdr, isr, sir, sar, True, regularised)


def usual_precision() -> str:
    """The default precision of scores: float32 on a TPU, which has no usable double precision."""
    return "float32" if jax.default_backend() == "tpu" else "float64"


def _correlations(references, estimates, lag: int, device) -> np.ndarray:
    """Correlate each reference's channel with all that follows it -> [lag, p, p + q].

    [k, a, b] is sum_t x_a[t] z_b[t + k]; b counts the references' p channels, then the estimates'.
    """
    length = references.shape[2]
    size = max(BLOCK, 2 ** (2 * lag - 1).bit_length())  # an FFT; lag - 1 of it laps over
    step = BLOCKS * (size - lag + 1)

    def parts():
        for start in range(0, length, step):
            stop = min(start + step + lag - 1, length)
            yield tuple(pad(read(w, start, stop), step + lag - 1) for w in (references, estimates))

    total, loud = 0, False
    correlate = partial(_correlate_blocks, size=size, lag=lag)
    for cross, audible in in_threads(correlate, parts(), True, device):
        total, loud = total + cross, loud | audible
    if not np.isfinite(total).all():
        raise ValueError("not all samples are finite numbers")
    for name, silent in zip(("reference", "estimate"), np.split(~loud, 2), strict=True):
        if silent.any():
            raise ValueError(f"{name} {int(np.argmax(silent))} is silent throughout")
    return np.fft.irfft(total, size, axis=0)[:lag]


@partial(jax.jit, static_argnames=("size", "lag"))
def _correlate_blocks(references, estimates, size: int, lag: int) -> tuple[Array, Array]:
    """Two [source, channel, time] -> summed cross spectra [frequency, p, p + q], who is audible."""
    waves = jnp.concatenate([references, estimates]).astype(jnp.float64)
    audible = (add_channels(waves)[:, : 1 - lag or None] != 0).any(-1)
    p, step = references.shape[0] * references.shape[1], size - lag + 1
    waves = waves.reshape(-1, waves.shape[-1])
    # [channel, time] -> [channel, block, time]; once alone, once with the next one's beginning
    starts = range(0, waves.shape[1] - lag + 1, step)
    longer = jnp.stack([waves[:, start : start + size] for start in starts], 1)
    alone = jnp.fft.rfft(longer[:p, :, :step], size)
    return jnp.einsum("abf,cbf->fac", alone.conj(), jnp.fft.rfft(longer)), audible


def _filters(cross, sources, channels, noise) -> tuple[Solution, Solution]:
    """The filters onto all references [lag, p, q] and each source's own [source, lag, c, c].

    `noise` is an energy that is added to each channel. A channel that equals others of its source
    up to a gain is left out, since their filters do its work. If it does so except for rounding,
    filters that amplify the rounding would fit better: then the smallest eigenvalue is reported as
    0.
    """
    p = sources * channels
    auto, cross = cross[:, :, :p].copy(), cross[:, :, p:].copy()
    auto[0] += noise * np.eye(p)
    energy = np.diagonal(auto[0])
    scale = 1 / np.sqrt(np.where(energy > 0, energy, 1))
    auto *= scale[:, None] * scale
    cross *= scale[:, None]
    dependent, exact = _dependent(np.concatenate([auto, cross], axis=2), channels)
    for channel in dependent:
        auto[:, channel], auto[:, :, channel], cross[:, channel] = 0, 0, 0
        auto[0, channel, channel] = 1

    own = [slice(first, first + channels) for first in range(0, p, channels)]
    with jax.enable_x64(True), jax.default_device(_host()):
        every = solve(auto, cross, RIDGE)
        alone = jax.vmap(solve, (0, 0, None))(
            np.stack([auto[:, s, s] for s in own]), np.stack([cross[:, s, s] for s in own]), RIDGE
        )
        every, alone = jax.tree.map(np.asarray, (every, alone))
    scales = scale.reshape(sources, 1, channels, 1)
    smallest = every.smallest if exact else 0.0
    return (
        every._replace(taps=every.taps * scale[:, None], smallest=smallest),
        alone._replace(taps=alone.taps * scales),
    )


def _dependent(rows: np.ndarray, channels: int) -> tuple[list[int], bool]:
    """The channels that others of their source, or silence, explain, and whether exactly.

    Rows [lag, p, p + q] are correlations with everything; the references' energies are 1.
    """
    energies, found, exact = rows[0, :, : rows.shape[1]], [], True
    for first in range(0, len(energies), channels):
        kept: list[int] = []
        for channel in range(first, first + channels):
            gains = np.linalg.solve(energies[np.ix_(kept, kept)], energies[channel, kept])
            if energies[channel, channel] - gains @ energies[channel, kept] >= DEPENDENT:
                kept.append(channel)
                continue
            found.append(channel)
            rest = rows[:, channel] - np.einsum("k,lkr->lr", gains, rows[:, kept])
            exact &= bool((np.abs(rest) <= ROUNDING * np.abs(rows).max((0, 1))).all())
    return found, exact


def _host():
    """The CPU, which has double precision; if it is hidden from JAX, the default device."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return jax.local_devices()[0]


def _ratios(frames: Frames, every, own, double: bool) -> np.ndarray:
    """SDR, ISR, SIR, SAR of all frames, [ratio, source, frame]."""
    sources, channels = own.shape[0], own.shape[2]
    lag = every.shape[0]
    size = fft_size(frames.framing.window + lag - 1)
    kind = np.complex128 if double else np.complex64
    # [lag, in, out] -> [out, in, frequency]
    every = np.fft.rfft(every.transpose(2, 1, 0), size).astype(kind)
    own = np.fft.rfft(own.transpose(0, 3, 2, 1), size).astype(kind)
    every = every.reshape(sources, channels, sources, channels, -1)
    with jax.enable_x64(double):
        every, own = jax.device_put((every, own))
    function = partial(_frame_ratios, every, own, size=size)
    return frames.map(function, double).astype(np.float64).transpose(1, 2, 0)


@partial(jax.jit, static_argnames=("size", "framing"))
def _frame_ratios(every, own, references, estimates, size: int, framing: Framing) -> Array:
    """Ratios of waves [source, channel, time] in dB, [frame, ratio, source].

    Filtered frames are never transformed back: their energies are those of their spectra, since
    `size` is large enough that nothing wraps.
    """
    kind = own.real.dtype
    references, estimates = (
        jnp.stack(framing.cut(waves)).astype(kind) for waves in (references, estimates)
    )
    spectra, estimated = jnp.fft.rfft(references, size), jnp.fft.rfft(estimates, size)
    projected = (every * spectra[:, None, None]).sum((3, 4))
    alone = (own * spectra[:, :, None]).sum(3)
    # else each energy would project anew
    projected, alone = lax.optimization_barrier((projected, alone))

    # all frequencies but the first and the last stand for two
    weights = jnp.full(spectra.shape[-1], 2.0, kind).at[0].set(1)
    weights = weights.at[-1].set(1 if size % 2 == 0 else 2) / size

    def energy(spectrum):
        # a CPU takes ten times as long for a sum over both
        return add_channels(jnp.square(spectrum.real) + jnp.square(spectrum.imag)) @ weights

    signal = jnp.square(references).sum((2, 3))
    pairs = (
        (signal, jnp.square(references - estimates).sum((2, 3))),
        (signal, energy(alone - spectra)),
        (energy(alone), energy(projected - alone)),
        (energy(projected), energy(estimated - projected)),
    )
    ratios = jnp.stack([10 * jnp.log10(a / b) for a, b in pairs], 1)
    return jnp.where(any_silent(references, estimates)[:, None, None], jnp.nan, ratios)


def fft_size(least: int) -> int:
    """The next even number with no prime factor above 7."""
    size = least + least % 2
    while True:
        rest = size
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 2
