"""Configs: what they build, and how the command line changes them."""

import json

import pytest
from flax import linen as nn

import train
from configs import demo, umx, xumx
from configs.command_line import override, read
from configs.common import base, variant_of
from pipelines import datasets
from xumx_jax import losses, models
from xumx_jax.errors import UserError
from xumx_jax.models import interface
from xumx_jax.training.config_checks import flatten

CONFIGS = {"xumx": xumx, "umx": umx, "demo": demo}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("variant", ["", "tiny"])
def test_every_config_builds_what_it_names(name, variant):
    config = CONFIGS[name].get_config(variant)
    model = models.build(config.model.name, **config.model.args.to_dict())
    losses.build(config.loss.name, **config.loss[config.loss.name].to_dict())
    exported = models.build(
        config.model.name, **config.model.args.to_dict() | config.export.to_dict()
    )
    assert exported.sample_rate == 44100 and model.sources == exported.sources
    assert json.loads(json.dumps(config.to_dict()))  # as checkpoints keep it
    with pytest.raises(UserError, match="variant 'huge'"):
        CONFIGS[name].get_config("huge")


def test_published_defaults():
    """The table of options in the references, in our names."""
    config = xumx.get_config()
    wanted = {
        "train": {
            "epochs": 1000, "batch_size": 16, "patience": 1000, "seconds": 6.0, "seed": 42,
            "examples_per_track": 64, "weights": "",
        },
        "optimizer": {"learning_rate": 1e-3, "weight_decay": 1e-5},
    }  # fmt: skip
    recipe = train.mixing_of(config, "musdb")
    assert (recipe.gain, recipe.swap, recipe.same_song, recipe.polarity) == (
        (0.25, 1.25),
        0.5,
        0,
        0,
    )
    for part, values in wanted.items():
        assert {key: config[part][key] for key in values} == values
    assert config.optimizer.plateau.to_dict() == {"patience": 80, "factor": 0.3, "cooldown": 10}
    assert config.model.args.to_dict() == {
        "sources": ("bass", "drums", "vocals", "other"), "sample_rate": 44100, "n_fft": 4096,
        "hop": 1024, "channels": 2, "hidden_size": 512, "layers": 3, "bandwidth_hz": 16000.0,
        "unidirectional": False, "dropout": 0.4,
        # what the published model does not have
        "max_bin": None, "power": 1, "bands": None, "activation": "relu", "bridge": True,
        "filter": None,
    }  # fmt: skip
    assert umx.get_config().train.patience == 140


def test_values_are_read_by_their_type():
    config = override(
        xumx.get_config(),
        [
            "--config.train.batch_size=8", "--config.train.seconds", "2", "--config.quiet=True",
            "--config.data.root=1234", "--config.recipe.gain=(0.5,1)",
            "--config.optimizer.plateau.patience=None", "--config.optimizer.clip=1.5",
            "--config.model.args.sources=('vocals',)", "--config.data.musdb.is_wav=false",
        ],
    )  # fmt: skip
    assert config.train.batch_size == 8 and config.train.seconds == 2.0 and config.quiet is True
    assert config.data.root == "1234" and config.recipe.gain == (0.5, 1)
    assert config.optimizer.plateau.patience is None and config.optimizer.clip == 1.5
    assert config.model.args.sources == ("vocals",) and config.data.musdb.is_wav is False


@pytest.mark.parametrize(
    "words, message",
    [
        (["--config.train.bach_size=8"], "bach_size; did you mean config.train.batch_size?"),
        (["--config.batch_size=8"], "config.batch_size; did you mean config.train.batch_size?"),
        (["--config.train=8"], "unknown key config.train"),
        (["--config.train.batch_size=8.5"], "config.train.batch_size: got '8.5', wanted int"),
        (["--config.train.batch_size=true"], "config.train.batch_size: got 'true', wanted int"),
        (["--config.train.batch_size=True"], "config.train.batch_size: got 'True', wanted int"),
        (["--config.train.epochs=None"], "config.train.epochs: got 'None', wanted int"),
        (["--config.optimizer.clip=much"], "config.optimizer.clip: got 'much', wanted float"),
        (["--config.quiet=yes"], "config.quiet: got 'yes', wanted bool"),
        (["--config.train.seed"], "config.train.seed: no value given"),
        (["--workdirs=x"], "unknown argument '--workdirs=x'"),
    ],
)
def test_wrong_words_are_named(words, message):
    with pytest.raises(UserError) as error:
        override(xumx.get_config(), words)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_aligned_data_are_mixed_as_they_are_unless_a_recipe_says_so():
    config = umx.get_config()
    recipe = train.mixing_of(config, "aligned")
    assert (recipe.gain, recipe.swap, recipe.same_song) == ((1.0, 1.0), 0.0, 1.0)
    config.recipe.swap = 0.25
    assert train.mixing_of(config, "aligned").swap == 0.25
    assert train.mixing_of(config, "trackfolder_var").gain == (0.25, 1.25)
    assert train.mixing_of(demo.get_config(), "folder").same_song == 0.7


def test_effects_are_listed_by_name():
    words = ["--config.recipe.effects=(('resample', {'probability': 0.25}),)"]
    config = override(xumx.get_config(), words)
    assert train.mixing_of(config, "musdb").effects == (("resample", {"probability": 0.25}),)
    kept = json.loads(json.dumps(config.to_dict()))["recipe"]["effects"]
    config.recipe.effects = tuple(kept)  # as it comes out of a checkpoint
    assert not train.mixing_of(config, "musdb").as_filed
    with pytest.raises(
        UserError, match="unknown effect 'echo'.*; known: resample, shelving_filter, "
    ):
        train.mixing_of(override(config, ["--config.recipe.effects=(('echo', {}),)"]), "musdb")


def test_files(tmp_path):
    assert read("configs/xumx.py:tiny").train.epochs == 2
    with pytest.raises(UserError, match="no such file; use --config"):
        read(str(tmp_path / "x.py"))
    (tmp_path / "x.py").write_text("")
    with pytest.raises(UserError, match="no function get_config"):
        read(str(tmp_path / "x.py"))


def test_keys_are_as_they_are_written():
    assert {"quiet", "train.seed", "optimizer.plateau.factor"} <= set(
        flatten(xumx.get_config().to_dict())
    )


@pytest.fixture
def other_model(monkeypatch):
    """A model whose arguments have little in common with UMX's."""

    class Other(nn.Module):
        sources: tuple[str, ...] = ("high", "low")
        sample_rate: int = 8000
        hop: str = "none"
        widths: tuple[tuple[int, ...], ...] = ((1, 2), (3,))
        depth: int | None = None
        transform = None
        channels = 2
        segment = interface.Segment(usual=1)

    monkeypatch.setitem(models.MODELS, "other", Other)


def test_another_model_brings_its_own_arguments(other_model):
    """Those of the recipe that it has stay changed, where they are of its type."""
    words = ["--config.model.args.depth=3", "--config.model.name=other"]
    config = override(demo.get_config("tiny"), words)
    assert config.model.to_dict() == {
        "name": "other",
        "args": {
            "sources": ("high", "low"), "sample_rate": 22050, "hop": "none",
            "widths": ((1, 2), (3,)), "depth": 3,
        },
    }  # fmt: skip
    assert config.export.to_dict() == {"sample_rate": 44100}
    config = override(
        config, ["--config.model.args.widths=((4,),)", "--config.model.args.depth=None"]
    )
    assert config.model.args.widths == ((4,),) and config.model.args.depth is None
    assert override(xumx.get_config(), ["--config.model.name=umx"]).model.args.bridge is False


def test_a_recipe_says_what_makes_its_own_model_tiny(other_model):
    config = variant_of(base("other"), "tiny", depth=2)
    assert config.model.args.to_dict() == {**base("other").model.args.to_dict(), "depth": 2}
    assert config.train.epochs == 2 and variant_of(base("other"), "").train.epochs == 1000
    args = {name: made.get_config("tiny").model.args for name, made in CONFIGS.items()}
    sizes = {name: (each.hidden_size, each.n_fft, each.hop) for name, each in args.items()}
    assert sizes == {"xumx": (16, 1024, 256), "umx": (16, 1024, 256), "demo": (16, 2048, 512)}


def test_options_that_are_none_by_default_have_their_annotated_type(monkeypatch):
    """A new loss or data set is a row: nothing else says what its options are."""

    def loss(est, ref, mix, *, scales: tuple[int, ...] | None, edge: float | None, power): ...

    def opened(root, request, *, subset: str | None = None, songs: int | None = None): ...

    options = {"scales": None, "edge": None, "power": 1}
    monkeypatch.setitem(losses.LOSSES, "later", losses.Loss(loss, options, ("wave",)))
    monkeypatch.setitem(datasets.DATASETS, "later", opened)
    words = ["loss.later.scales=(1,2)", "loss.later.edge=2", "data.later.subset=a"]
    words += ["data.later.songs=None", "loss.later.power=2"]
    config = override(base(), [f"--config.{word}" for word in words])
    assert config.loss.later.to_dict() == {"scales": (1, 2), "edge": 2.0, "power": 2}
    assert config.data.later.to_dict() == {"subset": "a", "songs": None}
    with pytest.raises(UserError, match="config.data.later.songs: got '1.5', wanted int"):
        override(base(), ["--config.data.later.songs=1.5"])
    found = datasets.parse_options("later", ["subset=true", "songs=3"])
    assert found == {"subset": "true", "songs": 3}
    with pytest.raises(UserError, match="songs: got 'x', wanted int"):
        datasets.parse_options("later", ["songs=x"])

    def unsaid(root, request, *, songs=None): ...

    monkeypatch.setitem(datasets.DATASETS, "later", unsaid)
    with pytest.raises(TypeError, match="songs may be None: wanted an annotation"):
        base()


def test_arguments_of_another_model_are_unknown(other_model):
    words = ["--config.model.name=other", "--config.model.args.hidden_size=3"]
    with pytest.raises(UserError, match="unknown key config.model.args.hidden_size") as error:
        override(xumx.get_config(), words)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="unknown model 'nothing'; known: xumx, umx"):
        override(xumx.get_config(), ["--config.model.name=nothing"])
