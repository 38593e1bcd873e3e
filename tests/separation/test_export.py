"""`xumx export`: what it writes is the Separator's own chunk, in a process that knows only JAX."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xumx_jax
from xumx_jax import cli, files
from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.separation.separator import Separator
from xumx_jax.weights.bag import load_model, save_model

RATE = 8000
SOURCES = ("drums", "vocals")
ARGUMENTS = dict(
    sources=SOURCES, hidden_size=8, n_fft=128, hop=32, sample_rate=RATE, bandwidth_hz=3000.0
)
ALONE = """
import sys
from pathlib import Path
import jax, numpy as np
function = jax.export.deserialize(bytearray(Path(sys.argv[1], "model.jax_export").read_bytes()))
np.save(sys.argv[3], function.call(np.load(sys.argv[2])))
assert "xumx_jax" not in sys.modules
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model") / "tiny.safetensors", ARGUMENTS)


def save(path, arguments):
    """A random model; drawn here, because `init` takes seconds to compile."""
    module, rng = build("xumx", **arguments), np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 2, 256)))
    variables = jax.tree.map(lambda leaf: rng.uniform(0.1, 0.4, leaf.shape).astype("f"), shapes)
    info = {"licence": "CC BY 4.0", "url": "https://x.org/a.pth", "config": {"root": "/home/me"}}
    save_model(path, "xumx", arguments, variables, info)
    return path


def noise(batch, samples=1984):  # 62 hops, about 0.25 s
    shape = (batch, 2, samples)
    return np.random.default_rng(batch).uniform(-0.5, 0.5, shape).astype(np.float32)


def separated(model, mix, **options):
    """The Separator's stems, each of `mix` [batch, channel, time] one chunk."""
    loaded = load_model(model)
    seconds = mix.shape[-1] / RATE
    module = build(loaded.name, **loaded.args)
    separator = Separator(module, loaded.variables, chunk_seconds=seconds, overlap=0, **options)
    stems = [separator(one, RATE) for one in mix]
    return np.stack([[one[name] for name in separator.sources] for one in stems])


def close(stems, wanted):
    return np.abs(stems - wanted).max() <= 1e-6 * np.abs(wanted).max()


@pytest.mark.slow
def test_exported_equals_the_separator_in_a_fresh_process(model, tmp_path):
    about = xumx_jax.export(model, tmp_path / "out", seconds=0.25)
    mix = noise(3)
    np.save(tmp_path / "mix.npy", mix)
    paths = [tmp_path / name for name in ("out", "mix.npy", "stems.npy")]
    subprocess.run([sys.executable, "-c", ALONE, *paths], check=True, cwd=tmp_path)
    wanted = separated(model, mix)
    assert list(wanted.shape[1:]) == about["output"]["shape"][1:]
    assert close(np.load(tmp_path / "stems.npy"), wanted)
    exported = xumx_jax.load_exported(tmp_path / "out")
    assert exported.sources == SOURCES and exported.rate == RATE
    assert close(exported(mix[:1]), wanted[:1])  # any number of chunks


@pytest.mark.slow
def test_options_reach_the_network(model, tmp_path):
    options = {"niter": 0, "residual": True}
    xumx_jax.export(model, tmp_path / "out", seconds=0.25, **options)
    exported = xumx_jax.load_exported(tmp_path / "out")
    assert exported.sources == (*SOURCES, "residual")
    assert close(exported(noise(1)), separated(model, noise(1), **options))


@pytest.mark.slow
def test_command_writes_a_folder_that_describes_itself(model, tmp_path, capsys):
    out = tmp_path / "deep" / "out"
    assert cli.main(["export", str(model), str(out), "--seconds", "0.25"]) == 0
    said = capsys.readouterr().out
    assert "[batch, 2, 1984] -> [batch, 2, 2, 1984]" in said and "licence: CC BY 4.0" in said
    about = json.loads((out / "about.json").read_text())
    assert sorted(path.name for path in out.iterdir()) == [
        *("about.json", "model.jax_export", "model.stablehlo")
    ]
    assert about["sources"] == list(SOURCES) and about["rate"] == RATE
    assert about["platforms"] == ["cpu", "cuda", "tpu"]
    assert about["weights"]["licence"] == "CC BY 4.0"
    assert "jax" in about["versions"] and "/home/me" not in json.dumps(about)
    for name, file in about["files"].items():
        assert file["sha256"] == files.digest(out / name)
        assert file["bytes"] == (out / name).stat().st_size
    before = about["files"]["model.jax_export"]["sha256"]
    # again, over it: nothing of the old one stays, nothing temporary either
    assert cli.main(["export", str(model), str(out), "--seconds", "0.5", "--batch", "2"]) == 0
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    about = json.loads((out / "about.json").read_text())
    assert about["files"]["model.jax_export"]["sha256"] != before
    assert about["input"]["shape"] == [2, 2, 4000]
    with pytest.raises(UserError, match=r"wanted \[batch, channel, time\], \(2, 2, 4000\)"):
        xumx_jax.load_exported(out)(noise(1, 4000))


def test_stablehlo_is_a_portable_artifact_of_that_shape(model, tmp_path):
    from jax._src.interpreters import mlir
    from jaxlib.mlir.dialects import stablehlo

    xumx_jax.export(model, tmp_path / "out", seconds=0.25, batch=2, platforms=("cpu",))
    content = (tmp_path / "out" / "model.stablehlo").read_bytes()
    with mlir.make_ir_context() as context:
        module = stablehlo.deserialize_portable_artifact(context, content)
        types = {op.name.value: str(op.function_type.value) for op in module.body.operations}
    assert types["main"] == "(tensor<2x2x1984xf32>) -> tensor<2x2x2x1984xf32>"


@pytest.mark.slow
def test_licence_of_the_bundled_model_travels(tmp_path):
    about = xumx_jax.export("demo", tmp_path / "out", seconds=1, platforms=("cpu",))
    assert about["weights"]["licence"].startswith("MIT")


@pytest.mark.parametrize(
    "arguments, wanted",
    [
        (["--seconds", "0"], "chunk-seconds is 0.0"),
        (["--batch", "0"], "batch is 0"),
        (["--niter", "-1"], "niter is -1"),
        (["--platforms", "cpu,vulkan"], "platforms: vulkan; wanted any of cpu, cuda"),
        (["--platforms", ","], "wanted any of cpu, cuda"),
    ],
)
def test_options_that_make_no_sense(model, tmp_path, capsys, arguments, wanted):
    assert cli.main(["export", str(model), str(tmp_path / "out"), *arguments]) == 2
    assert wanted in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_source_wants_a_residual_or_no_filter(tmp_path):
    one = save(tmp_path / "one.safetensors", ARGUMENTS | {"sources": ("vocals",)})
    with pytest.raises(UserError, match="use a residual, or niter 0"):
        xumx_jax.export(one, tmp_path / "out", seconds=0.25)


def test_what_is_there_stays(model, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("all of it")
    with pytest.raises(UserError, match="exists and is not an earlier export; use a new folder"):
        xumx_jax.export(model, taken, seconds=0.25)
    assert (taken / "thesis.txt").read_text() == "all of it"
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match="file/out: cannot be written"):
        xumx_jax.export(model, file / "out", seconds=0.25)


@pytest.mark.slow
def test_damage_is_found(model, tmp_path):
    out = tmp_path / "out"
    xumx_jax.export(model, out, seconds=0.25, platforms=("cpu",))
    content = bytearray((out / "model.jax_export").read_bytes())
    content[len(content) // 2] ^= 1
    (out / "model.jax_export").write_bytes(content)
    with pytest.raises(UserError, match="model.jax_export: damaged"):
        xumx_jax.load_exported(out)
    (out / "model.jax_export").unlink()
    with pytest.raises(UserError, match="model.jax_export: cannot be read"):
        xumx_jax.load_exported(out)
    with pytest.raises(UserError, match="holds no exported model"):
        xumx_jax.load_exported(tmp_path / "nowhere")
