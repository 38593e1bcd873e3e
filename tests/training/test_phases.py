"""Phases: what may change within a run, and that it changes when and as it was asked to."""

import contextlib
import os
import signal

import jax
import numpy as np
import pytest
import runs
import songs
from runs import arrays, check_equal, quiet

import train
from configs import common
from configs.command_line import override
from xumx_jax.errors import UserError
from xumx_jax.training import phases, state, step
from xumx_jax.training.batches import filled
from xumx_jax.training.identity import differences
from xumx_jax.training.monitor.logs import read_metrics
from xumx_jax.training.schedule import Plateau
from xumx_jax.training.step_of_config import build_step, entered
from xumx_jax.weights import store

CHANGED = {
    "optimizer.learning_rate": 3e-3, "optimizer.accumulate": 3, "optimizer.clip": 0.5,
    "loss.multi_domain.mcoef": 1000.0, "augment": (("mono", {"probability": 0.5}),),
    "recipe.gain": (0.5, 0.5),
}  # fmt: skip
PER_EPOCH = 5  # no multiple of either accumulation


def config(*given, **changes):
    made = runs.config(**({"epochs": 4, "steps_per_epoch": PER_EPOCH} | changes))
    made.model.args.layers = 1
    made.phases = given
    return made


@pytest.mark.parametrize(
    "given, wanted",
    [
        ((3,), "config.phases is (3,), wanted ((epochs, {'option': value, ...}), ...)"),
        (((1, {}),), "wanted ((epochs, {'option': value, ...}), ...)"),
        (((True, CHANGED),), "wanted ((epochs, {'option': value, ...}), ...)"),
        (((0, CHANGED),), "after 0 epochs: wanted more than 0 and less than train.epochs, 4"),
        (((4, CHANGED),), "after 4 epochs: wanted more than 0 and less than train.epochs, 4"),
        (((2, CHANGED), (2, CHANGED)), "wanted more than the 2 of the phase before it"),
        (
            ((1, {"optimizer.learnig_rate": 1e-3}),),
            "config.phases, after 1 epochs: unknown option optimizer.learnig_rate; did you mean "
            "optimizer.learning_rate?",
        ),
        (((1, {"optimizer": 1}),), "unknown option optimizer"),
        (((1, {"train.batch_size": 8}),), "train.batch_size can't change within a run; what can:"),
        (((1, {"model.args.layers": 3}),), "model.args.layers can't change within a run"),
        (((1, {"data.name": "musdb"}),), "data.name can't change within a run"),
        (((1, {"optimizer.name": "adam"}),), "optimizer.name can't change within a run"),
        (((1, {"train.seed": 1}),), "train.seed can't change within a run"),
        (((1, {"phases": ()}),), "phases can't change within a run"),
        (((1, {"optimizer.accumulate": None}),), "optimizer.accumulate is None, wanted a value"),
        (((1, {"optimizer.accumulate": 0}),), "config.optimizer.accumulate is 0, wanted 1 or more"),
        (((1, {"optimizer.clip": -1.0}),), "config.optimizer.clip is -1.0, wanted more than 0"),
        (((1, {"optimizer.learning_rate": "x"}),), "after 1 epochs: "),
        (((1, {"loss.name": "l9"}),), "unknown loss 'l9'"),
        (((1, {"augment": (("echo", {}),)}),), "unknown augmentation 'echo'"),
        (((1, {"optimizer.schedule": "linear"}),), "unknown schedule 'linear'"),
        (((1, {"optimizer.plateau.factor": 2.0}),), "plateau.factor is 2.0, wanted more than 0"),
    ],
)
def test_what_can_not_be_is_one_line(given, wanted):
    with pytest.raises(UserError) as error:
        phases.check(config(*given))
    assert wanted in str(error.value) and "\n" not in str(error.value)


def test_changes_add_up():
    """Each phase keeps what the ones before it changed; the config itself stays as it is."""
    made = config((1, {"optimizer.clip": 2.0}), (3, {"optimizer.clip": 3.0, "recipe.drop": 0.5}))
    made.optimizer.warmup_steps = 7
    phases.check(made)
    seen = [phases.during(made, epochs) for epochs in range(5)]
    assert [each.optimizer.clip for each in seen] == [None, 2.0, 2.0, 3.0, 3.0]
    assert [each.recipe.drop for each in seen] == [0, 0, 0, 0.5, 0.5]
    assert {each.optimizer.warmup_steps for each in seen} == {7} and made.optimizer.clip is None
    assert [each.optimizer.clip for each in phases.each(made)] == [None, 2.0, 3.0]
    assert phases.beginning(made, 2) is None and phases.beginning(made, 3).epochs == 3
    assert seen[0] is made


def test_they_are_given_on_the_command_line():
    word = '--config.phases=((1, {"recipe.effects": (("resample", {"probability": 0.3}),)}),)'
    made = override(common.base(), [word])
    phases.check(made)
    mixed = [train.mixing_of(phase, "musdb").effects for phase in phases.each(made)]
    assert mixed == [(), (("resample", {"probability": 0.3}),)]


def test_a_schedule_is_that_of_its_own_updates():
    """One of 4 epochs of 10 steps, of which the phases leave 2 + 1 + 1; by hand."""
    rate, more = {"optimizer.learning_rate": 1e-4}, {"optimizer.accumulate": 4}
    anew = rate | {"optimizer.schedule": "cosine", "optimizer.warmup_steps": 1}
    counted = [
        ([(2, more)], 0, 20 + 20 // 4),  # the schedule goes on, in fewer updates
        ([(2, more)], 3, 20 + 20 // 4),
        ([(2, rate)], 1, 20),  # it ends where the next begins
        ([(2, rate)], 2, 20),
        ([(2, anew | more), (3, {"optimizer.accumulate": 1})], 3, 10 // 4 + 10),
    ]
    for given, epochs, wanted in counted:
        assert phases.scheduled_updates(config(*given), epochs, 10) == wanted
    made = config((2, anew))
    made.optimizer.update({"schedule": "cosine", "warmup_steps": 5})
    before, after = (build_step(made, epochs, 10).schedule for epochs in (0, 2))
    np.testing.assert_allclose([before(0), before(5), before(20)], [0, 1e-3, 1e-5], rtol=1e-5)
    np.testing.assert_allclose([after(0), after(1), after(20)], [0, 1e-4, 1e-6], rtol=1e-5)
    made.phases = ((2, rate),)  # which names no warm-up
    assert build_step(made, 2, 10).schedule(0) == pytest.approx(1e-4)


def test_a_run_with_phases_is_another_run():
    defaults, one = common.defaults("xumx"), config((1, CHANGED)).to_dict()
    plain = config().to_dict()
    (line,) = differences(plain, one, defaults)
    assert line.startswith("phases was [], now [[1, {")
    del plain["phases"]  # as it was before there were any
    assert differences(plain, config().to_dict(), defaults) == []
    longer = config((1, CHANGED), epochs=9).to_dict()
    assert differences(one, longer, defaults) == []
    cosine = {"optimizer.schedule": "cosine"}
    lines = differences(config((1, cosine)).to_dict(), config((1, cosine), epochs=9).to_dict(),
                        defaults)  # fmt: skip
    assert lines == ["train.epochs was 4, now 9"]


def mixed_data(**changes):
    """Data in memory that are mixed as a phase's config says, and remember what they were asked."""
    asked = []

    @contextlib.contextmanager
    def begin(first, phase):
        asked.append((first, phase.recipe.gain))
        with runs.data(**changes).train(first, phase) as batches:
            yield (batch._replace(gain=gain_of(phase, batch)) for batch in batches)

    def gain_of(phase, batch):
        return batch.gain if phase.recipe.gain is None else np.full_like(batch.gain, 0.5)

    return runs.data(**changes)._replace(train=begin), asked


BORDER = 2  # epochs
PHASED = config((BORDER, CHANGED), average=0.9)
PHASED.optimizer.accumulate = 2
AT_BORDER = BORDER * PER_EPOCH


@pytest.fixture(scope="module")
def phased(tmp_path_factory, session_cache):
    """Two epochs and two more with everything changed, in one go."""
    workdir, lines = tmp_path_factory.mktemp("phased"), []
    jax.config.update("jax_disable_most_optimizations", True)
    data, asked = mixed_data()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUMX_CACHE", str(session_cache))
        outcome = runs.run(PHASED, workdir, data, lines.append)
    jax.config.update("jax_disable_most_optimizations", False)
    return workdir, outcome, lines, asked


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compile", "own_cache")
def test_a_run_with_a_phase_equals_two_runs_by_hand(phased, tmp_path):
    """One that ends at the border, and the steps after it one by one, to the bit."""
    workdir, outcome, lines, asked = phased
    assert asked == [(0, None), (4 * AT_BORDER, (0.5, 0.5))]
    assert any(line.startswith("after epoch 2: optimizer.learning_rate 0.003") for line in lines)
    events = [row for row in read_metrics(workdir / "metrics.jsonl") if row.get("event") == "phase"]
    assert [(row["step"], row["epoch"]) for row in events] == [(AT_BORDER, BORDER)]
    first = config(epochs=BORDER, average=0.9)
    first.optimizer.accumulate = 2
    runs.run(first, tmp_path, mixed_data()[0], quiet)
    found = arrays(store.newest(tmp_path))
    first_best = store.describe(tmp_path / "best")["info"]["value"]
    inner = found["optimizer"]["opt_state"]["inner_opt_state"]
    assert found["optimizer"]["opt_state"]["mini_step"] == 0  # 10 steps are 5 updates
    now = state_like(PHASED, found, inner)
    changed = phases.during(PHASED, BORDER)
    by_hand = config(average=0.9)
    for part in ("optimizer", "augment", "loss"):
        by_hand[part] = changed[part]
    this, over = build_step(by_hand, 0, PER_EPOCH), step.mesh()
    advance, rates = step.train_step(this, over), []
    with mixed_data()[0].train(4 * AT_BORDER, changed) as batches:
        now = step.replicate(now, over)
        for _, batch in zip(range(2 * PER_EPOCH), batches, strict=False):
            batch = step.shard(filled(batch, this.model.segment), over)
            now, values = advance(now, batch)
            rates.append(float(values["lr"]))
    ended = arrays(store.newest(workdir))
    assert ended["optimizer"]["step"] == now.step == 4 * PER_EPOCH
    jax.tree.map(np.testing.assert_array_equal, ended["optimizer"]["params"],
                 jax.device_get(now.params))  # fmt: skip
    jax.tree.map(np.testing.assert_array_equal, ended["model"], jax.device_get(now.average))
    assert rates == [pytest.approx(3e-3)] * 10 and outcome.row["lr"] == pytest.approx(3e-3)
    # 5 updates of two batches, and 3 of three: the tenth waits
    adam = ended["optimizer"]["opt_state"]
    assert (adam["mini_step"], adam["gradient_step"]) == (1, 3)
    counters = ended["optimizer"]["counters"]
    best = store.describe(workdir / "best")["info"]
    assert best["progress"]["epoch"] > BORDER and best["value"] > 10 * first_best  # of a lower loss
    assert counters == {"earlier_steps": 10, "earlier_updates": 0, "skipped": 0, "in_row": 0}


def state_like(config, found, inner):
    """The state that the changed step begins with, made of the arrays of a run without phases."""
    this = build_step(config, BORDER, PER_EPOCH)
    saved = found["optimizer"]
    fresh = this.optimizer.init(saved["params"])
    # clipping was not used before, so the states differ in number
    adam = jax.tree.unflatten(jax.tree.structure(fresh.inner_opt_state[-1]), jax.tree.leaves(inner))
    zero = np.zeros((), np.int32)
    return state.State(
        step=np.int32(AT_BORDER),
        params=saved["params"],
        collections=saved["collections"],
        opt_state=fresh._replace(inner_opt_state=(*fresh.inner_opt_state[:-1], adam)),
        average=found["model"],
        plateau=Plateau(None, 0.3, 10).init(),
        counters={"skipped": zero, "in_row": zero},
    )


def stopping(number: int):
    """Data that send SIGTERM when the batch with this number, of the whole run, is fetched."""

    @contextlib.contextmanager
    def begin(first, phase):
        def spoiled(batches):
            for position, batch in enumerate(batches, first // 4):
                if position == number:
                    os.kill(os.getpid(), signal.SIGTERM)
                yield batch

        with mixed_data()[0].train(first, phase) as batches:
            yield spoiled(batches)

    return mixed_data()[0]._replace(train=begin)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compile", "own_cache")
def test_stopping_near_the_border_changes_nothing(phased, tmp_path):
    """In the last step before it, right at it and after it, within waiting gradients."""
    for number, saved in ((AT_BORDER - 2, AT_BORDER - 1), (AT_BORDER - 1, AT_BORDER),
                          (AT_BORDER, AT_BORDER + 1), (AT_BORDER + 3, AT_BORDER + 4)):  # fmt: skip
        outcome = runs.run(PHASED, tmp_path, stopping(number), quiet)
        assert outcome.signal == signal.SIGTERM
        assert int(store.newest(tmp_path).name) == saved
    runs.run(PHASED, tmp_path, mixed_data()[0], quiet)
    check_equal(tmp_path, phased[0])


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compile")
def test_updates_are_counted_on(tmp_path):
    """12 steps less 2 skipped were 5 updates; 7 more steps, 1 skipped, are 2 of three."""
    goes_on, anew = {"optimizer.accumulate": 3}, {"optimizer.learning_rate": 1.0}
    for changes, wanted in ((goes_on, 5), (goes_on | anew, 0)):
        made = config((1, changes))
        made.optimizer.accumulate = 2
        before, after = (build_step(made, epochs, PER_EPOCH) for epochs in (0, 1))
        tree = {"w": np.ones(3, np.float32)}
        waiting = before.optimizer.init(tree)
        for _ in range(3):  # one update, and a gradient that waits
            _, waiting = before.optimizer.update(tree, waiting, tree)
        counters = {"skipped": np.int32(2)} | dict.fromkeys(state.PHASE_COUNTERS, np.int32(0))
        lowered = Plateau(None, 0.3, 10).init()._replace(scale=np.float32(0.3))
        now = state.State(np.int32(12), tree, {}, waiting, None, lowered, counters)
        now = entered(now, phases.beginning(made, 1), before, after)
        assert now.counters["earlier_steps"] == 10 and now.counters["earlier_updates"] == wanted
        assert now.plateau.scale == (1.0 if wanted == 0 else 0.3)
        later = now.counters | {"skipped": 3}
        assert step.updates(np.int32(19), later, 3) == wanted + 2
        assert now.opt_state.mini_step == 0 and not now.opt_state.acc_grads["w"].any()
        mu = [jax.tree.leaves(s.inner_opt_state) for s in (waiting, now.opt_state)]
        jax.tree.map(np.testing.assert_array_equal, *mu)


def test_a_recipe_of_a_phase_that_fits_no_data_is_known_at_once(tmp_path):
    words = [
        f"--config.data.root={songs.make(tmp_path)}",
        *songs.SMALL,
        "--config.data.name=folder",
    ]
    made = override(common.base(), words)
    made.phases = ((1, {"recipe.swap": 2.0}),)
    with pytest.raises(UserError, match="recipe.swap is 2.0, wanted 0 to 1"):
        train.open_data(made)
