"""The protocol of python-audio-separator, as recorded over models of one line."""

import numpy as np
import pytest
from closed_form import ClosedForm, Planes
from golden_torch import arrays, golden_settings, meta
from tiny_models import cut, stack

from xumx_jax.separation.separator import Separator

pytestmark = pytest.mark.usefixtures("quick_compile")
RATE = 100
MATCH_OVERLAP = 0.02  # where the mixture goes through alone, to be what a stem is taken from


def chunk(config) -> int:
    return config["hop"] * (config.get("dim_t", config.get("segment_size")) - 1)


def closed_form(config, family):
    sources = tuple(name for name in config["keys"] if name != "rest")
    return ClosedForm(sources, RATE, usual=chunk(config), fixed=False, audio_separator=family)


def of_roformer(config):
    """Their overlap is the step in seconds, and a chunk at most."""
    step = min(config["overlap"] * config["sr"], chunk(config))
    return closed_form(config, "roformer"), {"overlap": 1 - step / chunk(config)}


def of_mdx23c(config):
    return closed_form(config, "mdx23c"), {"overlap": 1 - 1 / config["overlap"]}


def of_mdxnet(config, bent=True):
    fields = {"n_fft": config["n_fft"], "hop": config["hop"], "bins": config["dim_f"]}
    model = Planes(("0",), RATE, **fields, frames=config["segment_size"], bent=bent)
    return model, {"overlap": config["overlap"], "denoise": config["denoise"]}


FAMILIES = {"roformer": of_roformer, "mdxc": of_mdx23c, "mdx": of_mdxnet}


def check(separator, mix, wanted):
    atol = 1e-6 * np.abs(wanted).max()
    np.testing.assert_allclose(stack(separator(mix, RATE)), wanted, atol=atol)
    for sizes in ((37,), (1, 250)):
        blocks = [stack(block) for block in separator.stream(cut(mix, sizes), RATE)]
        np.testing.assert_allclose(np.concatenate(blocks, axis=-1), wanted, atol=atol)


@golden_settings("torch/modern_audio_separator_demix.npz")
@pytest.mark.slow
def test_stems_in_blocks_too(path, setting):
    config, file = meta(path)["configs"][setting], arrays(path)
    mix = file["in/x"][:, : config["L"]]
    model, options = FAMILIES[config["arch"]](config)
    residual = "target" in config
    separator = Separator(
        model,
        {},
        protocol="audio-separator",
        residual=residual,
        batch=config.get("batch"),
        **options,
    )
    wanted = file[f"out/{setting}"]
    check(separator, mix, wanted if wanted.ndim == 3 else wanted[None])
    if (match := f"out/{setting}/match_mix") in file:
        model, _ = of_mdxnet(config, bent=False)
        separator = Separator(model, {}, protocol="audio-separator", overlap=MATCH_OVERLAP)
        check(separator, mix, file[match][None])
