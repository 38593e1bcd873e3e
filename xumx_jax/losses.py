"""Training losses: functions of estimated stems, true stems and the mixture's waveform.

`build(name, **options)` returns `loss(est, ref, mix) -> (value, parts)`, where `est` and `ref` are
`Stems` (`ref.spec` holds the model's transform of the true sources), `mix` is
[batch, channel, time] and `parts` names the terms for the log, scalars or [source]. Combination
losses look at every proper subset of the sources, which has the sources' networks share what they
know (Sawata et al. 2021).
"""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from xumx_jax.errors import UserError
from xumx_jax.stems import Stems
from xumx_jax.transforms.bands import pool

EPSILON = 1e-10


def subsets(sources: int) -> np.ndarray:
    """All proper non-empty subsets as 0/1 rows, [subset, source]: 14 rows for 4 sources."""
    codes = np.arange(1, 2**sources - 1)
    return (codes[:, None] >> np.arange(sources) & 1).astype(np.float32)


def combination_mse(est: Array, ref: Array, groups: np.ndarray) -> Array:
    """Mean squared error between summed magnitudes [batch, source, ...], mean over all groups.

    The square of a sum is a quadratic form in the sources' errors e with weights, over all groups,
    of `own` for the square of a source's and `cross` for the product of two, the same for any two:
    (own - cross) * sum e^2 + cross * (sum e)^2. No group's sum is ever held.
    """
    weights = groups.T @ groups / len(groups)
    own, cross = weights[0, 0], weights[0, 1] if len(weights) > 1 else 0.0
    error = est - ref
    squares = (own - cross) * jnp.square(error).sum(1) + cross * jnp.square(error.sum(1))
    return squares.mean()


def weighted_sdr(est: Array, ref: Array, mix: Array, groups: np.ndarray) -> Array:
    """1 + mean over groups, batch and channels of the weighted SDR loss; 0 is perfect, silence 1.

    `est`, `ref` [batch, source, channel, time] and `mix` [batch, channel, time] of one length. Per
    group, minus the cosine between estimate and truth and minus that between what they leave of the
    mixture, weighted by the truth's share of the energy (Choi et al. 2019, there for one source).

    What a group leaves of the mixture is the sum of the other sources and of what all sources
    leave: so every energy is a quadratic form in these, and one matrix of their products serves all
    groups. Small remainders are summed from small signals, not got by subtraction.
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
        length = jnp.sqrt(inner(a, a) + EPSILON) * jnp.sqrt(inner(b, b) + EPSILON)
        return inner(a, b) / (length + EPSILON)

    est_in, est_out = np.pad(inside, before), np.pad(outside, before)
    ref_in, ref_out = np.pad(inside, after), np.pad(outside, after)
    signal, noise = inner(ref_in, ref_in), inner(ref_out, ref_out)
    alpha = signal / (signal + noise + EPSILON)
    return 1 - (alpha * cosine(est_in, ref_in) + (1 - alpha) * cosine(est_out, ref_out)).mean()


def _mse(est: Stems, ref: Stems, mix: Array, *, combinations: bool, power: int):
    groups = _groups(est, combinations)
    size = est.magnitude[0] if est.magnitude else jnp.abs(est.spec[0])
    # a masked spectrum already has the model's power; the truth is taken to it here
    pair = size, jnp.abs(ref.spec[0]) ** power
    # [..., bin, frame] -> [..., frame, bin], as both were computed
    value = combination_mse(*(each.swapaxes(-1, -2) for each in pair), groups)
    return value, {"mse": value}


def _weighted_sdr(est: Stems, ref: Stems, mix: Array, *, combinations: bool, trim: int):
    # The estimate ends with its last whole hop; the originals then leave out both ends of all.
    first, last = trim, est.wave.shape[-1] - trim
    if first >= last:
        raise UserError(f"weighted_sdr: {last + trim} samples leave nothing after trimming {trim}")
    waves = [wave[..., first:last] for wave in (est.wave, ref.wave, mix)]
    value = weighted_sdr(*waves, _groups(est, combinations))
    return value, {"sdr": value}


def _multi_domain(est: Stems, ref: Stems, mix: Array, *, mcoef: float, combinations, trim, power):
    in_frequency, parts = _mse(est, ref, mix, combinations=combinations, power=power)
    in_time, more = _weighted_sdr(est, ref, mix, combinations=combinations, trim=trim)
    return in_frequency + mcoef * in_time, parts | more


def _segment_sdr(est: Stems, ref: Stems, mix: Array, *, bands, frames: int, share: float, floor):
    """Minus the SDR in dB over segments of `frames` frames, mean over segments, sources and batch.

    For masks, on energies pooled into the mask's own bands: with s, x the energies of source and
    mixture and c their correlation in a band, the mask m leaves the error s - 2 m c + m^2 x. Source
    and error both get `share` of the segment's mixture energy, so that quiet sources are not worth
    any effort, and `floor`, so that silence is. The mixture is taken to be the sum of the sources.
    """
    mask, truth = est.mask[0], ref.spec[0]
    total = truth.sum(1, keepdims=True)
    product = (truth * total.conj()).real
    source = jnp.square(truth.real) + jnp.square(truth.imag)
    energy = jnp.square(total.real) + jnp.square(total.imag)
    widths = np.diff(bands)[:, None].astype(np.float32)
    s, c, x = (
        pool(e.swapaxes(-1, -2), bands).swapaxes(-1, -2) * widths for e in (source, product, energy)
    )
    error = s - 2 * mask * c + jnp.square(mask) * x

    def per_segment(e):  # [batch, source, channel, band, frame] -> [batch, source, segment]
        count = max(e.shape[-1] // frames, 1)
        e = e.sum((2, 3))[..., : count * frames]
        return e.reshape(*e.shape[:-1], count, -1).sum(-1)

    s, e, x = per_segment(s), per_segment(error), per_segment(x)
    even = share * x + floor
    sdr = 10 * jnp.log10((s + even) / (jnp.maximum(e, 0) + even))
    return -sdr.mean(), {"sdr": sdr.mean((0, 2))}


def _groups(est: Stems, combinations: bool) -> np.ndarray:
    sources = est.wave.shape[1]
    return subsets(sources) if combinations and sources > 1 else np.eye(sources, dtype=np.float32)


LOSSES = {
    "mse": (_mse, {"combinations": True, "power": 1}),
    "weighted_sdr": (_weighted_sdr, {"combinations": True, "trim": 200}),
    "multi_domain": (
        _multi_domain,
        {"mcoef": 10.0, "combinations": True, "trim": 200, "power": 1},
    ),
    "segment_sdr": (_segment_sdr, {"bands": None, "frames": 43, "share": 0.05, "floor": 1e-3}),
}


def build(name: str, **options):
    """Make the loss called `name`, a key of LOSSES, with its defaults replaced by `options`.

    mcoef         weight of the time-domain term
    combinations  over all proper subsets of the sources, else over each source alone
    trim          samples left out at both ends of waveforms, as NNabla's X-UMX does
    power         of the true magnitudes, equal to the model's
    bands         the model's band edges
    frames        per segment; share, floor: see `_segment_sdr`

    Raises UserError on an unknown name or option.
    """
    if name not in LOSSES:
        raise UserError(f"unknown loss {name!r}; known: {', '.join(LOSSES)}")
    function, defaults = LOSSES[name]
    if unknown := set(options) - set(defaults):
        raise UserError(f"loss {name!r} has no option {', '.join(sorted(unknown))}")
    if "bands" in defaults and options.get("bands") is None:
        raise UserError(f"loss {name!r} wants the band edges of the model as option bands")
    return partial(function, **(defaults | options))
