"""Values of a config that make no sense: each is one line that says what was wanted."""

import pytest
from toy_models import ToyWave

from configs import demo, umx, xumx
from configs.common import base
from xumx_jax import models
from xumx_jax.errors import UserError
from xumx_jax.postfilters import POST_FILTERS
from xumx_jax.training.config_checks import check

SENSELESS = [
    ("model.args.sources", (), "at least one name, each once"),
    ("model.args.sources", ("vocals", "vocals"), "at least one name, each once"),
    ("model.args.sources", ("vocals", ""), "at least one name, each once"),
    ("model.args.sources", (1, 2), "at least one name, each once"),
    ("model.args.sample_rate", 0, "1 or more"),
    ("model.args.n_fft", 255, "an even number, 2 or more"),
    ("model.args.n_fft", 0, "an even number, 2 or more"),
    ("model.args.hop", 0, "1 to 2048, half of n_fft"),
    ("model.args.hop", 2049, "1 to 2048, half of n_fft"),
    ("model.args.channels", 3, "1 or 2"),
    ("model.args.hidden_size", 0, "1 or more"),
    ("model.args.hidden_size", 9, "an even number, half for each direction"),
    ("model.args.layers", 0, "1 or more"),
    ("model.args.bandwidth_hz", -5.0, "more than 0"),
    ("model.args.dropout", 1.5, "0 to below 1"),
    ("optimizer.learning_rate", -1.0, "0 or more"),
    ("optimizer.weight_decay", -1.0, "0 or more"),
    ("optimizer.clip", -1.0, "more than 0"),
    ("optimizer.clip", 0.0, "more than 0"),
    ("train.seed", -1, "0 to below 2**63"),
    ("train.seed", 2**63, "0 to below 2**63"),
    ("train.seconds", -1.0, "0 or more"),
    ("train.valid_seconds", -1.0, "0 or more"),
    ("train.save_minutes", -1.0, "0 or more"),
    ("train.micro_batch", 0, "1 or more"),
    ("train.heartbeat_seconds", 0, "1 or more"),
    ("train.stall_minutes", -1.0, "0 or more"),
    ("train.average", 1.0, "0 to below 1"),
    ("train.compute", "float8", "float32 or bfloat16"),
    ("train.steps_per_epoch", 0, "1 or more"),
    ("train.valid_filter", "median", f"one of {', '.join(POST_FILTERS)}"),
]


@pytest.mark.parametrize("key, value, wanted", SENSELESS)
def test_senseless_values_are_named(key, value, wanted):
    config = xumx.get_config()
    config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError) as error:
        check(config)
    assert str(error.value) == f"config.{key} is {value!r}, wanted {wanted}"


@pytest.mark.parametrize("config", [xumx, umx, demo])
@pytest.mark.parametrize("variant", ["", "tiny"])
def test_every_config_makes_sense(config, variant):
    check(config.get_config(variant))


@pytest.mark.parametrize(
    "model, sources, wanted",
    [
        ("demucs", ("drums", "vocals"), "None: 'demucs' has no spectra"),
        ("umx", ("vocals",), "'aimless' or None: there is only one source"),
    ],
)
def test_validation_is_filtered_only_if_that_is_possible(model, sources, wanted):
    config = base(model)
    config.model.args.sources, config.train.valid_filter = sources, "norbert"
    with pytest.raises(UserError) as error:
        check(config)
    assert str(error.value) == f"config.train.valid_filter is 'norbert', wanted {wanted}"
    if model == "umx":
        config.train.valid_filter = "aimless"
        check(config)


def test_a_model_refuses_its_own_arguments(monkeypatch):
    class Picky(ToyWave):
        @property
        def refused(self):
            return None if self.width % 2 else ("width", "an odd number")

    monkeypatch.setitem(models.MODELS, "picky", Picky)
    config = base("picky")
    config.loss.name = "weighted_sdr"
    config.train.update({"seconds": 0.5, "valid_seconds": 0.5})
    check(config)
    config.model.args.width = 8
    with pytest.raises(UserError, match="^config.model.args.width is 8, wanted an odd number$"):
        check(config)


def test_limits_are_allowed():
    config = xumx.get_config()
    config.model.args.update(
        {"hidden_size": 9, "unidirectional": True, "dropout": 0.0, "hop": 2048}
    )
    config.train.update({"seed": 2**63 - 1, "seconds": 0.0, "valid_seconds": 0.0})
    config.optimizer.clip = 1e-9
    check(config)
    config.optimizer.learning_rate = float("nan")  # the run itself ends, and says why
    check(config)
