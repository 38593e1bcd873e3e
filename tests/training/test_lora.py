"""Low-rank adapters: what they are, and runs that train nothing else."""

import jax
import numpy as np
import pytest
import runs
from toy_models import ARGUMENTS, TOYS, made
from toy_models import toys as toys

from configs.command_line import override
from xumx_jax import models
from xumx_jax.cli import main
from xumx_jax.errors import UserError
from xumx_jax.models.interface import variable_shapes
from xumx_jax.training import config_checks, loop
from xumx_jax.training.lora import Lora, merged, with_base
from xumx_jax.weights import store
from xumx_jax.weights.bag import load_model, save_model

pytestmark = pytest.mark.usefixtures("quick_compile", "toys", "own_cache")
PARAMS = {
    "stack": {"qkv_0": np.ones((2, 3, 4), np.float32), "qkv_bias_0": np.ones((2, 4), np.float32)},
    "conv": {"kernel": np.ones((5, 3, 4), np.float32)},
    "last": {"kernel": np.ones((3, 2), np.float32), "bias": np.ones(2, np.float32)},
}


def leaves(tree) -> dict:
    found = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(step.key for step in path): leaf for path, leaf in found}


def test_only_matrices_of_the_layers_named_have_adapters():
    def adapted(*targets, full=()):
        trained, _ = Lora(2, None, targets, full).split(jax.random.key(0), PARAMS)
        return leaves(trained)

    assert {key: leaf.shape for key, leaf in adapted().items()} == {
        "adapters/stack/qkv_0/a": (2, 3, 2), "adapters/stack/qkv_0/b": (2, 2, 4),
    }  # fmt: skip
    assert set(adapted("conv", "last/kernel")) == {
        f"adapters/{name}/kernel/{part}" for name in ("conv", "last") for part in "ab"
    }
    assert set(adapted("stack", full=("last",))) == {
        "adapters/stack/qkv_0/a", "adapters/stack/qkv_0/b", "full/last/bias", "full/last/kernel",
    }  # fmt: skip
    assert set(adapted("qkv_0")) == set(adapted())


def test_the_sum_is_that_of_products_of_matrices_on_host_and_device():
    trained, frozen = Lora(2, 6.0, full=("last",)).split(jax.random.key(0), PARAMS)
    same = merged(trained, frozen)
    jax.tree.map(np.testing.assert_array_equal, same, PARAMS)  # B begins as zeros
    rng = np.random.default_rng(0)
    trained = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), trained)
    pair = trained["adapters"]["stack"]["qkv_0"]
    wanted = 1 + 3 * np.stack([pair["a"][n] @ pair["b"][n] for n in range(2)])  # 6 / 2 = 3
    for place in (jax.device_get, jax.device_put):
        found = merged(place(trained), place(frozen))
        np.testing.assert_allclose(found["stack"]["qkv_0"], wanted, rtol=1e-6)
        np.testing.assert_array_equal(found["last"]["bias"], trained["full"]["last"]["bias"])
        np.testing.assert_array_equal(found["conv"]["kernel"], 1)
    assert np.linalg.matrix_rank(found["stack"]["qkv_0"][0] - 1) == 2

    doubled = jax.tree.map(lambda x: 2 * x, PARAMS)
    found = merged(*with_base(trained, frozen, doubled))
    np.testing.assert_allclose(found["stack"]["qkv_0"], wanted + 1, rtol=1e-6)
    np.testing.assert_array_equal(found["last"]["bias"], 2)


@pytest.mark.parametrize("name", [name for name in ARGUMENTS if name not in TOYS])
def test_every_network_can_be_adapted(name):
    """By default where it has attention or dense layers; else layers have to be named."""
    params = variable_shapes(made(name))["params"]
    try:
        adapted, _ = Lora(1).chosen(params)
        assert all(len(leaf.shape) > 1 for leaf in map(leaves(params).get, map("/".join, adapted)))
    except UserError as error:
        assert "no attention or dense layers; name some of its others; known: " in str(error)
        assert name in ("demucs", "hdemucs", "xumx_slicq")  # convolutions alone


def config(name: str = "toy_ragged", **lora):
    wanted = override(runs.config(epochs=1), [f"--config.model.name={name}"])
    wanted.model.args.update(ARGUMENTS[name])
    seconds = made(name).segment.fit(512) / runs.RATE
    wanted.train.update({"seconds": seconds, "valid_seconds": seconds, "average": 0.5})
    wanted.loss.name = "l1"
    wanted.train.lora.update(lora)
    return wanted


@pytest.mark.parametrize(
    "options, wanted",
    [
        ({"rank": -1}, "config.train.lora.rank is -1, wanted 0 or more"),
        ({"rank": 2, "alpha": 0.0}, "config.train.lora.alpha is 0.0, wanted more than 0"),
        ({"rank": 2, "targets": ("dense_7",)}, "targets: nothing is called 'dense_7'; known: bias"),
        ({"rank": 2, "full": ("last",)}, "config.train.lora.full: nothing is called 'last'"),
        ({"targets": ("dense",)}, "config.train.lora.targets is ('dense',), wanted None or ()"),
    ],
)
def test_options_that_make_no_sense_are_one_line(options, wanted):
    with pytest.raises(UserError) as error:
        config_checks.check(config(**options))
    assert wanted in str(error.value) and "\n" not in str(error.value)


def data():
    """One batch of 512 samples, again and again."""
    examples = runs.examples(samples=512)
    examples = examples._replace(stems=examples.stems[:, :2], gain=examples.gain[:, :2],
                                 swap=examples.swap[:, :2])  # fmt: skip
    return runs.data(valid=False, spoil=lambda _: iter(lambda: examples, None))


def test_a_run_trains_adapters_alone_and_publishes_the_sum(tmp_path):
    rng = np.random.default_rng(0)
    base = jax.tree.map(
        lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32),
        variable_shapes(made("toy_ragged")),
    )
    save_model(tmp_path / "base.safetensors", "toy_ragged", {}, base)
    wanted = config(rank=2, alpha=4.0, targets=("dense_0",), full=("scale_1",))
    with pytest.raises(UserError, match="train.weights is '', wanted the weights that .*lora ada"):
        loop.run(wanted, tmp_path / "none", data(), lambda _: None)
    wanted.train.weights = str(tmp_path / "base.safetensors")
    wanted.train.epochs = 2
    loop.run(wanted, tmp_path / "whole", data(), lambda _: None)
    wanted.train.epochs = 1
    loop.run(wanted, tmp_path / "run", data(), lambda _: None)

    published = load_model(tmp_path / "run" / "best")
    assert models.build(published.name, **published.args) == made("toy_ragged")
    before, now = leaves(base["params"]), leaves(published.variables["params"])
    assert {key for key in now if np.any(now[key] != before[key])} == {"dense_0/kernel", "scale_1"}
    assert np.linalg.matrix_rank(now["dense_0/kernel"] - before["dense_0/kernel"], 1e-6) == 2

    kept = store.read(store.newest(tmp_path / "run"), "optimizer")
    moments = [path for path in leaves_of(kept["opt_state"]) if "dense_0" in path]
    assert moments and all(path.endswith(("a", "b")) for path in moments)
    assert not any("dense_1" in path for path in leaves_of(kept["opt_state"]))
    sums = merged(kept["average"]["params"], kept["frozen"])
    jax.tree.map(np.testing.assert_array_equal, sums, published.variables["params"])

    words = [tmp_path / "base.safetensors", tmp_path / "sum.safetensors"]
    words += ["--adapters", tmp_path / "run" / "adapters.safetensors"]
    assert main(["convert", *map(str, words)]) == 0
    again = leaves(load_model(words[1]).variables["params"])
    assert all(np.array_equal(again[key], now[key]) for key in now)
    assert main(["convert", *map(str, [words[0], words[1], *words[2:3], words[0]])]) == 2

    wanted.train.update({"epochs": 2, "weights": ""})  # which are in the checkpoint
    loop.run(wanted, tmp_path / "run", data(), lambda _: None, loop.Defaults({}, ("train",)))
    runs.check_equal(tmp_path / "whole", tmp_path / "run")


def leaves_of(tree) -> list[str]:
    return ["/".join(store.names(path)) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
