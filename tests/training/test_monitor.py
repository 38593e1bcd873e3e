"""What a run shows: lines, points, pictures, a bar, and no end because of any of them."""

import errno
import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from events import read_events, values

from xumx_jax.training.monitor import monitor
from xumx_jax.training.monitor.logs import Board, read_metrics
from xumx_jax.training.monitor.monitor import Monitor, Table

SOURCES = ("bass", "vocals")


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when told."""
    now = SimpleNamespace(seconds=1000.0)
    fake = SimpleNamespace(monotonic=lambda: now.seconds, time=lambda: 5e9 + now.seconds)
    monkeypatch.setattr(monitor, "time", fake)
    return now


def losses(step):
    return {"loss": np.float32(1 / step), "sdr": np.array([step, -step], np.float32), "lr": 1e-3}


def records(workdir):
    return list(read_metrics(workdir / "metrics.jsonl"))


def test_every_step_has_its_line(tmp_path, clock):
    with Monitor(tmp_path / "new", SOURCES, batch=4) as seen:
        seen.step(1, losses(1), waiting_seconds=0.25)
        clock.seconds += 2
        seen.step(2, losses(2) | {"loss": np.nan, "skipped": np.int32(1)}, waiting_seconds=0)
    first, second = records(tmp_path / "new")
    assert first == {
        "step": 1, "time": 5e9 + 1000, "loss": 1.0, "sdr": {"bass": 1.0, "vocals": -1.0},
        "lr": 1e-3, "waiting": 0.25,
    }  # fmt: skip
    assert second["time"] == 5e9 + 1002 and second["loss"] is None and second["skipped"] == 1


def test_points_at_every_so_many_steps(tmp_path, clock):
    with Monitor(tmp_path, SOURCES, batch=4, scalars_every=3) as seen:
        for step in range(1, 8):
            clock.seconds += 2
            seen.step(step, losses(step), waiting_seconds=0.5)
    found = values(tmp_path / "tensorboard")
    assert [step for step, _ in found["train/loss"]] == [3, 6]
    assert found["train/sdr/vocals"] == [(3, -3.0), (6, -6.0)]
    assert found["train/lr"][0][1] == pytest.approx(1e-3)
    assert [value for _, value in found["train/examples_per_second"]] == [2, 2]
    assert [value for _, value in found["train/input_wait_share"]] == [0.25, 0.25]


def test_only_training_counts_as_time_of_training(tmp_path, clock):
    """Not: compiling in the first step, saving, drawing, validating."""
    rows = []
    with Monitor(tmp_path, SOURCES, batch=8, log=rows.append) as seen:
        seen.event("start", step=0)
        clock.seconds += 100  # compiling
        seen.step(1, losses(1), waiting_seconds=90)
        seen.event("save")
        clock.seconds += 50
        seen.event("saved")
        clock.seconds += 2
        seen.step(2, losses(2), waiting_seconds=1)
        clock.seconds += 70  # validating
        seen.epoch({"epoch": 1, "step": 2, "train": 0.5})
        clock.seconds += 1
        seen.step(3, losses(3), waiting_seconds=0)
        seen.epoch({"epoch": 2, "step": 3, "train": 0.5})
    assert [row.split()[-2:] for row in rows[1:]] == [["4", "50"], ["8", "0"]]
    epochs = [record for record in records(tmp_path) if "epoch" in record]
    assert [(e["examples_per_second"], e["input_wait_share"]) for e in epochs] == [(4, 0.5), (8, 0)]


def test_an_epoch_is_a_row_a_line_and_points(tmp_path):
    rows = []
    row = {"epoch": 3, "step": 12, "train": 0.5, "valid": 0.75, "sdr": np.float64(-2)}
    row |= {"sdr_db": np.array([1.5, np.nan]), "lr": 0.25}
    given = dict(row)
    with Monitor(tmp_path, SOURCES, batch=4, log=rows.append) as seen:
        seen.epoch(row)
    assert row == given and len(rows) == 2
    assert rows[0].split()[:4] == ["epoch", "step", "train", "valid"]
    assert rows[1].split()[:4] == ["3", "12", "0.5", "0.75"]
    (record,) = records(tmp_path)
    assert record.pop("time") > 1e9
    assert record == {
        "epoch": 3, "step": 12, "train": 0.5, "valid": 0.75, "sdr": -2.0,
        "sdr_db": {"bass": 1.5, "vocals": None}, "lr": 0.25,
        "examples_per_second": None, "input_wait_share": None,
    }  # fmt: skip
    found = values(tmp_path / "tensorboard")
    assert np.isnan(found.pop("valid/sdr_db/vocals")[0][1])
    assert found == {
        "train/epoch_loss": [(12, 0.5)], "valid/loss": [(12, 0.75)], "valid/sdr": [(12, -2.0)],
        "valid/sdr_db/bass": [(12, 1.5)], "lr": [(12, 0.25)],
    }  # fmt: skip


def test_events_are_lines_only(tmp_path, capsys):
    with Monitor(tmp_path, SOURCES, batch=4) as seen:
        seen.event("start", step=6, epoch=1)
        seen.step(7, losses(7), waiting_seconds=0)
        seen.event("save", folder=tmp_path)
    start, _, save = records(tmp_path)
    assert {"event": "start", "step": 6, "epoch": 1}.items() <= start.items() and start["time"]
    assert {"event": "save", "step": 7, "folder": str(tmp_path)}.items() <= save.items()
    assert capsys.readouterr() == ("", "")
    assert not (tmp_path / "tensorboard").exists()


def test_a_second_start_goes_on_in_the_same_file(tmp_path):
    for first in (0, 3):
        with Monitor(tmp_path, SOURCES, batch=4, scalars_every=1) as seen:
            seen.event("start", step=first)
            for step in range(first + 1, first + 6):
                seen.step(step, losses(step), waiting_seconds=0)
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write('{"step": 9, "lo')  # killed
    steps = [record["step"] for record in records(tmp_path) if "event" not in record]
    assert steps == [*range(1, 6), *range(4, 9)]
    starts = [e.step for e in read_events(tmp_path / "tensorboard") if e.HasField("session_log")]
    assert starts == [1, 4]  # TensorBoard forgets steps 4 and 5 of the first


@pytest.fixture
def music():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2, 2, 6000)).astype(np.float32) * 0.1
    return truth.sum(0), truth, truth[..., :5000] * 0.5


def test_pictures_and_sounds(tmp_path, music, monkeypatch):
    monkeypatch.setattr(monitor, "SECONDS", 0.5)
    with Monitor(tmp_path, SOURCES, batch=4) as seen:
        seen.pictures(5, *music, 8000)
        seen.pictures(9, *music, 8000)
    found = values(tmp_path / "tensorboard")
    for source in SOURCES:
        assert [step for step, _ in found[f"{source}/spectrogram"]] == [5, 9]
        assert [step for step, _ in found[f"{source}/estimate"]] == [5, 9]
        assert [step for step, _ in found[f"{source}/truth"]] == [5]
    ((_, mix),) = found["mix/mix"]
    assert (mix.length_frames, mix.num_channels, mix.sample_rate) == (4000, 2, 8000)
    names = [path.name for path in sorted((tmp_path / "pictures").iterdir())]
    assert names == ["step-00000005.png", "step-00000009.png"]


def test_no_picture_is_seen_half_written(tmp_path, music, monkeypatch):
    real = Path.write_bytes

    def full(path, content):
        real(path, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    said = []
    monkeypatch.setattr(Path, "write_bytes", full)
    with Monitor(tmp_path, SOURCES, batch=4, log=said.append) as seen:
        seen.pictures(5, *music, 8000)
    assert not list((tmp_path / "pictures").iterdir())
    assert said == [
        f"warning: {tmp_path / 'pictures'}: cannot be written (No space left on device); "
        "training continues"
    ]


def test_all_but_one_process_do_nothing(tmp_path, music, capsys):
    with Monitor(tmp_path / "none", SOURCES, batch=4, scalars_every=1, active=False) as seen:
        seen.event("start", step=0)
        seen.step(1, losses(1), waiting_seconds=0)
        seen.epoch({"epoch": 1, "step": 1, "train": 0.5})
        seen.pictures(1, *music, 8000)
        seen.say("nothing")
    assert not (tmp_path / "none").exists() and capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("quiet", [False, True])
def test_bar_and_table_unless_quiet(tmp_path, monkeypatch, quiet):
    rows, terminal = [], Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Monitor(tmp_path, SOURCES, batch=4, total_steps=40, quiet=quiet, log=rows.append) as seen:
        seen.event("start", step=10)
        for step in range(11, 21):
            seen.step(step, losses(step), waiting_seconds=0)
        seen.epoch({"epoch": 1, "step": 20, "train": 0.5})
    assert bool(rows) != quiet
    assert ("20/40" in terminal.getvalue() and "loss 0.05" in terminal.getvalue()) != quiet
    assert len(records(tmp_path)) == 12


def test_no_bar_where_errors_go_to_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Monitor(tmp_path, SOURCES, batch=4) as seen:
        seen.step(1, losses(1), waiting_seconds=0)
    assert sys.stderr.getvalue() == ""


def test_logs_that_cannot_be_written_are_told_of_once(tmp_path, monkeypatch, music):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    rows, write = [], os.write
    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(Board, "_write", full)
    (tmp_path / "pictures").write_text("in the way")
    with Monitor(tmp_path, SOURCES, batch=4, scalars_every=1, quiet=True, log=rows.append) as seen:
        for step in (1, 2):
            seen.step(step, losses(step), waiting_seconds=0)
            seen.epoch({"epoch": step, "step": step, "train": 0.5})
            seen.pictures(step, *music, 8000)
        monkeypatch.setattr(os, "write", write)
        seen.event("saved")
    full_disk = "cannot be written (No space left on device); training continues"
    assert rows == [
        f"warning: {tmp_path}/metrics.jsonl: {full_disk}",
        f"warning: {tmp_path}/tensorboard: {full_disk}",
        f"warning: {tmp_path}/pictures: cannot be written (File exists); training continues",
    ]
    assert [record["event"] for record in records(tmp_path)] == ["saved"]


def test_a_workdir_that_cannot_be_made_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    rows = []
    with Monitor(tmp_path / "file", SOURCES, batch=4, log=rows.append) as seen:
        seen.step(10, losses(10), waiting_seconds=0)
    assert len(rows) == 3 and all(row.startswith("warning: ") for row in rows)


def test_a_line_does_not_end_in_numbers_that_json_lacks(tmp_path):
    with Monitor(tmp_path, SOURCES, batch=4) as seen:
        seen.step(1, {"loss": np.inf, "sdr": np.array([np.nan, 1])}, waiting_seconds=0)

    def refuse(constant):
        raise AssertionError(constant)

    line = (tmp_path / "metrics.jsonl").read_text()
    record = json.loads(line, parse_constant=refuse)
    assert record["loss"] is None and record["sdr"] == {"bass": None, "vocals": 1.0}


def test_table_has_a_column_a_source():
    lines = []
    table = Table(lines.append, ("a", "b"))
    table.row({"epoch": 1, "sdr": np.array([1.5, 2.5])})
    assert lines[0].split() == ["epoch", "sdr", "a", "sdr", "b"]
    assert lines[1].split() == ["1", "1.5", "2.5"]
    table.row({"epoch": 2, "sdr": np.array([1.5, 2.5])})
    assert len(lines) == 3
    table.row({"epoch": 3})
    assert [line.split()[0] for line in lines[3:]] == ["epoch", "3"]
