"""Open-Unmix against recorded outputs of its PyTorch program, and its filters against norbert's.

Each model's file holds its weights: they go through a `.pth` and the name map, as a user's would.
"""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from foreign import write_pth
from golden_files import golden
from golden_torch import arrays, check_step, close, meta, under

from xumx_jax.postfilters import POST_FILTERS
from xumx_jax.postfilters.wiener import expectation_maximization, wiener, with_residual
from xumx_jax.separation.separator import Separator
from xumx_jax.transforms.bands import bandwidth_to_max_bin
from xumx_jax.transforms.stft import Stft
from xumx_jax.weights.load import load_module

pytestmark = pytest.mark.usefixtures("quick_compile")

OPTIONS = ("niter", "softmask", "alpha", "residual", "difference", "epsilon", "scale")
filtered = jax.jit(wiener, static_argnames=OPTIONS)
refined = jax.jit(expectation_maximization, static_argnames=("niter", "epsilon"))
OPEN_UNMIX = POST_FILTERS["openunmix"].options


@pytest.fixture
def model(path, tmp_path):
    """Module, variables and info, through files like the program's own."""
    said = meta(path).get("kwargs") or meta(path)
    n_fft = said.get("n_fft") or 2 * (said["nb_bins"] - 1)
    settings = {"sample_rate": 44100, "nfft": n_fft, "nhop": said.get("n_hop", n_fft // 4)}
    (tmp_path / "separator.json").write_text(json.dumps(settings))
    module, variables, info = load_module(write_pth(tmp_path / "vocals.pth", under(path, "w/")))
    return module.clone(dropout=0.0), variables, info


def masks(module, variables, x, train=False):
    return module.apply(variables, x, train, method="masks", mutable=["batch_stats"])


@pytest.mark.slow
@golden("torch/umx_forward_*.npz")
def test_forward(path, model):
    module, variables, _ = model
    said = meta(path)["kwargs"]
    assert module.sources == ("vocals",) and not module.bridge
    assert module.unidirectional == said.get("unidirectional", False)
    assert module.layers == said["nb_layers"] and module.channels == said["nb_channels"]
    x = arrays(path)["in/x"]
    mask, _ = masks(module, variables, x)
    close(path, "y", mask[:, 0] * x)


@golden("torch/umx_train_step.npz")
def test_training_step(path, model):
    module, variables, info = model
    x, target = arrays(path)["in/x"], arrays(path)["in/target"]

    def loss(params):
        mask, new = masks(module, variables | {"params": params}, x, True)
        return jnp.square(mask[:, 0] * x - target).mean(), (new["batch_stats"], mask[:, 0] * x)

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, (statistics, y)), gradients = run(variables["params"])
    close(path, "y", y)
    check_step(path, info, value, gradients, statistics)


@pytest.mark.slow
@golden("torch/umx_separator*.npz")
def test_separator(path, model):
    module, variables, _ = model
    assert list(module.sources) == meta(path)["targets"]
    for name, config in meta(path)["configs"].items():
        config = dict(config)
        frames = config.pop("wiener_win_len", 300) or 10**3  # None: all
        options = {**config, "wiener_frames": frames}
        audio = arrays(path)["in/audio"]
        chunk = {"chunk_seconds": audio.shape[-1] / 44100, "overlap": 0}
        separators = [Separator(module, variables, **options)]  # in stages
        if config["niter"] == 1:
            separators.append(Separator(module, variables, **options, **chunk))
        for separator in separators:
            stems = [list(separator(mix, 44100).values()) for mix in audio]
            close(path, name, np.array(stems))


@pytest.mark.slow
@golden("torch/umx_stft.npz")
def test_transform(path):
    file = arrays(path)
    for name, config in meta(path)["configs"].items():
        if not config["center"]:
            continue
        transform, wave = Stft(config["n_fft"], config["n_hop"]), file[f"in/{name}"]
        spec = transform.stft(wave)
        close(path, f"{name}/stft", np.stack([spec.real, spec.imag], axis=-1))
        close(path, f"{name}/mag", jnp.abs(spec))
        close(path, f"{name}/mag_mono", jnp.abs(spec).mean(1, keepdims=True))
        changed = spec * file[f"in/{name}/gain"]
        close(path, f"{name}/istft_len", transform.istft(changed, wave.shape[-1]))
        close(path, f"{name}/istft_nolen", transform.istft(changed))


@golden("torch/umx_misc.npz")
def test_bandwidth(path):
    for arguments, wanted in meta(path)["bandwidth_to_max_bin"].items():
        assert bandwidth_to_max_bin(*(int(float(x)) for x in arguments.split("_"))) == wanted


def turned(x):
    """[frame, bin, channel, source] -> [source, channel, bin, frame], with or without sources."""
    return np.asarray(x).transpose(*range(x.ndim)[::-1])


def joined(x):
    """Real and imaginary part on the last axis -> complex64."""
    return (x[..., 0] + 1j * x[..., 1]).astype(np.complex64)


def paired(spec):
    """Complex [source, channel, bin, frame] -> the files' [frame, bin, channel, 2, source]."""
    return np.stack([spec.real, spec.imag], axis=-1).transpose(3, 2, 1, 4, 0)


@pytest.mark.slow
@golden("torch/umx_wiener.npz")
def test_wiener(path):
    file = arrays(path)
    for name, config in meta(path)["configs"].items():
        magnitudes, mix = turned(file[f"in/{config['v']}"]), joined(file[f"in/{config['x']}"])
        softmask = config.get("softmask", False)
        if not softmask:
            # Their arctangent leaves a 1 in empty bins of the mixture, which ours does not.
            mix = np.where(mix == 0, np.complex64(1), mix)
        options = {
            **OPEN_UNMIX,
            "niter": config["iterations"],
            "softmask": softmask,
            "residual": config.get("residual", False),
            "scale": config.get("scale_factor", 10.0),
        }
        options["epsilon"] = config.get("eps", options["epsilon"])
        close(path, name, paired(filtered(magnitudes, turned(mix), **options)))


@pytest.mark.slow
@golden("torch/umx_em.npz")
def test_expectation_maximization(path):
    file = arrays(path)
    for name, config in meta(path)["configs"].items():
        spec = turned(joined(np.moveaxis(file[f"in/{config['y']}"], 3, -1)))
        mix = turned(joined(file[f"in/{config['x']}"]))
        spec, v, r = refined(spec, mix, niter=config["iterations"], epsilon=config["eps"])
        close(path, f"{name}/y", paired(spec))
        close(path, f"{name}/v", turned(v))
        # [source, bin, channel, channel] -> [bin, channel, channel, 2, source]
        close(path, f"{name}/R", np.stack([r.real, r.imag], axis=-1).transpose(1, 2, 3, 4, 0))


@pytest.mark.slow
@golden("torch/norbert_numpy.npz")
def test_norbert(path):
    """The filter in double precision, to 90 dB, and the residual that it appends."""
    file = arrays(path)
    for name in sorted(file):
        if match := re.fullmatch(r"out/wiener_(c\d)_it(\d)_sm(\d)", name):
            which, iterations, softmask = match[1], int(match[2]), bool(int(match[3]))
        elif match := re.fullmatch(r"out/softmask_(c\d)", name):
            which, iterations, softmask = match[1], 0, True
        else:
            continue
        magnitudes = turned(file[f"in/v_{which}"]).astype(np.float32)
        mix = turned(file[f"in/x_{which}"])
        found = filtered(magnitudes, mix, niter=iterations, softmask=softmask)
        wanted = turned(file[name])
        error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
        assert -20 * np.log10(error) >= 90, name
    for which in ("c1", "c2"):
        for alpha in (1, 2):
            magnitudes = turned(file[f"in/v_{which}"]).astype(np.float32)
            size = np.abs(turned(file[f"in/x_{which}"]))
            wanted = turned(file[f"out/residual021_{which}_a{alpha}"])
            found = with_residual(magnitudes, size**alpha)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * wanted.max())
