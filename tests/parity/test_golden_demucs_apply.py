"""The protocol of Demucs' `apply_model`, as recorded over a model of one line."""

import numpy as np
import pytest
from closed_form import ClosedForm
from golden_files import golden
from golden_torch import arrays, close, loaded, meta
from tiny_models import cut, stack

from xumx_jax.separation.bag import BagSeparator
from xumx_jax.separation.separator import Separator

pytestmark = pytest.mark.usefixtures("quick_compile")


def separator(path, config, gain, offsets):
    """A Separator as the file says, with the shifts that were drawn."""
    made, wanted = meta(path)["kwargs"], arrays(path)["out/split_025"].shape
    usual = int(made["samplerate"] * made["segment"])
    assert usual == made["training_length"]
    model = ClosedForm(
        tuple(map(str, range(wanted[1]))),
        made["samplerate"],
        wanted[2],
        usual,
        config["model"] != "novalid",
        gain,
    )
    options = {"overlap": config.get("overlap", 0.25) if config["split"] else 0.0}
    if "segment" in config:
        options["chunk_seconds"] = config["segment"]
    options["transition_power"] = config.get("transition_power", 1.0)
    found = Separator(model, {}, protocol="demucs", shifts=config["shifts"], **options)
    assert len(offsets) == config["shifts"]
    # they draw where the track begins in a lead of silence, we how much of it is left
    found.shifts = [config["max_shift"] - offset for offset in offsets]
    return found


def made(path, config):
    """The model of a configuration, or its bag."""
    if config["model"] != "bag":
        return separator(path, config, 1.0, config["offsets"])
    each = config["shifts"]
    members = [
        separator(path, config, gain, config["offsets"][number * each :][:each])
        for number, gain in enumerate(config["gains"])
    ]
    weights = [
        {str(source): weight for source, weight in enumerate(row)} for row in config["weights"]
    ]
    return BagSeparator(members, weights)


@golden("torch/modern_demucs_apply.npz")
@pytest.mark.slow
def test_every_configuration_gives_their_stems_in_blocks_too(path):
    rate = meta(path)["kwargs"]["samplerate"]
    known = meta(path).get("f32_vs_f64", {})
    for name, config in meta(path)["configs"].items():
        (mix,) = arrays(path)["in/x"][..., : config["L"]]
        (wanted,) = arrays(path)[f"out/{name}"]
        atol = max(10 * known.get(name, {"max_abs": 0})["max_abs"], 1e-6 * np.abs(wanted).max())
        found = made(path, config)
        np.testing.assert_allclose(stack(found(mix, rate)), wanted, atol=atol, err_msg=name)
        for sizes in ((37,), (1, 250)):
            blocks = [stack(block) for block in found.stream(cut(mix, sizes), rate)]
            streamed = np.concatenate(blocks, axis=-1)
            np.testing.assert_allclose(streamed, wanted, atol=atol, err_msg=name)


@golden("torch/modern_demucs_apply_htdemucs.npz")
@pytest.mark.slow
def test_a_network_with_a_shift_and_the_level_of_the_track(path, tmp_path):
    said = meta(path)["apply"]
    model, variables, _ = loaded(path, tmp_path)
    found = Separator(
        model, variables, protocol="original", overlap=said["overlap"], shifts=said["shifts"]
    )
    found.shifts = [said["max_shift"] - offset for offset in said["offsets"]]
    mix = arrays(path)["in/x"]
    close(path, "y", stack(found(mix, model.sample_rate)), factor=10, floor=0)
    blocks = [stack(block) for block in found.stream(cut(mix, (37,)), model.sample_rate)]
    close(path, "y", np.concatenate(blocks, axis=-1), factor=10, floor=0)
