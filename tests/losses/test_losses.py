from itertools import combinations

import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax import losses
from xumx_jax.errors import UserError
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft

RNG = np.random.default_rng(0)
TRANSFORM = Stft(64, 16)


def waves(scale: float = 1.0, sources: int = 3) -> np.ndarray:
    return (scale * RNG.normal(size=(2, sources, 2, 640))).astype(np.float32)


def stems(wave) -> Stems:
    return Stems(jnp.asarray(wave), TRANSFORM.forward(wave))


def test_subsets_are_all_proper_ones():
    rows = losses.subsets(4)
    assert rows.shape == (14, 4)
    wanted = {c for size in (1, 2, 3) for c in combinations(range(4), size)}
    assert {tuple(np.flatnonzero(row)) for row in rows} == wanted


def test_combination_mse_is_the_mean_over_groups():
    est, ref = waves(), waves()
    wanted = np.mean(
        [np.square((est - ref)[:, row > 0].sum(1)).mean() for row in losses.subsets(3)]
    )
    found = losses.combination_mse(est, ref, losses.subsets(3))
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_weighted_sdr_is_the_mean_over_groups():
    """The definition, group by group in float64, where the estimates do not add up to the mix."""
    est, ref = waves(), waves()
    mix = ref.sum(1) + 0.1 * waves()[:, 0]

    def cosine(a, b):
        return (a * b).sum(-1) / np.sqrt(np.square(a).sum(-1) * np.square(b).sum(-1))

    rows = []
    for row in losses.subsets(3):
        e, r = (x.astype(np.float64)[:, row > 0].sum(1) for x in (est, ref))
        s, n = np.square(r).sum(-1), np.square(mix - r).sum(-1)
        alpha = s / (s + n)
        rows.append(-alpha * cosine(e, r) - (1 - alpha) * cosine(mix - e, mix - r))
    found = losses.weighted_sdr(est, ref, mix, losses.subsets(3))
    assert float(found) == pytest.approx(1 + np.mean(rows), abs=1e-6)


@pytest.mark.parametrize(("factor", "value"), [(1.0, 0.0), (0.0, 1.0)])
def test_weighted_sdr_of_truth_and_of_silence(factor, value):
    """Silence scores 1 less the part that what is left of the mixture agrees: here a half."""
    ref = waves()
    found = float(losses.build("weighted_sdr")(stems(factor * ref), stems(ref), ref.sum(1))[0])
    if factor:
        assert found == pytest.approx(value, abs=1e-6)
    else:
        assert 0 < found < value


def test_multi_domain_is_ten_times_time_plus_frequency():
    est, ref = stems(waves()), stems(waves())
    value, parts = losses.build("multi_domain")(est, ref, ref.wave.sum(1))
    assert float(value) == pytest.approx(float(parts["mse"] + 10 * parts["sdr"]), rel=1e-6)
    alone, _ = losses.build("mse")(est, ref, ref.wave.sum(1))
    assert float(alone) == pytest.approx(float(parts["mse"]))


def test_mse_without_combinations_is_the_plain_one():
    est, ref = stems(waves()), stems(waves())
    value, _ = losses.build("mse", combinations=False)(est, ref, None)
    wanted = jnp.square(jnp.abs(est.spec[0]) - jnp.abs(ref.spec[0])).mean()
    assert float(value) == pytest.approx(float(wanted), rel=1e-5)


def test_one_source_needs_no_combinations():
    est, ref = stems(waves(sources=1)), stems(waves(sources=1))
    value, _ = losses.build("mse")(est, ref, None)
    assert np.isfinite(float(value)) and float(value) > 0


BANDS = (0, 1, 2, 4, 8, 16, 33)


def banded(ref: Stems, mask) -> Stems:
    """Stems as a model with bands gives them; the loss looks at the mask alone."""
    shape = (*ref.spec[0].shape[:3], len(BANDS) - 1, ref.spec[0].shape[-1])
    return Stems(ref.wave, (), (jnp.broadcast_to(jnp.asarray(mask, jnp.float32), shape),))


@pytest.mark.slow
@pytest.mark.parametrize("silent", [1.0, 0.25])
def test_segment_sdr_equals_the_energies_of_the_masked_spectrum(silent):
    ref = stems(waves() * np.array([1.0, 0.1, 0.0], np.float32)[:, None, None])
    mask = RNG.uniform(size=(2, 3, 2, len(BANDS) - 1, 41)).astype(np.float32)
    loss = losses.build("segment_sdr", bands=BANDS, frames=10, silent=silent)
    value, parts = loss(banded(ref, mask), ref, None)

    truth = np.asarray(ref.spec[0], np.complex128)
    mix = truth.sum(1, keepdims=True)
    wide = np.repeat(mask, np.diff(BANDS), axis=3)
    sdr, weight = [], []
    for start in range(0, 40, 10):
        part = slice(start, start + 10)
        s, e, x = (
            np.square(np.abs(y[..., part])).sum((2, 3, 4)) for y in (truth, truth - wide * mix, mix)
        )
        sdr.append(10 * np.log10((s + 0.05 * x + 1e-3) / (e + 0.05 * x + 1e-3)))
        weight.append(silent + (1 - silent) * s / (s + 0.05 * x + 1e-3))
    assert float(value) == pytest.approx(-np.mean(np.multiply(weight, sdr)), abs=1e-4)
    np.testing.assert_allclose(parts["sdr"], np.mean(sdr, (0, 1)), atol=1e-4)


def test_segment_sdr_of_silence_is_zero_and_finite():
    ref = stems(0 * waves())
    value, _ = losses.build("segment_sdr", bands=BANDS)(banded(ref, 0.5), ref, None)
    assert float(value) == 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("l7", {}, "unknown loss 'l7'; known: mse"),
        ("mse", {"mcoef": 1}, "loss 'mse' has no option mcoef"),
        ("segment_sdr", {}, "needs the band edges"),
    ],
)
def test_what_cannot_be_built(name, options, message):
    with pytest.raises(UserError, match=message):
        losses.build(name, **options)


def test_nothing_left_to_compare():
    ref = stems(waves()[..., :320])
    with pytest.raises(UserError, match="nothing after trimming 200"):
        losses.build("weighted_sdr")(ref, ref, ref.wave.sum(1))


def ragged(wave) -> Stems:
    """Spectra in two blocks of different shapes."""
    long, short = TRANSFORM.forward(wave), Stft(32, 8).forward(wave)
    return Stems(jnp.asarray(wave), (*long, *short))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mse", "multi_domain", "segment_sdr"])
def test_blocks_count_equally(name):
    """The value of two blocks is the mean of those of each alone."""
    est, ref = ragged(waves()), ragged(waves())
    mask = tuple(jnp.clip(jnp.abs(block), 0, 1) for block in est.spec)
    est, edges = est.replace(mask=mask), tuple(tuple(range(m.shape[-2] + 1)) for m in mask)

    def value(blocks: slice) -> float:
        one, two = (
            stems.replace(spec=stems.spec[blocks], mask=stems.mask[blocks]) for stems in (est, ref)
        )
        options = {"bands": edges[blocks]} if name == "segment_sdr" else {}
        found, parts = losses.build(name, **options)(one, two, ref.wave.sum(1))
        assert all(np.isfinite(part).all() for part in parts.values())
        return float(found)

    both, first, second = value(slice(None)), value(slice(1)), value(slice(1, None))
    assert abs(first - second) > 1e-3
    assert both == pytest.approx((first + second) / 2, rel=1e-5)


def test_a_shorter_estimate_is_compared_as_far_as_it_goes():
    """The truth and the mixture keep what the estimate lacks."""
    est, ref = waves(), waves()
    loss = losses.build("weighted_sdr", trim=20)
    short = loss(Stems(jnp.asarray(est[..., :600])), stems(ref), ref.sum(1))[0]
    ref = ref[..., :600]
    assert float(short) == float(
        loss(Stems(jnp.asarray(est[..., :600])), stems(ref), ref.sum(1))[0]
    )


def test_magnitudes_that_a_model_has_are_taken():
    est, ref = stems(waves()), stems(waves())
    given = est.replace(magnitude=tuple(map(jnp.abs, ref.spec)))
    assert float(losses.build("mse")(given, ref, None)[0]) == 0
    assert float(losses.build("mse")(est, ref, None)[0]) > 0


def test_every_loss_says_what_it_needs():
    fields = set(Stems.__dataclass_fields__)
    assert all(loss.needs and set(loss.needs) <= fields for loss in losses.LOSSES.values())


def test_a_model_of_waveforms_has_a_loss():
    class Waves:
        transform = None

    losses.check("weighted_sdr", "waves", Waves())
    fitting = [name for name, loss in losses.LOSSES.items() if loss.needs == ("wave",)]
    others = [name for name in losses.LOSSES if name not in fitting]
    for name in others:
        options = {"bands": BANDS} if name == "segment_sdr" else {}
        with pytest.raises(UserError) as error:
            losses.check(name, "waves", Waves(), **options)
        assert str(error.value) == (
            f"loss {name!r} compares spectra, and model 'waves' works on waveforms; "
            f"wanted one of {', '.join(fitting)}"
        )
