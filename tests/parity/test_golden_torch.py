"""X-UMX against recorded outputs of asteroid's and AIMLESS's PyTorch programs.

Each file holds its weights: they go through a `.pth` and the name maps, as a user's would. The
files' own discrepancy between float32 and float64 sets the scale of what is tolerated.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from foreign import write_pth
from golden_files import golden
from golden_torch import arrays, check_step, close, loaded, meta, under

from xumx_jax import losses
from xumx_jax.separation.separator import Separator
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft
from xumx_jax.weights.load import load_module

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture
def model(path, tmp_path):
    """Module, variables and info, through a file like the program's own."""
    module, variables, info = loaded(path, tmp_path)
    return module.clone(dropout=0.0), variables, info


def their_order(spec) -> np.ndarray:
    """[batch, source, channel, bin, frame] -> asteroid's [source, frame, batch, channel, bin]."""
    return np.asarray(spec).transpose(1, 4, 0, 2, 3)


@pytest.mark.slow
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
    magnitudes = jnp.abs(module.transform.stft(audio))
    close(path, "enc_mag", (magnitudes**module.power).transpose(3, 0, 1, 2))
    alone = jax.jit(partial(module.apply, method="masks"))(variables, magnitudes)
    close(path, "masks", their_order(alone))


@pytest.mark.slow
@golden("torch/aimless_xumx*.npz")
def test_aimless_masks(path, model):
    module, variables, _ = model
    train = meta(path)["mode"].startswith("train")
    run = jax.jit(partial(module.apply, train=train, method="masks", mutable=["batch_stats"]))
    close(path, "y", run(variables, arrays(path)["in/x"])[0], factor=10, floor=1e-6)


@pytest.mark.slow
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


@pytest.mark.slow
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
    reference = Stems(targets, module.transform.forward(targets))

    def loss(params):
        state = variables | {"params": params}
        stems, new = module.apply(state, mix, True, mutable=["batch_stats"])
        return measure(stems, reference, mix)[0], (new["batch_stats"], stems)

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, (statistics, stems)), gradients = run(variables["params"])
    close(path, "spec", their_order(jnp.abs(stems.spec[0])))
    check_step(path, info, value, gradients, statistics)


@pytest.mark.slow
@golden("torch/xumx_loss*.npz")
def test_asteroid_losses(path):
    """With and without combinations and the time domain: values and gradients."""
    file = arrays(path)
    wave = jnp.asarray(file["in/time_hat"].swapaxes(0, 1))
    spec = jnp.asarray(file["in/spec_hat"].transpose(2, 0, 3, 4, 1))
    targets = jnp.asarray(file["in/targets"])
    for name, config in meta(path)["configs"].items():
        transform = Stft(config["window_length"], config["n_hop"])
        truth = Stems(targets, transform.forward(targets))
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


@pytest.mark.slow
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
