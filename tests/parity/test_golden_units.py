"""Single functions against recorded outputs of the originals, at the tolerances given with them."""

import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import golden

from xumx_jax import losses, models
from xumx_jax.layers.lstm import lstm
from xumx_jax.postfilters.wiener import wiener
from xumx_jax.training import optimizer
from xumx_jax.training.statistics import moments
from xumx_jax.transforms.bands import bandwidth_to_max_bin
from xumx_jax.transforms.stft import Stft
from xumx_jax.weights.converters.umx import nnabla_input, nnabla_recurrent

pytestmark = pytest.mark.usefixtures("quick_compile")


def cases(file, last: str) -> list[str]:
    """The prefixes of arrays called "prefix:last"."""
    return [name.removesuffix(f":{last}") for name in file if name.endswith(f":{last}")]


@pytest.mark.slow
@golden("nnabla/unit_istft.npz")
def test_inverse_of_inconsistent_spectra(path):
    file = np.load(path)
    for case in cases(file, "Z"):
        spec = file[f"{case}:Z"]
        n_fft = 2 * (spec.shape[-2] - 1)
        wave = Stft(n_fft, n_fft // 4).istft(spec)
        wanted = file[f"{case}:scipy"]
        assert wave.shape == wanted.shape
        np.testing.assert_allclose(wave, wanted, rtol=0, atol=1e-6)


@pytest.mark.slow
@golden("nnabla/unit_lstm.npz")
def test_lstm(path):
    file = np.load(path)
    for case in cases(file, "x"):
        weights = [file[f"{case}:weight_l0"], *file[f"{case}:weight"]]
        x = jnp.asarray(file[f"{case}:x"])
        for weight, bias in zip(weights, file[f"{case}:bias"], strict=True):
            bias = bias.reshape(len(bias), -1).astype(np.float32)
            w_ih, w_hh = nnabla_input(weight), nnabla_recurrent(weight)
            x = lstm(x, w_ih.astype(np.float32), w_hh.astype(np.float32), bias)
        np.testing.assert_allclose(x, file[f"{case}:y"], rtol=0, atol=1e-6)
        hidden = file[f"{case}:hn"].shape[-1]
        ends = [x[-1, :, :hidden], x[0, :, hidden:]]  # the backward direction ends at frame 0
        for end, wanted in zip(ends, file[f"{case}:hn"][-1], strict=False):
            np.testing.assert_allclose(end, wanted, rtol=0, atol=1e-6)


@golden("nnabla/unit_max_bin.npz")
def test_bandwidth(path):
    file = np.load(path)
    found = [bandwidth_to_max_bin(*map(int, args)) for args in file["args"]]
    np.testing.assert_array_equal(found, file["max_bin"])


@pytest.mark.slow
@golden("nnabla/unit_mse_loss.npz")
def test_combination_mse(path):
    file = np.load(path)
    frames, batch, rows, bins = file["masks"].shape
    channels = file["mix_spec"].shape[2]
    sources = rows // channels

    def ours(x):  # [frame, batch, source * channel, bin] -> [batch, source, channel, bin, frame]
        return x.reshape(frames, batch, -1, channels, bins).transpose(1, 2, 3, 4, 0)

    def loss(masks):
        magnitudes = ours(masks) * ours(file["mix_spec"])
        return losses.combination_mse(
            magnitudes, ours(file["target_spec"]), losses.subsets(sources)
        )

    value, grad = jax.value_and_grad(loss)(jnp.asarray(file["masks"]))
    assert float(value) == pytest.approx(float(file["loss"]), rel=5e-5)
    assert np.linalg.norm(grad - file["grad"]) <= 3e-5 * np.linalg.norm(file["grad"])


@pytest.mark.slow
@golden("nnabla/unit_sdr_loss.npz")
def test_weighted_sdr(path):
    file = np.load(path)
    for case in cases(file, "pred"):
        mix, pred = file[f"{case}:mix"], file[f"{case}:pred"].swapaxes(0, 1)
        targets = file[f"{case}:targets"].reshape(pred.shape)
        inside = slice(200, pred.shape[-1] - 200)

        def loss(pred, targets=targets, mix=mix, inside=inside):
            waves = pred[..., inside], targets[..., inside], mix[..., inside]
            return losses.weighted_sdr(*waves, losses.subsets(pred.shape[1]))

        value, grad = jax.value_and_grad(loss)(jnp.asarray(pred))
        assert float(value) == pytest.approx(float(file[f"{case}:loss"]), abs=1e-6), case
        if f"{case}:grad" in file:
            wanted = file[f"{case}:grad"].swapaxes(0, 1)
            assert np.linalg.norm(grad - wanted) <= 3e-5 * np.linalg.norm(wanted), case
        assert np.isfinite(grad).all(), case


@golden("nnabla/unit_statistics.npz")
def test_input_statistics(path):
    file = np.load(path)
    bins = len(file["mean"])
    tracks = [file[name].T for name in file if name.startswith("track")]
    arguments = {"n_fft": 2 * (bins - 1), "hop": (bins - 1) // 2, "hidden_size": 2}
    full = models.build("xumx", max_bin=bins, **arguments)
    ((mean, deviation),) = moments(full.input_statistics, tracks)
    np.testing.assert_allclose(mean, file["mean"], rtol=3e-6)
    np.testing.assert_allclose(deviation, file["std"], rtol=3e-6)
    used = len(file["input_mean_param"])
    shape = SimpleNamespace(shape=(4, used))
    params = {"enc": {"mean": shape, "scale": shape}}
    params = full.input_statistics.fill(params, [(mean[:used], deviation[:used])])
    np.testing.assert_allclose(params["enc"]["mean"][2], file["input_mean_param"], rtol=3e-6)
    np.testing.assert_allclose(params["enc"]["scale"][0], file["input_scale_param"], rtol=3e-6)


@pytest.mark.slow
@golden("nnabla/unit_wiener.npz")
def test_wiener(path):
    """Every combination of options, to 90 dB; the layout [frame, bin] gives the same."""
    file = np.load(path)
    form = r"g(\d+):softmask(\d):alpha(\d):niter(\d):residual(\d)"
    runs = [(name, *map(int, m.groups())) for name in file if (m := re.fullmatch(form, name))]
    assert runs
    run = jax.jit(wiener, static_argnames=("niter", "softmask", "alpha", "residual"))
    for name, gain, softmask, alpha, iterations, residual in runs:
        magnitudes = (file["V"] * gain).transpose(3, 2, 1, 0).astype(np.float32)
        mix = (file["X"] * gain).transpose(2, 1, 0).astype(np.complex64)
        spec = run(magnitudes, mix, iterations, bool(softmask), float(alpha), bool(residual))
        wanted = file[name].transpose(3, 2, 1, 0)
        error = np.linalg.norm(spec - wanted) / np.linalg.norm(wanted)
        assert -20 * np.log10(error) >= 90, name
    turned = wiener(magnitudes.swapaxes(-1, -2), mix.swapaxes(-1, -2), 2, frame_axis=-2)
    straight = wiener(magnitudes, mix, 2)
    np.testing.assert_allclose(turned.swapaxes(-1, -2), straight, rtol=0, atol=1e-4)


@pytest.mark.slow
@golden("nnabla/unit_adam.npz")
def test_adam(path):
    """Tiny gradients, where the place of epsilon shows."""
    file = np.load(path)
    adam = optimizer.build("adam_nnabla", 1e-5)
    weights = jnp.asarray(file["w"][0], jnp.float32)
    state = adam.init(weights)
    for grads, wanted in zip(file["grads"], file["w"][1:], strict=True):
        updates, state = adam.update(jnp.asarray(grads), state, weights)
        weights = weights - 1e-3 * updates
        np.testing.assert_allclose(weights, wanted, rtol=0, atol=3e-7)
