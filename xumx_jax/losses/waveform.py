"""Losses that compare waveforms."""

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from xumx_jax.errors import UserError
from xumx_jax.losses.combination import groups_of, over_groups, total
from xumx_jax.metrics.ratios import energy_ratio
from xumx_jax.postfilters.stereo import root
from xumx_jax.stems import Stems

EPSILON = 1e-10


def weighted_sdr(
    est: Array, ref: Array, mix: Array, groups: np.ndarray, floor: float = EPSILON
) -> Array:
    """1 + mean over groups, batch and channels of the weighted SDR loss; 0 is perfect, silence 1.

    `est`, `ref` [batch, source, channel, time] and `mix` [batch, channel, time] of equal length.
    For each group: minus the cosine between estimate and truth, and minus that between their
    remainders of the mixture, weighted by the truth's share of the energy (Choi et al. 2019, there
    for one source). `floor` is added to the energies under the roots: asteroid's X-UMX does so.
    With 0, as AIMLESS has it, the gradient of a silent estimate is 1e5 times as large.

    The remainder of a group is the sum of the other sources and the remainder of all sources: so
    every energy is a quadratic form in these, and one matrix of their products serves all groups.
    Small remainders are sums of small signals, not differences of large ones.
    """
    rest_est = mix - est.sum(1)
    rest_ref = mix - ref.sum(1)
    signals = jnp.concatenate([est, rest_est[:, None], ref, rest_ref[:, None]], axis=1)
    products = jnp.einsum("bict,bjct->bcij", signals, signals, precision=lax.Precision.HIGHEST)

    # [group, 2 * (source + 1)]: which signals sum to the estimate, the truth, and their remainders
    count = groups.shape[1]
    inside = np.pad(groups, [(0, 0), (0, 1)])
    outside = np.pad(1 - groups, [(0, 0), (0, 1)], constant_values=1)
    before, after = [(0, 0), (0, count + 1)], [(0, 0), (count + 1, 0)]

    def inner(a, b):
        return jnp.einsum("gi,bcij,gj->gbc", a, products, b, precision=lax.Precision.HIGHEST)

    def cosine(a, b):
        length = root(inner(a, a) + floor) * root(inner(b, b) + floor)
        return inner(a, b) / (length + EPSILON)

    est_in, est_out = np.pad(inside, before), np.pad(outside, before)
    ref_in, ref_out = np.pad(inside, after), np.pad(outside, after)
    signal, noise = inner(ref_in, ref_in), inner(ref_out, ref_out)
    alpha = signal / (signal + noise + EPSILON)
    return 1 - (alpha * cosine(est_in, ref_in) + (1 - alpha) * cosine(est_out, ref_out)).mean()


def sdr(
    est: Stems,
    ref: Stems,
    mix: Array,
    *,
    combinations: bool,
    trim: int,
    floor: float = EPSILON,
):
    """`weighted_sdr` of waveforms, without `trim` samples at both ends.

    The estimate may be shorter than the truth, which is then cut. Raises UserError if nothing is
    left.
    """
    # The estimate ends with its last whole hop; the originals then leave out both ends of all.
    first, last = trim, est.wave.shape[-1] - trim
    if first >= last:
        raise UserError(f"weighted_sdr: {last + trim} samples leave nothing after trimming {trim}")
    inside = slice(first, last)
    value = weighted_sdr(
        est.wave[..., inside],
        ref.wave[..., inside],
        mix[..., inside],
        groups_of(est, combinations),
        floor,
    )
    return value, {"sdr": value}


def scale_invariant_sdr(est: Array, ref: Array, groups: np.ndarray, floor: float = 1e-8) -> Array:
    """SI-SDR in dB of sums of waveforms [batch, source, channel, time], [group, batch, channel].

    With the means removed, 10 log10(|a t|^2 / |p - a t|^2) of the sums p and t of a group, where
    a = <p, t> / <t, t> (Le Roux et al. 2019); `floor` is added to both denominators and to the
    quotient. All energies are quadratic forms in the truth and the error, whose products serve all
    groups: p = t + e leaves e - (<e, t> / <t, t>) t, small where e is.
    """
    count = groups.shape[1]
    signals = jnp.concatenate([est - ref, ref], axis=1)
    signals = signals - signals.mean(-1, keepdims=True)
    products = jnp.einsum("bict,bjct->bcij", signals, signals, precision=lax.Precision.HIGHEST)

    def of_groups(part):
        return jnp.einsum("gi,bcij,gj->gbc", groups, part, groups, precision=lax.Precision.HIGHEST)

    error = of_groups(products[..., :count, :count])
    shared = of_groups(products[..., :count, count:])
    truth = of_groups(products[..., count:, count:])
    gain = (truth + shared) / (truth + floor)
    # 1 - gain, but for rounding
    rest = (floor - shared) / (truth + floor)
    left = jnp.maximum(error + 2 * rest * shared + jnp.square(rest) * truth, 0)
    return 10 * jnp.log10(jnp.square(gain) * truth / (left + floor) + floor)


def negative_si_sdr(est: Stems, ref: Stems, mix: Array, *, combinations: bool, floor: float):
    """Minus `scale_invariant_sdr`, mean over groups, batch and channels; a longer truth is cut."""
    truth = ref.wave[..., : est.wave.shape[-1]]
    ratio = scale_invariant_sdr(est.wave, truth, groups_of(est, combinations), floor).mean()
    return -ratio, {"si_sdr": ratio}


def l1(est: Stems, ref: Stems, mix: Array, *, combinations: bool):
    """Mean absolute difference of waveforms, mean over groups; a longer truth is cut."""
    error = est.wave - ref.wave[..., : est.wave.shape[-1]]
    if combinations:
        groups = groups_of(est, combinations)
        value = over_groups(lambda row: absolute(total(error, row)).mean(), groups)
    else:
        value = absolute(error).mean()
    return value, {"l1": value}


def absolute(values: Array) -> Array:
    """|values| with gradient 0 at 0, where that of `jnp.abs` is 1: silence has to stay silent."""
    return values * lax.stop_gradient(jnp.sign(values))


def negative_sdr(est: Stems, ref: Stems, mix: Array):
    """Minus the SDR in dB of all sources and channels together, mean over the batch.

    `metrics.energy_ratio` of [batch, source * channel, time]; a longer truth is cut.
    """
    batch, *_, length = est.wave.shape
    truth = ref.wave[..., :length].reshape(batch, -1, length)
    ratio = energy_ratio(est.wave.reshape(batch, -1, length), truth).mean()
    return -ratio, {"sdr": ratio}
