"""The protocol of MSST's `demix`, as recorded over a model of one line."""

import numpy as np
import pytest
from closed_form import ClosedForm
from golden_files import golden
from golden_torch import arrays, meta
from tiny_models import cut, stack

from xumx_jax.separation.separator import Separator

pytestmark = pytest.mark.usefixtures("quick_compile")
RATE = 100


@golden("torch/modern_msst_demix.npz")
@pytest.mark.slow
def test_every_configuration_gives_their_stems_in_blocks_too(path):
    for name, config in meta(path)["configs"].items():
        mix, wanted = arrays(path)["in/x"][:, : config["L"]], arrays(path)[f"out/{name}"]
        demucs = config.get("model_type") == "htdemucs"
        sources = tuple(map(str, range(len(wanted))))
        model = ClosedForm(sources, RATE, len(mix), config["chunk"], demucs)
        separator = Separator(
            model, {}, protocol="msst", chunk_seconds=config["chunk"] / RATE,
            overlap=1 - 1 / config["overlap"], batch=config["batch"],
        )  # fmt: skip
        atol = 1e-6 * np.abs(wanted).max()
        found = stack(separator(mix, RATE))
        np.testing.assert_allclose(found, wanted, atol=atol, err_msg=name)
        for sizes in ((37,), (1, 250)):
            blocks = [stack(block) for block in separator.stream(cut(mix, sizes), RATE)]
            streamed = np.concatenate(blocks, axis=-1)
            np.testing.assert_allclose(streamed, wanted, atol=atol, err_msg=name)
