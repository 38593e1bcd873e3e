"""xumx-sliCQ-V2 against recorded outputs of the original program, in both variants."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import golden
from golden_slicq import arrays, decibels, meta, transform
from slicq_states import blocks_of, recorded, second_version

from xumx_jax import losses
from xumx_jax.models import build
from xumx_jax.stems import Stems
from xumx_jax.weights.converters import convert
from xumx_jax.weights.converters.readers import Weights
from xumx_jax.weights.converters.slicq_v2 import SOURCES

pytestmark = pytest.mark.usefixtures("quick_compile")


def network(path, variant: str):
    """The recorded network by its name map: (model, variables), with the sources in its order."""
    about = meta(path)
    tensors = recorded(second_version(blocks_of(transform(about))), path.parent, about["param_tag"])
    settings = {"scale": about["kind"], "bins": about["bins"], "low_hz": about["fmin"]}
    settings["mix_phase"] = variant == "realtime"
    member = convert(Weights(Path("v2.pth"), tensors, {"settings": settings}))
    return build(member.name, **member.args), member.variables


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["offline", "realtime"])
@golden("slicq/v2_*.npz")
def test_network(path, variant):
    """Masks, complex spectra, waves and losses; only sums of most blocks were recorded."""
    file, about = arrays(path), meta(path)
    model, variables = network(path, variant)
    assert (
        sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        == about[f"params_{variant}"]
    )
    # [batch, source, ...] in our order -> [source, batch, ...] in theirs
    order = [model.sources.index(name) for name in SOURCES]
    # theirs is the mean over real and imaginary parts: half of ours
    loss = losses.build("complex_mse_mask_sum", model.transform, mask_coef=2.0)

    def run(variables, mix, sources):
        estimate = model.apply(variables, mix)
        truth = Stems(sources, model.transform.forward(sources))
        return estimate, loss(estimate, truth, mix)

    sources = file["src"][[SOURCES.index(name) for name in model.sources]][None]
    found, (value, parts) = jax.jit(run)(variables, jnp.asarray(file["x"]), sources)
    errors = [about[f"{name}_{variant}"] for name in ("complex_mse", "mask_sum_mse")]
    assert float(value) / 2 == pytest.approx(sum(errors), rel=1e-5)
    assert float(parts["complex_mse"]) / 2 == pytest.approx(errors[0], rel=1e-5)
    assert list(SOURCES) == about["target_order"]
    masks, specs = (
        [np.swapaxes(np.asarray(block)[:, order], 0, 1) for block in blocks]
        for blocks in (found.mask, found.spec)
    )
    wave = np.swapaxes(np.asarray(found.wave)[:, order], 0, 1)
    for block in about["blocks_stored"]:
        np.testing.assert_allclose(masks[block], file[f"mask_{variant}_{block}"], atol=1e-5)
        wanted = file[f"Y_{variant}_{block}"]
        np.testing.assert_allclose(specs[block], wanted, atol=1e-5)
        assert decibels(specs[block], wanted) < -90
    sums = [block.sum((1, 2, 3, 4, 5), dtype=np.float64) for block in masks]
    np.testing.assert_allclose(sums, file[f"masksum_{variant}"], rtol=1e-5)
    energies = [np.square(np.abs(block)).sum((1, 2, 3, 4, 5), dtype=np.float64) for block in specs]
    np.testing.assert_allclose(energies, file[f"Yenergy_{variant}"], rtol=1e-4)
    np.testing.assert_allclose(wave, file[f"y_{variant}"], atol=1e-6)
