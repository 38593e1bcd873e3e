"""Every command of docs/train/originals.md works, on tiny data and with tiny networks."""

import re
import shlex
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
import scored_songs
import soundfile
from documentation import DOCS, ROOT

import train
from pipelines.evaluation import command as evaluation
from pipelines.slicq_search import command as search
from xumx_jax import cli
from xumx_jax.models import build
from xumx_jax.models.interface import variable_shapes
from xumx_jax.training import state, step
from xumx_jax.training.batches import filled
from xumx_jax.training.schedule import Plateau
from xumx_jax.training.step_of_config import build_step
from xumx_jax.weights import zoo
from xumx_jax.weights.bag import save_model

PAGE = (DOCS / "train" / "originals.md").read_text()
ROWS = re.findall(r"^\| .* \| `(python .*)` \|$", PAGE, re.M)
RATE = 44_100
MUSIC = ("mixture", "drums", "bass", "other", "vocals")
TINY = dict(hidden_size=8, n_fft=256, hop=64, sample_rate=scored_songs.RATE, bandwidth_hz=3000.0)
# What of the tiny recipes' networks is smaller still; at 9 there are no layers of that kind.
SMALLER = {"depth": 2, "n_fft": 512, "hop": 128, "bins": 6, "low_hz": 2000.0, "norm_starts": 1}
SMALLER |= {"dconv_lstm": 9, "dconv_attn": 9}


def test_every_original_has_its_commands():
    programs = ["train.py", "separate.py", "evaluate.py", "pipelines.slicq_search"]
    counts = [sum(name in row for row in ROWS) for name in programs]
    assert counts == [13, 6, 4, 1] and len(ROWS) == sum(counts)
    assert not re.search(r"^\|.*python (?!.*` \|$)", PAGE, re.M), "a command that no test runs"


def write(folder: Path, names, seconds=3.0, rate=RATE) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        wave = scored_songs.noise(number, round(seconds * rate))
        soundfile.write(folder / f"{name}.wav", wave, rate, subtype="PCM_16")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """{data set: a folder in its layout}, two tracks in each part."""
    root = tmp_path_factory.mktemp("data")
    for track in ("one", "two"):
        for part in ("train", "test"):
            write(root / "musdb" / part / track, MUSIC)
        for part in ("tr", "cv", "tt"):
            write(root / "dnr" / part / track, ("mix", "music", "sfx", "speech"))
    for number in range(20):
        write(root / "label_noise" / f"{number}", MUSIC[1:], seconds=0.1)
    rows = [f"{number},{'Y' if number else 'N'}," for number in range(20)]
    (root / "clean.csv").write_text("\n".join(["ID,Clean,Notes", *rows]))
    write(root / "speech_noise" / "speech", map(str, range(10)), seconds=1.5)
    write(root / "speech_noise" / "noise", map(str, range(10)))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if "train.py" in row])
@pytest.mark.usefixtures("own_cache", "quick_compile")
def test_trains(row, folders, monkeypatch):
    """Its first batch, with its effects; and a step on it, with its augmentations, as traced.

    What steps compute, and that each recipe learns, is held by the tests of `configs`.
    """
    monkeypatch.chdir(ROOT)
    words = shlex.split(row)[2:]
    place = words.index("--config") + 1
    words[place] += ",tiny" if ":" in words[place] else ":tiny"
    config, _, _ = train.parse(words)
    name = "musdb" if config.data.name == "auto" else config.data.name
    small = [f"--config.model.args.{k}={v}" for k, v in SMALLER.items() if k in config.model.args]
    words = [word.replace("clean.csv", str(folders / "clean.csv")) for word in words]
    words = [re.sub("root=.*", f"root={folders / name}", word) for word in words]
    config, _, _ = train.parse(
        [*words, *small, "--config.data.musdb.valid_tracks=two", "--config.data.engine=threads",
         "--config.train.batch_size=2"]
    )  # fmt: skip
    data = train.open_data(config)
    with data.train(0, config) as batches:
        batch = filled(next(iter(batches)), build(config.model.name, **config.model.args).segment)
    assert len(batch.stems) == 2 and np.isfinite(batch.stems).all() and batch.stems.any()
    this, over = build_step(config, 0, 4, data.mixing), step.mesh(jax.devices()[:1])
    plateau = Plateau(**config.optimizer.plateau).init()
    fresh = partial(state.init, this.model, this.optimizer, plateau=plateau, average=False)
    mix = jax.ShapeDtypeStruct((1, this.model.channels, batch.stems.shape[2]), np.float32)
    before = jax.eval_shape(fresh, jax.random.key(0), mix)
    now, values = jax.eval_shape(step.train_step(this, over), before, step.shard(batch, over))
    assert values["loss"].shape == ()
    kinds = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree) for tree in (before, now)]
    assert kinds[0] == kinds[1]


def save(path: Path, name: str, **arguments) -> None:
    shapes, rng = variable_shapes(build(name, **arguments)), np.random.default_rng(0)
    variables = jax.tree.map(lambda s: rng.uniform(0.1, 0.3, s.shape).astype(s.dtype), shapes)
    save_model(path, name, arguments, variables, {})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Tiny ones in the places of those that the page names."""
    root = tmp_path_factory.mktemp("models")
    save(root / "x.safetensors", "xumx", **TINY)
    mono = {"sources": ("music", "sfx", "speech"), "channels": 1, "width": 4, "depth": 2}
    inner = {"n_fft": 256, "sample_rate": scored_songs.RATE, "norm_starts": 1, "dconv_attn": 9,
             "dconv_lstm": 9}  # fmt: skip
    save(root / "hdemucs.safetensors", "hdemucs", **mono, **inner)
    bands = {"hidden_size": 8, "n_fft": 512, "hop": 128, "layers": 1}
    save(root / "bsrnn.safetensors", "bsrnn", **bands, sample_rate=scored_songs.RATE)
    return root


@pytest.fixture
def run(models, tmp_path, monkeypatch):
    """`run(row, main, **replaced)` with files and models that are there."""
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    monkeypatch.chdir(tmp_path)
    places = {"hdemucs/best": "hdemucs", "bsrnn/best": "bsrnn"}

    def run(row, main, *more, first=(), start=2):
        words = shlex.split(row)[start:]
        for place, word in enumerate(words):
            if words[place - 1] == "--model":
                assert "/best" in word or word in zoo.names(), word
                words[place] = str(models / f"{places.get(word, 'x')}.safetensors")
            elif word == "MUSDB18":
                words[place] = str(tmp_path / "songs")
        return main([*first, *words, *more])

    return run


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if "separate.py" in row])
@pytest.mark.usefixtures("own_cache", "quick_compile")
def test_separates(row, run, tmp_path):
    for name in ("track", "film"):
        soundfile.write(tmp_path / f"{name}.wav", scored_songs.noise(0, 8000), scored_songs.RATE)
    assert run(row, cli.main, first=["separate"]) == 0
    written = sorted(path.stem for path in (tmp_path / "separated").rglob("*.wav"))
    film = ["music", "sfx", "speech"]
    assert written == (film if "film" in row else ["bass", "drums", "other", "vocals"])


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if "evaluate.py" in row])
@pytest.mark.usefixtures("own_cache", "quick_compile")
def test_evaluates(row, run, tmp_path):
    scored_songs.make(tmp_path / "songs", names=("one",))
    quick = [] if "--metrics" in row else ["--metrics", "sdr"]
    assert run(row, evaluation.main, *quick) == 0
    assert (tmp_path / "scores" / "test" / "one.json").is_file()
    assert (tmp_path / "estimates").is_dir() == ("--outdir" in row)


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if "slicq_search" in row])
@pytest.mark.usefixtures("own_cache", "quick_compile")
def test_searches(row, run, tmp_path):
    scored_songs.make(tmp_path / "songs", names=("one", "two"), subset="valid", samples=8000)
    few = ["--trials", "1", "--bins", "10", "12", "--max-slice", "4000", "--jobs", "1"]
    assert run(row, search.main, *few, start=3) == 0
    assert (tmp_path / "slicq-search" / "table.csv").is_file()
