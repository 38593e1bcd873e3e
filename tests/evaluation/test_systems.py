"""What can be evaluated: names, targets, and the accompaniment of systems that have none."""

import numpy as np
import pytest
import scored_songs

from pipelines.evaluation import systems
from pipelines.evaluation.data import find
from pipelines.evaluation.song import opened
from xumx_jax.errors import UserError


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


def with_stems(data, targets, *sources):
    def separate(song, progress):
        return {name: np.full((2, 500), 0.1 * (i + 1)) for i, name in enumerate(sources)}

    return systems.System("it", "it", {}, targets, "abc", separate)


def test_an_accompaniment_is_the_sum_of_what_is_not_vocals(data):
    system = with_stems(data, ("vocals", "accompaniment"), "vocals", "drums", "bass")
    with opened(data.tracks[0], data) as song:
        stems = systems.stems_of(system, song, None)
        assert list(stems) == ["vocals", "accompaniment"]
        np.testing.assert_allclose(stems["accompaniment"], 0.5)


def test_an_accompaniment_of_vocals_alone_is_what_they_leave(data):
    system = with_stems(data, ("vocals", "accompaniment"), "vocals")
    with opened(data.tracks[0], data) as song:
        stems = systems.stems_of(system, song, None)
        np.testing.assert_allclose(stems["accompaniment"], song.mix() - 0.1, atol=1e-7)


def test_an_oracle_knows_all_sources_whatever_the_targets(data):
    system = systems.oracle("IRM1", "IRM1", data, ["vocals", "accompaniment"])
    with opened(data.tracks[0], data) as song:
        stems = systems.stems_of(system, song, None)
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
