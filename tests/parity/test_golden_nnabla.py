"""X-UMX against recorded outputs of Sony's NNabla program, at the tolerances given with them."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import golden
from nnabla_names import theirs

from xumx_jax import losses, models
from xumx_jax.separation.separator import Separator
from xumx_jax.stems import Stems
from xumx_jax.training import optimizer
from xumx_jax.weights.load import load_module

compiled_quickly = pytest.mark.usefixtures("quick_compile")  # of the others, running takes longer

RATE, WEIGHT_DECAY, LEARNING_RATE = 44100, 1e-5, 1e-3  # not in the files
PREFIXES = ("small", "unidirectional", "mono")


@cache
def model_of(path):
    """The model and weights whose .h5 lies beside a golden file."""
    prefix = next(p for p in PREFIXES if path.name.startswith(p))
    return load_model(path.with_name(prefix + ".h5"))


@cache
def load_model(path):
    module, variables, info = load_module(path)
    # the CPU program that recorded the outputs ignores its dropout
    return models.build(info["model"], **info["args"] | {"dropout": 0.0}), variables


def relative(value, wanted) -> float:
    return float(np.linalg.norm(value - wanted) / np.linalg.norm(wanted))


def snr(value, wanted) -> float:
    """Signal to error ratio in dB, the worst over the first axis."""
    value, wanted = (np.reshape(x, (len(x), -1)) for x in (value, wanted))
    error = np.square(np.abs(value - wanted)).sum(1)
    return float(10 * np.log10(np.square(np.abs(wanted)).sum(1) / np.maximum(error, 1e-30)).min())


def close(value, wanted, rel: float, largest: float):
    assert np.shape(value) == np.shape(wanted)
    assert relative(value, wanted) <= rel
    assert np.abs(value - wanted).max() <= largest


def stacked(masks, frames) -> np.ndarray:
    """[batch, source, channel, bin, frame] -> the file's [frame, batch, source * channel, bin]."""
    picked = np.asarray(masks)[..., frames].transpose(4, 0, 1, 2, 3)
    return picked.reshape(*picked.shape[:2], -1, picked.shape[-1])


@cache
def forward(path, train: bool):
    """Stems and new batch statistics for a file's audio."""
    model, variables = model_of(path)
    run = jax.jit(lambda v, x: model.apply(v, x, train=train, mutable=["batch_stats"]))
    return run(variables, load(path)["audio"])


@cache
def load(path):
    arrays = dict(np.load(path))
    if "audio" not in arrays and path.name.startswith("small_"):  # the train files share its audio
        arrays |= {
            k: np.load(path.with_name("small_batch_eval.npz"))[k] for k in ("audio", "targets")
        }
    return arrays


@golden("nnabla/small_eval_single.npz")
def test_stft(path):
    model, _ = model_of(path)
    file = load(path)
    spec = np.asarray(model.transform.stft(file["audio"]))[..., file["stft_frames"]]
    assert spec.dtype == np.complex64
    close(spec.real, file["stft_real"], 3e-6, 3e-4)
    close(spec.imag, file["stft_imag"], 3e-6, 3e-4)
    close(np.abs(spec).transpose(3, 0, 1, 2), file["mix_spec"], 3e-6, 3e-4)


@pytest.mark.slow
@golden("nnabla/*_eval*.npz")
def test_masks_and_waveforms(path):
    file = load(path)
    stems, _ = forward(path, False)
    masks = "masks" if "masks" in file else "eval_masks"
    mask = np.asarray(stems.mask[0])
    assert mask.shape[-1] == file["n_frames"]
    close(stacked(mask, file["frames"]), file[masks], 5e-6, 1e-4)
    pred = np.asarray(stems.wave).swapaxes(0, 1)
    if "pred_segments" in file:
        assert pred.shape[-1] == file["n_pred"]
        blocks = pred.reshape(*pred.shape[:-1], -1, 1024)
        rms = np.sqrt(np.square(blocks, dtype=np.float64).mean(-1))
        close(rms, file["pred_blockrms"], 1e-5, 3e-6)
        pred = np.concatenate([pred[..., a:b] for a, b in file["pred_segments"]], axis=-1)
    close(pred, file["pred" if "pred" in file else "eval_pred"], 1e-5, 3e-6)
    prefix = "" if "masks" in file else "eval_"
    everywhere = file[prefix + "mask_mean_over_bins"]
    close(stacked(mask, slice(None)).mean(-1), everywhere, 5e-6, 1e-4)


@pytest.mark.slow
@golden("nnabla/[um][no][in][do]*.npz")
@pytest.mark.parametrize("train", [False, True])
def test_other_shapes_of_the_network(path, train):
    """One direction; one channel, which the original runs but cannot train."""
    file, (model, _) = load(path), model_of(path)
    assert model.unidirectional == path.name.startswith("unidirectional")
    stems, _ = forward(path, train)
    prefix, rel = ("train_", 1e-5) if train else ("", 5e-6)
    mask = np.asarray(stems.mask[0])
    close(stacked(mask, file["frames"]), file[prefix + "masks"], rel, 1e-4)
    close(stacked(mask, slice(None)).mean(-1), file[prefix + "mask_mean_over_bins"], rel, 1e-4)
    if not train:
        close(np.asarray(stems.wave).swapaxes(0, 1), file["pred"], 1e-5, 3e-6)


@pytest.mark.slow
@golden("nnabla/small_batch_train.npz")
def test_train_mode(path):
    file = load(path)
    stems, _ = forward(path, True)
    mask = np.asarray(stems.mask[0])
    close(stacked(mask, file["frames"]), file["train_masks"], 1e-5, 1e-4)
    close(stacked(mask, slice(None)).mean(-1), file["train_mask_mean_over_bins"], 1e-5, 1e-4)
    close(np.asarray(stems.wave).swapaxes(0, 1), file["train_pred"], 1e-5, 3e-6)


@pytest.mark.slow
@golden("nnabla/small_batch_train.npz")
@golden("nnabla/small_batch_eval.npz", "path_eval")
def test_losses(path, path_eval):
    for mode, file_path in (("eval", path_eval), ("train", path)):
        file, (model, _) = load(file_path), model_of(file_path)
        stems, _ = forward(file_path, mode == "train")
        ref = truth(model, file)
        value, parts = losses.build("multi_domain")(stems, ref, file["audio"])
        assert float(parts["mse"]) == pytest.approx(file[f"{mode}_mse_loss"], rel=5e-5)
        assert float(parts["sdr"]) == pytest.approx(file[f"{mode}_sdr_loss"], abs=1e-6)
        assert float(value) == pytest.approx(file[f"{mode}_total_loss"], rel=3e-5)


def truth(model, file) -> Stems:
    targets = file["targets"]
    wave = jnp.asarray(targets).reshape(len(targets), len(model.sources), -1, targets.shape[-1])
    return Stems(wave, model.transform.forward(wave))


@golden("nnabla/small_batch_train_bnstats.npz")
def test_batch_statistics(path):
    model, variables = model_of(path)
    _, updates = forward(path, True)
    for name, wanted in np.load(path).items():
        value = theirs(
            name.removeprefix("bnafter:"),
            variables["params"],
            updates["batch_stats"],
            model.sources,
        )
        np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-5, err_msg=name)


def objective(path):
    """Loss, new statistics and gradient of the training batch, as a function of variables."""
    model, _ = model_of(path)
    file = load(path)
    ref, loss = truth(model, file), losses.build("multi_domain")

    def value(params, batch_stats, train=True):
        variables = {"params": params, "batch_stats": batch_stats}
        stems, new = model.apply(variables, file["audio"], train=train, mutable=["batch_stats"])
        return loss(stems, ref, file["audio"])[0], new["batch_stats"]

    return value


@compiled_quickly
@pytest.mark.slow
@golden("nnabla/small_grads.npz")
def test_gradients(path):
    model, variables = model_of(path)
    grads, _ = jax.jit(jax.grad(objective(path), has_aux=True))(*variables.values())
    file = load(path)
    for name, size in zip(file["grad_names"], file["grad_l2"], strict=True):
        if name.startswith("input_mean"):
            continue  # its true gradient is 0: batch normalisation removes a constant
        grad = theirs(name, grads, {}, model.sources)
        assert np.linalg.norm(grad) == pytest.approx(size, rel=3e-5), name
        if f"grad:{name}" in file:
            assert relative(grad, file[f"grad:{name}"]) <= 3e-5, name


@compiled_quickly
@pytest.mark.slow
@golden("nnabla/small_adam.npz")
def test_adam_with_weight_decay(path):
    """Three steps; after the first, every stored parameter."""
    model, variables = model_of(path)
    file = load(path)
    adam = optimizer.build("adam_nnabla", WEIGHT_DECAY)
    value = objective(path)

    @jax.jit
    def step(params, batch_stats, state):
        (loss, batch_stats), grads = jax.value_and_grad(value, has_aux=True)(params, batch_stats)
        updates, state = adam.update(grads, state, params)
        params = jax.tree.map(lambda p, u: p - LEARNING_RATE * u, params, updates)
        return params, batch_stats, state, loss, grads

    params, stats = variables["params"], variables["batch_stats"]
    state, before = adam.init(params), (params, stats)
    for number in range(3):
        params, stats, state, loss, grads = step(params, stats, state)
        assert float(loss) == pytest.approx(file["losses"][number], rel=5e-5)
        if number == 0:
            first, first_grads = (params, stats), grads
        if number != 1:
            moved = file[f"delta_l2_step{number + 1}"]
            for name, wanted in zip(file["names"], moved, strict=True):
                now, then = (
                    theirs(name, *tree, model.sources) for tree in ((params, stats), before)
                )
                assert np.linalg.norm(now - then) == pytest.approx(wanted, rel=5e-3), name
    for key, wanted in file.items():
        if not key.startswith("after1:"):
            continue
        name = key.removeprefix("after1:")
        error = np.abs(theirs(name, *first, model.sources) - wanted)
        driven = np.abs(
            theirs(name, first_grads, {}, model.sources) + WEIGHT_DECAY * file[f"before:{name}"]
        )
        assert error[driven > 1e-3 * driven.max()].max() <= 3e-7, name
        assert (error <= 1e-6).mean() >= 0.999 and error.max() <= 2e-5, name
    end = jax.jit(lambda p, s: value(p, s, False)[0])(params, stats)
    assert float(end) == pytest.approx(file["eval_loss_after_3"], rel=5e-5)


def run_options(name: str) -> dict:
    """What a run's name in small_separate.npz says: "residual_softmask_a2_niter1"."""
    words = name.split("_")
    alpha = [float(word[1:]) for word in words if word[0] == "a" and word[1:].isdigit()]
    return {
        "niter": int(words[-1].removeprefix("niter")),
        "softmask": "softmask" in words,
        "alpha": alpha[0] if alpha else 1.0,
        "residual": "residual" in words,
    }


@pytest.mark.slow
@golden("nnabla/small_separate.npz")
def test_separate(path):
    """The whole excerpt as one chunk, in every combination recorded."""
    model, variables = model_of(path)
    file = load(path)
    audio, length = file["audio"], int(file["n_out"])
    for run in (key.split(":")[0] for key in file if key.endswith(":names")):
        separator = Separator(
            model, variables, chunk_seconds=len(audio) / RATE, overlap=0, **run_options(run)
        )
        stems = separator(audio.T, RATE)
        assert list(stems) == list(file[f"{run}:names"])
        out = np.stack([wave.T for wave in stems.values()])
        assert out.shape[1] == len(audio)  # the original loses what is left of the last hop
        out = out[:, :length].astype(np.float64)
        segments = np.concatenate([out[:, a:b] for a, b in file["segments"]], axis=1)
        assert snr(segments, file[run]) >= 90, run
        blocks = out.reshape(len(out), -1, 1024, out.shape[-1])
        rms = np.sqrt(np.square(blocks).mean(2))
        np.testing.assert_allclose(rms, file[f"{run}:blockrms"], rtol=0, atol=1e-5, err_msg=run)
        whole = f"{run}_full_vocals"
        if whole in file:
            vocals = stems["vocals"].T[None, :length]
            assert snr(vocals, file[whole][None]) >= 90


@pytest.mark.slow
@golden("nnabla/small_chunked.npz")
def test_chunked(path):
    """The reference's protocol, its drift undone: ours keeps every sample where it was."""
    model, variables = model_of(path)
    file = load(path)
    audio = file["audio_int16"].astype(np.float32) / 32767
    chunk, hop = int(file["chunk_dur"]) * RATE, model.hop
    separator = Separator(model, variables, chunk_seconds=int(file["chunk_dur"]), overlap=0)
    out = np.stack([wave.T for wave in separator(audio.T, RATE).values()])
    assert out.shape[1] == len(audio)
    kept = [
        np.arange(start, start + min(chunk, len(audio) - start) // hop * hop)
        for start in range(0, len(audio), chunk)
    ]
    out = out[:, np.concatenate(kept)]
    assert out.shape[1] == file["n_out"]
    segments = np.concatenate([out[:, a:b] for a, b in file["segments"]], axis=1)
    assert snr(segments, file["estimates"]) >= 80
