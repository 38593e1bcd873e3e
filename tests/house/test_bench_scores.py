"""The tables that `make scores` writes into the model card."""

import importlib.util
import sys

import pytest
from songs import ROOT

from xumx_jax.errors import UserError

sys.path.insert(0, str(ROOT / "bench"))  # where it finds what lies beside it
spec = importlib.util.spec_from_file_location("bench_scores", ROOT / "bench" / "scores.py")
scores = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scores)
sys.path.remove(str(ROOT / "bench"))


def method(sdr, regularised=None):
    targets = {
        source: {metric: {"median": sdr + number} for metric in ("SDR", "ISR", "SIR", "SAR")}
        for number, source in enumerate(scores.SOURCES)
    }
    return {
        "tracks": 2, "frames": 14, "targets": targets, "regularised": regularised or {},
        "singular_tracks": ["song"] if regularised else [],
    }  # fmt: skip


def test_table_has_a_row_for_every_system():
    summary = {"methods": {row: method(n) for n, row in enumerate(scores.ROWS)}}
    lines = scores.table(summary).splitlines()
    assert lines[0] == "| | vocals | drums | bass | other | mean | ISR | SIR | SAR |"
    assert lines[1].count("---") == 9
    assert lines[2] == (
        "| bundled model (`demo`) | 0.00 | 1.00 | 2.00 | 3.00 | 1.50 | 1.50 | 1.50 | 1.50 |"
    )
    assert len(lines) == 2 + len(scores.ROWS)
    assert scores.size(summary) == "2 tracks, 14 frames of 1 s"


def test_table_takes_regularised_values_and_says_so():
    stable = {source: {"SIR": {"median": 8.0}} for source in scores.SOURCES}
    text = scores.table({"methods": {row: method(0, stable) for row in scores.ROWS}})
    assert "| 1.50 | 1.50 | 8.00 | 1.50 |" in text
    assert "regularised on 1 of 2 tracks, whose" in text


def test_what_could_not_be_measured_stays_open():
    broken = method(0)
    broken["targets"]["bass"]["SAR"]["median"] = None
    broken["targets"]["bass"]["SIR"]["median"] = 500
    text = scores.table({"methods": dict.fromkeys(scores.ROWS, broken)})
    assert "| 1.50 | 1.50 | > 100 | – |" in text


def test_means_are_over_the_sources_that_a_song_has():
    voiced = method(0)
    del voiced["targets"]["bass"]  # 0, 1 and 3 dB are left
    summary = {"methods": dict.fromkeys(scores.ROWS, voiced)}
    assert "| 0.00 | 1.00 | – | 3.00 | 1.33 | 1.33 |" in scores.table(summary)
    assert scores.sdr(summary)["demo"] == pytest.approx(
        {"vocals": 0, "drums": 1, "other": 3, "mean": 4 / 3}
    )


def test_rewriting_leaves_all_else_and_can_be_repeated(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{scores.BEGIN}\nold\n{scores.END}\nafter\n")
    for block in ("new", "newer"):
        scores.rewrite(path, block)
        wanted = f"before\n{scores.BEGIN}\n{block}\n{scores.END}\nafter\n"
        assert path.read_text() == wanted


@pytest.mark.parametrize("text", ["", "{0}", "{1} {0}", "{0} {0} {1}"])
def test_markers_that_are_not_a_pair_are_an_error(text, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(text.format(scores.BEGIN, scores.END))
    with pytest.raises(UserError, match="README.md: wanted one <!-- scores -->"):
        scores.rewrite(path, "new")


def test_the_files_have_their_markers(tmp_path):
    for path in scores.FILES:
        copy = tmp_path / path.name
        copy.write_text(path.read_text())
        scores.rewrite(copy, "new")
