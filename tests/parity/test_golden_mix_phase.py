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


def check(oracle, references, about, scores: dict, total: float):
    found = mix_phase.sdr(oracle, references)
    wanted = [scores[name] for name in about["targets"]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(found.mean(), total, rtol=1e-5)


@golden("slicq/oracle_*.npz")
def test_scores(path):
    file, about = arrays(path), meta(path)
    references = sources(file, about)
    for each in about["configs"]:
        gamma = each["gamma"] if each["kind"] == "vqlog" else 0.0
        differs = abs(each["total_exact"] - each["total"]) > 1e-5  # the others' are equal
        for rule, scores, total in (
            ("original", each["sdr"], each["total"]),
            ("exact", each["sdr_exact_inverse_float64"], each["total_exact"]),
        ):
            if rule == "exact" and not (differs or each is about["configs"][0]):
                continue
            plan = SliCQ(each["kind"], each["bins"], each["fmin"], gamma_hz=gamma, rule=rule)
            assert (plan.length, plan.flank) == (each["sllen"], each["trlen"])
            oracle = mix_phase.of_slicq(plan, about["N"])
            check(oracle, references, about, scores, total)
    stft = about["stft4096"]
    oracle = mix_phase.of_stft(Stft(4096, 1024), about["N"], "rectangular")
    check(oracle, references, about, stft["sdr"], stft["total"])


@golden("slicq/oracle_*.npz")
def test_estimates(path):
    file, about = arrays(path), meta(path)
    kind, low, bins = about["stored_estimates_for"]
    references = sources(file, about)
    oracle = mix_phase.of_slicq(SliCQ(kind, bins, low, rule="original"), about["N"])
    block = mix_phase._read(references, -oracle.margin, oracle.size + oracle.margin, 0)
    found = np.asarray(oracle.estimate(block, np.int32(0), np.int32(about["N"])))
    for name, estimate in zip(about["targets"], found, strict=True):
        wanted = file[f"est_{name}"]
        wanted = wanted if wanted.shape[-1] == about["N"] else wanted.T
        assert decibels(estimate[..., : about["N"]], wanted) < -100
