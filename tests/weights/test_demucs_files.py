"""Files of Demucs: what they say of the model, without its program; and bags of them."""

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from foreign import class_called, draw, write_pth, write_th
from safetensors.numpy import save_file
from toy_models import ToyWave

from xumx_jax import cli, models
from xumx_jax.errors import UserError
from xumx_jax.weights import converters, load
from xumx_jax.weights.converters.kinds import Kind
from xumx_jax.weights.converters.readers import Weights, read
from xumx_jax.weights.converters.rules import Rule

STATE = draw({"a.weight": (3, 4), "a.bias": (3,)})
KWARGS = {"sources": ["drums", "bass"], "channels": 48, "cac": True, "segment": Fraction(39, 5)}
HALF = {name: tensor.astype(np.float16).astype(np.float32) for name, tensor in STATE.items()}


def same_state(found):
    assert set(found.tensors) == set(HALF)
    for name, tensor in HALF.items():
        assert found.tensors[name].dtype == np.float32
        np.testing.assert_array_equal(found.tensors[name], tensor)


def test_a_th_says_what_its_model_is(tmp_path):
    found = read(write_th(tmp_path / "955717e8.th", STATE, args=(Fraction(6),), **KWARGS))
    same_state(found)
    assert found.info["class"] == "demucs.hdemucs.HDemucs" and found.info["args"] == [6]
    assert found.info["kwargs"] == KWARGS | {"segment": 7.8}
    assert found.info["training_args"] == {"epochs": 360}


def test_a_fraction_of_older_python_is_a_text(tmp_path):
    class Old:
        def __init__(self, text):
            self.text = text

        def __reduce__(self):
            return Fraction, (self.text,)

    assert read(write_th(tmp_path / "a.th", STATE, x=Old("-39/5"), y=Old("6"))).info["kwargs"] == {
        "x": -7.8,
        "y": 6,
    }
    for text in ("1e999999999", "1/0", "9" * 40):
        with pytest.raises(UserError, match="a.th: cannot be read"):
            read(write_th(tmp_path / "a.th", STATE, x=Old(text)))


def test_omegaconf_containers_are_inert(tmp_path):
    with class_called("omegaconf.dictconfig.DictConfig") as made:
        config = made()
        config.__dict__.update(_content={"epochs": 3}, _parent=None)
        path = write_pth(tmp_path / "a.th", {"state": STATE, "training_args": config, "epoch": 3})
    assert read(path).info == {"training_args": None, "epoch": 3}


def metadata():
    fraction = {"_type": "fraction", "numerator": 39, "denominator": 5}
    return {
        "klass": "demucs.hdemucs.HDemucs",
        "args": "[]",
        "kwargs": json.dumps(KWARGS | {"segment": fraction}),
    }


@pytest.mark.parametrize("place", ["metadata", "beside"])
def test_safetensors_say_the_same(tmp_path, place):
    path = tmp_path / "955717e8.safetensors"
    half = {name: tensor.astype(np.float16) for name, tensor in STATE.items()}
    save_file(half, path, metadata() if place == "metadata" else None)
    beside = metadata() if place == "beside" else {"klass": "something.Else"}
    path.with_suffix(".json").write_text(json.dumps(beside))
    found = read(path)
    same_state(found)
    assert found.info["class"] == "demucs.hdemucs.HDemucs" and found.info["args"] == []
    assert found.info["kwargs"] == KWARGS | {"segment": 7.8}


def test_a_json_beside_that_is_not_demucs_counts_for_nothing(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(STATE, path)
    for text in ('{"epoch": 3}', "[1]", "no json"):
        path.with_suffix(".json").write_text(text)
        assert read(path).info == {}


def test_quantised_weights_are_refused(tmp_path):
    th, st = tmp_path / "83fc094f.th", tmp_path / "83fc094f.safetensors"
    with class_called("demucs.hdemucs.HDemucs") as made:
        state = {"quantized": [STATE["a.weight"]], "float16": [], "others": [], "__quantized": True}
        write_pth(th, {"klass": made, "args": (), "kwargs": {}, "state": state})
    save_file(STATE, st, metadata() | {"structure": "{}"})
    for path in (th, st):
        with pytest.raises(UserError, match=f"{path.name}: its weights are quantised.*mdx_extra_q"):
            read(path)


# bags


def toy_arguments(tensors, info):
    """What the file says, and the length of a chunk that its bag says."""
    named = {name: info["kwargs"][name] for name in ("sources", "sample_rate")}
    return {**named, "width": len(tensors["conv.weight"]), **info.get("settings", {})}


class Toy(ToyWave):
    """With a length of chunks, as every model of Demucs has."""

    seconds: float = 1.0


@pytest.fixture
def toy(monkeypatch):
    turned = [Rule(f"params/conv/{ours}", f"conv.{theirs}") for ours, theirs in
              (("kernel", "weight"), ("bias", "bias"))]  # fmt: skip
    kind = Kind("toy", r"(.*?)conv\.weight", toy_arguments, lambda model: turned)
    monkeypatch.setitem(models.MODELS, "toy", Toy)
    monkeypatch.setitem(converters.KINDS, "toy", kind)


def member(path, value, sources=("high", "low"), rate=8000):
    state = {"conv.weight": np.zeros((1, 1, len(sources)), np.float32)}
    state["conv.bias"] = np.full(len(sources), value, np.float32)
    written = write_th(path, state, sources=list(sources), sample_rate=rate)
    digest = hashlib.sha256(written.read_bytes()).hexdigest()[:8]
    return written.rename(path.with_name(f"{path.stem}-{digest}.th")) if "-" in path.name else path


BAG = """models: ['aaaa0000', 'bbbb0000']  # two
weights: [
  [1., 0.],
  [3., 2.],
]
segment: 44"""


@pytest.fixture
def folder(tmp_path, toy):
    folder = tmp_path / "models"
    folder.mkdir()
    member(folder / "aaaa0000.th", 0.125)
    digest = hashlib.sha256(member(folder / "b.th", 0.5).read_bytes()).hexdigest()[:8]
    (folder / "b.th").rename(folder / f"bbbb0000-{digest}.th")
    (folder / "two.yaml").write_text(BAG)
    return folder


def test_a_bag_and_the_folder_that_it_lies_in(folder, tmp_path):
    (folder / "notes.yaml").write_text("epochs: 3\n")
    for path in (folder / "two.yaml", folder):
        found = load.load_bag(path)
        assert found.sources == ("high", "low")
        np.testing.assert_array_equal(found.weights, [[0.25, 0], [0.75, 1]])
        assert [member.args["seconds"] for member in found.members] == [44, 44]
        assert found.members[0].info["origin"] == "aaaa0000.th"
        assert found.members[1].variables["params"]["conv"]["bias"].tolist() == [0.5, 0.5]
    load.convert(folder, tmp_path / "copy")
    assert load.load_bag(tmp_path / "copy").weights.tolist() == found.weights.tolist()
    (folder / "three.yaml").write_text(BAG)
    with pytest.raises(UserError, match="models: holds several bags: three.yaml, two.yaml"):
        load.load_bag(folder)


@pytest.mark.slow
def test_a_bag_separates(folder, tmp_path):
    """Each model's stems are constants, so what comes out are the weighted means of these."""
    soundfile.write(tmp_path / "track.wav", np.zeros((800, 2)), 8000)
    command = ["separate", str(tmp_path / "track.wav"), "--out", str(tmp_path)]
    assert cli.main([*command, "--model", str(folder / "two.yaml")]) == 0
    for stem, wanted in (("high", 0.40625), ("low", 0.5)):
        wave, _ = soundfile.read(tmp_path / "track" / f"{stem}.wav")
        np.testing.assert_allclose(wave, wanted, atol=2**-15)


def test_a_bag_without_weights_counts_how_often_a_model_is_named(folder):
    names = ["aaaa0000", "bbbb0000", "bbbb0000"]
    (folder / "two.yaml").write_text(f"models: {names}\n")
    found = load.load_bag(folder)
    np.testing.assert_allclose(found.weights, [[1 / 3] * 2, [2 / 3] * 2])
    assert "seconds" not in found.members[0].args
    (folder / "two.yaml").write_text(f"models: {names}\nweights: [[1, 1], [0, 1], [1, 0]]")
    np.testing.assert_allclose(load.load_bag(folder).weights, [[0.5] * 2, [0.5] * 2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("segment: 44", "no list of names for models; wanted a bag of Demucs"),
        ("models: [aaaa0000", "line 1: expected"),
        ("models: __import__('os').getcwd()", "no list of names for models; wanted a bag"),
        ("models: !!python/object/apply:os.getcwd []", "hostile"),
        ("models: ['aaaa0000']\nmodels: ['bbbb0000']", "the key 'models' occurs twice"),
        ("models: [1]", "no list of names"),
        ("models: ['aaaa0000']\nweights: [[1, 1], [1, 1]]", "2 rows of weights for 1 models"),
        ("models: ['aaaa0000']\nweights: [1]", "wanted a bag of Demucs"),
        ("models: ['aaaa0000']\nweights: [[1, 'x']]", "'x'; wanted a bag"),
        ("models: ['aaaa0000']\nweights: [[1e999, 1]]", "not all finite"),
        ("models: ['aaaa0000']\nsegment: -1", "segment -1"),
        ("models: ['aaaa0000']\nweights: [[1]]", "1 weights for a model with 2 sources"),
        ("models: ['aaaa0000']\nweights: [[1, 0]]", "no model has a weight for low"),
        ("models: ['aaaa0000']\nweights: [[1, -1]]", "wanted positive numbers"),
        ("models: ['../aaaa0000']", "'../aaaa0000' cannot be the name of a file"),
        ("models: ['cccc0000']", "for cccc0000: no such file; wanted one cccc0000.safetensors"),
    ],
)
def test_a_bag_that_makes_no_sense(folder, text, said):
    path = folder / "two.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load.load_bag(path)
    assert str(caught.value).startswith(f"{path}: ") and said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_of_a_bag_are_checked(folder):
    path = folder / "two.yaml"
    (other,) = folder.glob("bbbb0000-*.th")
    other.rename(folder / "bbbb0000-01234567.th")
    with pytest.raises(UserError, match="bbbb0000-01234567.th: its SHA-256 is .* says 01234567"):
        load.load_bag(path)
    (folder / "bbbb0000.th").write_bytes((folder / "aaaa0000.th").read_bytes())
    with pytest.raises(UserError, match="for bbbb0000: bbbb0000-01234567.th, bbbb0000.th; wanted"):
        load.load_bag(path)
    (folder / "bbbb0000-01234567.th").unlink()
    whole = (folder / "bbbb0000.th").read_bytes()
    (folder / "bbbb0000.th").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="bbbb0000.th: cannot be read, cut off or damaged"):
        load.load_bag(path)
    with pytest.raises(UserError, match="gone.yaml: no such file or folder"):
        load.load_bag("gone.yaml")


@pytest.mark.parametrize(
    ("change", "said"),
    [({"sources": ("low", "high")}, "sources"), ({"rate": 16000}, "sample_rate")],
)
def test_models_of_a_bag_agree(folder, change, said):
    (other,) = folder.glob("bbbb0000-*.th")
    other.unlink()
    member(folder / "bbbb0000.th", 1.0, **change)
    with pytest.raises(UserError, match=f"two.yaml: {said} of bbbb0000.th: .*the models of a bag"):
        load.load_bag(folder / "two.yaml")


def test_only_what_training_keeps_beside_a_model_is_left_out(toy):
    state = {"conv.weight": np.zeros((1, 1, 2)), "conv.bias": np.zeros(2)}
    kwargs = {"sources": ["a", "b"], "sample_rate": 8000}
    inside = {f"model.{name}": tensor for name, tensor in state.items()}
    beside = ("spec.window", "inv_spec.window", "criterion.spec.window", "transforms.0.rates")
    inside |= {name: np.zeros(3) for name in beside} | {"targets_idx": np.array([0, 1])}
    weights = Weights(Path("w.ckpt"), inside, {"kwargs": kwargs})
    assert converters.convert(weights, "toy").args["sources"] == ["a", "b"]
    for name in ("other.weight", "spectrum.kernel", "model.spec.kernel"):
        wrong = replace(weights, tensors=inside | {name: np.zeros(3)})
        with pytest.raises(UserError, match="unexpected tensor"):
            converters.convert(wrong, "toy")


def test_a_file_of_another_kind_is_called_by_its_kind(toy, tmp_path):
    path = member(tmp_path / "a.th", 1.0)
    with pytest.raises(
        UserError, match="a.th: as xumx-asteroid: .*; by its names it is toy; it says that "
    ):
        load.load_weights(path, "xumx-asteroid")
