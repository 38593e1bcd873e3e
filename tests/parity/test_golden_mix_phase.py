"""The mix-phase oracle against recorded scores of xumx-sliCQ's search."""

import numpy as np
import pytest
from golden_files import golden
from golden_slicq import arrays, decibels, meta

from xumx_jax.evaluation import mix_phase
from xumx_jax.transforms.slicq import SliCQ
from xumx_jax.transforms.stft import Stft

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]


def sources(file, about) -> np.ndarray:
    """[source, channel, time] of a recording."""
    found = np.stack([file[f"src_{name}"] for name in about["targets"]])
    found = found.astype(np.float32) / 32768
    return found if found.shape[-1] == about["N"] else found.swapaxes(1, 2)


def check(found, about, scores: dict, total: float):
    wanted = [scores[name] for name in about["targets"]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(found.mean(), total, rtol=1e-5)


def transform(each: dict, rule: str) -> SliCQ:
    gamma = each["gamma"] if each["kind"] == "vqlog" else 0.0
    plan = SliCQ(each["kind"], each["bins"], each["fmin"], gamma_hz=gamma, rule=rule)
    assert (plan.length, plan.flank) == (each["sllen"], each["trlen"])
    return plan


@golden("slicq/oracle_*.npz")
def test_scores(path):
    file, about = arrays(path), meta(path)
    references = sources(file, about)

    def score(oracle):
        return mix_phase.sdr(oracle, references)

    published, *others = about["configs"]  # the original rule of the first: see below
    exact = score(mix_phase.of_slicq(transform(published, "exact"), about["N"]))
    check(exact, about, published["sdr_exact_inverse_float64"], published["total_exact"])
    for each in others:
        found = score(mix_phase.of_slicq(transform(each, "original"), about["N"]))
        check(found, about, each["sdr"], each["total"])
        if abs(each["total_exact"] - each["total"]) > 1e-5:  # else the two rules are the same
            found = score(mix_phase.of_slicq(transform(each, "exact"), about["N"]))
        check(found, about, each["sdr_exact_inverse_float64"], each["total_exact"])
    found = score(mix_phase.of_stft(Stft(4096, 1024), about["N"], "rectangular"))
    check(found, about, about["stft4096"]["sdr"], about["stft4096"]["total"])


@golden("slicq/oracle_*.npz")
def test_estimates(path):
    """Of the published transform; the repository's own copy of the file has only their scores."""
    file, about = arrays(path), meta(path)
    each, samples, references = about["configs"][0], about["N"], sources(file, about)
    oracle = mix_phase.of_slicq(transform(each, "original"), samples)
    block = mix_phase._read(references, -oracle.margin, oracle.size + oracle.margin, 0)
    found = np.asarray(oracle.estimate(block, np.int32(0), np.int32(samples)))[..., :samples]
    error = np.square(references.astype(float) - found).sum((1, 2))
    scores = 10 * np.log10(np.square(references.astype(float)).sum((1, 2)) / error)
    check(scores, about, each["sdr"], each["total"])
    for name, estimate in zip(about["targets"], found, strict=True):
        if f"est_{name}" in file:
            assert decibels(estimate, file[f"est_{name}"]) < -100
