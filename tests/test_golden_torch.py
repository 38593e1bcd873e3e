"""X-UMX against recorded outputs of asteroid's and AIMLESS's PyTorch programs.

Each file holds its weights: they go through a `.pth` and the name maps, as a user's would. The
files' own discrepancy between float32 and float64 sets the scale of what is tolerated.
"""

import json
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from foreign import write_pth
from golden_files import golden

from xumx_jax import losses
from xumx_jax.converters import KINDS, rules, shapes
from xumx_jax.loading import load_module
from xumx_jax.separation.separator import Separator
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft

FACTOR = 20  # of the oracle's own rounding; or FLOOR of its largest value, if that is more
FLOOR = 1e-5


@cache
def arrays(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def meta(path) -> dict:
    return json.loads(str(arrays(path)["meta"]))


def under(path, prefix: str) -> dict:
    return {k.removeprefix(prefix): v for k, v in arrays(path).items() if k.startswith(prefix)}


@pytest.fixture
def model(path, tmp_path):
    """Module, variables and info, through a file like the program's own."""
    contents = {"state_dict": under(path, "w/"), "model_args": meta(path)["kwargs"]}
    module, variables, info = load_module(write_pth(tmp_path / "weights.pth", contents))
    return module.clone(dropout=0.0), variables, info


def close(path, name: str, ours):
    """Compare with `out/<name>`: absolutely, scaled to its largest value."""
    wanted = arrays(path)[f"out/{name}"]
    known = meta(path).get("f32_vs_f64", {}).get(name, {"max_abs": 0.0})
    tolerance = max(FACTOR * known["max_abs"], FLOOR * np.abs(wanted).max())
    assert np.shape(ours) == wanted.shape
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=tolerance)


def their_order(spec) -> np.ndarray:
    """[batch, source, channel, bin, frame] -> asteroid's [source, frame, batch, channel, bin]."""
    return np.asarray(spec).transpose(1, 4, 0, 2, 3)


@golden("torch/xumx_forward*.npz")
def test_asteroid_forward(path, model):
    module, variables, _ = model
    said = meta(path)["kwargs"]
    assert list(module.sources) == said["sources"] and module.n_fft == said["in_chan"]
    assert module.hop == said["n_hop"] and module.channels == said["nb_channels"]
    assert module.unidirectional != said["bidirectional"] and module.power == said["spec_power"]
    audio = arrays(path)["in/audio"]
    stems = jax.jit(module.apply)(variables, audio)
    close(path, "masks", their_order(stems.mask[0]))
    close(path, "spec", their_order(jnp.abs(stems.spec[0])))
    close(path, "time", stems.wave.swapaxes(0, 1))
    magnitudes = jnp.abs(module.transform.forward(audio))
    close(path, "enc_mag", (magnitudes**module.power).transpose(3, 0, 1, 2))
    alone = jax.jit(partial(module.apply, method="masks"))(variables, magnitudes)
    close(path, "masks", their_order(alone))


@golden("torch/aimless_xumx*.npz")
def test_aimless_masks(path, model):
    module, variables, _ = model
    train = meta(path)["mode"].startswith("train")
    run = jax.jit(partial(module.apply, train=train, method="masks", mutable=["batch_stats"]))
    close(path, "y", run(variables, arrays(path)["in/x"])[0])


def as_variables(tensors: dict, info: dict) -> dict:
    """Map tensors that lie like the weights (gradients, statistics) onto our variables."""
    kind, args = KINDS[info["kind"]], info["args"]
    return rules.apply(
        kind.rules(args),
        tensors,
        shapes(kind.model, args),
        kind.spelled or args["sources"],
        args["layers"],
        kind.ignore,
    )


def check_step(path, info, value, gradients, statistics):
    """Compare a training step's loss, gradients and running statistics with the file's."""
    np.testing.assert_allclose(value, arrays(path)["out/loss"], rtol=1e-5)
    weights = under(path, "w/")
    after = as_variables(weights | under(path, "out/after/"), info)["batch_stats"]
    jax.tree.map(
        lambda ours, wanted: np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-5),
        jax.device_get(statistics),
        after,
    )
    wanted = as_variables(weights | under(path, "out/grad/"), info)["params"]
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted))

    def one(where, ours, wanted):
        name = jax.tree_util.keystr(where, simple=True, separator="/")
        if name == "enc/mean":  # zero: batch normalisation removes what it adds
            assert np.abs(ours).max() < 1e-5 * largest
            return
        if name.startswith("lstm") and name.endswith("bias"):
            ours = 2 * ours  # theirs are two biases, each with this gradient, here summed
        np.testing.assert_allclose(
            ours, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max(), err_msg=name
        )

    jax.tree_util.tree_map_with_path(one, jax.device_get(gradients), wanted)


@golden("torch/aimless_xumx_train*.npz")
def test_aimless_training_step(path, model):
    module, variables, info = model
    x, target = arrays(path)["in/x"], arrays(path)["in/target"]

    def loss(params):
        state = variables | {"params": params}
        masks, new = module.apply(state, x, True, method="masks", mutable=["batch_stats"])
        return ((masks - target) ** 2).mean(), new["batch_stats"]

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, statistics), gradients = run(variables["params"])
    check_step(path, info, value, gradients, statistics)


@golden("torch/xumx_train_step*.npz")
def test_asteroid_training_step(path, model):
    module, variables, info = model
    targets = arrays(path)["in/targets"]
    said = meta(path)["loss_kwargs"]
    options = {"combinations": said["loss_combine_sources"], "power": said["spec_power"]}
    if said["loss_use_multidomain"]:
        measure = losses.build("multi_domain", mcoef=said["mix_coef"], trim=0, **options)
    else:
        measure = losses.build("mse", **options)
    mix = targets.sum(1)
    reference = Stems(targets, (module.transform.forward(targets),))

    def loss(params):
        state = variables | {"params": params}
        stems, new = module.apply(state, mix, True, mutable=["batch_stats"])
        return measure(stems, reference, mix)[0], (new["batch_stats"], stems)

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, (statistics, stems)), gradients = run(variables["params"])
    close(path, "spec", their_order(jnp.abs(stems.spec[0])))
    check_step(path, info, value, gradients, statistics)


@golden("torch/xumx_loss*.npz")
def test_asteroid_losses(path):
    """With and without combinations and the time domain: values and gradients."""
    file = arrays(path)
    wave = jnp.asarray(file["in/time_hat"].swapaxes(0, 1))
    spec = jnp.asarray(file["in/spec_hat"].transpose(2, 0, 3, 4, 1))
    targets = jnp.asarray(file["in/targets"])
    for name, config in meta(path)["configs"].items():
        transform = Stft(config["window_length"], config["n_hop"])
        truth = Stems(targets, (transform.forward(targets),))
        options = {"combinations": config["loss_combine_sources"], "power": config["spec_power"]}
        loss = losses.build("mse", **options)
        if config["loss_use_multidomain"]:
            loss = losses.build("multi_domain", mcoef=config["mix_coef"], trim=0, **options)

        def value(wave, spec, loss=loss, truth=truth):
            return loss(Stems(wave, (spec,)), truth, targets.sum(1))[0]

        found, (in_time, in_frequency) = jax.value_and_grad(value, argnums=(0, 1))(wave, spec)
        close(path, f"{name}/loss", found)
        close(path, f"{name}/grad_spec", their_order(in_frequency))
        if config["loss_use_multidomain"]:
            close(path, f"{name}/grad_time", np.asarray(in_time).swapaxes(0, 1))


@golden("torch/xumx_eval_separate.npz")
def test_asteroid_separation(path, tmp_path):
    """Its evaluation script's filter and inverse, the whole excerpt as one chunk."""
    kwargs = meta(path)["kwargs"]
    contents = {"state_dict": under(path, "w/"), "model_args": {"n_hop": kwargs["n_hop"]}}
    module, variables, _ = load_module(write_pth(tmp_path / "weights.pth", contents))
    audio = arrays(path)["in/audio"]
    runs = {name.split("/")[1] for name in arrays(path) if name.startswith("out/")}
    for run in sorted(runs):
        niter, *words = run.split("_")
        alpha = [float(word[1:]) for word in words if word[1:].isdigit()]
        separator = Separator(
            module,
            variables,
            niter=int(niter.removeprefix("niter")),
            softmask="soft" in words,
            alpha=alpha[0] if alpha else 1.0,
            residual="residual" in words,
            chunk_seconds=len(audio) / module.sample_rate,
            overlap=0,
        )
        for name, wave in separator(audio.T, module.sample_rate).items():
            wanted = arrays(path)[f"out/{run}/{name}"].T
            error = np.linalg.norm(wave[:, : wanted.shape[1]] - wanted) / np.linalg.norm(wanted)
            assert -20 * np.log10(error) >= 90, (run, name)
