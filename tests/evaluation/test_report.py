"""Reports over tracks and methods: the numbers of museval's EvalStore, told in four forms."""

import csv
import json
import math
import os
import sys

import museval_oracle
import numpy as np
import pytest

from xumx_jax.errors import UserError
from xumx_jax.evaluation.report import summarise, write_report
from xumx_jax.evaluation.scores import METRICS, TrackScores

NAN = math.nan


def track(name, sdr, **more):
    """Scores of one track by target, of SDR alone."""
    frames = {target: {"SDR": np.array(values, float)} for target, values in sdr.items()}
    return TrackScores(name, frames, **more)


@pytest.fixture
def no_plots(monkeypatch):
    """Reports without pictures, which take longer than all the rest."""
    monkeypatch.setattr("xumx_jax.evaluation.plots.draw", lambda *_: [])


def rows(text, heading):
    """The cells of the first table under a heading of the Markdown, by their first column."""
    lines = text.split(f"{heading}\n\n")[1].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_takes_medians_over_frames_then_tracks():
    tracks = [
        track("a", {"bass": [1, 2, 9], "drums": [5]}),
        track("b", {"bass": [4, 6], "drums": [7]}),
        track("c", {"bass": [NAN, 3, NAN], "drums": [NAN]}),
    ]
    method = summarise({"demo": tracks})["methods"]["demo"]
    assert method["targets"]["bass"]["SDR"] == {
        "median": 3.0,  # of 2, 5 and 3
        "mean": 3.33333,
        "tracks": 3,
        "frames": 8,
        "nan_frames": 2,
    }
    assert method["targets"]["drums"]["SDR"]["median"] == 6.0
    assert method["targets"]["drums"]["SDR"]["tracks"] == 2
    assert method["mean_over_targets"] == {"SDR": 4.5}
    assert (method["tracks"], method["frames"], method["frames_without_score"]) == (3, 8, 2)


def test_agrees_with_museval(tmp_path, no_plots):
    museval = museval_oracle.load()
    numbers = np.random.default_rng(0)
    tracks = []
    for index in range(6):
        frames = {}
        for target in ("vocals", "bass", "accompaniment"):
            values = numbers.normal(5, 10, (4, 9))
            values[:, numbers.random(9) < 0.3] = NAN
            values[:, index] = math.inf
            frames[target] = dict(zip(METRICS, values, strict=True))
        tracks.append(TrackScores(f"Song {index}", frames))
        tracks[-1].save(tmp_path / "test" / f"Song {index}.json")
    write_report(tmp_path, {"demo": tracks})  # its files are none that museval would read
    for aggregate in ("median", "mean"):
        store = museval.EvalStore(tracks_agg=aggregate)
        store.add_eval_dir(tmp_path)
        theirs = store.agg_frames_tracks_scores()
        ours = json.loads((tmp_path / "scores.json").read_text())["methods"]["demo"]["targets"]
        assert len(theirs) == 12
        for (target, metric), value in theirs.items():
            assert ours[target][metric][aggregate] == pytest.approx(value, abs=1e-5)


def test_json_has_null_where_there_is_no_number(tmp_path, no_plots):
    write_report(tmp_path, {"demo": [track("a", {"bass": [NAN], "drums": [math.inf]})]}, ["Said."])
    text = (tmp_path / "scores.json").read_text()
    summary = json.loads(text, parse_constant=pytest.fail)
    assert summary["methods"]["demo"]["targets"]["bass"]["SDR"]["median"] is None
    assert summary["protocol"] == ["Said."] and summary["common"] is None
    assert "| demo |    – |     – |    – |" in (tmp_path / "scores.md").read_text()


def test_csv_has_a_row_for_every_number(tmp_path, no_plots):
    one = TrackScores(
        "a, b",
        {"bass": {"SDR": np.array([1.0, 2.0]), "SIR": np.array([NAN, NAN])}},
        whole={"bass": {"uSDR": -0.5}},
        regularised={"bass": {"SIR": np.array([3.0, NAN])}},
    )
    write_report(tmp_path, {"demo": [one], "IRM": [track("a, b", {"bass": [7]})]})
    with (tmp_path / "scores.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["method", "track", "target", "metric", "value"],
            ["demo", "a, b", "bass", "SDR", "1.50000"],
            ["demo", "a, b", "bass", "SIR", ""],
            ["demo", "a, b", "bass", "SIR regularised", "3.00000"],
            ["demo", "a, b", "bass", "uSDR", "-0.50000"],
            ["IRM", "a, b", "bass", "SDR", "7.00000"],
        ]


def test_markdown_tells_protocol_and_medians(tmp_path, no_plots):
    protocol = {"program": "xumx_jax", "metrics": ["SDR"], "gain": 0.5, "sizes": {"bins": 9}}
    demo = track("a", {"vocals": [1], "accompaniment": [9], "bass": [3, NAN]}, protocol=protocol)
    other = track("a", {"vocals": [-2.5]})
    text = write_report(tmp_path, {"demo": [demo], "a|b": [other]}, ["Scored by hand."])
    assert text == (tmp_path / "scores.md").read_text()
    assert "- Scored by hand.\n- Frames of 1 s, one every 1 s.\n- Where there is acc" in text
    assert "median over its frames" in text and "\n\n\n" not in text
    assert rows(text, "All in dB.") == {
        "method": ["tracks", "frames", "scored by"],
        "------": ["-----:", "-" * 20 + ":", "-" * 53],
        "demo": ["1", "2 (1 without a score)", "program xumx_jax; metrics SDR; gain 0.5; sizes "
                 "bins 9"],
        r"a\|b": ["1", "1", "another program; files in museval's form"],
    }  # fmt: skip
    table = rows(text, "### SDR, median over tracks")
    assert table["SDR"] == ["vocals", "bass", "accompaniment", "mean"]
    assert table["demo"] == ["1.00", "3.00", "9.00", "2.00"]  # the sum of others is not averaged
    assert table[r"a\|b"] == ["-2.50", "–", "–", "–"]
    assert "The mean is over vocals, bass." in text and "†" not in text


def test_singular_references_are_flagged_beside_regularised_medians(tmp_path, no_plots):
    def scored(name, shift):
        frames = {"bass": {"SDR": np.array([1.0]), "SIR": np.array([shift])}}
        regularised = {"bass": {"SIR": np.array([4.0])}} if shift > 4 else {}
        return TrackScores(name, frames, regularised=regularised)

    methods = {
        "demo": [scored("a", 9.0), scored("b", 9.5), scored("c", 3.0)],
        "IRM": [scored("a", 1.0), scored("b", 2.0), scored("c", 3.0)],
    }
    text = write_report(tmp_path, methods)
    assert rows(text, "### SDR, median over tracks")["demo"] == ["1.00"]
    table = rows(text, "### SIR, median over tracks")
    assert table["demo"] == ["9.00† (4.00)"] and table["IRM"] == ["2.00"]
    assert "† The references of some tracks are singular" in text
    assert "- demo: singular references in a, b.\n" in text
    method = json.loads((tmp_path / "scores.json").read_text())["methods"]["demo"]
    assert method["singular_tracks"] == ["a", "b"]
    assert method["regularised"] == {"bass": {"SIR": {"median": 4, "mean": 3.66667, "tracks": 3}}}


def test_whole_tracks_have_their_own_tables_with_means(tmp_path, no_plots):
    values = [(1.0, 2.0), (2.0, NAN), (6.0, 4.0)]
    tracks = [
        track(
            f"Song {n}",
            {"bass": [1], "drums": [1]},
            whole={"bass": {"uSDR": bass, "SI-SDR": 0.0}, "drums": {"uSDR": drums}},
        )
        for n, (bass, drums) in enumerate(values)
    ]
    text = write_report(tmp_path, {"demo": tracks, "IRM": [track("Song 0", {"bass": [1]})]})
    table = rows(text.split("## Over all")[1], "### uSDR, mean over tracks of one number per track")
    assert table["demo"] == ["3.00", "3.00 [2]", "3.00"] and "IRM" not in table
    assert "In square brackets: how many of the method's tracks have that score" in text
    table = rows(text, "### SI-SDR, mean over tracks of one number per track")
    assert table["demo"] == ["0.00", "–"]


def test_different_tracks_are_compared_over_those_in_common(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("xumx_jax.evaluation.plots.draw", lambda _, m, *__: drawn.append(m) or [])
    one = [track("a", {"bass": [1]}), track("b", {"bass": [5]})]
    two = [track("b", {"bass": [2]}), track("c", {"bass": [8]})]
    text = write_report(tmp_path, {"demo": one, "IRM": two, "failed": []})
    assert "The methods have different tracks; all of them have 1 track in common." in text
    first, second = text.split("## Over the tracks in common")[1].split("## Over all tracks")
    assert rows(first, "### SDR, median over tracks") == {
        "SDR": ["bass"], "----": ["---:"], "demo": ["5.00"], "IRM": ["2.00"],
    }  # fmt: skip
    assert rows(second, "### SDR, median over tracks")["demo"] == ["3.00"]
    assert [scores.track for scores in drawn[0]["demo"]] == ["b"]
    text = write_report(tmp_path, {"demo": one[:1], "IRM": two[1:]})
    assert "all of them have no tracks in common" in text and "## Over the tracks in" not in text


def test_frames_of_different_sizes_are_told(tmp_path, no_plots):
    methods = {
        "demo": [track("a", {"bass": [1]})],
        "old": [track("a", {"bass": [1]}, window_seconds=2, hop_seconds=1.5)],
    }
    assert "cannot be compared exactly: 1 s every 1 s, 2 s every 1.5 s." in write_report(
        tmp_path, methods
    )


def test_notes_are_told_once_with_their_tracks(tmp_path, no_plots):
    tracks = [track(f"s{n}", {"bass": [1]}, notes=["bass: cut"]) for n in range(7)]
    text = write_report(tmp_path, {"demo": tracks})
    assert "- demo: bass: cut (s0, s1, s2, s3, s4 and 2 more)\n" in text


def test_without_matplotlib_all_else_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"pip install '\.\[eval\]'"):
        write_report(tmp_path, {"demo": [track("a", {"bass": [1]})]})
    assert sorted(os.listdir(tmp_path)) == ["scores.csv", "scores.json", "scores.md"]
    assert "png" not in (tmp_path / "scores.md").read_text()


def test_pictures_are_written_and_linked(tmp_path):
    text = write_report(tmp_path, {"demo": [track("a", {"bass": [1, 2, 3]})]})
    assert sorted(os.listdir(tmp_path / "boxplots")) == ["SDR.png", "SDR.svg"]
    assert text.endswith("## Box plots\n\n![SDR](boxplots/SDR.png)\n")


def test_pictures_of_an_earlier_report_are_removed(tmp_path):
    (tmp_path / "boxplots").mkdir()
    for name in ("SIR.png", "SIR.svg", "mine.png"):
        (tmp_path / "boxplots" / name).write_text("old")
    write_report(tmp_path, {"demo": [track("a", {"bass": [1, 2, 3]})]})
    assert sorted(os.listdir(tmp_path / "boxplots")) == ["SDR.png", "SDR.svg", "mine.png"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/scores.json: cannot be written"):
        write_report(tmp_path / "file", {"demo": [track("a", {"bass": [1]})]})


def test_of_protocols_that_part_is_told_which_all_tracks_share(tmp_path, no_plots):
    protocols = [
        {"model": "demo", "taps": None, "data": {"kind": "wav", "bytes": n}, "digest": str(n)}
        for n in range(3)
    ]
    tracks = [track(f"s{n}", {"bass": [1]}, protocol=p) for n, p in enumerate(protocols)]
    text = write_report(tmp_path, {"demo": tracks})
    assert rows(text, "All in dB.")["demo"] == ["3", "3", "model demo; data kind wav"]
    method = json.loads((tmp_path / "scores.json").read_text())["methods"]["demo"]
    assert method["protocol"] == {"model": "demo", "taps": None, "data": {"kind": "wav"}}


def test_nothing_scored_is_a_report_too(tmp_path, no_plots):
    assert "| demo   |      0 |      0 |         – |" in write_report(tmp_path, {"demo": []})
