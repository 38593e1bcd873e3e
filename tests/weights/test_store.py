"""Checkpoints: what was written comes back, and nothing that is damaged does."""

import errno
import json
import os
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import SingleDeviceSharding

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.weights import safetensors, store
from xumx_jax.weights.bag import load_model, save_model
from xumx_jax.weights.store import CheckpointError

VARIABLES = {
    "params": {"enc": {"mean": np.arange(6, dtype=np.float32).reshape(2, 3) / 8}},
    "batch_stats": {"enc": {"var": np.array([1.0, 2.0], np.float32)}},
}
ARGS = {"sources": ("a", "b"), "hop": 4, "max_bin": None}
TARGETS = ["model", "model.safetensors"]


def same(ours, wanted):
    jax.tree.map(np.testing.assert_array_equal, ours, wanted)


@pytest.fixture
def folder(tmp_path):
    store.write(tmp_path / "c", {"model": VARIABLES}, {"epoch": 3})
    return tmp_path / "c"


def test_items_and_description_come_back(tmp_path):
    parameters = jax.tree.map(jnp.asarray, VARIABLES["params"])
    state = {"step": np.int32(7), "opt": optax.adam(1e-3).init(parameters)}
    items = {"model": VARIABLES, "optimizer": state}
    store.write(tmp_path / "c", items, {"epoch": 3, "best": [0.5, None]})
    assert store.describe(tmp_path / "c") == {"epoch": 3, "best": [0.5, None]}
    same(store.read(tmp_path / "c", "model"), VARIABLES)
    restored = store.read(tmp_path / "c", "optimizer", state)
    same(restored, state)
    assert jax.tree.structure(restored) == jax.tree.structure(state)


def test_arrays_are_placed_as_in_the_template(folder):
    device = jax.devices()[-1]

    def struct(x):
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=SingleDeviceSharding(device))

    restored = store.read(folder, "model", jax.tree.map(struct, VARIABLES))
    same(restored, VARIABLES)
    assert {leaf.device for leaf in jax.tree.leaves(restored)} == {device}


def test_another_shape_than_the_template_is_named(folder):
    template = jax.tree.map(np.copy, VARIABLES)
    template["params"]["enc"]["mean"] = np.zeros((2, 4), np.float32)
    wanted = r"\['mean'\] is float32 \(2, 3\), wanted float32 \(2, 4\)"
    with pytest.raises(CheckpointError, match=wanted):
        store.read(folder, "model", template)
    with pytest.raises(CheckpointError, match="does not fit"):
        store.read(folder, "model", {"params": {}})


def test_an_existing_checkpoint_is_replaced_and_nothing_else_left(folder):
    store.write(folder, {"model": {"x": np.ones(1)}}, {"epoch": 4})
    assert store.describe(folder) == {"epoch": 4}
    assert list(store.read(folder, "model")) == ["x"]
    assert [path.name for path in folder.parent.iterdir()] == ["c"]


@pytest.mark.parametrize("swap", [True, False])
def test_everything_has_reached_the_disk_before_the_rename(folder, monkeypatch, swap):
    """Else a machine that loses power keeps the new name and loses what it stands for."""
    if swap and not files.exchange(folder, folder):
        pytest.skip("this file system cannot swap two names")
    flushed, missing, renamed = set(), [], []
    fsync = os.fsync

    def identity(status):
        return status.st_dev, status.st_ino

    def record_flush(number):
        fsync(number)
        flushed.add(identity(os.fstat(number)))

    def record_rename(rename):
        def recorded(old, new, **options):
            if Path(new) == folder.resolve():
                content = [Path(old), *Path(old).rglob("*")]
                missing.extend(path for path in content if identity(path.stat()) not in flushed)
                renamed.append(len(content))
                flushed.clear()
            return rename(old, new, **options)

        return recorded

    monkeypatch.setattr(os, "fsync", record_flush)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, record_rename(getattr(os, name)))
    swapping = record_rename(files.exchange) if swap else lambda one, other: False
    monkeypatch.setattr(files, "exchange", swapping)
    store.write(folder, {"model": VARIABLES, "more": {"x": np.ones(1)}}, {"epoch": 4})
    assert missing == []
    assert len(renamed) == 1 and renamed[0] > 6  # the folder, two items, their files, a manifest
    assert identity(folder.parent.stat()) in flushed  # and then the rename itself


def test_a_failed_write_leaves_what_was_there(folder):
    with pytest.raises(TypeError):
        store.write(folder, {"model": {"x": np.ones(1)}}, {"epoch": object()})
    assert store.describe(folder) == {"epoch": 3}
    assert [path.name for path in folder.parent.iterdir()] == ["c"]


def test_a_flipped_bit_in_any_file_is_found(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) > 5
    for path in files:
        good = path.read_bytes()
        middle = len(good) // 2
        path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
        with pytest.raises(CheckpointError, match=path.name):
            store.read(folder, "model")
        path.write_bytes(good)
    same(store.read(folder, "model"), VARIABLES)


def test_missing_files_and_items_are_named(folder):
    with pytest.raises(CheckpointError, match="no item 'host', only model"):
        store.read(folder, "host")
    (folder / "model" / "_METADATA").unlink()
    with pytest.raises(CheckpointError, match="_METADATA: missing"):
        store.read(folder, "model")
    (folder / "checkpoint.json").unlink()
    with pytest.raises(CheckpointError, match="c: not a checkpoint, no checkpoint.json"):
        store.describe(folder)


def training_folder(tmp_path):
    for step in (2, 4, 10):
        variables = jax.tree.map(lambda x, step=step: x + np.float32(step), VARIABLES)
        description = {"name": "xumx", "args": {"hop": 4}, "info": {"export": {"hop": step}}}
        store.write(tmp_path / f"checkpoints/{step:06}", {"model": variables}, description)
    return tmp_path


def test_newest_passes_over_damaged_checkpoints_loudly(tmp_path, caplog):
    steps = training_folder(tmp_path) / "checkpoints"
    (steps / "notes").mkdir()
    (steps / ".000012.1-a.part").mkdir()
    assert store.newest(tmp_path).name == "000010"
    assert not caplog.messages
    (steps / "000010" / "model" / "_METADATA").write_text("{}")
    (steps / "000004" / "checkpoint.json").unlink()
    assert store.newest(tmp_path).name == "000002"
    lines = caplog.messages
    assert len(lines) == 2 and "000010/model/_METADATA: damaged" in lines[0]
    shutil.rmtree(steps / "000002")
    with pytest.raises(CheckpointError, match="checkpoints: no complete checkpoint"):
        store.newest(tmp_path)


def test_what_cannot_be_read_is_passed_over_too(tmp_path, monkeypatch):
    """A bad sector, in an array or in the manifest."""
    steps, real = training_folder(tmp_path) / "checkpoints", Path.open
    for victim in ("000010/model/_METADATA", "000010/checkpoint.json"):

        def fail(path, *args, bad=steps / victim, **kwargs):
            if path == bad:
                raise OSError(errno.EIO, "Input/output error")
            return real(path, *args, **kwargs)

        monkeypatch.setattr(Path, "open", fail)
        with pytest.raises(CheckpointError, match=f"{victim}: cannot be read"):
            store.verify(steps / "000010")
        assert store.newest(tmp_path).name != "000010"


def test_a_training_folder_loads_as_its_newest_checkpoint_for_export(tmp_path):
    loaded = load_model(training_folder(tmp_path))
    assert loaded.args == {"hop": 10}
    assert loaded.variables["batch_stats"]["enc"]["var"][0] == 11


@pytest.mark.parametrize("target", TARGETS)
def test_models_come_back(tmp_path, target):
    save_model(tmp_path / target, "xumx", ARGS, VARIABLES, {"licence": "MIT"})
    loaded = load_model(tmp_path / target)
    assert (loaded.name, loaded.args, loaded.info) == ("xumx", ARGS, {"licence": "MIT"})
    same(loaded.variables, VARIABLES)
    assert [path.name for path in tmp_path.iterdir()] == [target]


def test_half_is_half_the_size_and_comes_back_as_float32(tmp_path):
    variables = {"params": {"w": np.linspace(0, 1, 5000, dtype=np.float32)}}
    paths = [tmp_path / "half.safetensors", tmp_path / "full.safetensors"]
    for path in paths:
        save_model(path, "xumx", {}, variables, half=path is paths[0])
    w = load_model(paths[0]).variables["params"]["w"]
    assert w.dtype == np.float32
    np.testing.assert_allclose(w, variables["params"]["w"], atol=2.5e-4)
    assert paths[0].stat().st_size < 0.55 * paths[1].stat().st_size


def test_half_refuses_what_it_cannot_hold(tmp_path):
    with pytest.raises(UserError, match="params/w holds values above 65504"):
        big = {"params": {"w": np.array([1e5], np.float32)}}
        save_model(tmp_path / "m.safetensors", "xumx", {}, big, half=True)
    with pytest.raises(UserError, match="half precision is for .safetensors"):
        save_model(tmp_path / "m", "xumx", {}, VARIABLES, half=True)
    assert not list(tmp_path.iterdir())


def test_damaged_safetensors_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, "xumx", ARGS, VARIABLES)
    good = path.read_bytes()
    for damaged in (good[:-1], good[: len(good) // 2], good[:4], b"", good[:-3] + b"x" + good[-2:]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"m\.safetensors"):
            load_model(path)


def test_what_is_no_model_is_refused(tmp_path, folder):
    with pytest.raises(CheckpointError, match="gone: no such file or folder"):
        load_model(tmp_path / "gone")
    with pytest.raises(CheckpointError, match="names no model"):
        load_model(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="empty: not a checkpoint"):
        load_model(tmp_path / "empty")


def test_manifest_is_plain_json(folder):
    manifest = json.loads((folder / "checkpoint.json").read_text())
    assert manifest["description"] == {"epoch": 3}
    assert all(len(sha256) == 64 for sha256 in manifest["files"].values())


def with_format(path: Path, number) -> None:
    """Rewrite what a checkpoint or a `.safetensors` says of its format; None: nothing."""
    if path.is_dir():
        manifest = json.loads((path / store.MANIFEST).read_text())
        body = {k: v for k, v in manifest.items() if k not in ("sha256", "format")}
        body |= {} if number is None else {"format": number}
        manifest = {**body, "sha256": files.digest_of_value(body)}
        (path / store.MANIFEST).write_text(json.dumps(manifest))
        return
    from safetensors.numpy import load_file, save_file

    description = json.loads(safetensors.metadata(path)["xumx_jax"])
    assert description.pop("format") == safetensors.FORMAT
    description |= {} if number is None else {"format": number}
    save_file(load_file(path), path, {"xumx_jax": json.dumps(description)})


@pytest.mark.parametrize("target", TARGETS)
def test_formats_before_are_read_and_later_ones_refused_in_one_line(tmp_path, target):
    path = tmp_path / target
    save_model(path, "xumx", ARGS, VARIABLES, {"licence": "MIT"})
    for number in (None, 0, safetensors.FORMAT):
        with_format(path, safetensors.FORMAT)
        with_format(path, number)
        loaded = load_model(path)
        assert (loaded.name, loaded.args, loaded.info) == ("xumx", ARGS, {"licence": "MIT"})
        if number != safetensors.FORMAT:
            save_model(path, "xumx", ARGS, VARIABLES, {"licence": "MIT"})
    for number, wanted in (
        (99, f"has format 99, .* reads up to {safetensors.FORMAT}"),
        ("x", "'x'"),
    ):
        save_model(path, "xumx", ARGS, VARIABLES)
        with_format(path, number)
        with pytest.raises(CheckpointError, match=wanted) as error:
            load_model(path)
        assert target in str(error.value) and "\n" not in str(error.value)


def test_every_format_before_has_a_migration():
    assert list(safetensors.MIGRATIONS) == list(range(safetensors.FORMAT))


def test_nested_arguments_come_back_as_tuples(tmp_path):
    args = {"bands": ((0, 4), (4, (6, 9))), "widths": [[1], []]}
    save_model(tmp_path / "m.safetensors", "x", args, VARIABLES)
    found = load_model(tmp_path / "m.safetensors").args
    assert found == {"bands": ((0, 4), (4, (6, 9))), "widths": ((1,), ())}


def test_all_of_a_checkpoint_reaches_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    flushed, real = [], files.flush

    def flush(path):
        flushed.append(path)
        assert (tmp_path / "c").exists() == (path == tmp_path)
        real(path)

    monkeypatch.setattr(files, "flush", flush)
    store.write(tmp_path / "c", {"model": VARIABLES}, {})
    written = [path.relative_to(tmp_path / "c") for path in (tmp_path / "c").rglob("*")]
    assert len(written) > 8 and flushed[-1] == tmp_path
    for path in written:
        assert any(str(one).endswith(str(path)) for one in flushed), path


def test_fsync_is_what_flushing_is(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("os.fsync", lambda number: seen.append(os.fstat(number).st_ino))
    (tmp_path / "file").write_text("x")
    files.flush(tmp_path / "file")
    assert seen == [(tmp_path / "file").stat().st_ino]
