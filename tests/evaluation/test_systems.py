"""What can be evaluated: names, targets, and the accompaniment of systems that have none."""

import jax
import numpy as np
import pytest
import scored_songs

from pipelines.evaluation import systems
from pipelines.evaluation.data import find
from pipelines.evaluation.song import opened
from xumx_jax import audio, files, load, models
from xumx_jax.errors import UserError
from xumx_jax.separation.selection import choose, make
from xumx_jax.weights.bag import save_model


@pytest.fixture
def data(tmp_path):
    return find(scored_songs.make(tmp_path / "songs", ["one"], samples=500), "test")


@pytest.mark.parametrize(
    ("name", "label", "rest"),
    [
        ("demo", "demo", "demo"),
        ("IRM1", "IRM1", "IRM1"),
        ("ours=demo", "ours", "demo"),
        ("our best=runs/a=b/best", "our best", "runs/a=b/best"),
        ("runs/a=b/best", "best", "runs/a=b/best"),
        ("weights/tiny.safetensors", "tiny", "weights/tiny.safetensors"),
        ("scores/", "scores", "scores/"),
    ],
)
def test_labels(name, label, rest):
    assert systems.label_of(name) == (label, rest)


@pytest.mark.parametrize(
    ("given", "label", "name", "models"),
    [
        (["demo"], "demo", "demo", [("demo", 1)]),
        (["demo:0.7"], "demo", "demo:0.7", [("demo", 0.7)]),
        (["ours=runs/a/best:2"], "ours", "runs/a/best:2", [("runs/a/best", 2)]),
        (
            ["umx:0.7", "x-umx:0.3"],
            "umx+x-umx",
            "umx:0.7 x-umx:0.3",
            [("umx", 0.7), ("x-umx", 0.3)],
        ),
        (["both=umx", "x-umx"], "both", "umx x-umx", [("umx", 1), ("x-umx", 1)]),
    ],
)
def test_models_with_weights_and_labels(given, label, name, models):
    assert systems.parse_system(given) == (label, name, models)


def test_models_that_cannot_be_averaged():
    with pytest.raises(UserError, match="IRM1: only models can be averaged; use --compare for it"):
        systems.parse_system(["demo", "IRM1"])
    with pytest.raises(UserError, match="--model demo:0: the weight is 0"):
        systems.parse_system(["demo:0"])


@pytest.mark.slow
def test_several_models_are_one_system(data, tiny_model, tmp_path):
    """Its digest is of all weights: those of the files, and those that they count with."""
    other = tmp_path / "other.safetensors"
    other.write_bytes(tiny_model.read_bytes())

    def made(*models):
        return systems.model("it", "it", models, data, (), {"niter": 0})

    one, both = made((str(tiny_model), 1.0)), made((str(tiny_model), 1.0), (str(other), 3.0))
    assert one.digest == files.digest(tiny_model) != both.digest
    assert made((str(other), 2.0)).digest == one.digest
    assert made((str(tiny_model), 1.0), (str(other), 1.0)).digest != both.digest
    assert both.targets == scored_songs.SOURCES
    with opened(data.tracks[0], data) as song:
        first, mean = (written(system, song, tmp_path) for system in (one, both))
        for name in scored_songs.SOURCES:  # of a model with itself
            np.testing.assert_allclose(mean[name], first[name], atol=1e-6)


def written(system, song, folder, *targets):
    """What a system writes of a song, {target: [channel, time]}."""
    paths = {name: folder / f"{name}.wav" for name in targets or system.targets}
    system.write(song, paths, lambda: None)
    return {name: audio.decode(path)[0] for name, path in paths.items()}


def test_an_accompaniment_is_the_sum_of_what_is_not_vocals(data, tiny_model, tmp_path):
    targets = ["vocals", "accompaniment"]
    system = systems.model("it", "it", [(str(tiny_model), 1)], data, targets, {"niter": 0})
    with opened(data.tracks[0], data) as song:
        made = written(system, song, tmp_path)
        wanted = load(tiny_model, niter=0)(song.mix(), song.rate)
    assert list(made) == targets == list(system.targets)
    np.testing.assert_array_equal(made["vocals"], wanted["vocals"])
    others = wanted["bass"] + wanted["drums"] + wanted["other"]
    np.testing.assert_allclose(made["accompaniment"], others, atol=1e-6)


def test_an_accompaniment_of_vocals_alone_is_what_they_leave():
    targets = ("vocals", "accompaniment")
    found = systems.sums(targets, ("vocals",))
    assert found == {"vocals": {"vocals": 1}, "accompaniment": {None: 1, "vocals": -1}}
    assert choose(("vocals",), aggregate=found) == found
    mix, vocals = np.full((2, 3), 0.5, np.float32), np.full((2, 3), 0.2, np.float32)
    np.testing.assert_allclose(
        make(found, {"vocals": vocals}, mix)["accompaniment"], 0.3, rtol=1e-6
    )
    own = systems.sums(targets, ("vocals", "accompaniment"))
    assert own["accompaniment"] == {"accompaniment": 1}


def test_vocals_of_the_instrumental_alone_are_what_it_leaves():
    found = systems.sums(("vocals", "accompaniment"), ("instrumental",), gain=1.5)
    assert found == {
        "vocals": {None: 1, "instrumental": -1.5},
        "accompaniment": {"instrumental": 1},
    }
    with_rest = systems.sums(("vocals", "accompaniment"), ("instrumental", "vocals"))
    assert with_rest == {"vocals": {"vocals": 1}, "accompaniment": {"instrumental": 1}}


def test_the_instrumental_is_scored_as_the_accompaniment(data, tmp_path):
    path, sizes = tmp_path / "passing.safetensors", {"n_fft": 128, "hop": 32, "bins": 64}
    args = {"sources": ("instrumental",), "sample_rate": 8000, **sizes, "frames": 32}
    args |= {"features": 4, "scales": 1, "layers": 1}
    variables = models.interface.variable_shapes(models.build("mdxnet", **args))
    empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), variables)
    save_model(path, "mdxnet", args, empty)

    def made(targets, **options):
        return systems.model("it", "it", [(str(path), 1)], data, targets, options)

    assert made([]).targets == ("accompaniment",)
    assert made([], residual=True).targets == ("accompaniment",)
    assert made(["vocals"]).targets == ("vocals",)
    with pytest.raises(UserError, match="unknown target 'bass'; it has vocals, accompaniment"):
        made(["bass"])


def test_an_oracle_knows_all_sources_whatever_the_targets(data, tmp_path):
    system = systems.oracle("IRM1", "IRM1", data, ["vocals", "accompaniment"])
    with opened(data.tracks[0], data) as song:
        stems = written(system, song, tmp_path)
        np.testing.assert_allclose(sum(stems.values()), song.mix(), atol=1e-4)
    assert system.digest_of(data, data.tracks[0]) == "oracle IRM1"


def test_targets_are_ordered_and_known(data):
    assert systems.oracle("x", "IRM1", data, ["bass", "vocals"]).targets == ("vocals", "bass")
    assert systems.oracle("x", "IRM1", data, []).targets == scored_songs.SOURCES
    with pytest.raises(UserError, match="unknown target 'piano'; .* has vocals, drums, bass, oth"):
        systems.oracle("x", "IRM1", data, ["piano"])


def test_a_folder_is_known_by_its_content(data, tmp_path):
    folder = scored_songs.estimate(data.root, tmp_path / "theirs", ["one"])
    system = systems.folder("theirs", folder, data, data.tracks, [])
    before = system.digest_of(data, data.tracks[0])
    assert system.targets == scored_songs.SOURCES and before == system.digest_of(
        data, data.tracks[0]
    )
    scored_songs.write(folder / "test/one/bass.wav", scored_songs.noise(3, 500))
    assert before != system.digest_of(data, data.tracks[0])
    for name in ("drums", "bass", "other"):
        (folder / f"test/one/{name}.wav").unlink()
    assert systems.folder("theirs", folder, data, data.tracks, []).targets == ("vocals",)
