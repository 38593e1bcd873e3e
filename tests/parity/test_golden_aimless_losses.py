"""AIMLESS's losses, Wiener filter and SDR against recorded outputs of its PyTorch program.

Values and gradients. asteroid's SDR loss is beside them, for silent sources and perfect estimates.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import golden
from golden_torch import arrays, meta, under

from xumx_jax import losses
from xumx_jax.metrics import energy_ratio
from xumx_jax.postfilters import POST_FILTERS
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft

pytestmark = pytest.mark.usefixtures("quick_compile")

# Functions of the program by name; its classes are recognised by their options.
NAMED = {
    "real_mse_loss": ("mse", {}),
    "complex_mse_loss": ("complex_mse", {}),
    "bce_loss": ("mask_bce", {}),
    "CL1Loss": ("l1", {"combinations": True}),
    "L1Loss": ("l1", {}),
    "NegativeSDR": ("negative_sdr", {}),
    "sdr_loss": ("weighted_sdr", {"trim": 0, "floor": 0.0}),
    "_sdr_loss_core": ("weighted_sdr", {"trim": 0, "floor": 0.0}),
    "asteroid_time_domain_loss": ("weighted_sdr", {"trim": 0}),
}
OPTIONS = {"mcoeff": "mcoef", "n_iter": "niter", "softmask": "softmask", "alpha": "alpha"}
TERMS = {"loss_f": ("mse", "complex_mse"), "loss_t": ("sdr",)}


def near(path, name: str, ours, least: float = 0.0, relative: float = 1e-6):
    """`out/<name>` to ten times the program's own rounding, or `relative` of its largest value."""
    wanted = arrays(path)[f"out/{name}"]
    known = meta(path)["f32_vs_f64"].get(name, {"max_abs": 0.0})["max_abs"]
    largest = max(np.abs(wanted).max(), least)
    assert np.shape(ours) == wanted.shape
    np.testing.assert_allclose(
        ours, wanted, rtol=0, atol=max(10 * known, relative * largest), err_msg=name
    )


def loss_of(name: str, config: dict, transform):
    """Our loss for one of the file's."""
    ours, options = NAMED.get(name, ("complex_multi_domain", {}))
    if name not in NAMED:
        options = {OPTIONS[key]: value for key, value in config.items() if key in OPTIONS}
        options["magnitudes"] = not config.get("complex_mse", True)
        assert not config.get("residual_model", False), "has no fifth true source to compare with"
    return losses.build(ours, transform, **options)


@pytest.mark.slow
@golden("torch/aimless_losses*.npz")
def test_losses(path):
    file, about = arrays(path), meta(path)
    transform = Stft(about["n_fft"], about["hop_length"])
    gt, mix = jnp.asarray(file["in/gt"]), jnp.asarray(file["in/mix"])
    (mix_spec,) = transform.forward(mix)
    whole = (mix.shape[-1] // transform.hop) * transform.hop  # as its inverse gives without length

    def masked(mask):
        spec = mask * mix_spec[:, None]
        return Stems(transform.inverse((spec,), whole), (spec,), (mask,))

    for name, config in about["configs"].items():
        key, bracket, inside = config["pred"].split(" ")[0].partition("[")
        pred, truth = jnp.asarray(file[key]), gt
        if bracket:  # one source of them
            which = int(inside.removesuffix("]").split(",")[1])
            pred, truth = pred[:, which : which + 1], gt[:, which : which + 1]
        ref = Stems(truth, transform.forward(truth))
        make = Stems if pred.ndim == 4 else masked
        loss = loss_of(name, config, transform)

        @partial(jax.value_and_grad, has_aux=True)
        def run(pred, make=make, loss=loss, ref=ref):
            return loss(make(pred), ref, mix)

        (value, parts), gradient = jax.jit(run)(pred)
        less = 1.0 if name == "_sdr_loss_core" else 0.0  # alone it is not shifted to 0
        near(path, f"{name}/loss", value - less)
        wanted = file[f"out/{name}/grad"]
        near(path, f"{name}/grad", gradient.reshape(wanted.shape), relative=1e-4)
        for term, ours in TERMS.items():
            if f"out/{name}/{term}" in file:
                (found,) = (parts[one] for one in ours if one in parts)
                near(path, f"{name}/{term}", found)


@golden("torch/aimless_losses*.npz")
def test_global_sdr(path):
    """The metric, of every source of every item, also where estimate or truth is silent."""
    file = arrays(path)
    pred, gt = file["in/pred"], file["in/gt"]
    cut = gt[..., : pred.shape[-1]]
    cases = {"perrow": (pred, cut), "silent_ref": (pred, 0 * cut), "perfect": (gt, gt)}
    assert {f"SDR/{name}" for name in cases} == {n for n in under(path, "out/") if n[:3] == "SDR"}
    for name, (estimate, truth) in cases.items():
        near(path, f"SDR/{name}", energy_ratio(estimate, truth).ravel())


@pytest.mark.slow
@golden("torch/loss_edge_cases*.npz")
def test_silent_and_perfect(path):
    file = arrays(path)
    recorded = sorted(name.removeprefix("in/pred/") for name in file if "in/pred/" in name)
    for name in sorted({key.split("/")[0] for key in under(path, "out/")}):
        loss = loss_of(name, {}, None)
        run = jax.jit(jax.value_and_grad(lambda x, y, f=loss: f(Stems(x), Stems(y), y.sum(1))[0]))
        for case in recorded:
            value, gradient = run(file[f"in/pred/{case}"], file[f"in/gt/{case}"])
            # the weighted SDR is a difference from 1: that is the size that rounding follows
            near(path, f"{name}/{case}/loss", value, least=1.0)
            assert np.isfinite(gradient).all()
            near(path, f"{name}/{case}/grad", gradient, relative=1e-4)


@pytest.mark.slow
@golden("torch/aimless_mwf*.npz")
def test_wiener_filter(path):
    """Spectra, and gradients of mean |Y - 0.3|^2, of masks."""
    file, known = arrays(path), POST_FILTERS["aimless"]
    for name, config in meta(path)["configs"].items():
        options = dict(config)
        mask, mix = file[f"in/{options.pop('msk')}"], file[f"in/{options.pop('mix')}"]
        niter = options.pop("n_iter")
        asked = options.pop("residual_model", False)
        # the original also returns what it weighs a single source against
        residual = asked or (mask.shape[1] == 1 and niter > 0)
        run = partial(known.function, niter=niter, residual=residual, **options)
        loudest = np.abs(mix).max()

        def objective(mask, mix=mix, run=run, loudest=loudest):
            filtered = jax.vmap(partial(run, loudest=loudest))(mask * jnp.abs(mix)[:, None], mix)
            error = filtered - 0.3
            return (jnp.square(error.real) + jnp.square(error.imag)).mean(), filtered

        gradient, found = jax.jit(jax.grad(objective, has_aux=True))(mask)
        near(path, name, found)
        assert np.isfinite(gradient).all()
        wanted = file[f"out/{name}/grad"]
        # where the masks leave nothing, the residual has no derivative
        kink = residual & (mask.sum(1, keepdims=True) == 1)
        near(path, f"{name}/grad", np.where(kink, wanted, gradient), relative=1e-4)
