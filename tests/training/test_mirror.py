"""Checkpoints in an object store: complete or not there, and enough to go on from elsewhere."""

import itertools
import json
import logging
import time

import numpy as np
import pytest
import runs
from object_store import FORBIDDEN
from runs import quiet, run

from xumx_jax import stores
from xumx_jax.errors import UserError
from xumx_jax.training.mirror import Mirror, folder_of
from xumx_jax.weights import store

pytestmark = pytest.mark.usefixtures("quick_compile", "own_cache")
NUMBERS = itertools.count()


@pytest.fixture
def place():
    """A place of its own in fsspec's memory."""
    return f"memory://bucket/run{next(NUMBERS)}"


def write(workdir, step: int, value: float = 1.0) -> None:
    """A small checkpoint as a run leaves it."""
    folder = workdir / store.STEPS / f"{step:08d}"
    store.write(folder, {"model": {"a": np.full(3, value)}}, {"info": {"step": step}})


def send(workdir, url) -> None:
    with Mirror(url, workdir, quiet) as mirror:
        mirror.send()


def listed(url) -> set[str]:
    names = [found.partition("/run")[2].partition("/")[2] for found in stores.search(url, True)]
    return set(names) - {"started.json"}


@pytest.mark.slow
def test_a_run_goes_on_where_its_disk_is_not(tmp_path, place):
    """After an epoch on another machine, it ends as one that never moved."""
    said = []
    for epochs in (1, 2):
        config = runs.config(epochs=epochs, store=place, keep=1)
        assert f"fetching {place}/checkpoints/00000002" not in said
        run(config, tmp_path / f"machine{epochs}", runs.data(), said.append)
    assert f"fetching {place}/checkpoints/00000002" in said
    run(runs.config(keep=1, epochs=2), tmp_path / "whole", runs.data(), quiet)
    runs.check_equal(tmp_path / "machine2", tmp_path / "whole")
    steps = {name.split("/")[1] for name in listed(place) if name.startswith("checkpoints/")}
    assert steps == {"00000004"}
    metrics = stores.read(f"{place}/metrics.jsonl").decode().splitlines()
    assert [r["step"] for r in map(json.loads, metrics) if "gradient_norm" in r] == [*range(1, 5)]


def test_manifests_are_the_last_to_come_and_the_first_to_go(tmp_path, place, monkeypatch):
    done, upload, remove = [], stores.upload, stores.remove
    monkeypatch.setattr(stores, "upload", lambda s, url: (done.append(("+", url)), upload(s, url)))
    monkeypatch.setattr(stores, "remove", lambda url: (done.append(("-", url)), remove(url)))
    write(tmp_path, 2)
    send(tmp_path, place)
    files = [url for sign, url in done if sign == "+"]
    assert len(files) > 3 and files[-1].endswith("00000002/checkpoint.json")
    (tmp_path / "checkpoints" / "00000002").rename(tmp_path / "elsewhere")
    write(tmp_path, 4)
    done.clear()
    send(tmp_path, place)
    gone = [url for sign, url in done if sign == "-"]
    assert gone[0].endswith("00000002/checkpoint.json")
    assert {name.split("/")[1] for name in listed(place)} == {"00000004"}
    done.clear()
    send(tmp_path, place)  # nothing is new
    assert done == []


def test_what_is_incomplete_or_damaged_is_passed_over(tmp_path, place, caplog):
    for step in (2, 4, 6):
        write(tmp_path / "one", step, step)
    send(tmp_path / "one", place)
    stores.remove(f"{place}/checkpoints/00000006/checkpoint.json")  # as a kill leaves it
    name = next(name for name in listed(place) if "00000004/model/d/" in name)
    content = bytearray(stores.read(f"{place}/{name}"))
    content[len(content) // 2] ^= 1
    stores.write(f"{place}/{name}", bytes(content))

    said = []
    with caplog.at_level(logging.WARNING), Mirror(place, tmp_path / "other", said.append):
        pass
    assert said == [f"fetching {place}/checkpoints/0000000{step}" for step in (4, 2)]
    assert f"skipped a damaged checkpoint: {place}/checkpoints/00000004/model/d/" in caplog.text
    assert store.newest(tmp_path / "other").name == "00000002"
    assert [path.name for path in (tmp_path / "other" / "checkpoints").iterdir()] == ["00000002"]


def test_a_checkpoint_made_anew_replaces_the_one_of_that_step(tmp_path, place):
    write(tmp_path, 2, 1.0)
    send(tmp_path, place)
    write(tmp_path, 2, 5.0)
    send(tmp_path, place)
    with Mirror(place, tmp_path / "other", quiet):
        pass
    found = store.read(store.newest(tmp_path / "other"), "model")
    assert found["a"].tolist() == [5.0] * 3


def test_what_the_disk_has_is_not_fetched(tmp_path, place):
    write(tmp_path, 4)
    send(tmp_path, place)
    said = []
    write(tmp_path / "ahead", 6)
    with Mirror(place, tmp_path / "ahead", said.append) as mirror:
        mirror.send()
    assert said == [] and {name.split("/")[1] for name in listed(place)} == {"00000006"}


@pytest.mark.parametrize(
    "url, wanted",
    [
        ("bucket/run", "config.train.store is 'bucket/run', wanted a URL such as s3://bucket/run"),
        ("nonsense://bucket/run", "nonsense:// is unknown"),
    ],
)
def test_places_that_cannot_be_used_are_known_before_training(tmp_path, url, wanted):
    with pytest.raises(UserError, match=wanted):
        run(runs.config(store=url), tmp_path, runs.data(), quiet)


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("checkpoints/00000002/model/d/x", ("checkpoints/00000002", "model/d/x")),
        ("best-00000002/checkpoint.json", ("best-00000002", "checkpoint.json")),
        ("best", ("", "")), ("metrics.jsonl", ("", "")), ("checkpoints/loose", ("", "")),
        ("checkpoints/../../etc/passwd", ("", "")),
    ],
)  # fmt: skip
def test_names_in_a_store_are_no_places_elsewhere(name, wanted):
    assert folder_of(name) == wanted


def test_s3(tmp_path, bucket, caplog):
    """Through a client of S3: there and back, a bucket that is closed, and a store that is full."""
    write(tmp_path / "one", 2, 3.0)
    send(tmp_path / "one", "s3://songs/run")
    with Mirror("s3://songs/run", tmp_path / "other", quiet):
        pass
    assert store.read(store.newest(tmp_path / "other"), "model")["a"].tolist() == [3.0] * 3
    with pytest.raises(UserError, match=f"s3://{FORBIDDEN}/run/started.json: cannot be written"):
        send(tmp_path / "one", f"s3://{FORBIDDEN}/run")
    with Mirror("s3://songs/run", tmp_path / "one", quiet) as mirror:
        write(tmp_path / "one", 4)
        bucket.refuse.add("PUT")
        with caplog.at_level(logging.WARNING):
            mirror.send()
            deadline = time.monotonic() + 60
            while not caplog.text and time.monotonic() < deadline:
                time.sleep(0.01)
        assert "cannot be written" in caplog.text and "is complete" in caplog.text
        bucket.refuse.clear()
    assert any(key.endswith("00000004/checkpoint.json") for key in bucket.objects)
