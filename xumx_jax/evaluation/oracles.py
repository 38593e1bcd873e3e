"""Reference rows for reports: oracles, which use the true sources, and baselines, which do not.

The oracles are the ideal masks and the ideal multichannel Wiener filter of the SiSEC 2018 campaign
(F.-R. Stoeter et al., LVA/ICA 2018), with its parameters at every rate: Hann windows of 2048
samples every 1024, zeros around the track. They bound what masks of their kind can achieve on these
windows; they are not separators, since they need the sources. Baselines use only the mixture.

    function(mix [channel, time], references [source, channel, time], rate, names)
        -> estimates [source, channel, time], float32

The references are all sources of the mixture, `names` are their names. Both may be anything with a
`shape` that can be sliced along its last axis (arrays, memory maps, readers of files): they are
read in blocks, which overlap so that the result is that of the whole track. Besides the estimates
that takes about 0.5 GB, whatever the track's length.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.ndimage import median_filter

from xumx_jax.audio.resample import whole_rate
from xumx_jax.errors import UserError
from xumx_jax.postfilters.stereo import TINY, filter_stereo
from xumx_jax.postfilters.wiener import REGULARISER
from xumx_jax.transforms.stft import Stft

STFT = Stft(2048, 1024)
BLOCK = 1 << 18  # samples; 6 s, some 100 MB of spectra for four stereo sources
QUIET = 1e-12 * STFT.hop**2  # power of a bin 120 dB under full scale: rounding, not sound

# The sources that the hand-set separation has rules for.
HAND_SET = ("vocals", "drums", "bass", "other")
BASS_HZ, VOCALS_HZ = 200, 4000
WINDOW_SECONDS = 0.093
MEDIAN = 31  # frames or bins, at hops of a quarter window


def mixture(mix, references, rate: int, names: Sequence[str]) -> np.ndarray:
    """Give the mixture [channel, time] as every source (SiSEC's MIX): no separation at all."""
    return np.broadcast_to(_cut(mix, 0, mix.shape[-1]), references.shape)


def mixture_share(mix, references, rate: int, names: Sequence[str]) -> np.ndarray:
    """Give every source the mixture [channel, time] divided by their number."""
    sources = references.shape[0]
    return np.broadcast_to(_cut(mix, 0, mix.shape[-1]) / np.float32(sources), references.shape)


def ratio_mask(mix, references, rate: int, names: Sequence[str], *, alpha: float) -> np.ndarray:
    """Divide each bin of [channel, time] in proportion to |source| ** alpha, channel by channel.

    SiSEC's IRM1 (`alpha` 1, magnitudes) and IRM2 (2, powers).
    """
    return _walk(partial(_masked, _ratios, alpha), mix, references)


def binary_mask(mix, references, rate: int, names: Sequence[str], *, alpha: float) -> np.ndarray:
    """Give each bin of [channel, time] entirely to the sources that dominate it.

    These are sources with |source| ** alpha at least half of |mixture| ** alpha: SiSEC's IBM1
    (`alpha` 1) and IBM2 (2), threshold 0.5. So a bin may go to several sources, or to none.
    """
    return _walk(partial(_masked, _majorities, alpha), mix, references)


def wiener_filter(mix, references, rate: int, names: Sequence[str]) -> np.ndarray:
    """Filter [channel, time] by the true variances and spatial covariances (SiSEC's MWF).

    A source is a variance v for each bin and frame times a covariance R of the channels for each
    bin, the mean of y y^H / v over the track; v is then refined to tr(R^-1 y y^H) / channels. Two
    things differ from SiSEC's program: R has trace 2 in every bin (there the traces of the two
    lowest bins scale all), and where the second eigenvalue of R is nothing, as in a mono or panned
    source, v is divided by 1, not by 2. Mean SDR beside theirs: 0.03 dB less on a real clip, 0.4
    and 0.5 dB more on two generated songs with a mono bass. One channel: the ratio mask of powers.
    Raises ValueError on more than two.

    N. Duong, E. Vincent, R. Gribonval, "Under-determined reverberant audio source separation using
    a full-rank spatial covariance model", IEEE TASLP 2010.
    """
    if mix.shape[0] > 2:
        raise ValueError(f"MWF: the mixture has {mix.shape[0]} channels; it takes one or two")
    if mix.shape[0] == 1:
        return ratio_mask(mix, references, rate, names, alpha=2)
    # one frame lies beyond the last sample
    starts = range(0, mix.shape[-1] + STFT.hop, BLOCK)
    parts = [_covariances(_around(references, start, STFT.hop)) for start in starts]
    factors = _merge(*(np.stack(values) for values in zip(*parts, strict=True)))
    return _walk(partial(_wiener, factors), mix, references)


def hand_set(mix, references, rate: int, names: Sequence[str]) -> np.ndarray:
    """Separate [channel, time] by fixed rules, without learning and without the true sources.

    Transients are drums, the rest is divided by frequency; between bass and treble, what both
    channels share is vocals. Raises UserError on other sources. D. FitzGerald, "Harmonic/percussive
    separation using median filtering", DAFx 2010.
    """
    if unknown := [name for name in names if name not in HAND_SET]:
        raise UserError(f"hand-set: no rule for {', '.join(unknown)}; wanted {', '.join(HAND_SET)}")
    n_fft = 2 ** round(np.log2(WINDOW_SECONDS * whole_rate(rate)))
    stft = Stft(n_fft, n_fft // 4)
    margin = stft.hop * (MEDIAN // 2 + 4)
    hz = np.fft.rfftfreq(n_fft, 1 / rate)[:, None]

    def separate(mix: np.ndarray, references: np.ndarray) -> np.ndarray:
        spec = np.asarray(_forward(stft, mix))
        masks = _rules(spec, hz)
        masks = np.stack([masks[name] for name in names])
        return np.stack([_inverse(stft, margin, mask * spec) for mask in masks])

    return _walk(separate, mix, references, margin)


def _rules(spec: np.ndarray, hz: np.ndarray) -> dict[str, np.ndarray]:
    """Masks [bin, frame] of all sources for a spectrum [channel, bin, frame]."""
    magnitude = np.abs(spec)
    level = magnitude.mean(0)
    steady = median_filter(level, (1, MEDIAN)) ** 2
    sudden = median_filter(level, (MEDIAN, 1)) ** 2
    drums = sudden / (steady + sudden + TINY)
    difference = np.abs(spec[0] - spec[-1]) ** 2
    centre = np.clip(1 - difference / ((magnitude**2).sum(0) + TINY), 0, 1)
    low = hz < BASS_HZ
    middle = (hz < VOCALS_HZ) & ~low
    bass, vocals = (1 - drums) * low, (1 - drums) * middle * centre
    return {"vocals": vocals, "drums": drums, "bass": bass, "other": 1 - vocals - drums - bass}


# Blocks: the computation for [start, start + BLOCK) uses `margin` more samples on either side.


def _walk(function: Callable, mix, references, margin: int = STFT.hop) -> np.ndarray:
    """Apply a function to blocks of mixture and references, and join its results, less margins."""
    estimates = np.empty(references.shape, np.float32)
    for start in range(0, mix.shape[-1], BLOCK):
        into = estimates[..., start : start + BLOCK]
        block = function(_around(mix, start, margin), _around(references, start, margin))
        into[:] = block[..., : into.shape[-1]]
    return estimates


def _around(waves, start: int, margin: int) -> np.ndarray:
    return _cut(waves, start - margin, start + BLOCK + margin)


def _cut(waves, start: int, stop: int) -> np.ndarray:
    """Read samples `start` to `stop` of [..., time] as float32; zeros beyond its ends."""
    length = waves.shape[-1]
    first, last = min(max(start, 0), length), min(max(stop, 0), length)
    inside = np.asarray(waves[(*(slice(None),) * (len(waves.shape) - 1), slice(first, last))])
    if inside.dtype.kind not in "fiu":
        raise UserError(f"the waves are of type {inside.dtype}; wanted real numbers")
    edges = [(0, 0)] * (len(waves.shape) - 1) + [(first - start, stop - last)]
    return np.pad(inside.astype(np.float32, copy=False), edges)


@partial(jax.jit, static_argnums=0)
def _forward(stft: Stft, wave: Array) -> Array:
    return stft.stft(wave)


@partial(jax.jit, static_argnums=(0, 1))
def _inverse(stft: Stft, margin: int, spec: Array) -> Array:
    """Turn spectra [..., bin, frame] of a block and its margins into the block, [..., time]."""
    return stft.istft(spec)[..., margin : margin + BLOCK]


@partial(jax.jit, static_argnums=(0, 1))
def _masked(rule: Callable, alpha: float, mix: Array, references: Array) -> Array:
    masked = tuple(
        rule(jnp.abs(x) ** alpha, jnp.abs(y) ** alpha) * x
        for x, y in zip(STFT.forward(mix), STFT.forward(references), strict=True)
    )
    return STFT.inverse(masked)[..., STFT.hop : STFT.hop + BLOCK]


def _ratios(x: Array, y: Array) -> Array:
    return y / (y.sum(0) + TINY)


def _majorities(x: Array, y: Array) -> Array:
    return y >= 0.5 * (x + TINY)


@jax.jit
def _covariances(references: Array) -> tuple[Array, Array, Array]:
    """Sum a block's y y^H / v over its frames, in parts that float32 can tell apart, [source, bin].

    The left channel's power, the right channel's part that follows it (a complex factor), and the
    power of what does not.
    """
    # The frames at both margins, and the one at the block's end, are the neighbours' or incomplete.
    y = STFT.stft(references)[..., 1 : 1 + BLOCK // STFT.hop]
    y = y / jnp.sqrt(_power(y).mean(1, keepdims=True) + QUIET)
    y0, y1 = y[:, 0], y[:, 1]
    left = _power(y0).sum(-1)
    tilt = (y1 * y0.conj()).sum(-1) / jnp.maximum(left, TINY)
    return left, tilt, _power(y1 - tilt[..., None] * y0).sum(-1)


def _merge(left: np.ndarray, tilt: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, ...]:
    """Add up the blocks' [block, source, bin]: factors u0, u1, w1 [source, bin, 1] of trace 2."""
    left, rest, tilt = left.astype(float), rest.astype(float), tilt.astype(complex)
    total = left.sum(0)
    common = (left * tilt).sum(0) / np.maximum(total, TINY)
    # Merged like variances: within the blocks, and between them.
    rest = rest.sum(0) + (left * _power(tilt - common)).sum(0)
    trace = total * (1 + _power(common)) + rest
    scale = np.where(trace > 0, 2 / np.maximum(trace, TINY), 0)
    u0 = np.sqrt(total * scale)
    factors = (u0, (common * u0).astype(np.complex64), np.sqrt(rest * scale))
    return tuple(np.asarray(f, np.result_type(f, np.float32))[..., None] for f in factors)


@jax.jit
def _wiener(factors: tuple[Array, Array, Array], mix: Array, references: Array) -> Array:
    x, y = STFT.stft(mix), STFT.stft(references)
    u0, u1, w1 = factors
    y0, y1 = y[:, 0], y[:, 1]
    # tr((R + l I)^-1 y y^H) / tr((R + l I)^-1 R), from determinants as in `postfilters.wiener`
    v = jnp.square(w1) * _power(y0) + _power(y0 * u1 - y1 * u0)
    v = v + REGULARISER * (_power(y0) + _power(y1))
    v = v / (2 * (jnp.square(u0 * w1) + REGULARISER))
    # Only the shares matter; with this scale, the regularisation is equally small for every bin.
    v = v / (v.sum(0) + TINY)
    pairs = tuple((channel.real, channel.imag) for channel in x)
    spec = filter_stereo(v, (u0, (u1.real, u1.imag), w1), pairs, REGULARISER)
    spec = jnp.stack([jax.lax.complex(*channel) for channel in spec], axis=1)
    return _inverse(STFT, STFT.hop, spec)


def _power(spec):
    return spec.real**2 + spec.imag**2


ORACLES = {
    "IRM1": partial(ratio_mask, alpha=1),
    "IRM2": partial(ratio_mask, alpha=2),
    "IBM1": partial(binary_mask, alpha=1),
    "IBM2": partial(binary_mask, alpha=2),
    "MWF": wiener_filter,
    "mixture": mixture,
    "mixture-share": mixture_share,
    "hand-set": hand_set,
}

# Of those that have a rule for each source, and none for others.
RULES = {"hand-set": HAND_SET}
