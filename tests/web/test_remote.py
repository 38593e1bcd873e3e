"""`xumx separate --server`: the same files, places and messages as without."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from serving import ROOT, clip, environment, served

from xumx_jax import cli
from xumx_jax.commands.batch.remote import _LOCAL, _sources
from xumx_jax.separation import record


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Call the command line in an empty folder -> (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XUMX_TOKEN", raising=False)

    def call(*words):
        status = cli.main(["separate", *map(str, words)])
        return status, *capsys.readouterr()

    return call


def contents(folder):
    """{path: content} of stems below a folder."""
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if path.name != record.FILE
    }


CHOICES = [
    ("--format", "flac", "--bits", "24"),
    ("--mix", "drums+bass", "--format", "mp3", "--bitrate", "128"),
    ("--two-stems", "vocals", "--bits", "32f", "--niter", "0"),
    ("--stems", "vocals,residual", "--residual", "--softmask", "--alpha", "2"),
]


@pytest.mark.parametrize(
    ("said", "wanted"), [({}, "residual"), ({"residual": "instrumental"}, "instrumental")]
)
def test_the_residual_is_called_as_the_server_says(said, wanted):
    known = {"tasks": [{"stems": ["vocals"], "models": [{"name": "one"}], **said}]}
    for asked in (False, True):
        options = SimpleNamespace(residual=asked)
        assert _sources(known, "one", options) == ("vocals", *[wanted] * asked)


@pytest.mark.slow
def test_files_are_those_of_local_separation_bit_for_bit(server, run):
    before = server.folders()
    os.mkdir("music")
    Path("music/loud.wav").write_bytes(clip(0.7, seed=3))
    Path("music/söng.flac").write_bytes(clip(0.7, channels=1, format="FLAC"))
    for words in CHOICES:
        shared = ("music", "--recursive", "--model", "demo", *words, "--overwrite")
        status, out, err = run(*shared, "--out", "here", "--json", "here.json")
        assert (status, err) == (0, "")
        status, there, err = run(
            *shared, "--out", "there", "--json", "there.json", "--server", server.url
        )
        assert (status, err) == (0, "")
        assert contents("there") == contents("here") and contents("here")
        shape = lambda text: re.sub(r"[\d.:]+", "0", text.replace("there", "here"))  # noqa: E731
        wanted, got = (shape(text).splitlines() for text in (out, there))
        # the first two lines name the model and where it computes, and how long that usually takes
        # there, stems come in alphabetical order
        assert sorted(got[2:]) == sorted(wanted[2:])
        reports = [json.loads(Path(f"{name}.json").read_text()) for name in ("here", "there")]
        tracks = [sorted(one["tracks"], key=lambda track: track["input"]) for one in reports]
        for here, away in zip(*tracks, strict=True):
            assert here.keys() == away.keys()
            for key in ("seconds", "samples", "stems_samples", "stems_rate", "rate", "channels"):
                assert here[key] == away[key]
            assert here["null_error_db"] == pytest.approx(away["null_error_db"], abs=0.1)
    assert server.folders() == before


def test_stems_that_are_there_are_skipped_or_kept(server, run):
    Path("song.wav").write_bytes(clip(0.5))
    words = ("song.wav", "--model", "demo", "--server", server.url)
    assert run(*words)[0] == 0
    status, out, _ = run(*words, "--skip-existing")
    assert status == 0 and "song.wav: skipped, its stems are in separated/song" in out
    status, _, err = run(*words, "--niter", "0")
    assert status == 0 and "go to separated/song_2" in err


@pytest.mark.slow
def test_one_stem_to_stdout(server, tmp_path):
    (tmp_path / "song.wav").write_bytes(clip(0.5))
    command = [sys.executable, "-m", "xumx_jax", "separate", "song.wav", "--model", "demo"]
    command += ["--stems", "bass", "--out"]
    settings = dict(cwd=tmp_path, env=environment(tmp_path / "cache"), check=True)
    away = ["--server", server.url]
    piped = subprocess.run([*command, "-", *away], capture_output=True, **settings).stdout
    subprocess.run([*command, "out", *away], **settings)
    assert piped == (tmp_path / "out/song/bass.wav").read_bytes()


def test_a_bad_track_does_not_stop_the_others(server, run):
    Path("a.wav").write_bytes(b"no sound at all" * 100)
    Path("b.wav").write_bytes(clip(0.5))
    status, out, err = run("a.wav", "b.wav", "--model", "demo", "--server", server.url)
    assert status == 1 and err.count("\n") == 1 and err.startswith("xumx: error: a.wav: ")
    assert "1 done, 1 failed" in out


OTHER = {
    "device": "cpu", "start": 1.0, "duration": 1.0, "channels": "all", "rate": "model",
    "aggregate": "a=bass", "logit": 0.5, "wiener_frames": 9, "post_filter": "complex", "shifts": 2,
    "seed": 3, "chunk_seconds": 9.0, "overlap": 0.1, "protocol": "demucs", "combine": "mean",
    "transition_power": 2.0, "batch": 2, "compute": "tf32", "manifest": "a.csv", "shard": "0/2",
    "runner": "ray", "address": "auto", "worker_cores": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", _LOCAL)
def test_what_does_not_travel_is_refused_in_one_line(run, name):
    option = f"--{name.replace('_', '-')}"
    words = [option] if name not in OTHER else [option, OTHER[name]]
    status, out, err = run("a.wav", "--server", "http://127.0.0.1:9", *words)
    assert (status, out) == (2, "") and err.startswith("xumx: error: ") and err.count("\n") == 1
    assert f"{option} does not work with --server" in err or name == "transition_power"


LINES = {
    "takes one --model": ("--model", "demo", "--model", "x-umx", "--server", "http://127.0.0.1:9"),
    "--server takes one --model, without a": ("--model", "demo:0.5", "--server", "127.0.0.1:9"),
    "--server http://127.0.0.1:9: cannot be reached": ("--server", "http://127.0.0.1:9"),
    "--server ftp://a: wanted http://HOST:PORT": ("--server", "ftp://a"),
    "--token is for --server": ("--token", "secret"),
}


@pytest.mark.parametrize("line", LINES)
def test_mistakes_are_one_line(run, line):
    Path("a.wav").write_bytes(clip(0.1))
    status, out, err = run("a.wav", *LINES[line])
    assert (status, out) == (2, "") and line in err and err.count("\n") == 1


def test_the_server_says_which_models_it_has(server, run):
    Path("a.wav").write_bytes(clip(0.1))
    status, _, err = run("a.wav", "--model", "x-umx", "--server", server.url)
    assert status == 2 and err == "xumx: error: --model x-umx: the server has demo\n"


def test_jax_is_not_imported(server, tmp_path):
    (tmp_path / "song.wav").write_bytes(clip(0.3))
    program = (
        "import sys; from xumx_jax.cli import main\n"
        f"assert main(['separate', 'song.wav', '--server', {server.url!r}]) == 0\n"
        "assert not {'jax', 'flax', 'fastapi'} & set(sys.modules)"
    )
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=variables, check=True)


@pytest.mark.slow
def test_a_token_is_sent_and_kept_out_of_the_report(run, tmp_path):
    Path("song.wav").write_bytes(clip(0.3))
    with served(tmp_path / "data", token="very-secret-token") as server:
        words = ("song.wav", "--server", server.url, "--json", "report.json")
        status, _, err = run(*words)
        assert status == 2 and "token" in err and err.count("\n") == 1
        assert run(*words, "--token", "very-secret-token")[0] == 0
    assert "very-secret-token" not in Path("report.json").read_text()
