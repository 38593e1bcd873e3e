from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax import losses
from xumx_jax.errors import UserError
from xumx_jax.models import build, model_class
from xumx_jax.models.umx import UMX
from xumx_jax.stems import Stems
from xumx_jax.transforms.bands import band_edges

pytestmark = pytest.mark.usefixtures("quick_compile")

TINY = {"hidden_size": 8, "n_fft": 64, "hop": 16, "dropout": 0.0, "layers": 2}


def mixture(channels: int = 2, time: int = 400) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, channels, time)).astype(np.float32)


def made(name: str = "xumx", **options):
    model = build(name, **TINY | options)
    return model, jax.jit(model.init)(jax.random.key(0), mixture(model.channels))


def apply(model, *arguments, **options):
    """Compiled: op by op, a network of this depth takes seconds even when tiny."""
    return jax.jit(partial(model.apply, **options))(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xumx", "umx"])
def test_both_models_keep_the_interface(name):
    model, variables = made(name)
    stems = apply(model, variables, mixture())
    length = 400  # whole hops
    assert stems.wave.shape == (3, len(model.sources), 2, length) == (3, 4, 2, 400)
    assert stems.spec[0].shape == (3, 4, 2, 33, 26) == stems.mask[0].shape
    np.testing.assert_allclose(
        stems.wave, model.transform.istft(stems.spec[0])[..., :length], atol=1e-5
    )


def test_open_unmix_is_x_umx_without_its_bridge():
    assert build("umx") == UMX(bridge=False) == model_class("umx")()
    with pytest.raises(UserError, match="unknown model 'unmix'; known: xumx, umx"):
        model_class("unmix")


@pytest.mark.slow
@pytest.mark.parametrize("sources", [("a",), ("a", "b", "c", "d", "e")])
@pytest.mark.parametrize("unidirectional", [False, True])
@pytest.mark.parametrize("bridge", [False, True])
def test_any_number_of_sources(sources, unidirectional, bridge):
    model, variables = made(sources=sources, unidirectional=unidirectional, bridge=bridge)
    directions = variables["params"]["lstm_0"]["w_hh"].shape[:3]
    assert directions == ((len(sources), 1, 8) if unidirectional else (len(sources), 2, 4))
    assert apply(model, variables, mixture()).wave.shape[1] == len(sources)


@pytest.mark.slow
def test_the_bridge_is_the_only_difference():
    """With equal weights for all sources the averages change nothing: X-UMX is Open-Unmix."""
    model, variables = made("umx")
    alike = jax.tree.map(lambda x: jnp.broadcast_to(x[:1], x.shape), variables)
    ours = apply(model, alike, mixture()).wave
    np.testing.assert_allclose(ours, apply(build("xumx", **TINY), alike, mixture()).wave, atol=1e-5)
    ours = apply(model, variables, mixture()).wave
    assert np.abs(ours - apply(build("xumx", **TINY), variables, mixture()).wave).max() > 1e-3


@pytest.mark.slow
def test_mask_network_alone():
    model, variables = made()
    stems = apply(model, variables, mixture())
    magnitudes = jnp.abs(model.transform.stft(mixture()))
    mask = apply(model, variables, magnitudes, method="masks")
    np.testing.assert_allclose(mask, stems.mask[0], atol=1e-6)


@pytest.mark.slow
def test_one_channel_model_takes_stereo_and_trains():
    """Magnitudes are averaged; the mask serves both channels. The original cannot train it."""
    model, variables = made(channels=1)
    both = apply(model, variables, mixture(2))
    assert both.wave.shape == (3, 4, 2, 400) and both.mask[0].shape[2] == 1
    magnitudes = jnp.abs(model.transform.stft(mixture(2))).mean(1, keepdims=True)
    mask = apply(model, variables, magnitudes, method="masks")
    np.testing.assert_allclose(both.mask[0], mask, atol=1e-6)

    def energy(params):
        stems, _ = model.apply(
            variables | {"params": params}, mixture(2), train=True, mutable=["batch_stats"]
        )
        return jnp.square(stems.wave).sum()

    grads = jax.jit(jax.grad(energy))(variables["params"])
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert np.abs(grads["lstm_0"]["w_hh"]).max() > 0


@pytest.mark.slow
def test_more_channels_than_the_model_has():
    model, variables = made()
    with pytest.raises(ValueError, match="6 channels, the model 2"):
        apply(model, variables, mixture(6))


@pytest.mark.slow
def test_unmasked_mixture_where_masks_are_one():
    """With a decoder that gives 1 everywhere the stems are the mixture."""
    model, variables = made()
    decoder = variables["params"]["dec"]
    decoder["scale"] = jnp.zeros_like(decoder["scale"])
    stems = apply(model, variables, mixture())
    for source in range(4):
        np.testing.assert_allclose(stems.wave[:, source], mixture(), atol=1e-5)


@pytest.mark.slow
def test_power_masks_the_powered_magnitude():
    model, variables = made(power=2)
    decoder = variables["params"]["dec"]
    decoder["scale"] = jnp.zeros_like(decoder["scale"])
    spec = model.transform.stft(mixture())
    stems = apply(model, variables, mixture())
    np.testing.assert_allclose(stems.spec[0][:, 0], spec * jnp.abs(spec), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_bands_share_a_mask_and_ignore_gain():
    bands = band_edges(44100, 64, per_octave=4)
    model, variables = made(bands=bands, activation="softmax")
    stems = apply(model, variables, mixture())
    assert stems.mask[0].shape == (3, 4, 2, len(bands) - 1, 26)
    assert (stems.mask[0].sum(1) < 1).all()  # the rest is "none of them"
    wide = apply(model, variables, jnp.abs(model.transform.stft(mixture())), method="masks")
    last = bands[-2]
    assert (wide[..., last:, :] == wide[..., last : last + 1, :]).all()
    louder = apply(model, variables, 30 * mixture())
    np.testing.assert_allclose(louder.mask[0], stems.mask[0], atol=1e-3)


@pytest.mark.slow
def test_silence_gives_silence():
    for options in ({}, {"bands": band_edges(44100, 64, per_octave=4), "activation": "softmax"}):
        model, variables = made(**options)
        assert not np.asarray(apply(model, variables, np.zeros((1, 2, 400), np.float32)).wave).any()


@pytest.mark.slow
def test_dropout_acts_in_training_alone():
    model = build("xumx", **TINY | {"dropout": 0.5})
    variables = jax.jit(model.init)(jax.random.key(0), mixture())

    def run(key, train=True):
        rngs = {"dropout": jax.random.key(key)}
        return model.apply(variables, mixture(), train=train, mutable=["batch_stats"], rngs=rngs)[0]

    run = jax.jit(run, static_argnums=1)
    assert (run(0).wave == run(0).wave).all() and (run(0).wave != run(1).wave).any()
    assert (run(0, False).wave == run(1, False).wave).all()


@pytest.mark.slow
def test_sizes_are_the_absolute_values_of_the_spectra():
    for power in (1, 2):
        model, variables = made(power=power)
        stems = apply(model, variables, mixture())
        np.testing.assert_allclose(stems.magnitude[0], jnp.abs(stems.spec[0]), rtol=1e-5, atol=1e-5)


def steps(dtype: str, count: int):
    """Losses, the first step's waveforms and gradients, and the parameters after `count` steps."""
    model, variables = made(dtype=dtype)
    truth = np.random.default_rng(1).normal(size=(3, 4, 2, 400)).astype(np.float32)
    ref, mix = Stems(truth, model.transform.forward(truth)), truth.sum(1)
    measure = losses.build("multi_domain", trim=0)

    def objective(params):
        state = variables | {"params": params}
        est, _ = model.apply(state, mix, train=True, mutable=["batch_stats"])
        return measure(est, ref, mix)[0], est.wave

    run = jax.jit(jax.value_and_grad(objective, has_aux=True))
    params, values = variables["params"], []
    for step in range(count):
        (value, wave), grads = run(params)
        if step == 0:
            first = wave, grads
        values.append(float(value))
        params = jax.tree.map(lambda p, g: p - 0.01 * jnp.sign(g), params, grads)
    return values, *first, params


@pytest.mark.slow
def test_bfloat16_keeps_to_float32():
    """Waveforms to 1 %, gradients of every large tensor in the same direction, the same descent."""
    values, wave, grads, _ = steps("float32", 8)
    rounded, rounded_wave, rounded_grads, params = steps("bfloat16", 8)
    assert 0 < np.abs(wave - rounded_wave).max() < 0.01 * np.abs(wave).max()
    assert {leaf.dtype for leaf in jax.tree.leaves((rounded_grads, params))} == {np.dtype("f4")}
    for exact, other in zip(jax.tree.leaves(grads), jax.tree.leaves(rounded_grads), strict=True):
        if exact.ndim > 2:  # kernels, beside their source axis
            lengths = jnp.linalg.norm(exact.ravel()) * jnp.linalg.norm(other.ravel())
            assert float((exact * other).sum() / lengths) > 0.99
    assert rounded[-1] < 0.9 * rounded[0]
    np.testing.assert_allclose(rounded, values, rtol=0.02)


@pytest.mark.slow
def test_bfloat16_is_for_training_alone():
    model, variables = made(dtype="bfloat16")
    exact = apply(build("xumx", **TINY), variables, mixture()).wave
    np.testing.assert_array_equal(apply(model, variables, mixture()).wave, exact)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hdumx", {}, "unknown model 'hdumx'; known: xumx, umx"),
        ("xumx", {"hiden": 1}, "hiden"),
        ("xumx", {"activation": "sigmoid"}, "activation 'sigmoid'"),
        ("xumx", {"dtype": "float16"}, "dtype 'float16'"),
    ],
)
def test_what_cannot_be_built(name, options, message):
    with pytest.raises(UserError, match=message):
        build(name, **options)
