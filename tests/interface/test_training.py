"""Every model through every door of training: MODELS, and two toys that share nothing with UMX."""

import itertools
from functools import partial

import jax
import numpy as np
import pytest
import runs
from ml_collections import ConfigDict
from toy_models import ARGUMENTS, NAMES, RECIPES, TOYS, UNLIKE, estimate, toys  # noqa: F401
from toy_models import made as model_of

from configs.command_line import override
from xumx_jax import losses, models
from xumx_jax.errors import UserError
from xumx_jax.models import interface
from xumx_jax.stems import Stems
from xumx_jax.training import config_checks, loop, optimizer, state, step
from xumx_jax.training.batches import Examples, Pieces
from xumx_jax.training.initialization import adopted, begin
from xumx_jax.training.monitor.logs import read_metrics
from xumx_jax.training.schedule import Plateau
from xumx_jax.training.statistics import moments
from xumx_jax.weights.bag import load_model, save_model

pytestmark = pytest.mark.usefixtures("quick_compile", "toys", "own_cache")

SAMPLES = 512
WITH_STATISTICS = [
    n for n in NAMES if interface.optional(model_of(n), "input_statistics") is not None
]


def config(name: str, **train) -> ConfigDict:
    made = override(runs.config(**train), [f"--config.model.name={name}"])
    made.model.args.update(ARGUMENTS[name])
    seconds = length_for(model_of(name)) / runs.RATE
    made.train.update({"seconds": seconds, "valid_seconds": seconds})
    made.loss.name = "weighted_sdr"
    return made


def length_for(model) -> int:
    return model.segment.chunk(SAMPLES)


def batch(model, size: int = 4) -> tuple[Examples, Pieces]:
    """A training and a validation batch of as many sources as the model has."""
    stems = runs.stems(size, length_for(model))[:, : len(model.sources)]
    ones = np.ones(stems.shape[:2], np.float32)
    weight = np.ones(size, np.float32)
    return Examples(stems.swapaxes(2, 3).copy(), ones, ones < 0), Pieces(
        stems, stems.sum(1), weight
    )


def prepared(name: str, loss: str, **options) -> tuple[step.Step, state.State]:
    """A step for one device, and a state to begin with."""
    known = interface.fields(models.model_class(name))
    given = {"axis_name": step.AXIS, "dtype": "float32"}
    model = model_of(name, **{key: given[key] for key in given if key in known})
    adam = optimizer.build("adam", 1e-5)
    measure = losses.build(loss, model.transform, **options)
    this = step.Step(model, measure, adam, lambda done: 1e-3)
    mix = interface.example_mix(model)
    start = partial(state.init, model, adam, plateau=Plateau(None, 0.3, 10).init())
    return this, jax.jit(start)(jax.random.key(0), np.zeros(mix.shape, mix.dtype))


def options_for(name: str, loss: str) -> dict:
    """A band for each bin of each block's mask, for losses that need bands."""
    bands = tuple(tuple(range(mask.shape[3] + 1)) for mask in RETURNED[name].mask)
    return {"bands": bands} if "bands" in losses.LOSSES[loss].required else {}


def applies(name: str, loss: str) -> bool:
    """A model returns what the loss needs."""
    return all(getattr(RETURNED[name], field) != () for field in losses.LOSSES[loss].needs)


RETURNED = {name: estimate(model_of(name)) for name in NAMES}


def steps_of(name: str) -> list[str]:
    """The losses that a model trains with here: all that apply, for the first and the toys.

    For others that which needs most of what they return: losses see no more, and a run has one of
    waveforms. None for those whose recipes train in tests/pipelines/test_config_msst.py.
    """
    found = [loss for loss in losses.LOSSES if applies(name, loss)]
    if name == "xumx" or name in TOYS:
        return found
    if name in RECIPES:
        return []
    return [max(found, key=lambda loss: len(losses.LOSSES[loss].needs))]


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_that_applies_takes_what_a_model_returns(name):
    """By their shapes, which costs little; those of CASES also train."""
    model, est = model_of(name), RETURNED[name]
    mix = interface.example_mix(model)
    wave = jax.ShapeDtypeStruct((*est.wave.shape[:-1], mix.shape[-1]), np.float32)

    def value(loss, options, est, wave, mix):
        spec = model.transform.forward(wave) if model.transform else ()
        return losses.build(loss, model.transform, **options)(est, Stems(wave, spec), mix)[0]

    for loss in [loss for loss in losses.LOSSES if applies(name, loss)]:
        options = options_for(name, loss)
        options |= {"trim": 0} if "trim" in losses.LOSSES[loss].options else {}
        found = jax.eval_shape(partial(value, loss, options), est, wave, mix)
        assert found.shape == () and found.dtype == np.float32, loss


CASES = [(name, loss) for name in NAMES for loss in steps_of(name)]
REFUSED = [case for case in itertools.product(UNLIKE, losses.LOSSES) if not applies(*case)]


def test_every_model_and_every_loss_is_here():
    assert set(ARGUMENTS) == {*models.MODELS, *TOYS}
    refused = {loss for name, loss in REFUSED if name == "toy_wave"}
    assert refused == {n for n, loss in losses.LOSSES.items() if loss.needs != ("wave",)}
    assert not {"toy_ragged", "xumx", "umx"} & {name for name, _ in REFUSED}


@pytest.mark.slow
@pytest.mark.parametrize("name, loss", CASES)
def test_steps(name, loss):
    """Three training steps lower the loss on one batch, and the evaluation step runs."""
    this, now = prepared(name, loss, **options_for(name, loss))
    losses.check(loss, name, this.model, **options_for(name, loss))
    over = step.mesh(jax.devices()[:1])
    examples, pieces = batch(this.model)
    compiled, seen, before = step.train_step(this, over), [], jax.device_get(now.params)
    now = step.replicate(now, over)
    for _ in range(3):
        now, values = compiled(now, step.shard(examples, over))
        seen.append(float(values["loss"]))
    assert np.isfinite(seen).all() and seen[-1] < seen[0]
    assert now.counters["skipped"] == 0 and now.step == 3
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), before, jax.device_get(now.params))
    assert any(jax.tree.leaves(moved))
    if loss != "weighted_sdr":  # once a model is enough of what takes long to compile
        return
    sums = step.eval_step(this, over)(now.variables(), step.shard(pieces, over))
    assert sums["weight"] == 4 and np.isfinite(sums["loss"])
    assert sums["sdr_db"].shape == (len(this.model.sources),)


@pytest.mark.parametrize("name, loss", REFUSED)
def test_a_loss_that_does_not_apply_is_one_line_before_training(name, loss, tmp_path):
    wanted = config(name)
    wanted.loss.name = loss
    wanted.loss.segment_sdr.bands = (0, 1, 2)
    with pytest.raises(UserError, match=f"loss '{loss}' compares .*; wanted one of .*weighted_sdr"):
        loop.run(wanted, tmp_path, runs.data(), lambda _: None)


def test_bands_of_other_masks_are_one_line():
    for name, bands in (("umx", (0, 1, 65)), ("toy_ragged", (0, 1, 65))):
        with pytest.raises(UserError, match="loss 'segment_sdr' does not fit model") as error:
            losses.check("segment_sdr", name, model_of(name), bands=bands)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", WITH_STATISTICS)
def test_input_statistics(name):
    """They have a place among the parameters, and change nothing but that."""
    model = model_of(name)
    statistics = model.input_statistics
    found = moments(statistics, iter(runs.stems(2)[:, : len(model.sources)].sum(1)))
    assert found and all(mean.shape == deviation.shape for mean, deviation in found)
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(np.float32),
        interface.variable_shapes(model)["params"],
    )
    doubled = tuple((2 * mean, 2 * deviation) for mean, deviation in found)
    one, other = (statistics.fill(params, moments) for moments in (found, doubled))
    assert jax.tree.map(np.shape, one) == jax.tree.map(np.shape, params)
    # what is not as before differs with the statistics
    kept, same = (
        jax.tree.leaves(jax.tree.map(np.array_equal, one, tree)) for tree in (params, other)
    )
    assert not all(kept) and kept == same


def magnitudes(wave, n_fft, hop):
    """As numpy has them, of the channels' mean: [frame, bin]."""
    padded = np.pad(wave, [(0, 0), (n_fft // 2, n_fft // 2)], mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=-1)[:, ::hop]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return np.abs(np.fft.rfft(frames * window)).mean(0)


def test_blocks_of_different_shapes_have_their_own_statistics(tmp_path):
    """Of two songs of different lengths, each followed by silence up to a power of two."""
    model = model_of("toy_ragged")
    songs = [runs.stems(1, length, seed)[0].sum(0) for seed, length in enumerate((500, 900))]
    found = moments(model.input_statistics, songs)
    assert len(found) == 2
    for (mean, deviation), (n_fft, hop) in zip(found, ((128, 32), (32, 8)), strict=True):
        frames = [
            magnitudes(np.pad(song, [(0, 0), (0, whole - length)]), n_fft, hop)[: length // hop + 1]
            for song, length, whole in zip(songs, (500, 900), (512, 1024), strict=True)
        ]
        wanted = np.concatenate(frames)
        np.testing.assert_allclose(mean, wanted.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(deviation, wanted.std(0), rtol=1e-3, atol=1e-4)

    this, now = prepared("toy_ragged", "weighted_sdr")
    data = runs.data(mixes=lambda: iter(songs))
    begun = begin(lambda: now, this.model, data, None, print)
    for number, (mean, deviation) in enumerate(found):
        np.testing.assert_allclose(begun.params[f"mean_{number}"], -mean, rtol=1e-5)
        np.testing.assert_allclose(begun.params[f"scale_{number}"], 1 / deviation, rtol=1e-5)
        drawn = now.params[f"dense_{number}"]["kernel"]
        np.testing.assert_array_equal(begun.params[f"dense_{number}"]["kernel"], drawn)

    # weights to begin with bring their own, and no song is read
    path = tmp_path / "m.safetensors"
    theirs = fresh_weights("toy_ragged", path)
    begun = begin(lambda: now, this.model, runs.data(mixes=None), str(path), print)
    jax.tree.map(np.testing.assert_array_equal, begun.params, theirs["params"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in RECIPES])
def test_a_run_goes_on_and_its_weights_load(name, tmp_path):
    """Init, statistics, train, validate, draw, save, resume, load, fine-tune."""
    wanted = config(name, epochs=1, steps_per_epoch=2)
    wanted.log.pictures_every = wanted.log.scalars_every = 1
    data = data_for(name)
    loop.run(wanted, tmp_path / "run", data, lambda _: None)
    wanted.train.epochs = 2
    free = config_checks.flatten(wanted.to_dict())
    lines = []
    defaults = loop.Defaults(free, ("train.epochs",))
    outcome = loop.run(wanted, tmp_path / "run", data, lines.append, defaults)
    assert lines[0].startswith("resuming after step 2") and outcome.row["step"] == 4
    assert np.isfinite(outcome.row["valid"])
    records = [r for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in r]
    seen = [record["loss"] for record in records]  # all of one batch
    assert len(seen) == 4 and np.isfinite(seen).all() and seen[-1] < seen[0]
    assert len(list((tmp_path / "run" / "pictures").iterdir())) == 2

    for path in (tmp_path / "run", tmp_path / "run" / "best"):
        loaded = load_model(path)
        model = models.build(loaded.name, **loaded.args)
        assert loaded.name == name and model.sources == model_of(name).sources
        want = interface.variable_shapes(model)
        assert jax.tree.map(np.shape, want) == jax.tree.map(np.shape, loaded.variables)

    begun = adopted(str(tmp_path / "run"), model, loaded_variables(tmp_path), lines.append)
    jax.tree.map(np.testing.assert_array_equal, begun, load_model(tmp_path / "run").variables)


def loaded_variables(tmp_path) -> dict:
    return jax.tree.map(np.zeros_like, load_model(tmp_path / "run").variables)


def data_for(name: str, **changes):
    """The data of `runs`, of as many sources and samples as the model takes."""
    model = model_of(name)
    examples, pieces = batch(model)

    def example():
        """Of a length that no model but UMX takes as it is."""
        return pieces.stems[0, ..., :501], pieces.mix[0, ..., :501]

    return runs.data(
        spoil=lambda batches: itertools.repeat(examples),
        valid=lambda: iter([pieces]),
        mixes=lambda: iter(pieces.mix),
        example=example,
        fingerprint=f"{name} here",  # other mixtures than those of `runs`: other statistics
        **changes,
    )


def fresh_weights(name: str, path, **args):
    """Weights of a tiny model in a file; returns what they are."""
    model = model_of(name, **args)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(np.float32),
        interface.variable_shapes(model),
    )
    save_model(path, name, ARGUMENTS[name] | args, variables)
    return variables


@pytest.mark.parametrize("name", TOYS)
def test_fine_tuning_with_other_sources_is_one_line_where_they_lie_together(name, tmp_path):
    path = tmp_path / "m.safetensors"
    variables = fresh_weights(name, path)
    same = adopted(str(path), model_of(name), variables, print)
    jax.tree.map(np.testing.assert_array_equal, same, variables)
    other = model_of(name, sources=("low", "high"))
    with pytest.raises(UserError, match="separates high, low; .* must be") as error:
        adopted(str(path), other, variables, print)
    assert "\n" not in str(error.value)


def test_fine_tuning_from_another_family_is_one_line(tmp_path):
    path = tmp_path / "m.safetensors"
    variables = fresh_weights("toy_wave", path)
    with pytest.raises(UserError, match="does not fit the config: is a model 'toy_wave'"):
        adopted(str(path), model_of("toy_ragged"), variables, print)
    wider = models.build("toy_wave", width=7)
    with pytest.raises(UserError, match="model.args.width is 7, theirs 9"):
        adopted(str(path), wider, variables, print)


@pytest.mark.parametrize("name", [name for name in UNLIKE if name not in WITH_STATISTICS])
def test_a_model_without_statistics_begins_as_drawn(name):
    """Nothing is read for them."""
    this, now = prepared(name, "weighted_sdr")
    begun = begin(lambda: now, this.model, runs.data(mixes=None), None, print)
    jax.tree.map(np.testing.assert_array_equal, begun.params, now.params)


@pytest.mark.parametrize(
    "key, value, wanted",
    [
        ("train.seconds", 0.6, "config.train.seconds is 0.6, wanted more than 0 and at most 0.512"),
        ("train.seconds", 0.0, "is 0.0 (whole tracks), wanted more than 0 and at most 0.512"),
        ("train.valid_seconds", 0.0, "config.train.valid_seconds is 0.0 (whole tracks), wanted"),
        ("train.compute", "bfloat16", "model 'toy_wave' computes only in float32"),
        ("model.args.channels", 3, "config.model.args.channels is 3, wanted 1 or 2"),
    ],
)
def test_what_a_model_does_not_take_is_one_line(key, value, wanted):
    made = config("toy_wave")
    config_checks.check(made)
    made.update_from_flattened_dict({key: value})
    with pytest.raises(UserError) as error:
        config_checks.check(made)
    assert wanted in str(error.value) and "\n" not in str(error.value)


def test_a_models_own_refusal_names_the_key():
    made = config("xumx")
    made.model.args.activation = "tanh"
    with pytest.raises(UserError, match="config.model.args: .*activation 'tanh': wanted one of"):
        config_checks.check(made)


def test_examples_are_as_long_as_the_model_takes_them():
    for name, wanted in (("xumx", 800), ("toy_wave", 800), ("toy_ragged", 1024)):
        assert config_checks.samples_of(model_of(name), 0.1) == wanted
        assert config_checks.samples_of(model_of(name), 0) == 0


def test_whole_tracks_are_followed_by_silence():
    from xumx_jax.training.batches import filled

    examples, pieces = batch(model_of("toy_ragged"))
    short = examples._replace(stems=examples.stems[:, :, :300])
    made = filled(short, model_of("toy_ragged").segment)
    assert made.stems.shape == (4, 2, 512, 2) and not made.stems[:, :, 300:].any()
    np.testing.assert_array_equal(made.stems[:, :, :300], short.stems)
    short = pieces._replace(stems=pieces.stems[..., :300], mix=pieces.mix[..., :300])
    made = filled(short, model_of("toy_ragged").segment)
    assert made.mix.shape == (4, 2, 512) and not made.stems[..., 300:].any()
    assert filled(short, model_of("xumx").segment) is short


@pytest.mark.slow
@pytest.mark.parametrize("name", TOYS)
def test_a_model_for_mono_trains_on_the_mean_of_the_channels(name):
    """The same steps on stereo as on its mono version: values of losses and SDRs."""
    this, now = prepared(name, "weighted_sdr")
    model, over = this.model.clone(channels=1), step.mesh(jax.devices()[:1])
    this = this._replace(model=model)
    examples, pieces = batch(model)
    mono = examples._replace(stems=examples.stems.mean(-1, keepdims=True))
    mono_pieces = pieces._replace(
        stems=pieces.stems.mean(-2, keepdims=True), mix=pieces.mix.mean(-2, keepdims=True)
    )
    now = jax.device_get(now)
    compiled, seen = step.train_step(this, over), []
    for each in (examples, mono):
        _, values = compiled(step.replicate(now, over), step.shard(each, over))
        seen.append(values["loss"])
    np.testing.assert_allclose(*seen, rtol=1e-5)
    sums = [
        step.eval_step(this, over)(now.variables(), step.shard(each, over))["loss"]
        for each in (pieces, mono_pieces)
    ]
    np.testing.assert_allclose(*sums, rtol=1e-5)


def test_products_are_exact_in_training(monkeypatch):
    """For models that set no precision: on GPUs and TPUs JAX's own is less than float32."""
    this, now = prepared("toy_wave", "weighted_sdr")
    seen, call = [], type(this.model).__call__

    def watched(self, mix, train=False):
        seen.append(jax.config.jax_default_matmul_precision)
        return call(self, mix, train)

    monkeypatch.setattr(type(this.model), "__call__", watched)
    over = step.mesh(jax.devices()[:1])
    examples, pieces = batch(this.model)
    variables = jax.device_get(now.variables())
    step.train_step(this, over).lower(step.replicate(now, over), step.shard(examples, over))
    step.eval_step(this, over).lower(variables, step.shard(pieces, over))
    assert set(seen) == {"highest"}
