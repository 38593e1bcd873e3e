"""Open-Unmix's weights: one file per target, several of them one model; every fault named."""

import json

import jax
import numpy as np
import pytest
from foreign import openunmix, write_pth

from xumx_jax import cli
from xumx_jax.errors import UserError
from xumx_jax.weights import converters, load
from xumx_jax.weights.converters import KINDS, detect
from xumx_jax.weights.converters import openunmix as converter

TARGETS = ("vocals", "drums", "bass", "other")
SEPARATOR = {"sample_rate": 22050.0, "nfft": 16, "nhop": 4, "nb_channels": 2}


def write_folder(folder, targets=TARGETS, separator=SEPARATOR, ends="", **sizes):
    folder.mkdir()
    for seed, target in enumerate(targets):
        write_pth(folder / f"{target}{ends}.pth", openunmix(seed=seed, **sizes))
    if separator is not None:
        (folder / "separator.json").write_text(json.dumps(separator))
    return folder


def same(ours, wanted):
    jax.tree.map(np.testing.assert_array_equal, ours, wanted)


@pytest.mark.parametrize("ends", ["", "-c8df74a5", "_f5e0d9f9"])
def test_a_file_a_target_makes_one_model(tmp_path, ends):
    folder = write_folder(tmp_path / "model", ends=ends)
    module, variables, info = load.load_module(folder)
    assert info["model"] == "umx" and info["kind"] == "openunmix" and not module.bridge
    assert module.sources == TARGETS  # Open-Unmix's order, not that of the file names
    assert (module.sample_rate, module.n_fft, module.hop) == (22050, 16, 4)
    assert (module.hidden_size, module.layers, module.max_bin, module.channels) == (4, 2, 5, 2)
    for index, target in enumerate(TARGETS):
        alone = load.load_weights(folder / f"{target}{ends}.pth").only
        assert alone.args["sources"] == (target,) and alone.info["kind"] == "openunmix-target"
        same(jax.tree.map(lambda leaf, i=index: leaf[i : i + 1], variables), alone.variables)


def test_the_state_of_a_separator_is_the_same_model(tmp_path):
    folder = write_folder(tmp_path / "model")
    state = {"sample_rate": np.float32(22050), "stft.window": np.ones(16, np.float32)}
    for seed, target in enumerate(TARGETS):
        state |= {f"target_models.{target}.{k}": v for k, v in openunmix(seed=seed).items()}
    (tmp_path / "separator.json").write_text('{"nhop": 4}')
    whole = load.load_weights(write_pth(tmp_path / "all.pth", state)).only
    parts = load.load_weights(folder).only
    assert whole.args == parts.args
    same(whole.variables, parts.variables)


@pytest.mark.parametrize(
    "sizes",
    [{"channels": 1}, {"layers": 1}, {"directions": 1}, {"max_bin": 9}, {"hidden": 6}],
)
def test_sizes_follow_from_the_tensors(tmp_path, sizes):
    folder = write_folder(tmp_path / "model", ("noise", "speech"), **sizes)
    module, _, _ = load.load_module(folder)
    assert module.sources == ("speech", "noise")
    assert module.channels == sizes.get("channels", 2) and module.layers == sizes.get("layers", 2)
    assert module.unidirectional == (sizes.get("directions") == 1)
    assert module.max_bin == sizes.get("max_bin", 5)
    assert module.hidden_size == sizes.get("hidden", 4)


def test_other_targets_follow_by_name():
    assert converter.in_order(("b", "other", "a", "vocals")) == ("vocals", "other", "a", "b")
    assert converter.in_order(("noise", "speech")) == ("speech", "noise")


def test_settings_of_a_training_run_count(tmp_path):
    """Open-Unmix writes a json file per target, with its arguments among other things."""
    folder = write_folder(tmp_path / "model", ("vocals",), separator=None)
    args = {"nfft": 16, "nhop": 8, "sample_rate": 8000, "hidden_size": 4, "seed": 42}
    (folder / "vocals.json").write_text(json.dumps({"epochs_trained": 3, "args": args}))
    for path in (folder, folder / "vocals.pth"):
        module, _, _ = load.load_module(path)
        assert (module.sample_rate, module.hop) == (8000, 8)


def test_usual_settings_need_not_be_said():
    tensors = openunmix(bins=2049)
    args = converter.target_arguments(tensors, {"targets": ("bass",)})
    assert (args["sample_rate"], args["n_fft"], args["hop"]) == (44100, 4096, 1024)


@pytest.mark.parametrize(
    ("separator", "message"),
    [
        (None, r"transform has 16 samples.*wanted sample_rate and nhop in a separator\.json"),
        ({"sample_rate": 16000}, "wanted nhop in a separator"),
        ({**SEPARATOR, "nfft": 32}, "settings give nfft 32, its tensors 16"),
        ({"nfft": "many"}, r"separator\.json: not settings of Open-Unmix"),
        ([1], r"separator\.json: not settings of Open-Unmix"),
    ],
)
def test_settings_that_are_missing_or_wrong_are_named(tmp_path, separator, message):
    folder = write_folder(tmp_path / "model", separator=separator)
    with pytest.raises(UserError, match=message):
        load.load_weights(folder)


def test_what_the_first_open_unmix_saved_beside_the_weights(tmp_path):
    """It kept the rate and its transform's windows in the state of each target."""
    window = np.ones(16, np.float32)
    beside = {"sample_rate": np.int64(16000), "stft.window": window, "transform.0.window": window}
    (tmp_path / "separator.json").write_text('{"nhop": 4}')
    path = write_pth(tmp_path / "speech_f5e0d9f9.pth", openunmix(channels=1) | beside)
    args = load.load_weights(path).only.args
    assert args["sources"] == ("speech",) and args["sample_rate"] == 16000
    assert args["channels"] == 1


def test_settings_that_differ_are_named(tmp_path):
    folder = write_folder(tmp_path / "model", ("vocals",))
    (folder / "vocals.json").write_text('{"args": {"nhop": 8}}')
    with pytest.raises(UserError, match=r"vocals\.json: nhop is 8, in separator\.json 4"):
        load.load_weights(folder)


def test_two_files_of_one_target_are_refused(tmp_path):
    folder = write_folder(tmp_path / "model")
    write_pth(folder / "bass-8d85a5bd.pth", openunmix())
    with pytest.raises(UserError, match=r"bass-8d85a5bd\.pth and bass\.pth are both for bass"):
        load.load_weights(folder)


def test_a_folder_of_other_weights_is_refused(tmp_path):
    folder = write_folder(tmp_path / "model")
    write_pth(folder / "x.pth", {"a": np.ones(3, np.float32)})
    with pytest.raises(UserError, match=r"x\.pth: not one target of Open-Unmix"):
        load.load_weights(folder)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["missing", "longer", "extra"])
def test_any_missing_or_wrong_tensor_is_named(tmp_path, change):
    for name in openunmix():
        if "num_batches" in name:
            continue
        tensors = openunmix()
        if change == "missing":
            del tensors[name]
        elif change == "longer":
            tensors[name] = np.repeat(tensors[name], 2, axis=-1)
        else:
            name = "fc4.weight"
            tensors[name] = np.ones(3, np.float32)
        info = {"targets": ("vocals",), "settings": {"sample_rate": 44100, "hop": 4}}
        weights = converter.Weights(tmp_path / "vocals.pth", tensors, info)
        with pytest.raises(UserError) as caught:
            converters.convert(weights)
        said = str(caught.value)
        assert said.startswith(f"{tmp_path}/vocals.pth: as openunmix-target: ") and "\n" not in said
        # the first of two vectors that alone tell a size is believed, and the rest does not fit it
        assert name in said or f"{change} {name}" in ("longer input_mean", "longer output_scale")


def test_targets_of_different_sizes_are_models_of_their_own(tmp_path):
    """Each is all that counts for its source; a single model would need one size."""
    folder = write_folder(tmp_path / "model")
    write_pth(folder / "bass.pth", openunmix(hidden=6))
    found = load.load_weights(folder)
    assert found.sources == TARGETS
    np.testing.assert_array_equal(found.weights, np.eye(4))
    assert [member.args["sources"] for member in found.members] == [(name,) for name in TARGETS]
    assert [member.args["hidden_size"] for member in found.members] == [4, 4, 6, 4]
    same(found.members[2].variables, load.load_weights(folder / "bass.pth").only.variables)
    same(found.members[0].variables, load.load_weights(folder / "vocals.pth").only.variables)
    with pytest.raises(UserError, match="model: contains 4 models; wanted a single one"):
        load.load_module(folder)


def test_a_wrong_tensor_among_targets_of_one_size_is_named(tmp_path):
    folder = write_folder(tmp_path / "model")
    tensors = openunmix()
    tensors["bn2.weight"] = np.ones(7, np.float32)
    write_pth(folder / "bass.pth", tensors)
    with pytest.raises(UserError, match=r"model: as openunmix: .*target_models\.bass\.bn2\.weight"):
        load.load_weights(folder)


def test_kinds_are_told_apart():
    tensors = openunmix()
    assert detect(tensors) == "openunmix-target"
    assert detect({f"target_models.x.{name}": 0 for name in tensors}) == "openunmix"
    assert detect({f"model.{name}": 0 for name in tensors}) == "openunmix-target"
    assert {"openunmix", "openunmix-target"} <= set(KINDS)
    for some in (["fc1.weight", "fc2.weight", "fc3.weight"], ["fc1.weight", "lstm.weight_ih_l0"]):
        assert detect(dict.fromkeys(some, 0)) is None  # any network may have these
    assert detect({"mlp/fc1/affine/W": 0, "fc1/affine/W": 0}) is None


def test_convert_writes_one_file_for_a_folder(tmp_path, capsys):
    folder = write_folder(tmp_path / "model")
    target = tmp_path / "umx.safetensors"
    assert cli.main(["convert", str(folder), str(target)]) == 0
    assert "umx (vocals, drums, bass, other)" in capsys.readouterr().out
    assert load.load_weights(target).only.args == load.load_weights(folder).only.args
    same(load.load_weights(target).only.variables, load.load_weights(folder).only.variables)
