"""Pointers: readers beside a writer find one checkpoint or the next, whole."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from xumx_jax.errors import CheckpointError
from xumx_jax.weights import load, pointer, store
from xumx_jax.weights.bag import load_model

ROOT = Path(__file__).parents[2]
DESCRIPTION = {"name": "xumx", "args": {}, "info": {}}


def replace(best: Path, step: int) -> None:
    """Let `best` name a checkpoint all of whose numbers are `step`."""
    variables = {"params": {name: np.full(50, step, np.float32) for name in "abcd"}}
    pointer.point(best, step, lambda folder: store.write(folder, {"model": variables}, DESCRIPTION))


def step_of(best: Path) -> int:
    params = load.load_weights(best).only.variables["params"]
    (step,) = set(np.concatenate(list(params.values())))
    return int(step)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_names_the_newest_and_the_one_before_stays(tmp_path):
    for step in (3, 7, 9):
        replace(tmp_path / "best", step)
        assert step_of(tmp_path / "best") == step
    assert names(tmp_path) == ["best", "best-00000007", "best-00000009"]


def test_a_folder_of_earlier_versions_still_loads_and_is_replaced(tmp_path):
    variables = {"params": {"a": np.full(3, 5, np.float32)}}
    store.write(tmp_path / "best", {"model": variables}, DESCRIPTION)
    assert step_of(tmp_path / "best") == 5
    replace(tmp_path / "best", 6)
    assert step_of(tmp_path / "best") == 6
    assert names(tmp_path) == ["best", "best-00000006", "best-earlier"]
    (tmp_path / "best").unlink()  # as a kill between moving it and pointing leaves it
    pointer.recover(tmp_path / "best")
    assert step_of(tmp_path / "best") == 5


def test_one_step_twice(tmp_path):
    """A run that begins again reaches its first best at a step that has a folder."""
    replace(tmp_path / "best", 3)
    (tmp_path / "best-00000004").mkdir()  # of a process that was killed
    replace(tmp_path / "best", 3)
    assert names(tmp_path) == ["best", "best-00000003", "best-00000003.2"]
    replace(tmp_path / "best", 3)
    assert step_of(tmp_path / "best") == 3 and len(names(tmp_path)) == 3


def test_what_is_being_read_stays(tmp_path):
    replace(tmp_path / "best", 1)
    with pointer.reading(lambda: pointer.follow(tmp_path / "best")) as held:
        for step in (2, 3, 4):
            replace(tmp_path / "best", step)
        assert held.name == "best-00000001" and held.is_dir()
    replace(tmp_path / "best", 5)
    assert names(tmp_path) == ["best", "best-00000004", "best-00000005"]


@pytest.mark.parametrize(
    "text, wanted",
    [
        ('{"format": 1, "folder": "best-1"}', "best-1: no such checkpoint"),
        ('{"format": 1, "folder": "../best-1"}', "best: names no checkpoint"),
        ('{"format": 1}', "best: names no checkpoint"),
        ('{"format": 2, "folder": "best-1"}', "best: has format 2, wanted 1"),
    ],
)
def test_pointers_that_lead_nowhere(tmp_path, text, wanted):
    (tmp_path / "best").write_text(text)
    with pytest.raises(CheckpointError, match=wanted):
        load_model(tmp_path / "best")


WRITER = """
    import sys
    from pathlib import Path
    from test_pointer import replace
    for step in range(1, 1000):
        if Path(sys.argv[1], "enough").exists():
            break
        replace(Path(sys.argv[1], "best"), step)
    print(step)
"""


@pytest.mark.slow
def test_a_reader_beside_a_writer_never_fails(tmp_path):
    """Two hundred times each, as fast as they can."""
    replace(tmp_path / "best", 0)
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), tmp_path],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
    )
    seen, reads = [0], 0
    while writer.poll() is None and (reads < 200 or seen[-1] < 200):
        seen.append(step_of(tmp_path / "best"))
        reads += 1
    (tmp_path / "enough").touch()
    replaced, _ = writer.communicate(timeout=60)
    assert writer.returncode == 0 and int(replaced) >= 200 and reads >= 200
    assert seen == sorted(seen) and len(set(seen)) > 20
