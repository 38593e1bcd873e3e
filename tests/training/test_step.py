"""The training step: on one and several devices, under pmap, and when a batch is bad."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import runs
from jax.sharding import PartitionSpec as P

from xumx_jax import augment, losses, models
from xumx_jax.metrics import energy_ratio
from xumx_jax.separation.chunk_runner import separate_chunk
from xumx_jax.training import optimizer, state, step
from xumx_jax.training.batches import Examples, Pieces, render
from xumx_jax.training.schedule import Plateau
from xumx_jax.training.statistics import moments

pytestmark = pytest.mark.usefixtures("quick_compile")


def prepare(**changes) -> step.Step:
    model = models.build("xumx", **runs.TINY, axis_name=step.AXIS)
    adam = optimizer.build("adam_nnabla", 1e-5)
    made = step.Step(model, losses.build("multi_domain"), adam, lambda done: 1e-2)
    return made._replace(**changes)


def fresh(this: step.Step, average: bool = False) -> state.State:
    plateau = Plateau(None, 0.3, 10).init()
    start = partial(state.init, this.model, this.optimizer, plateau=plateau, average=average)
    return jax.jit(start)(jax.random.key(0), jnp.zeros((1, 2, 800)))


COMPILED: dict = {}  # compiling is most of what these tests do


def advance(this: step.Step, now, batches, devices: int = 1):
    """Take a step for each batch; returns the state and all values."""
    over = step.mesh(jax.devices()[:devices])
    if (id(this), devices) not in COMPILED:
        COMPILED[id(this), devices] = step.train_step(this, over), this
    compiled, seen = COMPILED[id(this), devices][0], []
    now = step.replicate(now, over)
    for batch in batches:
        now, values = compiled(now, step.shard(batch, over))
        seen.append(jax.device_get(values))
    return jax.device_get(now), seen


PLAIN, AVERAGED = prepare(), prepare(decay=0.9)


@pytest.mark.slow
def test_unpacks_as_numpy_does():
    batch = runs.examples()
    batch = batch._replace(gain=-batch.gain)  # polarity turned over
    for as_read in (batch, batch._replace(stems=batch.stems / np.float32(32768))):
        wanted = batch.stems.swapaxes(2, 3) / np.float32(32768)
        wanted = np.where(batch.swap[..., None, None], wanted[:, :, ::-1], wanted)
        wanted = wanted * batch.gain[..., None, None]
        np.testing.assert_array_equal(jax.jit(render)(as_read), wanted)


@pytest.mark.slow
def test_overfits_one_batch():
    """200 steps on one batch end under a fifth of the first loss."""
    this, batch = PLAIN, runs.examples()
    now = fresh(this)
    mix = np.asarray(render(batch).sum(1))
    statistics = this.model.input_statistics
    now = now.replace(params=statistics.fill(now.params, moments(statistics, mix)))
    _, seen = advance(this, now, [batch] * 200)
    assert seen[-1]["loss"] < 0.2 * seen[0]["loss"]


def gradients(devices: int, compile_with=step.train_step):
    """An optimizer whose new state is the gradient, to be compared: Adam inflates rounding."""
    keep = optax.GradientTransformation(
        lambda params: jax.tree.map(jnp.zeros_like, params),
        lambda grads, _, params=None: (jax.tree.map(jnp.zeros_like, grads), grads),
    )
    args = runs.TINY | {"layers": 2, "dropout": 0.4}
    this = prepare(optimizer=keep, model=models.build("xumx", **args, axis_name=step.AXIS))
    over = step.mesh(jax.devices()[:devices])
    compiled = compile_with(this, over)
    now, values = compiled(step.replicate(fresh(this), over), step.shard(runs.examples(), over))
    return jax.device_get((now.opt_state, now.collections, values))


def with_pmap(this, over):
    """The same function under jax.pmap, which stacks the devices in front."""
    mapped = jax.pmap(
        partial(step.per_replica, this=this),
        axis_name=step.AXIS,
        devices=list(over.devices.ravel()),
    )

    def compiled(now, batch):
        count = over.devices.size
        stacked = jax.tree.map(lambda x: np.stack([np.asarray(x)] * count), now)
        cut = jax.tree.map(lambda x: np.asarray(x).reshape(count, -1, *x.shape[1:]), batch)
        return jax.tree.map(lambda x: np.asarray(x)[0], mapped(stacked, cut))

    return compiled


def check_alike(found, wanted):
    found, wanted = (jax.tree_util.tree_leaves_with_path(tree) for tree in (found, wanted))
    largest = max(np.abs(w).max() for _, w in wanted)
    for (path, f), (_, w) in zip(found, wanted, strict=True):
        np.testing.assert_allclose(f, w, rtol=1e-3, atol=3e-6 * largest, err_msg=str(path))


@pytest.mark.slow
def test_gradients_do_not_depend_on_devices_nor_on_how_they_are_joined():
    """Four devices, two under jax.pmap, and one."""
    alone = gradients(1)
    check_alike(gradients(4), alone)
    check_alike(gradients(2, with_pmap), alone)


@pytest.mark.slow
def test_no_device_gathers_the_batch():
    """Only sums cross devices, also in the compiled program."""
    this, over = prepare(), step.mesh()
    arguments = step.replicate(fresh(this), over), step.shard(runs.examples(), over)
    text = step.train_step(this, over).lower(*arguments).compile().as_text()
    assert "all-reduce" in text and "all-gather" not in text and "all-to-all" not in text


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 4])
def test_a_bad_batch_changes_nothing_but_the_counters(devices):
    """NaN in one item of one batch: skipped on all devices, and the next step is as without it."""
    this, good = AVERAGED, runs.examples()
    bad = good._replace(gain=np.where(np.arange(16).reshape(4, 4) == 5, np.nan, good.gain))
    before, _ = advance(this, fresh(this, True), [good], devices)
    after, seen = advance(this, before, [bad, bad], devices)
    assert np.isnan(seen[0]["loss"]) and [s["in_row"] for s in seen] == [1, 2]
    assert after.step == 3 and after.counters == {"skipped": 2, "in_row": 2}
    for name in ("params", "collections", "opt_state", "average"):
        jax.tree.map(np.testing.assert_array_equal, getattr(after, name), getattr(before, name))
    final, seen = advance(this, after, [good], devices)
    assert np.isfinite(seen[0]["loss"]) and final.step == 4
    assert final.counters == {"skipped": 2, "in_row": 0}


@pytest.mark.slow
def test_a_rate_that_is_not_finite_moves_nothing():
    this = prepare(schedule=lambda done: jnp.nan)
    before = jax.device_get(fresh(this))
    after, seen = advance(this, before, [runs.examples()])
    assert np.isfinite(seen[0]["loss"]) and after.counters["skipped"] == 1
    jax.tree.map(np.testing.assert_array_equal, after.params, before.params)


@pytest.mark.slow
def test_accumulating_two_batches_follows_their_mean_gradient():
    """Without moments and masks in the way: both halves are the same batch, nothing is dropped."""
    batch, args = runs.examples(), runs.TINY | {"dropout": 0.0}
    whole = prepare(model=models.build("xumx", **args, axis_name=step.AXIS))
    once, _ = advance(whole, fresh(whole), [batch])
    adam = optimizer.build("adam_nnabla", 1e-5, accumulate=2)
    halves = whole._replace(optimizer=adam, accumulate=2)
    first, seen = advance(halves, fresh(halves), [batch])
    jax.tree.map(np.testing.assert_array_equal, first.params, fresh(halves).params)
    twice, _ = advance(halves, first, [batch])
    check_alike(twice.params, once.params)


@pytest.mark.slow
def test_the_rate_follows_updates_and_plateau():
    this = prepare(schedule=lambda done: 0.1 + done, accumulate=2)
    now = fresh(this)
    now = now.replace(plateau=now.plateau._replace(scale=jnp.float32(0.5)))
    _, seen = advance(this, now, [runs.examples()] * 3)
    np.testing.assert_allclose([s["lr"] for s in seen], [0.05, 0.05, 0.55], rtol=1e-6)


@pytest.mark.slow
def test_the_average_follows_slowly():
    this, batch = AVERAGED, runs.examples()
    now, seen = fresh(this, True), []
    for _ in range(3):
        now, _ = advance(this, now, [batch])
        seen.append(now.params["dec"]["mean"])
    # the first three steps are a plain mean: 1/n outweighs 1 - decay until n = 10
    np.testing.assert_allclose(now.average["params"]["dec"]["mean"], np.mean(seen, 0), rtol=1e-5)


@pytest.mark.slow
def test_augmentations_do_not_depend_on_devices():
    """And the step does with them what a plain one does with stems augmented beforehand."""
    this = PLAIN._replace(augmentations=augment.build([("mono", {"probability": 0.5})]), seed=9)
    examples = runs.examples(4)
    stems = jax.jit(render)(examples)
    steps = jnp.int32(3)
    whole = augment.apply(this.augmentations, stems, 9, 12 + jnp.arange(4))
    assert 0 < np.any(np.asarray(whole != stems), axis=(2, 3)).mean() < 1
    for devices in (1, 2, 4):
        over = step.mesh(jax.devices()[:devices])
        found = jax.shard_map(
            lambda part: step.augmented(part, steps, this),
            mesh=over, in_specs=P(step.AXIS), out_specs=P(step.AXIS),
        )(stems)  # fmt: skip
        np.testing.assert_array_equal(found, whole)
    ones = np.ones((4, 4), np.float32)
    first = augment.apply(this.augmentations, stems, 9, jnp.arange(4))
    beforehand = Examples(np.asarray(first).swapaxes(2, 3), ones, ones < 0)
    _, (wanted,) = advance(PLAIN._replace(seed=9), fresh(PLAIN), [beforehand])
    for devices in (1, 2):
        _, (values,) = advance(this, fresh(this), [examples], devices)
        if devices == 1:  # dropout draws a mask for each device
            np.testing.assert_allclose(values["loss"], wanted["loss"], rtol=1e-5)
        assert np.isfinite(values["loss"])


@pytest.mark.slow
def test_sources_of_the_data_sum_to_those_of_the_model():
    """Vocals and accompaniment, from four stems: as from two stems summed beforehand."""
    args = runs.TINY | {"sources": ("vocals", "accompaniment")}
    model = models.build("umx", **args, axis_name=step.AXIS)
    mixing = np.array([[0, 0, 1, 0], [1, 1, 0, 1]], np.float32)
    four, this = runs.stems(), prepare(model=model)
    two = np.stack([four[:, 2], four[:, [0, 1, 3]].sum(1)], 1)
    values = []
    for stems, matrix in ((four, mixing), (two, None)):
        ones = np.ones(stems.shape[:2], np.float32)
        batch = Examples(stems.swapaxes(2, 3).copy(), ones, ones < 0)
        chosen = this._replace(mixing=matrix)
        values.append(advance(chosen, fresh(chosen), [batch])[1][0]["loss"])
    assert values[0] == pytest.approx(values[1], rel=1e-5)


@pytest.mark.slow
def test_validation_weighs_its_items():
    this = prepare()
    over = step.mesh(jax.devices()[:2])
    evaluate = step.eval_step(this, over)
    variables = step.replicate(fresh(this).variables(), over)
    stems = runs.stems()
    stems[2, 1] = 0  # the third item has no drums

    def sums(weight):
        pieces = Pieces(stems, stems.sum(1), np.asarray(weight, np.float32))
        return jax.device_get(evaluate(variables, step.shard(pieces, over)))

    alone = [sums(row) for row in np.eye(4)]
    found = sums([1, 0, 0.5, 2])
    assert found["weight"] == 3.5
    np.testing.assert_array_equal(found["sounding"], [3.5, 3, 3.5, 3.5])
    for name in ("loss", "mse", "sdr", "sdr_db"):
        wanted = alone[0][name] + 0.5 * alone[2][name] + 2 * alone[3][name]
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_validation_hears_the_real_mixture():
    this = prepare()
    over, stems = step.mesh(jax.devices()[:1]), runs.stems()
    evaluate, variables = step.eval_step(this, over), fresh(this).variables()

    def loss(mix):
        pieces = step.shard(Pieces(stems, mix, np.ones(4, np.float32)), over)
        return evaluate(variables, pieces)["loss"]

    assert loss(stems.sum(1)) != loss(1.1 * stems.sum(1))


@pytest.mark.slow
def test_validation_measures_what_the_filter_makes_of_the_estimates():
    """SDRs are those of stems as separation filters them, losses those of the network alone."""
    model = models.build("xumx", **runs.TINY, axis_name=step.AXIS)
    variables = jax.device_get(jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 2, 800))))
    waves = runs.stems(2)
    pieces, found = Pieces(waves, waves.sum(1), np.ones(2, np.float32)), {}
    for name in (None, "aimless"):
        this, over = prepare(model=model, valid_filter=name), step.mesh(jax.devices()[:1])
        sums = step.eval_step(this, over)(variables, step.shard(pieces, over))
        found[name] = step.means(jax.device_get(sums))
    plain, filtered = found.values()
    assert plain["loss"] == filtered["loss"]
    separate = jax.jit(partial(separate_chunk, model, post_filter="aimless", niter=1))
    stems = [separate(variables, mix) for mix in waves.sum(1)]
    wanted = np.mean([energy_ratio(s, true) for s, true in zip(stems, waves, strict=True)], 0)
    np.testing.assert_allclose(filtered["sdr_db"], wanted, rtol=1e-3, atol=1e-3)
    assert (np.abs(plain["sdr_db"] - wanted) > 0.1).any()
