"""Sony's Open-Unmix: files of its layout give the network that its description gives.

The layout and the network are those of sony/ai-research-code, x-umx/model.py and test.py. Its
weights cannot be had here: what is checked is that description, written down once more in numpy.
"""

import io
import zipfile

import h5py
import jax
import numpy as np
import pytest
from foreign import draw, write_h5

from xumx_jax.errors import UserError
from xumx_jax.separation.separator import Separator
from xumx_jax.weights import load, zoo
from xumx_jax.weights.converters import KINDS, detect, openunmix_files

TARGETS = ("vocals", "drums", "bass", "other")
BINS, MAX_BIN, HIDDEN, LAYERS = 2049, 7, 4, 2  # the first by its usual transform


def target(seed=0, channels=2, directions=2, bins=BINS):
    """One target's parameters, named as NNabla names them outside of any scope."""
    part = HIDDEN // directions
    shapes = {"input_mean": (MAX_BIN,), "input_scale": (MAX_BIN,)}
    shapes |= {"output_scale": (bins,), "output_mean": (bins,)}
    for name, kernel in (
        ("fc1", (channels * MAX_BIN, HIDDEN)),
        ("fc2", (2 * HIDDEN, HIDDEN)),
        ("fc3", (HIDDEN, channels * bins)),
    ):
        shapes[f"{name}/affine/W"] = kernel
        shapes |= {f"{name}/bn/{norm}": (1, 1, kernel[1]) for norm in ("beta", "gamma")}
        shapes |= {f"{name}/bn/{norm}": (1, 1, kernel[1]) for norm in ("mean", "var")}
    shapes["lstm/lstm/weight_l0"] = (directions, 4, part, HIDDEN + part)
    shapes["lstm/lstm/weight"] = (LAYERS - 1, directions, 4, part, directions * part + part)
    shapes["lstm/lstm/bias"] = (LAYERS, directions, 4, part)
    return {name: value - 0.75 * ("/var" not in name) for name, value in draw(shapes, seed).items()}


def write_folder(folder, **options):
    folder.mkdir()
    if options.get("bins"):
        (folder / "separator.json").write_text('{"sample_rate": 8000, "nfft": 16, "nhop": 4}')
    for seed, name in enumerate(TARGETS):
        write_h5(folder / f"{name}.h5", target(seed, **options))
    return folder


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(weights, bias, x):
    """[time, input] -> [time, hidden], gates in the order input, forget, cell, output."""
    hidden = cell = np.zeros(bias.shape[-1])
    out = []
    for now in x:
        i, f, g, o = weights @ np.concatenate([now, hidden]) + bias
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        out.append(hidden)
    return np.array(out)


def masks_by_the_book(w, magnitudes):
    """[channel, bin, frame] -> the mask of one target, likewise; in float64, frame by frame."""
    w = {name: value.astype(np.float64) for name, value in w.items()}
    channels, bins, frames = magnitudes.shape

    def dense(x, name):
        y = x @ w[f"{name}/affine/W"]
        mean, var, gamma, beta = (
            w[f"{name}/bn/{part}"].ravel() for part in ("mean", "var", "gamma", "beta")
        )
        return (y - mean) / np.sqrt(var + 1e-5) * gamma + beta

    x = magnitudes[:, :MAX_BIN].transpose(2, 0, 1)  # [frame, channel, bin]
    x = ((x + w["input_mean"]) * w["input_scale"]).reshape(frames, -1)
    x = skip = np.tanh(dense(x, "fc1"))
    for layer in range(LAYERS):
        weights = w["lstm/lstm/weight"][layer - 1] if layer else w["lstm/lstm/weight_l0"]
        bias = w["lstm/lstm/bias"][layer]
        ways = [lstm(weights[0], bias[0], x)]
        if len(weights) == 2:
            ways.append(lstm(weights[1], bias[1], x[::-1])[::-1])
        x = np.concatenate(ways, axis=1)
    x = np.maximum(dense(np.concatenate([skip, x], axis=1), "fc2"), 0)
    x = dense(x, "fc3").reshape(frames, channels, bins)
    return np.maximum(x * w["output_scale"] + w["output_mean"], 0).transpose(1, 2, 0)


@pytest.mark.parametrize("options", [{}, {"channels": 1}, {"directions": 1}])
def test_the_network_is_the_one_described(tmp_path, quick_compile, options):
    folder = write_folder(tmp_path / "umxhq", bins=9, **options)
    module, variables, info = load.load_module(folder)
    assert info["model"] == "umx" and info["kind"] == "openunmix-nnabla" and not module.bridge
    assert module.sources == TARGETS and module.max_bin == MAX_BIN and module.layers == LAYERS
    assert (module.sample_rate, module.n_fft, module.hop) == (8000, 16, 4)
    channels = options.get("channels", 2)
    rng = np.random.default_rng(0)
    magnitudes = rng.uniform(0, 2, (channels, 9, 5)).astype(np.float32)
    apply = jax.jit(lambda v, x: module.apply(v, x, method="masks"))
    found = apply(variables, magnitudes[None])[0]
    for index in range(len(TARGETS)):
        wanted = masks_by_the_book(target(index, bins=9, **options), magnitudes)
        assert 0.1 < (wanted > 0).mean() < 1
        np.testing.assert_allclose(found[index], wanted, atol=2e-5)


def test_a_folder_a_zip_and_single_files_are_the_same_weights(tmp_path):
    folder = write_folder(tmp_path / "umx")
    with zipfile.ZipFile(tmp_path / "umx.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in reversed(TARGETS):
            archive.write(folder / f"{name}.h5", f"some/umx/{name}.h5")
        archive.writestr("some/readme.txt", "hello")
    whole, zipped = (load.load_weights(tmp_path / name).only for name in ("umx", "umx.zip"))
    assert whole.args == zipped.args and zipped.info["kind"] == "openunmix-nnabla"
    jax.tree.map(np.testing.assert_array_equal, whole.variables, zipped.variables)
    assert [whole.args[name] for name in ("sample_rate", "n_fft", "hop")] == [44100, 4096, 1024]
    alone = load.load_weights(folder / "bass.h5").only
    assert alone.args["sources"] == ("bass",)
    assert alone.info["kind"] == "openunmix-nnabla-target"
    third = jax.tree.map(lambda leaf: leaf[2:3], whole.variables)
    jax.tree.map(np.testing.assert_array_equal, third, alone.variables)


def test_its_filter_is_norberts_however_it_is_stored(tmp_path):
    folder = write_folder(tmp_path / "umx", bins=9)
    load.convert(folder, tmp_path / "umx.safetensors")
    module, variables, _ = load.load_module(tmp_path / "umx.safetensors")
    usual = {"epsilon", "difference"}  # of Open-Unmix in PyTorch
    assert not usual & set(Separator(module, variables).wiener_options)
    plain = module.clone(filter=None)
    assert usual <= set(Separator(plain, variables).wiener_options)


def test_other_files_are_refused_by_name(tmp_path):
    folder = write_folder(tmp_path / "umx")
    # the first NNabla version had biases; no weights of it were ever offered
    write_h5(folder / "bass.h5", target() | {"fc1/affine/b": np.zeros(HIDDEN, np.float32)})
    with pytest.raises(UserError, match=r"umx: as openunmix-nnabla: .*bass/fc1/affine/b"):
        load.load_weights(folder)
    write_h5(folder / "bass.h5", {"other": np.ones(3, np.float32)})
    with pytest.raises(UserError, match=r"bass\.h5: not one target of Open-Unmix"):
        load.load_weights(folder)
    write_h5(folder / "bass.h5", target(bins=9))
    with pytest.raises(UserError, match="bass/"):
        load.load_weights(folder)
    for names, says in (
        (("a/bass.h5", "b/bass.h5"), "several files in it are for bass"),
        (("bass.h5", "other.h5"), r"two\.zip: other\.h5: not one target"),
    ):
        write_h5(tmp_path / "other.h5", {"x": np.ones(3, np.float32)})
        with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
            archive.write(folder / "vocals.h5", names[0])
            archive.write(tmp_path / "other.h5", names[1])
        with pytest.raises(UserError, match=says):
            load.load_weights(tmp_path / "two.zip")
    (tmp_path / "two.zip").write_bytes((tmp_path / "two.zip").read_bytes()[:-30])
    with pytest.raises(UserError, match=r"two\.zip: cannot be read"):
        load.load_weights(tmp_path / "two.zip")


def test_kinds_are_told_apart():
    one = target()
    assert detect(one) == "openunmix-nnabla-target"
    assert detect({f"vocals/{name}": value for name, value in one.items()}) == "openunmix-nnabla"
    assert {detect({f"fc1_{s}/affine/W": 0 for s in TARGETS})} == {"xumx-nnabla"}
    assert "openunmix-nnabla" in KINDS


@pytest.mark.parametrize("name", ["umx-nnabla", "umxhq-nnabla"])
def test_the_zoo_takes_it_from_one_archive(tmp_path, name, caplog):
    folder = write_folder(tmp_path / "served")
    archive = tmp_path / "served.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.iterdir():
            file.write(path, f"{name}/{path.name}")

    class Response(io.BytesIO):
        status, headers = 200, {}

    asked = []

    def opener(request, timeout):
        asked.append(request.full_url)
        return Response(archive.read_bytes())

    path = zoo.fetch(name, tmp_path / "cache", opener)
    assert asked == [zoo.PUBLISHED[name].members[0].files[""].url]
    module, _, info = load.load_module(path)
    assert module.sources == TARGETS and module.filter == "norbert"
    assert "ai-research-code" in info["score"] and "Apache-2.0" in info["licence"]
    kept = f"{name.removesuffix('-nnabla')}.zip"
    assert (tmp_path / "cache" / f"{kept}.sha256").is_file()
    assert f"no digest has been published for {kept}" in caplog.text


def test_an_archive_of_nothing_but_h5_is_meant(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert not openunmix_files.is_archive(tmp_path / "x.pth")
    with h5py.File(tmp_path / "x.h5", "w"):
        pass
    assert not openunmix_files.is_archive(tmp_path / "x.h5")
