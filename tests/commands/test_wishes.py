"""`--task` and `--quality`: the model, and with it the stems, by what is wanted."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from separating import SOURCES, noise, stems_in, write

from xumx_jax import cli
from xumx_jax.commands import models, separate
from xumx_jax.weights import catalogue
from xumx_jax.weights.tasks import TASKS

GOOD = TASKS["vocals"].models["good"]


@pytest.fixture
def run(run_separate, tiny_model, tmp_path, quick_compile):
    """`xumx separate` with a tiny model in the place of a download."""
    (tmp_path / "cache").mkdir()
    shutil.copy(tiny_model, tmp_path / "cache" / f"{GOOD}.safetensors")
    return run_separate


@pytest.mark.slow
def test_vocals_and_all_the_rest(run, tmp_path):
    write("song.wav", mix := noise())
    status, out, err = run(
        "song.wav", "--task", "vocals", "--bits", "32f", "--niter", 0, model=None
    )
    assert (status, err) == (0, "") and f"model {GOOD}" in out
    place = tmp_path / "work" / "separated"
    assert stems_in(place) == ["song/instrumental.wav", "song/vocals.wav"]
    stems = [soundfile.read(place / path, dtype="float32")[0].T for path in stems_in(place)]
    np.testing.assert_allclose(sum(stems), mix, atol=1e-6)
    assert np.abs(stems[1]).max() > 1e-3


@pytest.mark.parametrize(
    "words, stems, aggregate",
    [
        ([], None, ["vocals", "instrumental"]),
        (["--stems", "instrumental"], None, ["instrumental"]),
        (["--stems", "bass,vocals"], "bass,vocals", None),  # they are the model's
        (["--two-stems", "drums"], None, None),
        (["--mix", "drums+bass"], None, None),
    ],
)
def test_what_is_asked_for_goes_before_the_stems_of_a_task(words, stems, aggregate):
    options = cli.parser("separate").parse_args(["separate", "a.wav", "--task", "vocals", *words])
    ((name, weight),), _ = separate._check(options)
    assert (name, weight, options.stems) == (GOOD, 1, stems)
    assert (None if options.aggregate is None else list(options.aggregate)) == aggregate


def test_quality_alone_means_four_stems(run, tmp_path):
    write("song.wav", noise())
    status, _, err = run(
        "song.wav", "--quality", "good", "--niter", 0, "--json", "report.json", model=None
    )
    assert (status, err) == (0, "")
    wanted = [f"song/{name}.wav" for name in SOURCES]
    assert stems_in(tmp_path / "work" / "separated") == wanted
    report = json.loads((tmp_path / "work" / "report.json").read_text())
    assert report["models"][0]["name"] == GOOD and report["options"]["quality"] == "good"


@pytest.mark.parametrize(
    "words, said",
    [
        (["--task", "karaoke"], "--task karaoke: there are no weights with a licence"),
        (["--task", "drums"], "mdx23c_drumsep (licence: none stated)"),
        (["--task", "vocals", "--model", "demo"], "--model names the model itself; leave out"),
        (["--quality", "fast", "--model", "demo"], "--model names the model itself; leave out"),
        (["--task", "song"], "invalid choice: 'song'"),
        (["--task", "vocals", "--server", "http://localhost:1"], "does not work with --server"),
    ],
)
def test_wishes_that_cannot_be_granted(run_separate, words, said):
    status, out, err = run_separate("song.wav", *words, model=None)
    assert status == 2 and out == "" and said in err and err.count("\n") == 1


def test_models_are_listed_by_task(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path))
    assert cli.main(["models", "--task", "vocals", "--licensed"]) == 0
    said = capsys.readouterr().out
    assert f"--task vocals: {TASKS['vocals'].what}; fast umxhq-nnabla, good {GOOD}, best" in said
    assert "mdx" not in said  # whose licence is not stated
    assert cli.main(["models", "--json", "--licensed"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device"] == "cpu" and all(one["licensed"] for one in found["models"])
    (good,) = (one for one in found["models"] if one["name"] == GOOD)
    assert good["wishes"] == [["4stems", "good"], ["vocals", "good"]]
    assert (good["megabytes"], good["seconds"], good["cached"]) == (84, 30, False)
    assert cli.main(["models", "--download", "demo", "--json"]) == 2
    assert "--download NAME lists nothing" in capsys.readouterr().err


def test_the_list_fits_a_terminal(capsys, monkeypatch):
    found = catalogue.by_task("cpu")
    for width in (60, 100):
        lines = models.table(found, "cpu", width, "cache")
        # but for addresses, which are one word
        assert all(len(line) <= width for line in lines if "://" not in line)
    said = "\n".join(models.table(found, "tpu", models.UNLIMITED, "cache"))
    assert "htdemucs: 84 MB, about 30 s per minute of music on a CPU, to be downloaded" in said
    assert "--task drums: the parts of a drum kit; no licensed weights, by name alone" in said
    assert "--task 6stems: guitar and piano as well as the four; always htdemucs_6s" in said
    assert "scnet_xl_ihf: 214 MB, about 4 min per minute of music on a CPU" in said
    assert "whole songs: MUSDB18's 50 test songs, SDR of whole songs" in said
