"""Files that are appended to: what is in them, after a kill and on a full disk too."""

import json
import os
import resource

import jax.numpy as jnp
import numpy as np
import pytest
import tensorboardX
from events import read_events, values
from tensorboardX.proto.event_pb2 import SessionLog

from xumx_jax.training.monitor import logs
from xumx_jax.training.monitor.logs import Board, Lines, plain, read_metrics


def test_values_that_json_lacks_become_null_or_plain():
    values = {
        "a": np.float32(0.5), "b": jnp.arange(2), "c": [np.nan, -np.inf, True], "d": {"e": "text"},
    }  # fmt: skip
    assert plain(values) == {"a": 0.5, "b": [0, 1], "c": [None, None, True], "d": {"e": "text"}}


def test_lines_are_kept_over_starts(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for start in range(2):
        lines = Lines(path)
        lines.write({"step": start, "where": tmp_path})
        assert len(list(read_metrics(path))) == start + 1  # at once, not when closed
        lines.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [0, 1]


@pytest.mark.parametrize("cut", range(1, 12))
def test_only_the_cut_line_is_lost(tmp_path, cut):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n'[:-cut])
    lines = Lines(path)
    lines.write({"step": 3})
    lines.close()
    kept = [2] if cut == 1 else []  # then only the end of the line is missing
    assert [record["step"] for record in read_metrics(path)] == [1, *kept, 3]


def test_a_line_cut_by_a_full_disk_does_not_spoil_the_next(tmp_path, monkeypatch):
    lines, write = Lines(tmp_path / "metrics.jsonl"), os.write
    lines.write({"step": 1})
    monkeypatch.setattr(logs.os, "write", lambda file, data: write(file, data[:5]))
    with pytest.raises(OSError, match="No space left"):
        lines.write({"step": 2})
    monkeypatch.setattr(logs.os, "write", write)
    lines.write({"step": 3})
    lines.close()
    assert [record["step"] for record in read_metrics(tmp_path / "metrics.jsonl")] == [1, 3]


def test_board_can_be_read_back(tmp_path):
    board = Board(tmp_path)
    board.scalars(7, {"loss": 0.5, "bad": float("nan")})
    board.images(8, {"picture": np.full((3, 5, 3), 9, np.uint8)})
    board.sounds(8, {"sound": np.zeros((2, 40), np.float32)}, 8000)
    board.close()
    first, start, *_ = read_events(tmp_path)
    assert first.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (7, SessionLog.START)
    found = values(tmp_path)
    assert found["loss"] == [(7, 0.5)] and np.isnan(found["bad"][0][1])
    step, image = found["picture"][0]
    assert (step, image.height, image.width, image.colorspace) == (8, 3, 5, 3)
    assert image.encoded_image_string.startswith(b"\x89PNG")
    step, audio = found["sound"][0]
    assert (step, audio.sample_rate, audio.num_channels, audio.length_frames) == (8, 8000, 2, 40)
    assert audio.encoded_audio_string.startswith(b"RIFF") and audio.content_type == "audio/wav"


def test_each_start_has_a_file_of_its_own_in_order(tmp_path):
    for step in range(3):
        board = Board(tmp_path)
        board.scalars(step, {"loss": step})
        board.close()
    assert len(list(tmp_path.iterdir())) == 3
    assert values(tmp_path)["loss"] == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_board_that_is_not_used_makes_no_file(tmp_path):
    Board(tmp_path / "none").close()
    assert not (tmp_path / "none").exists()


def test_after_a_failure_the_board_goes_on_in_a_new_file(tmp_path, monkeypatch):
    board, write = Board(tmp_path), tensorboardX.RecordWriter.write

    def half(self, data):
        self._writer.write(b"half")
        raise OSError(28, "No space left on device")

    board.scalars(1, {"loss": 1})
    broken = next(tmp_path.iterdir())
    monkeypatch.setattr(tensorboardX.RecordWriter, "write", half)
    for _ in range(2):
        with pytest.raises(OSError):
            board.scalars(2, {"loss": 2})
    monkeypatch.setattr(tensorboardX.RecordWriter, "write", write)
    board.scalars(3, {"loss": 3})
    board.close()
    assert broken.read_bytes().endswith(b"half")
    for path in tmp_path.iterdir():
        if path.read_bytes().endswith(b"half"):
            path.unlink()
    assert values(tmp_path)["loss"] == [(3, 3.0)]


def test_a_real_full_file_raises_and_heals(tmp_path):
    """The limit on the size of files stands in for a full disk: writes are cut, then refused."""
    lines, board = Lines(tmp_path / "metrics.jsonl"), Board(tmp_path / "board")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    record = {"step": 1, "text": "x" * 100}
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        lines.write(record)
        for _ in range(2):
            with pytest.raises(OSError):
                lines.write(record)
            with pytest.raises(OSError):
                board.scalars(1, {"tag" * 100: 1})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    lines.write({"step": 2})
    board.scalars(2, {"loss": 2})
    lines.close()
    board.close()
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2]
    newest = max((tmp_path / "board").iterdir())
    newest.rename(tmp_path / newest.name)
    assert values(tmp_path)["loss"] == [(2, 2.0)]
