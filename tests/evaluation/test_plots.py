"""Box plots: files for every metric, always the same, and axes that no outlier spoils."""

import os

import matplotlib
import numpy as np
import pytest

from xumx_jax.evaluation import plots
from xumx_jax.evaluation.scores import TrackScores


def methods(names, tracks=1, frames=20, targets=("bass", "vocals"), metrics=("SDR",)):
    """Random scores around 5 dB for every method."""
    numbers = np.random.default_rng(0)
    return {
        name: [
            TrackScores(
                f"Song {index}",
                {t: {m: numbers.normal(5, 2, frames) for m in metrics} for t in targets},
            )
            for index in range(tracks)
        ]
        for name in names
    }


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, kept."""
    kept, make = [], plots._figure
    monkeypatch.setattr(plots, "_figure", lambda *args: kept.append(make(*args)) or kept[-1])
    return kept


def texts(axis):
    return [text.get_text() for text in axis.texts]


@pytest.mark.slow
def test_writes_two_files_a_metric_and_always_the_same(tmp_path):
    before = dict(matplotlib.rcParams)
    scores = methods(["demo", "IRM"], tracks=3, metrics=("SDR", "SIR"))
    for folder in ("one", "two"):
        paths = plots.draw(tmp_path / folder, scores, ["SDR", "SIR", "SAR"], ["bass", "vocals"])
        assert paths == [tmp_path / folder / "SDR.png", tmp_path / folder / "SIR.png"]
    names = os.listdir(tmp_path / "one")
    assert sorted(names) == ["SDR.png", "SDR.svg", "SIR.png", "SIR.svg"]
    for name in names:
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two and one.startswith((b"\x89PNG", b"<?xml"))
    assert dict(matplotlib.rcParams) == before


def test_settings_of_the_user_change_nothing(tmp_path):
    for folder, size in (("one", 9), ("two", 30)):
        with matplotlib.rc_context({"font.size": size}):
            plots.draw(tmp_path / folder, methods(["demo"]), ["SDR"], ["bass"])
    assert (tmp_path / "one/SDR.svg").read_bytes() == (tmp_path / "two/SDR.svg").read_bytes()


def test_titles_say_what_the_boxes_are_of(tmp_path, figures):
    plots.draw(tmp_path, methods(["demo", "IRM"]), ["SDR"], ["bass", "vocals"])
    scores = methods(["demo", "IRM"], tracks=4)
    plots.draw(tmp_path, scores, ["SDR"], ["bass"])
    del scores["IRM"][2:]
    plots.draw(tmp_path, scores | {"failed": []}, ["SDR"], ["bass"])
    assert [figure.get_suptitle() for figure in figures] == [
        "SDR of the frames of one track (Song 0)",
        "SDR of 4 tracks (median over the frames of each)",
        "SDR of 2 to 4 tracks (median over the frames of each)",
    ]
    assert [axis.get_title() for axis in figures[0].axes] == ["bass", "vocals"]
    labels = [label.get_text() for label in figures[0].axes[0].get_yticklabels()]
    assert labels == ["demo", "IRM"] and figures[0].axes[0].yaxis_inverted()


def test_a_method_without_a_target_says_so(tmp_path, figures):
    scores = methods(["demo"], targets=("bass", "vocals", "drums"))
    scores |= methods(["other"], targets=("vocals",))
    scores["demo"][0].frames["drums"]["SDR"][:] = np.nan
    plots.draw(tmp_path, scores, ["SDR"], ["bass", "vocals", "drums"])
    said = ["no score" in texts(axis) for axis in figures[0].axes]
    assert said == [True, False]  # and there is no empty panel for drums


def test_outliers_are_counted_at_the_edge_and_do_not_flatten_the_boxes(tmp_path, figures):
    scores = methods(["demo", "IRM"], targets=("bass",))
    values = scores["demo"][0].frames["bass"]["SDR"]
    values[:2], values[2] = -300, 200
    plots.draw(tmp_path, scores, ["SDR"], ["bass"])
    (axis,) = figures[0].axes
    low, high = axis.get_xlim()
    assert -5 < low < 5 < high < 15
    assert texts(axis) == ["◂2", "▸"]


def test_a_method_that_failed_among_many_does_not_flatten_them(tmp_path, figures):
    scores = methods([f"METHOD{n}" for n in range(8)], targets=("bass",))
    scores["METHOD3"][0].frames["bass"]["SDR"] -= 80
    plots.draw(tmp_path, scores, ["SDR"], ["bass"])
    (axis,) = figures[0].axes
    assert axis.get_xlim()[0] > -15
    assert "◂20 (median -75 dB)" in texts(axis)


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0], [-40.0, 50.0]])
def test_few_values_have_an_axis(tmp_path, figures, values):
    scores = {"demo": [TrackScores("Song", {"bass": {"SDR": np.array(values)}})]}
    plots.draw(tmp_path, scores, ["SDR"], ["bass"])
    low, high = figures[0].axes[0].get_xlim()
    assert low < min(values) and high > max(values)


def test_singular_references_are_marked_and_drawn_by_their_stable_values(tmp_path, figures):
    scores = methods(["demo", "IRM"], metrics=("SDR", "SIR"))
    scores["demo"][0].regularised = {"bass": {"SIR": np.full(20, 3.0)}}
    drawn = plots._values(scores, "bass", "SIR")
    assert set(drawn["demo"]) == {3} and len(set(drawn["IRM"])) == 20
    assert len(set(plots._values(scores, "bass", "SDR")["demo"])) == 20
    plots.draw(tmp_path, scores, ["SDR", "SIR"], ["bass"])
    labels = [[t.get_text() for t in f.axes[0].get_yticklabels()] for f in figures]
    assert labels == [["demo", "IRM"], ["demo †", "IRM"]]
    assert "†" in figures[1].get_supxlabel() and "†" not in figures[0].get_supxlabel()


@pytest.mark.slow
def test_many_methods_and_odd_names_fit(tmp_path, figures):
    names = ["$x_1$", "a/very/long/path/to/some/checkpoint-1234567890", "_hidden"]
    names += [f"METHOD{n}" for n in range(16)]
    targets = ("bass", "drums", "vocals", "other", "accompaniment", "piano")
    plots.draw(tmp_path, methods(names, tracks=2, targets=targets), ["SDR"], targets)
    figure = figures[0]
    assert len(figure.axes) == 6
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:2] == [r"\$x_1\$", "a/very/long/path…kpoint-1234567890"]
    figure.draw_without_rendering()
    width, height = figure.canvas.get_width_height()
    for axis in figure.axes:
        box = axis.get_tightbbox()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width + 1 and box.y1 <= height + 1


def test_a_name_that_the_font_lacks_is_no_trouble(tmp_path):
    assert plots.draw(tmp_path, methods(["歌"]), ["SDR"], ["bass"])


def test_numbers_of_whole_tracks_have_boxes_too(tmp_path, figures):
    scores = methods(["demo", "IRM"], tracks=3)
    for tracks in scores.values():
        for number, one in enumerate(tracks):
            one.whole = {"bass": {"uSDR": float(number)}}
    plots.draw(tmp_path, scores, ["uSDR"], ["bass", "vocals"])
    np.testing.assert_array_equal(plots._values(scores, "bass", "uSDR")["IRM"], [0, 1, 2])
    assert figures[0].get_suptitle() == "uSDR of 3 tracks (one number for each)"
    assert len(figures[0].axes) == 1
