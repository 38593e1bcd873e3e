"""Score files: museval reads ours, we read museval's, SiSEC's and no nonsense."""

import json
import math
import os
from pathlib import Path

import museval_oracle
import numpy as np
import pytest
from shared_files import needs, shared

from xumx_jax.errors import UserError
from xumx_jax.evaluation.scores import (
    METRICS,
    TrackScores,
    median,
    read_folder,
    read_methods,
)

EXAMPLE = "Music Delta - 80s Rock.json"


def draw(track="Song", targets=("vocals", "bass"), frames=5, seed=0, **more):
    """Random scores of one track."""
    numbers = np.random.default_rng(seed)
    table = {t: {m: numbers.normal(5, 9, frames) for m in METRICS} for t in targets}
    return TrackScores(track, table, **more)


def sisec(path, values, **top):
    """A file as SiSEC 2018 published them, its keys in no order and without a version."""
    targets = [
        {
            "frames": [
                {
                    "duration": 1.0,
                    "metrics": dict.fromkeys(("SIR", "SAR", "SDR", "ISR"), value),
                    "time": float(index),
                }
                for index, value in enumerate(frames)
            ],
            "name": name,
        }
        for name, frames in values.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"targets": targets, **top}))


def same(one, other):
    assert one.keys() == other.keys()
    for target in one:
        assert one[target].keys() == other[target].keys()
        for metric in one[target]:
            np.testing.assert_array_equal(one[target][metric], other[target][metric])


def test_writes_what_museval_writes(tmp_path):
    museval = museval_oracle.load()
    scores = draw(hop_seconds=0.5)
    scores.frames["vocals"]["SIR"][1] = math.nan
    raw = {t: {m: v.copy() for m, v in have.items()} for t, have in scores.frames.items()}
    raw["bass"]["SDR"][:3] = math.inf, -math.inf, 1.000005
    scores = TrackScores("Song", raw, 1.0, 0.5)
    store = museval.TrackStore("Song", win=1.0, hop=0.5)
    for target, metrics in raw.items():
        store.add_target(target, {m: v.tolist() for m, v in metrics.items()})
    scores.save(tmp_path / "Song.json")
    ours = json.loads((tmp_path / "Song.json").read_text())
    assert list(ours.pop("xumx_jax")) == [
        "protocol", "notes", "metrics", "hop_seconds", "whole", "regularised",
    ]  # fmt: skip
    assert json.dumps(ours) == json.dumps(json.loads(store.json))  # the order of keys too


def test_is_valid_by_the_schema_of_museval(tmp_path):
    museval = museval_oracle.load()
    import jsonschema

    schema = json.loads((Path(museval.__file__).parent / "musdb.schema.json").read_text())
    scores = draw(whole={"bass": {"uSDR": 3.0}}, protocol={"program": "x"}, notes=["A note."])
    scores.save(tmp_path / "Song.json")
    jsonschema.validate(json.loads((tmp_path / "Song.json").read_text()), schema)


def test_metrics_that_were_not_computed_do_not_keep_museval_from_reading(tmp_path):
    museval = museval_oracle.load()
    scores = TrackScores("Song", {"bass": {"SDR": np.array([1.0, 2.0])}})
    scores.save(tmp_path / "test" / "Song.json")
    store = museval.EvalStore()
    store.add_eval_dir(tmp_path)
    assert store.agg_frames_tracks_scores()["bass", "SDR"] == 1.5
    assert math.isnan(store.agg_frames_tracks_scores()["bass", "SIR"])
    same(TrackScores.load(tmp_path / "test" / "Song.json").frames, scores.frames)


def test_comes_back_as_it_was(tmp_path):
    scores = draw(
        track="M.E.R.C. Süd/Song".replace("/", " - "),
        window_seconds=2.0,
        hop_seconds=0.25,
        whole={"bass": {"uSDR": 3.25, "SI-SDR": math.nan}, "vocals": {"uSDR": -1.0}},
        protocol={"program": "xumx_jax", "filter_length": 512, "targets": ["bass"], "x": None},
        notes=["bass: silent in 3 frames"],
        regularised={"bass": {"SIR": np.array([1.0, math.inf, math.nan, 2, 3])}},
    )
    path = tmp_path / "test" / f"{scores.track}.json"
    scores.save(path)
    back = TrackScores.load(path)
    same(back.frames, scores.frames)
    same(back.regularised, scores.regularised)
    assert repr(back.whole) == repr(scores.whole)  # NaN among them
    for name in ("track", "window_seconds", "hop_seconds", "protocol", "notes", "singular"):
        assert getattr(back, name) == getattr(scores, name)
    assert back.singular and not draw().singular
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("frames", [0, 1])
def test_very_short_tracks_come_back(tmp_path, frames):
    draw(frames=frames, window_seconds=1.0, hop_seconds=0.5).save(tmp_path / "Song.json")
    back = TrackScores.load(tmp_path / "Song.json")
    assert (back.count("vocals"), back.hop_seconds) == (frames, 0.5)


def test_reads_what_museval_wrote(tmp_path):
    store = museval_oracle.load().TrackStore("Song", win=2.0, hop=1.5)
    for target in ("vocals", "accompaniment"):
        store.add_target(target, {m: [1.0, math.nan, 2.123456] for m in METRICS})
    store.save(tmp_path / "Song.json")
    scores = TrackScores.load(tmp_path / "Song.json")
    assert (scores.track, scores.window_seconds, scores.hop_seconds) == ("Song", 2.0, 1.5)
    assert list(scores.frames) == ["vocals", "accompaniment"]
    np.testing.assert_array_equal(scores.frames["vocals"]["SAR"], [1.0, math.nan, 2.12346])
    assert scores.protocol == {} and scores.notes == []


@needs(EXAMPLE)
def test_reads_the_example():
    scores = TrackScores.load(shared(EXAMPLE))
    assert scores.track == "Music Delta - 80s Rock"
    assert set(scores.frames) == {"vocals", "accompaniment"}
    assert scores.count("vocals") == 6 and np.isfinite(scores.frames["vocals"]["SDR"]).all()


def test_reads_folders_of_sisec(tmp_path):
    root = tmp_path / "submissions"
    sisec(root / "ABC1" / "test" / "b.json", {"vocals": [1, math.nan, 3.5], "accompaniment": [2]})
    sisec(root / "ABC1" / "test" / "a.b.json", {"vocals": [4]}, museval_version="0.2.0")
    sisec(root / "IBM1" / "test" / "b.json", {"vocals": [7, 8]})
    (root / "IBM1" / "test" / "._b.json").write_bytes(b"\0\5\x16\7")
    (root / "IBM1" / "description.md").write_text("Not scores.")
    (root / "website").mkdir()
    methods = read_methods(root, "test")
    assert {name: [s.track for s in have] for name, have in methods.items()} == {
        "ABC1": ["a.b", "b"],
        "IBM1": ["b"],
    }
    assert median(methods["ABC1"][1].frames["vocals"]["SIR"]) == 2.25
    assert list(read_methods(root / "IBM1")) == ["IBM1"]


def test_says_which_folder_was_looked_for(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        read_methods(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"wanted dev/TRACK.json or METHOD/dev/TRACK.json"):
        read_methods(tmp_path, "dev")
    with pytest.raises(UserError, match=f"{tmp_path.name}: wanted a folder 'test'"):
        read_folder(tmp_path)
    (tmp_path / "test").mkdir()
    with pytest.raises(UserError, match="test: holds no score file"):
        read_folder(tmp_path)
    for folder in ("one", "two"):
        draw().save(tmp_path / "test" / folder / "Song.json")
    with pytest.raises(UserError, match="two/Song.json: the same track as .*one/Song.json"):
        read_folder(tmp_path)


FRAME = '{"time": 0, "duration": 1, "metrics": {"SDR": %s}}'
TARGET = '{"targets": [{"name": "bass", "frames": [%s]}]%s}'


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "not JSON"),
        ('{"targets": [', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "wanted an object with a list 'targets', found list"),
        ("{}", "wanted a list 'targets', found NoneType"),
        ('{"targets": [3]}', "wanted objects in 'targets', found int"),
        ('{"targets": [{"frames": []}]}', "wanted a target's name"),
        ('{"targets": [{"name": "bass"}]}', "wanted a list 'frames' of 'bass'"),
        (TARGET % ("1", ""), "wanted objects in the frames of 'bass', found int"),
        (TARGET % ("{}", ""), "wanted 'metrics' in a frame of 'bass'"),
        (TARGET % (FRAME % '"4.5"', ""), "wanted a number as SDR of 'bass', found \"4.5\""),
        (TARGET % (FRAME % "true", ""), "wanted a number as SDR of 'bass', found true"),
        (TARGET % ('{"duration": 0, "metrics": {}}', ""), "wanted more than 0"),
        (TARGET % ("", ', "xumx_jax": 3'), "wanted an object 'xumx_jax', found int"),
        (TARGET % ("", ', "xumx_jax": {"whole": {"bass": 3}}'), "wanted objects in 'whole'"),
        (TARGET % ("", ', "xumx_jax": {"notes": "all"}'), "wanted 'notes', found str"),
        (
            TARGET % (FRAME % 1, ', "xumx_jax": {"regularised": {"bass": {"SIR": [1, 2]}}}'),
            r"'bass' has \[1, 2\] frames",
        ),
        (
            '{"targets": [{"name": "a", "frames": []}, {"name": "a", "frames": []}]}',
            "the target 'a' appears twice",
        ),
    ],
)
def test_damaged_files_are_named(tmp_path, text, words):
    (tmp_path / "Song.json").write_text(text)
    with pytest.raises(UserError, match=f"Song.json: .*{words}") as caught:
        TrackScores.load(tmp_path / "Song.json")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_text_or_not_there_are_named(tmp_path):
    (tmp_path / "Song.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="Song.json: not text"):
        TrackScores.load(tmp_path / "Song.json")
    with pytest.raises(UserError, match=r"None.json: cannot be read \(No such file"):
        TrackScores.load(tmp_path / "None.json")


def test_numbers_beyond_all_floats_and_null_count_as_missing(tmp_path):
    row = '{"time": %d, "duration": 1, "metrics": {"SDR": %s}}'
    values = ("1" + "0" * 400, "-Infinity", "null", "2")
    rows = ", ".join(row % pair for pair in enumerate(values))
    (tmp_path / "Song.json").write_text(TARGET % (rows, ""))
    scores = TrackScores.load(tmp_path / "Song.json").frames["bass"]
    np.testing.assert_array_equal(scores["SDR"], [math.nan, math.nan, math.nan, 2])
    assert list(scores) == ["SDR"]


def test_a_file_that_cannot_be_written_is_named_and_the_old_one_stays(tmp_path):
    path = tmp_path / "Song.json"
    draw(seed=1).save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):  # a programmer's mistake, halfway through
        draw(protocol={"program": object()}).save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["Song.json"]
    with pytest.raises(UserError, match="Song.json/deeper.json: cannot be written"):
        draw().save(path / "deeper.json")


def test_frames_of_one_target_are_as_many_for_every_metric():
    with pytest.raises(ValueError, match=r"'bass' has \[2, 3\] frames"):
        TrackScores("Song", {"bass": {"SDR": np.zeros(2), "SIR": np.zeros(3)}})
