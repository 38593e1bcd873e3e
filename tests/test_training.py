"""The step on one and several devices, and the true entry point on a folder of noise."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest
import soundfile

import train
from configs import demo, umx, xumx
from xumx_jax import checkpoint, losses, models
from xumx_jax.errors import UserError
from xumx_jax.training import optimizer, state, step
from xumx_jax.training.run import Table, run
from xumx_jax.training.statistics import apply_moments, moments

TINY = {"hidden_size": 8, "n_fft": 64, "hop": 16, "dropout": 0.0, "layers": 1}


def batch(size: int = 4, samples: int = 800) -> np.ndarray:
    """Stems that differ in colour, so that a network can tell them apart."""
    rng = np.random.default_rng(0)
    time = np.arange(samples) / samples
    stems = rng.normal(size=(size, 4, 2, samples)) * 0.02
    for source, turns in enumerate((9, 40, 120, 300)):
        stems[:, source] += 0.5 * np.sin(
            2 * np.pi * (turns * time + rng.uniform(size=(size, 1, 1)))
        )
    return stems.astype(np.float32)


def setup(rate: float = 1e-2):
    model = models.build("xumx", **TINY, axis_name=step.AXIS)
    adam = optimizer.build(
        "adam_nnabla", optimizer.build_schedule("constant", rate, 1, 0), 1e-5, None
    )
    fresh = jax.jit(partial(state.init, model, adam))(jax.random.key(0), jnp.zeros((1, 2, 800)))
    return model, losses.build("multi_domain"), adam, fresh


def test_overfits_one_batch():
    """200 steps on one batch end under a fifth of the first loss."""
    model, loss, adam, now = setup()
    mix = batch().sum(1)
    now = now.replace(params=apply_moments(now.params, *moments(model, mix)))
    over = step.mesh(jax.devices()[:1])
    advance = step.train_step(model, loss, adam, 0.0, 0, over)
    stems, now = step.shard(batch(), over), step.replicate(now, over)
    seen = []
    for _ in range(200):
        now, values = advance(now, stems)
        seen.append(float(values["loss"]))
    assert seen[-1] < 0.2 * seen[0]


class Grads(optax.GradientTransformation):
    """An optimizer whose new state is the gradient, to be compared: Adam inflates rounding."""

    def __new__(cls):
        def update(grads, _, params=None):
            return jax.tree.map(jnp.zeros_like, grads), grads

        return super().__new__(cls, lambda params: jax.tree.map(jnp.zeros_like, params), update)


def gradients(devices: int, compile_with=step.train_step):
    model, loss, _, _ = setup()
    grads = Grads()
    over = step.mesh(jax.devices()[:devices])
    now = jax.jit(partial(state.init, model, grads))(jax.random.key(0), jnp.zeros((1, 2, 800)))
    advance = compile_with(model, loss, grads, 0.0, 0, over)
    now, values = advance(step.replicate(now, over), step.shard(batch(), over))
    return jax.device_get((now.opt_state, now.batch_stats, values))


def with_pmap(model, loss, adam, decay, seed, over):
    """The same function under jax.pmap, which stacks the devices in front."""
    options = {"model": model, "loss": loss, "optimizer": adam, "decay": decay, "seed": seed}
    mapped = jax.pmap(
        partial(step.per_replica, **options),
        axis_name=step.AXIS,
        devices=list(over.devices.ravel()),
    )

    def advance(now, stems):
        count = over.devices.size
        stacked = jax.tree.map(lambda x: np.stack([np.asarray(x)] * count), now)
        out = mapped(stacked, np.asarray(stems).reshape(count, -1, *stems.shape[1:]))
        return jax.tree.map(lambda x: np.asarray(x)[0], out)

    return advance


def check_alike(found, wanted):
    found, wanted = (jax.tree_util.tree_leaves_with_path(tree) for tree in (found, wanted))
    largest = max(np.abs(w).max() for _, w in wanted)
    for (path, f), (_, w) in zip(found, wanted, strict=True):
        np.testing.assert_allclose(f, w, rtol=1e-3, atol=3e-6 * largest, err_msg=str(path))


def test_gradients_do_not_depend_on_devices_nor_on_how_they_are_joined():
    """Four devices, two under jax.pmap, and one."""
    alone = gradients(1)
    check_alike(gradients(4), alone)
    check_alike(gradients(2, with_pmap), alone)


def test_validation_weighs_its_items():
    model, loss, _, now = setup()
    over = step.mesh(jax.devices()[:2])
    evaluate = step.eval_step(model, loss, over)
    variables = step.replicate(now.variables(), over)

    def sums(weight):
        weight = np.asarray(weight, np.float32)
        return jax.device_get(evaluate(variables, *step.shard((batch(), weight), over)))

    alone = [sums(row)["loss"] for row in np.eye(4)]
    found = sums([1, 0, 0.5, 2])
    assert found["loss"] == pytest.approx(alone[0] + 0.5 * alone[2] + 2 * alone[3], rel=1e-5)
    assert found["weight"] == 3.5


def test_the_average_follows_slowly():
    model, loss, adam, now = setup()
    over = step.mesh(jax.devices()[:1])
    advance = step.train_step(model, loss, adam, 0.9, 0, over)
    stems, now = step.shard(batch(), over), step.replicate(now, over)
    seen = []
    for _ in range(3):
        now, _ = advance(now, stems)
        seen.append(np.asarray(now.params["dec"]["mean"]))
    # the first three steps are a plain mean: 1/n outweighs 1 - decay until n = 10
    np.testing.assert_allclose(now.average["params"]["dec"]["mean"], np.mean(seen, 0), rtol=1e-5)


def test_decay_joins_the_gradient_or_not():
    weights, grads = jnp.full(3, 2.0), jnp.zeros(3)
    for name, wanted in (("adam", -0.1), ("adam_nnabla", -0.1), ("adamw", -0.1 * 0.5 * 2)):
        schedule = optimizer.build_schedule("constant", 0.1, 1, 0)
        made = optimizer.build(name, schedule, 0.5, None)
        updates, _ = made.update(grads, made.init(weights), weights)
        np.testing.assert_allclose(updates, wanted, rtol=1e-5, err_msg=name)


def test_schedules():
    cosine = optimizer.build_schedule("cosine", 1.0, 110, 10)
    np.testing.assert_allclose(
        [cosine(0), cosine(5), cosine(10), cosine(60), cosine(110)],
        [0, 0.5, 1, 0.505, 0.01],
        rtol=1e-5,
    )
    with pytest.raises(UserError, match="unknown schedule 'linear'; known: constant, cosine"):
        optimizer.build_schedule("linear", 1.0, 1, 0)
    with pytest.raises(UserError, match="unknown optimizer 'sgd'"):
        optimizer.build("sgd", cosine, 0, None)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A data set of noise: three training tracks, one for validation."""
    root = tmp_path_factory.mktemp("songs")
    rng = np.random.default_rng(0)
    for part, count in (("train", 3), ("valid", 1)):
        for track in range(count):
            folder = root / part / f"track{track}"
            folder.mkdir(parents=True)
            for source in ("vocals", "drums", "bass", "other"):
                wave = 0.1 * rng.normal(size=(8000, 2))
                soundfile.write(folder / f"{source}.wav", wave, 8000, subtype="PCM_16")
    return root


def small(config: ml_collections.ConfigDict, songs, **changes) -> ml_collections.ConfigDict:
    with config.unlocked():
        config.model.args = config.model.args.to_dict() | TINY | {"sample_rate": 8000}
        config.train.update(
            {"batch_size": 4, "seconds": 0.2, "valid_seconds": 0.5, "steps_per_epoch": 2} | changes
        )
        config.data.root = str(songs)
    return config


def test_stopping_and_going_on_equals_not_stopping(songs, tmp_path):
    """Two epochs in one go and one after another end bit for bit alike; the table is printed."""
    lines = []
    config = small(xumx.get_config("tiny"), songs, epochs=2)
    whole = run(config, tmp_path / "whole", train.open_data(config), lines.append)
    assert "valid" in lines[1] and len(lines) == 4
    for epochs in (1, 2):
        config.train.epochs = epochs
        parted = run(config, tmp_path / "parted", train.open_data(config), lines.append)
    changing = {"s/step"}
    assert {k: v for k, v in parted.items() if k not in changing} == {
        k: v for k, v in whole.items() if k not in changing
    }
    ends = [
        checkpoint.read(checkpoint.newest(tmp_path / name), "train") for name in ("whole", "parted")
    ]
    for a, b in zip(*(jax.tree.leaves(end) for end in ends), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoints_rebuild_the_model(songs, tmp_path):
    config = small(umx.get_config("tiny"), songs, epochs=3, keep=2)
    run(config, tmp_path, train.open_data(config), lambda _: None)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["000002", "000003"]
    loaded = checkpoint.load_model(tmp_path)
    model = models.build(loaded.name, **loaded.args)
    assert loaded.name == "umx" and model.sample_rate == 8000
    assert json.dumps(loaded.args)
    wave = jax.jit(model.apply)(loaded.variables, batch().sum(1)).wave
    assert np.isfinite(wave).all()
    assert (tmp_path / "best" / "checkpoint.json").is_file()


def test_a_loss_that_is_not_finite_stops(songs, tmp_path):
    config = small(xumx.get_config("tiny"), songs, epochs=3)
    config.optimizer.learning_rate = float("nan")
    with pytest.raises(UserError, match="the loss of epoch 1 is nan"):
        run(config, tmp_path, train.open_data(config), lambda _: None)
    assert not (tmp_path / "checkpoints").exists()


def test_every_config_builds_what_it_names():
    for module in (xumx, umx, demo):
        for variant in ("", "tiny"):
            config = module.get_config(variant)
            model = models.build(config.model.name, **config.model.args.to_dict())
            losses.build(config.loss.name, **config.loss.options.to_dict())
            exported = models.build(
                config.model.name, **config.model.args.to_dict() | config.export.to_dict()
            )
            assert exported.sample_rate == 44100 and model.sources == exported.sources
        with pytest.raises(ValueError, match="variant 'huge'"):
            module.get_config("huge")


def test_wrong_options_are_named(songs):
    config = small(xumx.get_config("tiny"), songs)
    config.data.recipe = "pop"
    with pytest.raises(UserError, match="unknown recipe 'pop'; known: xumx, demo"):
        train.open_data(config)
    config.data.recipe = "demo"
    config.data.options.reverb = 1
    with pytest.raises(UserError, match="reverb"):
        train.open_data(config)
    config.data.root = ""
    with pytest.raises(UserError, match=r"give --config\.data\.root"):
        train.open_data(config)


def test_batches_divide_among_devices(songs, tmp_path):
    config = small(xumx.get_config("tiny"), songs, batch_size=3)
    with pytest.raises(UserError, match="batch_size 3 does not divide among 4 devices"):
        run(config, tmp_path, train.open_data(config), lambda _: None)


def test_table_has_a_column_per_source():
    lines = []
    table = Table(lines.append, ("a", "b"))
    table.row({"epoch": 1, "sdr": np.array([1.5, 2.5])})
    assert lines[0].split() == ["epoch", "sdr", "a", "sdr", "b"]
    assert lines[1].split() == ["1", "1.5", "2.5"]
