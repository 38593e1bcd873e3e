"""Every model of MODELS, and two toys unlike UMX, through every door of separation."""

import json
import pickle

import jax
import numpy as np
import pytest
from tiny_models import noise, stack
from toy_models import ARGUMENTS, NAMES, TOYS, drawn, made, toys  # noqa: F401

from xumx_jax.errors import UserError
from xumx_jax.models import MODELS
from xumx_jax.models.interface import (
    OPTIONAL,
    SEPARATING_FIELDS,
    Segment,
    example_mix,
    fields,
    optional,
    variable_shapes,
)
from xumx_jax.postfilters import POST_FILTERS, PostFilter
from xumx_jax.separation.audio_separator import FAMILIES
from xumx_jax.separation.engine import ENGINES
from xumx_jax.separation.export import export, load_exported
from xumx_jax.separation.normalization import NORMALIZATIONS
from xumx_jax.separation.protocols import PROTOCOLS
from xumx_jax.separation.separator import Separator, load
from xumx_jax.stems import Stems
from xumx_jax.weights.bag import save_model

pytestmark = pytest.mark.usefixtures("quick_compile", "toys")
RATE = 8000
COMPUTING = [n for n in NAMES if n in TOYS or set(SEPARATING_FIELDS) & set(fields(type(made(n))))]
COMPUTING.remove("mel_band_roformer")  # the other one's layers


@pytest.fixture(scope="module")
def models():
    with pytest.MonkeyPatch.context() as patch:
        for name, model in TOYS.items():
            patch.setitem(MODELS, name, model)
        return {name: drawn(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_says_what_it_takes(models, name):
    module, _ = models[name]
    assert module.sources and module.sample_rate == RATE and module.channels == 2
    assert isinstance(module.segment, Segment)
    mix = example_mix(module)
    assert module.segment.fit(mix.shape[-1]) == mix.shape[-1]
    shapes = jax.eval_shape(module.apply, variable_shapes(module), mix)
    assert shapes.wave.shape == (1, len(module.sources), 2, mix.shape[-1])
    if module.transform is None:
        assert shapes.spec == shapes.mask == shapes.magnitude == ()
    else:  # what the inverse takes, block by block
        blocks = jax.eval_shape(module.transform.forward, shapes.wave)
        assert [block.shape for block in shapes.spec] == [block.shape for block in blocks]
    for shown in (shapes.mask, shapes.magnitude):
        assert not shown or len(shown) == len(shapes.spec)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_model_names_is_there(models, name):
    module, _ = models[name]
    registries = {
        "post_filter": POST_FILTERS, "engine": ENGINES, "normalization": NORMALIZATIONS,
        "protocol": PROTOCOLS, "audio_separator": FAMILIES,
    }  # fmt: skip
    for attribute, registry in registries.items():
        assert optional(module, attribute) in {*registry, OPTIONAL[attribute]}
    assert optional(module, "refused") is None and optional(module, "power") > 0
    statistics = optional(module, "input_statistics")
    assert statistics is None or json.loads(json.dumps(statistics.key)) == statistics.key


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_length_comes_back_however_it_is_cut(models, name):
    # shorter windows than usual: a filter of its own transform computes each to its end
    whole = {"wiener_frames": 30} if Separator(*models[name]).post_filter else {}
    cut = {**whole, "chunk_seconds": 0.25, "overlap": 0.5}
    options = [whole, {**cut, "shifts": 2}]
    if optional(models[name][0], "engine") != "chunked" or name in TOYS:
        options = [whole, cut, {**cut, "overlap": 0}, {**whole, "shifts": 2}]
    for given in options:
        separator = Separator(*models[name], **given)
        mixtures = [noise(5000)]
        if given is whole:  # silence, and shorter than what any network sees at once
            mixtures += [np.zeros((2, 5000), np.float32), noise(1)]
        for mix in mixtures:
            stems = separator(mix, RATE)
            assert np.isfinite(stack(stems)).all()
            assert tuple(stems) == models[name][0].sources
            assert {wave.shape for wave in stems.values()} == {mix.shape}
            blocks = [mix[:, :700], mix[:, 700:]]
            streamed = [stack(block) for block in separator.stream(blocks, RATE)]
            np.testing.assert_allclose(np.concatenate(streamed, -1), stack(stems), atol=2e-6)


@pytest.mark.parametrize("name", TOYS)
def test_a_model_for_mono_separates_the_channels_of_stereo_one_by_one(models, name):
    module, variables = models[name]
    for options in ({}, {"residual": True}):
        separator = Separator(module.clone(channels=1), variables, **options)
        mix = noise(1500)
        each = [stack(separator(channel[None], RATE)) for channel in mix]
        np.testing.assert_allclose(stack(separator(mix, RATE)), np.concatenate(each, 1), atol=1e-6)


def test_a_convolution_does_not_see_where_chunks_end(models):
    """With real context on both sides, chunks give what the whole does: known by hand."""
    module, variables = models["toy_wave"]
    kernel, bias = variables["params"]["conv"]["kernel"], variables["params"]["conv"]["bias"]
    mix = noise(5000)
    wanted = np.stack(
        [
            [np.convolve(wave, kernel[::-1, 0, source], "same") + bias[source] for wave in mix]
            for source in range(2)
        ]
    )
    found = stack(Separator(module, variables, chunk_seconds=0.128, overlap=0.25)(mix, RATE))
    inside = np.abs(found - wanted)[..., 16:-16]
    # of the cross-fade only what is near a chunk's own end is off, and weighs least
    assert np.quantile(inside, 0.95) < 1e-5
    whole = stack(Separator(module, variables, chunk_seconds=0.512, overlap=0)(mix, RATE))
    assert (np.abs(whole - wanted)[..., 16:4000] < 1e-5).mean() > 0.99


def test_a_short_rest_is_given_context(models):
    """4096 and 904 samples: the rest runs as 912, eight samples of context before it."""
    module, variables = models["toy_wave"]
    mix = noise(5000)
    found = stack(Separator(module, variables, chunk_seconds=0.512, overlap=0)(mix, RATE))
    alone = jax.jit(module.apply)(variables, mix[None, :, 5000 - 912 :]).wave[0]
    np.testing.assert_allclose(found[..., 4096:], alone[..., 8:], atol=1e-6)


@pytest.mark.parametrize("name", TOYS)
def test_residual_without_a_filter_is_what_the_stems_leave(models, name):
    mix = noise(1500)
    stems = Separator(*models[name], residual=True)(mix, RATE)
    np.testing.assert_allclose(sum(stems.values()), mix, atol=1e-6)


def test_filters_go_over_all_blocks(models):
    mix = noise(1024)
    plain = stack(Separator(*models["toy_ragged"])(mix, RATE))
    filtered = stack(Separator(*models["toy_ragged"], post_filter="norbert")(mix, RATE))
    softmask = Separator(*models["toy_ragged"], post_filter="norbert", niter=0, softmask=True)
    assert np.abs(filtered - plain).max() > 1e-3
    np.testing.assert_allclose(stack(softmask(mix, RATE)).sum(0), mix, atol=1e-4)
    # masks keep the mixture's phase, so it does not matter which of the two a filter starts from
    complex_ = stack(Separator(*models["toy_ragged"], post_filter="complex")(mix, RATE))
    np.testing.assert_allclose(complex_, filtered, atol=1e-4)


def own_filter(estimate, mix, shrink: float = 0.5):
    """A post filter that has none of the Wiener filter's options."""
    return shrink * estimate * jax.numpy.exp(1j * jax.numpy.angle(mix))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["umx", "xumx", "toy_ragged"])
def test_the_filter_that_was_chosen_is_the_one_that_runs(models, name, monkeypatch):
    monkeypatch.setitem(POST_FILTERS, "own", PostFilter(own_filter))
    mix = noise(1024)
    found = Separator(*models[name], post_filter="own", residual=True)(mix, RATE)
    np.testing.assert_allclose(sum(found.values()), mix, atol=1e-5)
    whole = PostFilter(own_filter, {"shrink": 1.0})
    monkeypatch.setitem(POST_FILTERS, "whole", whole)
    twice = Separator(*models[name], post_filter="whole")(mix, RATE)
    for source, wave in twice.items():
        np.testing.assert_allclose(wave, 2 * found[source], atol=1e-6)
    with pytest.raises(UserError, match="softmask is True, but the model has no post filter that"):
        Separator(*models[name], post_filter="own", softmask=True)


def test_engines_with_a_filter_of_their_own_leave_others_to_chunks(models):
    mix = noise(3000)
    options = {"post_filter": "complex", "niter": 0, "residual": True}
    whole = stack(Separator(*models["umx"], **options)(mix, RATE))
    chunks = stack(Separator(*models["umx"], **options, chunk_seconds=1)(mix, RATE))
    np.testing.assert_allclose(whole, chunks, atol=1e-5)
    with pytest.raises(UserError, match="post filter 'complex' cannot run live"):
        Separator(*models["umx"], post_filter="complex", niter=0).live(RATE)


@pytest.mark.parametrize(
    ("compute", "wanted"),
    [("float32", "highest"), ("bfloat16", "bfloat16"), ("tf32", "tensorfloat32")],
)
def test_products_have_the_precision_that_was_chosen(models, compute, wanted, tmp_path):
    """Whatever the device's own is: on GPUs and TPUs that is less than float32."""
    seen = []

    class Watching(TOYS["toy_wave"]):
        def __call__(self, mix, train=False):
            seen.append(jax.config.jax_default_matmul_precision)
            return Stems(mix[:, None])

    Separator(Watching(sources=("a",)), {}, compute=compute)(noise(1024), RATE)
    assert set(seen) == {wanted}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("toy_wave", {"wiener_frames": 9}, "wiener-frames is 9, but the model has no post filter"),
        ("toy_wave", {"seed": 5}, "seed is 5 without shifts"),
        ("toy_wave", {"niter": 2}, "niter is 2, but the model has no post filter"),
        ("toy_ragged", {"softmask": True}, "softmask is True, but the model has no post filter"),
        ("toy_wave", {"post_filter": "norbert"}, "works on waveforms, and post filters on spectra"),
        ("xumx", {"overlap": 0.5}, "overlap is 0.5 without chunk_seconds"),
        ("xumx_slicq", {"overlap": 0.5}, "overlap is 0.5 without chunk_seconds"),
        ("xumx", {"compute": "int8"}, "compute is 'int8'; wanted one of float32, bfloat16, tf32"),
        ("xumx", {"device": "abacus"}, "unknown device 'abacus'; known: auto, cpu, gpu, tpu"),
    ],
)
def test_options_that_do_not_go_with_a_model(models, name, options, message):
    with pytest.raises(UserError, match=message):
        Separator(*models[name], **options)


@pytest.mark.parametrize("name", TOYS)
def test_live_is_for_models_that_can(models, name):
    with pytest.raises(UserError, match="live separation needs an X-UMX or Open-Unmix"):
        Separator(*models[name]).live(RATE)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_export_and_pickle_give_the_same(models, name, tmp_path):
    module, variables = models[name]
    save_model(tmp_path / "m.safetensors", name, ARGUMENTS[name], variables)
    about = export(tmp_path / "m.safetensors", tmp_path / "out", seconds=0.1, platforms=("cpu",))
    samples = about["input"]["shape"][-1]
    mix = noise(samples)
    found = load_exported(tmp_path / "out")(mix[None])[0]
    separator = load(tmp_path / "m.safetensors", chunk_seconds=samples / RATE, overlap=0)
    wanted = stack(separator(mix, RATE))
    # a filter has few frames for its statistics here, and enlarges rounding
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    again = pickle.loads(pickle.dumps(separator))
    np.testing.assert_array_equal(stack(again(mix, RATE)), wanted)
    assert len(pickle.dumps(separator)) < 1000  # the path, not the weights


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPUTING)
def test_other_precisions_are_near(models, name):
    """Of the networks that choose theirs; others leave it to JAX, whose products are exact here."""
    mix = noise(1000)
    exact = stack(Separator(*models[name])(mix, RATE))
    for compute, most in (("bfloat16", 0.05), ("tf32", 1e-3)):
        near = stack(Separator(*models[name], compute=compute)(mix, RATE))
        off = np.sqrt(np.mean((near - exact) ** 2) / np.mean(exact**2))
        assert off < most, compute
        if compute == "bfloat16" and name not in TOYS:
            assert off > 1e-6  # a model that lets its precision be chosen computes in it
