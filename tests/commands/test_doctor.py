"""`xumx doctor`: every problem is one line that says what to do, and good machines have none."""

import copy
import json

import pytest

from xumx_jax import assets, cli
from xumx_jax.commands import doctor, machine

GOOD = {
    "system": "Linux 6.1 x86_64",
    "python": "3.11.7",
    "environment": {},
    "versions": {name: "99" for name in machine.CORE}
    | {"xumx_jax": "0.1.0", "jax": "0.10.2", "jaxlib": "0.10.2", "jax-cuda12-plugin": "0.10.2"},
    "wanted": {"jax": "0.10.2", "numpy": "2.1", "optax": "0.2.5"},
    "cores": 2,
    "memory": {"total": 24e9, "free": 20e9, "limit": None},
    "gpus": ["NVIDIA H100, 570.1, 81559 MiB"],
    "jax": {
        "x64": False,
        "error": None,
        "devices": [{"platform": "gpu", "kind": "H100", "memory": 60e9, "error": None}],
    },
    "soundfile": {
        "libsndfile": "1.2.2",
        "error": None,
        "able": ["WAV", "RF64", "FLAC", "AIFF", "OGG", "VORBIS"],
    },
    "encoders": {"able": list(machine.ENCODERS), "error": None},
    "cache": {
        "path": "/home/me/.cache/xumx_jax",
        "writable": None,
        "free": 50e9,
        "size": 2e8,
        "compiled": "/home/me/.cache/xumx_jax/compiled",
        "compiled_size": 3e7,
        "models": {"x-umx": "intact"},
    },
    "temporary": {"path": "/tmp", "writable": None, "free": 50e9},
}
CPU = {"jax.devices": [{"platform": "cpu", "kind": "cpu", "memory": None, "error": None}]}


def changed(changes):
    """GOOD with values replaced, each by the path of its keys."""
    facts = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *above, last = path.split(".")
        place = facts
        for key in above:
            place = place[key]
        place[last] = value
    return facts


def test_a_good_machine_has_no_problems():
    assert doctor.findings(GOOD) == []
    said = "\n".join(doctor.lines(GOOD, []))
    assert "gpu, H100, 60.0 GB for JAX: computes" in said and "nothing is wrong" in said
    assert "x-umx: intact" in said and "compiled code: 30.0 MB" in said
    assert doctor.findings(changed(CPU | {"gpus": []})) == []


@pytest.mark.parametrize(
    "changes, wanted",
    [
        (CPU | {"environment": {"JAX_PLATFORMS": "cpu"}}, "JAX_PLATFORMS is 'cpu'; unset it"),
        (CPU | {"environment": {"CUDA_VISIBLE_DEVICES": ""}}, "CUDA_VISIBLE_DEVICES hides it"),
        (CPU, "its driver is missing or older than JAX's CUDA"),
        (
            {"versions.jax-cuda12-plugin": "0.10.0"},
            "pip install 'jax-cuda12-plugin==0.10.2'",
        ),
        ({"versions.numpy": "1.26.4"}, "numpy is 1.26.4, older than wanted; pip install 'numpy>=2"),
        ({"versions.optax": "0.2.4"}, "optax is 0.2.4"),
        (
            {"jax": {"x64": False, "devices": [], "error": "RuntimeError: no"}},
            "JAX does not start (RuntimeError: no)",
        ),
        (
            {
                "jax": {"x64": False, "devices": [], "error": "RuntimeError: no"},
                "environment": {"JAX_PLATFORMS": "tpu"},
            },
            "JAX_PLATFORMS is 'tpu', which is not there (RuntimeError: no); unset",
        ),
        (
            {"jax.devices": [{**GOOD["jax"]["devices"][0], "error": "out of memory"}]},
            "H100 cannot compute (out of memory)",
        ),
        ({"jax.x64": True}, "JAX_ENABLE_X64 is on"),
        ({"environment": {"JAX_DISABLE_JIT": "1"}}, "JAX_DISABLE_JIT is on"),
        ({"soundfile.error": "OSError: sndfile not found"}, "soundfile does not work (OSError"),
        ({"soundfile.able": ["WAV", "RF64", "FLAC", "AIFF"]}, "libsndfile 1.2.2 lacks OGG, VORBIS"),
        ({"encoders.able": ["flac", "aac"]}, "lacks the encoders libmp3lame, libopus"),
        ({"encoders.error": "ImportError: no"}, "PyAV does not work"),
        ({"memory.free": 1e9}, "only 1.0 GB of memory is free"),
        ({"memory.limit": 5e8}, "only 500 MB of memory is allowed to this container"),
        ({"cache.writable": "Permission denied"}, "set XUMX_CACHE to a folder of yours"),
        ({"cache.free": 3e7}, "30.0 MB is free on its disk"),
        ({"cache.free": 3e7, "temporary.free": 3e7}, "set XUMX_CACHE to a folder on another"),
        ({"temporary.writable": "Read-only file system"}, "set TMPDIR"),
        (
            {"cache.models": {"umx": "CheckpointError: /c/umx.safetensors: damaged"}},
            "download it again",
        ),
        ({"cache": {"error": "ImportError: flax"}}, "the cache cannot be inspected"),
    ],
)
def test_each_problem_is_one_line_that_says_what_to_do(changes, wanted):
    facts = changed(changes)
    (problem,) = doctor.findings(facts)
    assert wanted in problem and "\n" not in problem
    assert doctor.lines(facts, [problem])[-1] == f"wrong    {problem}"


def test_missing_packages_are_named():
    facts = changed(CPU)
    for name in ("soxr", "jax-cuda12-plugin"):
        del facts["versions"][name]
    missing, card = doctor.findings(facts)
    assert missing.startswith("soxr is not installed") and "pip install 'xumx_jax[cuda12]'" in card


@pytest.mark.parametrize(
    "size, said",
    [(None, "unknown"), (12, "12 bytes"), (4200, "4.2 kB"), (999e6, "999 MB"), (2e12, "2000 GB")],
)
def test_amounts(size, said):
    assert doctor.amount(size) == said


def test_versions_compare_as_numbers():
    assert doctor.number("0.9.10") < doctor.number("0.10.2rc1") == (0, 10, 2)


def test_this_machine(tmp_path, monkeypatch, capsys):
    """The facts themselves: devices compute, a damaged model is found, nothing is left behind."""
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "compiled").mkdir(parents=True)
    (tmp_path / "cache" / "compiled" / "code").write_bytes(bytes(5000))
    damaged = bytearray(assets.DEMO_FILE.read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "cache" / "umx.safetensors").write_bytes(damaged)
    status = cli.main(["doctor", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert all(device["error"] is None for device in facts["jax"]["devices"])
    assert len(facts["jax"]["devices"]) == 4
    assert facts["cache"]["models"]["demo"] == "intact"
    assert facts["cache"]["compiled_size"] == 5000
    assert facts["cache"]["size"] == 5000 + len(damaged)
    assert facts["wanted"]["jax"] and facts["versions"]["jax"] and facts["versions"]["xumx_jax"]
    assert facts["soundfile"]["error"] is facts["encoders"]["error"] is None
    assert status == 1
    assert any("the model umx is damaged" in problem for problem in facts["problems"])
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [
        *("compiled", "umx.safetensors")
    ]
    cli.main(["doctor"])
    assert "wrong    the model umx is damaged" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    place = machine.about_place(tmp_path / "file" / "cache")
    assert place["writable"] == "Not a directory" and place["free"] > 0
    assert machine.about_place(tmp_path / "new" / "cache")["writable"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
