"""evaluate.py from end to end, on tiny test sets with oracles, a tiny model and bad files."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scored_songs
import soundfile
import stem_files
from scored_songs import RATE, SOURCES
from shared_files import needs, shared

from pipelines.evaluation import command, work
from pipelines.tracks import musdb_stems
from xumx_jax import files
from xumx_jax.evaluation.scores import TrackScores
from xumx_jax.models import build
from xumx_jax.weights import bag

ROOT = Path(__file__).parents[2]
SAMPLE = "musdb18-7-sample"
ARGUMENTS = dict(hidden_size=8, n_fft=128, hop=32, sample_rate=RATE, bandwidth_hz=3000.0)


def save_model(path, seed):
    module, rng = build("xumx", **ARGUMENTS), np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 2, 256)))
    # not `init`: it compiles for seconds
    variables = jax.tree.map(lambda s: rng.uniform(0.1, 0.3, s.shape).astype(s.dtype), shapes)
    bag.save_model(path, "xumx", ARGUMENTS, variables, {})
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The path of a tiny random model."""
    return save_model(tmp_path_factory.mktemp("model") / "tiny.safetensors", 0)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Three tracks of MUSDB18's WAV form; not to be changed."""
    return scored_songs.make(tmp_path_factory.mktemp("songs"))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`run(*arguments) -> (status, stdout, stderr)`, scores in tmp_path/scores, SDR alone.

    Temporary files must be gone afterwards.
    """
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))

    def run(*arguments, evaldir=tmp_path / "scores", metrics=("--metrics", "sdr")):
        status = command.main([*map(str, arguments), "--evaldir", str(evaldir), *metrics])
        assert not list(scratch.iterdir())
        return status, *capsys.readouterr()

    return run


def start(*arguments, **environment):
    """The real program, as a process."""
    return subprocess.Popen(
        [sys.executable, "evaluate.py", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "0"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def scores_in(folder):
    return sorted(path.stem for path in Path(folder).glob("*.json"))


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.slow
def test_a_model_with_everything(quick_compile, run, songs, model, tmp_path):
    out = tmp_path / "estimates"
    status, told, err = run("--model", model, "--root", songs, "--outdir", out, metrics=())
    assert (status, err) == (0, "")
    assert [line.split(":")[0] for line in told.splitlines()[:3]] == ["one", "three", "two"]
    assert "SDR vocals" in told.splitlines()[0] and "| tiny" in told and "BSSEval v4" in told
    folder = tmp_path / "scores"
    assert scores_in(folder / "test") == ["one", "three", "two"]
    pictures = [f"boxplots/{m}.{s}" for m in ("ISR", "SAR", "SDR", "SIR") for s in ("png", "svg")]
    assert {*pictures, "scores.csv", "scores.json", "scores.md"} <= set(files_in(folder))
    found = TrackScores.load(folder / "test" / "one.json")
    assert list(found.frames) == list(SOURCES)
    assert {m: len(v) for m, v in found.frames["bass"].items()} == dict.fromkeys(
        ("SDR", "ISR", "SIR", "SAR"), 2
    )
    protocol = found.protocol
    assert protocol["metrics"] == ["SDR", "ISR", "SIR", "SAR"] and protocol["model"] == "tiny"
    assert protocol["digest"] == files.digest(model)
    assert protocol["options"]["niter"] == 1 and protocol["filter_length"] == 512
    assert protocol["data"]["kind"] == "wav" and protocol["data"]["subset"] == "test"
    assert "median over frames" in protocol["aggregation"] and protocol["precision"] == "float64"
    # what is kept is what was scored
    truth = np.stack([soundfile.read(songs / f"test/one/{s}.wav")[0] for s in SOURCES])
    kept = np.stack([soundfile.read(out / f"test/one/{s}.wav")[0] for s in SOURCES])
    assert soundfile.info(out / "test" / "one" / "bass.wav").subtype == "FLOAT"
    energy, error = (np.square(x[:, :RATE]).sum((1, 2)) for x in (truth, truth - kept))
    sdr = [found.frames[source]["SDR"][0] for source in SOURCES]
    np.testing.assert_allclose(sdr, 10 * np.log10(energy / error), atol=2e-5)


@pytest.mark.slow
def test_finished_tracks_are_not_done_again(run, songs, model, tmp_path, monkeypatch):
    def interrupted(name, *arguments, scored=work.score, **options):
        if name == "three":
            raise KeyboardInterrupt
        return scored(name, *arguments, **options)

    options = ("--model", model, "--root", songs, "--outdir", tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr(work, "score", interrupted)
        status, _, err = run(*options)
    assert status == 130 and "to resume" in err and err.count("\n") == 1
    assert scores_in(tmp_path / "scores" / "test") == ["one"]
    assert not (tmp_path / "scores" / "scores.md").exists()

    separated = []
    original = work.Work._separate
    monkeypatch.setattr(work.Work, "_separate", lambda *a: separated.append(1) or original(*a))
    before = (tmp_path / "scores" / "test" / "one.json").stat().st_mtime_ns
    status, told, _ = run(*options)
    assert status == 0 and "1 of 3 tracks are scored already" in told
    assert len(separated) == 1  # the estimates of three were whole
    assert (tmp_path / "scores" / "test" / "one.json").stat().st_mtime_ns == before
    assert scores_in(tmp_path / "scores" / "test") == ["one", "three", "two"]
    assert run(*options, "--overwrite")[0] == 0 and len(separated) == 4
    options = ("--model", f"renamed={model}", *options[2:])
    (tmp_path / "out" / "test" / "two" / "bass.wav").unlink()
    assert run(*options)[0] == 0 and len(separated) == 5


@pytest.mark.slow
def test_the_program_goes_on_after_a_kill(songs, tmp_path):
    options = ["--model", "IRM2", "--root", songs, "--evaldir", tmp_path, "--metrics", "sdr"]
    process = start(*options, TMPDIR=str(tmp_path))
    assert process.stdout.readline().startswith("one: SDR vocals ")
    process.kill()
    process.communicate()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "test").glob("*.json")}
    process = start(*options)
    told, err = process.communicate()
    assert (process.returncode, err) == (0, "") and "tracks are scored already" in told
    assert scores_in(tmp_path / "test") == ["one", "three", "two"]
    assert before and all(path.stat().st_mtime_ns == time for path, time in before.items())


@pytest.mark.slow
def test_an_interrupt_leaves_no_temporary_files(tmp_path):
    long = scored_songs.make(tmp_path, ["long"], samples=400 * RATE)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    options = ("--model", "IRM1", "--root", long, "--evaldir", tmp_path / "scores", "--jobs", 2)
    process = start(*options, TMPDIR=str(scratch))
    while process.poll() is None and not list(scratch.iterdir()):
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err.endswith("evaluate: error: interrupted; run the same command to resume\n")
    assert not list(scratch.iterdir())


@pytest.mark.slow
def test_estimates_that_are_not_the_models_are_made_again(run, songs, model, tmp_path):
    out = tmp_path / "out"
    options = ("--root", songs, "--track", "one", "--outdir", out)
    run("--model", model, *options)
    kept = out / "test" / "one" / "bass.wav"
    right = soundfile.read(kept)[0]
    scored_songs.write(kept, scored_songs.noise(0, 2 * RATE + 800), subtype="FLOAT")
    run("--model", model, *options, evaldir=tmp_path / "again")
    np.testing.assert_array_equal(soundfile.read(kept)[0], right)
    other = save_model(tmp_path / "tiny.safetensors", 1)
    run("--model", other, *options, evaldir=tmp_path / "other")
    assert not np.array_equal(soundfile.read(kept)[0], right)
    origin = json.loads((out / "test" / "one" / "origin.json").read_text())
    assert origin["digest"] == files.digest(other)


@pytest.mark.slow
def test_estimates_of_another_program_are_not_replaced(run, songs, tmp_path):
    out = scored_songs.estimate(songs, tmp_path / "theirs")
    kept = out / "test" / "one" / "bass.wav"
    before = kept.read_bytes()
    options = ("--model", "mixture", "--root", songs, "--track", "one", "--outdir", out)
    status, told, err = run(*options)
    assert (
        (status, told) == (2, "")
        and err.count("\n") == 1
        and "holds another program's estimates" in err
    )
    assert kept.read_bytes() == before
    assert run(*options, "--overwrite")[0] == 0 and kept.read_bytes() != before
    # fewer targets of another system: none of the earlier one's stay among them
    options = ("--model", "mixture-share", *options[2:], "--targets", "vocals")
    assert run(*options, evaldir=tmp_path / "fewer")[0] == 0
    assert files_in(kept.parent) == ["origin.json", "vocals.wav"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--model", "tiny=mixture"], "has targets"),
        (["--model", "OTHER"], "has digest"),
        (["--model", "MODEL", "--niter", "0"], "has options"),
        (["--model", "MODEL", "--metrics", "usdr"], "has metrics"),
        (["--model", "MODEL", "--hop-seconds", "0.5"], "has hop_seconds 1.0, not 0.5"),
        (["--model", "MODEL", "--track", "two"], "not among the tracks of this run"),
    ],
)
def test_a_stale_score_file(run, songs, model, tmp_path, more, says):
    other = save_model(tmp_path / "tiny.safetensors", 1)
    run("--model", model, "--root", songs, "--track", "one", "--targets", "vocals", "bass")
    path = tmp_path / "scores" / "test" / "one.json"
    if says == "has targets":
        more = [*more, "--targets", "vocals"]
    else:
        more = [*more, "--targets", "bass,vocals"]
    if "two" in more:
        more = [*more, "--niter", "2"]
    more = [{"OTHER": other, "MODEL": model}.get(word, word) for word in more]
    before = path.read_bytes()
    metrics = () if "--metrics" in more else ("--metrics", "sdr")
    status, told, err = run(*more, "--root", songs, metrics=metrics)
    assert (status, told) == (2, "") and err.count("\n") == 1 and str(path) in err and says in err
    assert "another --evaldir" in err and path.read_bytes() == before
    if "two" not in more:
        assert run(*more, "--root", songs, "--track", "one", "--overwrite", metrics=metrics)[0] == 0


def test_a_score_file_of_other_music_or_another_program(run, songs, tmp_path):
    run("--model", "mixture", "--root", songs, "--track", "one")
    longer = scored_songs.make(tmp_path / "longer", ["one"], samples=4 * RATE)
    status, _, err = run("--model", "mixture", "--root", longer)
    assert status == 2 and "one.json: has data" in err
    path = tmp_path / "scores" / "test" / "one.json"
    content = json.loads(path.read_text())
    del content["xumx_jax"]
    path.write_text(json.dumps(content))
    status, _, err = run("--model", "mixture", "--root", songs)
    assert (
        status == 2 and "one.json: was written by another program" in err and "--overwrite" in err
    )
    path.write_text("{")
    status, _, err = run("--model", "mixture", "--root", songs)
    assert status == 2 and "one.json: not JSON" in err and err.count("\n") == 1


@pytest.mark.slow
def test_compare_models_oracles_and_score_folders(run, songs, model, tmp_path):
    published = tmp_path / "SiSEC"
    for method in ("UMX", "TAK1"):
        run("--model", "mixture", "--root", songs, evaldir=published / method)
    status, told, err = run(
        "--model", f"ours={model}", "--root", songs, "--outdir", tmp_path / "out",
        "--compare", "IRM1", "mixture", published, f"again={published / 'UMX'}",
    )  # fmt: skip
    assert (status, err) == (0, "")
    rows = [line.split("|")[1].strip() for line in told.splitlines() if line.startswith("| ")]
    names = ["ours", "IRM1", "mixture", "TAK1", "UMX", "again"]
    assert [row for row in rows if row.strip("-")] == ["method", *names, "SDR", *names]
    assert scores_in(tmp_path / "scores/compare/IRM1/test") == ["one", "three", "two"]
    assert (tmp_path / "out/compare/IRM1/test/two/bass.wav").is_file()
    summary = json.loads((tmp_path / "scores" / "scores.json").read_text())
    sdr = {m: summary["methods"][m]["targets"]["vocals"]["SDR"]["median"] for m in names}
    assert sdr["IRM1"] > sdr["ours"] and sdr["mixture"] == sdr["UMX"] == sdr["again"]
    made = {m: have["protocol"]["made by"] for m, have in summary["methods"].items()}
    assert made["UMX"] == made["mixture"] == "oracle mixture" and made["ours"].startswith("sha256 ")
    assert all(line.startswith("Computed here: ") for line in summary["protocol"])


def test_a_folder_called_like_an_oracle_hides_nothing(run, songs, tmp_path, monkeypatch):
    (tmp_path / "mixture").mkdir()
    monkeypatch.chdir(tmp_path)
    options = ("--root", songs, "--compare", "mixture")
    assert run("--model", "mixture-share", *options)[0] == 0


@pytest.mark.slow
def test_score_folders_alone(run, songs, tmp_path):
    run("--model", "mixture", "--root", songs, evaldir=tmp_path / "all" / "a")
    for given, name in (
        (f"{tmp_path}/all/a", "a"),
        (f"{tmp_path}/all", "a"),
        (f"b={tmp_path}/all", "b"),
    ):
        status, told, err = run("--compare", given)
        assert (status, err) == (0, "") and f"| {name} " in told
    assert "scores.md" in files_in(tmp_path / "scores")


@pytest.mark.slow
def test_anothers_estimates_and_the_accompaniment(run, songs, tmp_path):
    folder = scored_songs.estimate(songs, tmp_path / "theirs")
    targets = ("--targets", "vocals", "drums", "bass", "other", "accompaniment")
    status, told, err = run("--estimates", folder, "--root", songs, *targets)
    assert (status, err) == (0, "") and "accompaniment" in told
    flat = tmp_path / "flat"
    (folder / "test").rename(flat)
    assert run("--estimates", flat, "--root", songs, evaldir=tmp_path / "flatly")[0] == 0
    first, second = (TrackScores.load(tmp_path / f / "test/two.json") for f in ("scores", "flatly"))
    np.testing.assert_array_equal(first.frames["drums"]["SDR"], second.frames["drums"]["SDR"])
    assert first.protocol["digest"] != second.protocol["digest"]  # of other targets


def test_stems(run, tmp_path):
    stem_files.write(tmp_path / "test" / "a b.stem.mp4")
    (tmp_path / "test" / "bad.stem.mp4").write_bytes(b"not a video")
    status, told, err = run("--model", "mixture", "--root", tmp_path)
    assert status == 1 and told.startswith("a b: SDR vocals ") and "Not scored" in told
    assert err.count("\n") == 1 and "bad.stem.mp4: cannot be decoded" in err
    found = TrackScores.load(tmp_path / "scores" / "test" / "a b.json")
    assert found.protocol["data"]["kind"] == "stems" and found.count("vocals") == 1  # 0.5 s
    waves, _ = musdb_stems.read_stems(tmp_path / "test" / "a b.stem.mp4")
    truth, mix = waves["drums"].astype(float), waves["mixture"].astype(float)
    sdr = 10 * np.log10(np.square(truth).sum() / np.square(truth - mix).sum())
    assert found.frames["drums"]["SDR"] == pytest.approx([sdr], abs=1e-5)  # nothing was rounded


@pytest.mark.slow
def test_folders_without_a_mixture_in_threads(run, tmp_path, model):
    scored_songs.make(tmp_path / "songs", subset="", mixture=False, channels=1)
    status, told, err = run(
        "--model", "mixture", "--compare", model, "--root", tmp_path / "songs", "--jobs", "2",
        metrics=("--metrics", "usdr", "si-sdr", "sdr"),
    )  # fmt: skip
    assert (status, err) == (0, "") and "folders of stems" in told
    found = TrackScores.load(tmp_path / "scores" / "test" / "one.json")
    # four like sources: each is a quarter of the mixture, and three are in its way
    assert found.whole["bass"]["uSDR"] == pytest.approx(10 * np.log10(1 / 3), abs=0.2)
    assert found.whole["bass"]["SI-SDR"] == pytest.approx(10 * np.log10(1 / 3), abs=0.4)
    sdr = found.frames["bass"]["SDR"]
    assert sdr == pytest.approx([10 * np.log10(1 / 3)] * 2, abs=0.2)


def break_one(case, songs, estimates):
    """Make one file bad."""
    place = estimates / "test" / "two" / "bass.wav"
    wave, rate = soundfile.read(place)
    if case == "rate":
        scored_songs.write(place, wave, 2 * rate, "FLOAT")
    elif case == "nan":
        wave[rate + 80, 1] = np.nan
        scored_songs.write(place, wave, rate, "FLOAT")
    elif case == "infinite":
        wave[0] = np.inf
        scored_songs.write(place, wave, rate, "FLOAT")
    elif case == "missing":
        place.unlink()
    elif case == "damaged":
        place.write_bytes(place.read_bytes()[:1000])
    elif case == "wide":
        scored_songs.write(place, np.repeat(wave, 2, axis=1), rate, "FLOAT")
    elif case == "reference missing":
        (songs / "test" / "two" / "bass.wav").unlink()
    elif case == "reference rate":
        scored_songs.write(songs / "test" / "two" / "bass.wav", wave, 2 * rate)
    elif case == "empty":
        for path in (songs / "test" / "two").iterdir():
            scored_songs.write(path, wave[:0], rate)


def test_a_track_without_a_mixture_is_the_sum_of_its_stems(run, tmp_path):
    songs = scored_songs.make(tmp_path / "songs")
    (songs / "test" / "two" / "mixture.wav").unlink()
    status, _, err = run("--model", "mixture", "--root", songs)
    assert status == 0
    assert err == "evaluate: note: two: no mixture.wav: the mixture is the sum of the stems\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("rate", "two/bass.wav: sample rate 16000 Hz, wanted the track's 8000 Hz"),
        ("nan", "two/bass.wav: 1 samples are NaN or infinite, the first at 1.01 s"),
        ("infinite", "two/bass.wav: 2 samples are NaN or infinite, the first at 0.00 s"),
        ("missing", "two: no estimate bass.wav"),
        ("damaged", "two/bass.wav: "),
        ("wide", "two/bass.wav: 4 channels, wanted the track's 2"),
        ("reference missing", "two: no bass.wav (nor .flac); wanted a file for each of vocals"),
        ("reference rate", "two/bass.wav: sample rate 16000 Hz, wanted 8000 Hz"),
        ("empty", "two: its files hold no samples"),
    ],
)
def test_one_bad_track_does_not_lose_the_rest(run, tmp_path, case, says):
    songs = scored_songs.make(tmp_path / "songs")
    estimates = scored_songs.estimate(songs, tmp_path / "theirs")
    break_one(case, songs, estimates)
    status, told, err = run("--estimates", estimates, "--root", songs)
    assert status == 1 and err.count("\n") == 1, err
    assert err.startswith("evaluate: error: two: ") and says in err
    assert scores_in(tmp_path / "scores" / "test") == ["one", "three"]
    assert "| theirs" in told and "Not scored, for reasons printed during the run: two." in told


def test_a_device_that_is_not_there(run, tmp_path):
    songs = scored_songs.make(tmp_path / "songs")
    status, _, err = run("--model", "mixture", "--root", songs, "--device", "tpu")
    assert status == 2 and err.count("\n") == 1
    assert err.startswith("evaluate: error: --device tpu: JAX finds no TPU here")


@pytest.mark.slow
def test_missing_stems_with_fewer_targets(run, tmp_path):
    songs = scored_songs.make(tmp_path / "songs")
    (songs / "test" / "two" / "bass.wav").unlink()
    status, _, err = run("--model", "mixture", "--root", songs, "--targets", "vocals", "drums")
    assert (status, err) == (0, "")
    for name in ("one", "three"):
        (songs / "test" / name / "bass.wav").unlink()
    status, _, err = run("--model", "demo", "--root", songs, evaldir=tmp_path / "more")
    assert status == 2 and err.count("\n") == 1
    assert "no track has bass" in err and "--targets vocals drums other" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (RATE, "has 8000 samples, the track 16800; it was padded with silence"),
        (3 * RATE, "it was cut"),
    ],
)
def test_estimates_of_another_length(run, tmp_path, samples, says):
    songs = scored_songs.make(tmp_path / "songs", ["one"])
    theirs = scored_songs.estimate(songs, tmp_path / "theirs", ["one"])
    right, rate = soundfile.read(theirs / "test/one/drums.wav")
    wave = np.zeros((samples, 2))
    wave[: len(right)] = right[:samples]
    scored_songs.write(theirs / "test/one/drums.wav", wave, rate, "FLOAT")
    status, _, err = run("--estimates", theirs, "--root", songs)
    assert status == 0 and err.startswith("evaluate: note: one: drums.wav ") and says in err
    found = TrackScores.load(tmp_path / "scores/test/one.json")
    assert says in found.notes[0]
    # where it was padded it is silent, and such frames have no scores
    assert np.isnan(found.frames["bass"]["SDR"]).tolist() == [False, samples == RATE]


@pytest.mark.slow
@pytest.mark.parametrize("silent", ["reference", "estimate"])
def test_silent_stems_are_left_out(run, tmp_path, silent):
    songs = scored_songs.make(tmp_path / "songs", ["one"])
    theirs = scored_songs.estimate(songs, tmp_path / "theirs", ["one"])
    scored_songs.write(
        (songs if silent == "reference" else theirs) / "test/one/bass.wav",
        np.zeros((2 * RATE + 800, 2)),
    )
    status, _, err = run("--estimates", theirs, "--root", songs)
    assert status == 0 and err.count("\n") == 1
    assert f"the {silent} of bass is silent throughout: bass was left out" in err
    found = TrackScores.load(tmp_path / "scores/test/one.json")
    assert list(found.frames) == ["vocals", "drums", "other"] and len(found.notes) == 1
    run("--estimates", theirs, "--root", songs, "--targets", "vocals", "drums", "other",
        evaldir=tmp_path / "fewer")  # fmt: skip
    fewer = TrackScores.load(tmp_path / "fewer/test/one.json")
    np.testing.assert_array_equal(found.frames["drums"]["SDR"], fewer.frames["drums"]["SDR"])


def test_silence_alone(run, tmp_path):
    for source in (*SOURCES, "mixture"):
        scored_songs.write(tmp_path / f"songs/test/one/{source}.wav", np.zeros((RATE, 2)))
    status, _, err = run("--model", "mixture", "--root", tmp_path / "songs")
    assert status == 2 and "one: silent throughout" in err and "there is no report" in err


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 100, RATE])
def test_one_frame_tracks(run, tmp_path, samples):
    songs = scored_songs.make(tmp_path / "songs", ["one"], samples=samples)
    status, _, err = run("--model", "mixture", "--root", songs)
    assert (status, err) == (0, "")
    assert TrackScores.load(tmp_path / "scores/test/one.json").count("vocals") == 1


@pytest.mark.parametrize("option", ["--outdir", "--evaldir"])
def test_folders_that_cannot_be_written(run, songs, tmp_path, option):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "x"
    evaldir = place if option == "--evaldir" else tmp_path / "scores"
    status, told, err = run("--model", "mixture", "--root", songs, option, place, evaldir=evaldir)
    assert (status, told) == (2, "") and err.count("\n") == 1
    assert "file/x: cannot be written to" in err and option in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to evaluate; use --model"),
        (["--model", "demo"], "use --root"),
        (["--compare", "demo"], "use --root"),
        (["--model", "demo", "--estimates", "x", "--root", "ROOT"], "put the others after"),
        (["--model", "x-unmix", "--root", "ROOT"], "unknown model 'x-unmix'; known: x-umx"),
        (["--estimates", "nowhere", "--root", "ROOT"], "nowhere: no such folder of estimates"),
        (["--estimates", "ROOT/test/one", "--root", "ROOT"], "no estimates; wanted test/<track>"),
        (["--model", "mixture", "--root", "ROOT", "--outdir", "ROOT"], "would replace the tracks"),
        (["--compare", "ROOT/test"], "ROOT/test: neither scores nor a model; wanted test/TRACK"),
        (["--estimates", "ROOT", "--root", "ROOT", "--outdir", "x"], "--outdir has no use"),
        (["--model", "mixture", "--root", "nowhere"], "nowhere: no such folder"),
        (["--model", "mixture", "--root", "ROOT", "--subset", "tset"], "'tset'; ROOT has test"),
        (["--model", "mixture", "--root", "ROOT/test", "--subset", "train"], "--subset test"),
        (["--model", "mixture", "--root", "ROOT", "--track", "on"], "'on'; ROOT has one, three"),
        (["--model", "mixture", "--root", "ROOT", "--targets", "piano"], "'piano'; ROOT has vocal"),
        (["--model", "mixture", "--root", "ROOT", "--metrics", "v3"], "'v3'; known: v4, sdr"),
        (["--model", "mixture", "--root", "ROOT", "--limit", "0"], "limit is 0"),
        (["--model", "mixture", "--root", "ROOT", "--jobs", "-1"], "jobs is -1"),
        (["--model", "mixture", "--root", "ROOT", "--hop-seconds", "nan"], "hop-seconds is nan"),
        (["--model", "mixture", "--root", "ROOT", "--niter", "-1"], "niter is -1"),
        (["--model", "mixture", "--root", "ROOT", "--precision", "half"], "precision is half"),
        (["--model", "mixture", "--root", "ROOT", "--compare", "mixture"], "two systems are"),
        (["--model", "mixture", "--root", "ROOT", "--colour"], "unrecognized arguments"),
        (["--model", "mixture", "--root", "ROOT", "--metrics", "v4", "--targets", "bass"],
         "add another target, such as accompaniment, or use --metrics sdr"),
    ],
)  # fmt: skip
def test_bad_options_are_one_line(run, songs, tmp_path, arguments, says):
    arguments = [word.replace("ROOT", str(songs)) for word in arguments]
    status, told, err = run(*arguments, metrics=())
    assert (status, told) == (2, "") and err.count("\n") == 1, err
    assert err.startswith("evaluate: error: ") and says.replace("ROOT", str(songs)) in err
    assert not files_in(tmp_path / "scores") if (tmp_path / "scores").exists() else True


def test_a_failed_model_on_one_track(run, songs, tmp_path, monkeypatch):
    original = work.Work._separate

    def failing(self, system, song, paths):
        if song.track.name == "two":
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of\nmemory")
        return original(self, system, song, paths)

    monkeypatch.setattr(work.Work, "_separate", failing)
    status, _, err = run("--model", "mixture", "--root", songs)
    assert (status, err) == (1, "evaluate: error: two: RESOURCE_EXHAUSTED: out of memory\n")


@pytest.mark.slow
@needs(SAMPLE)
def test_the_real_clip(run, tmp_path):
    status, told, err = run("--model", "demo", "--root", shared(SAMPLE), "--subset", "train")
    assert status == 0, err
    assert told.startswith("Music Delta - 80s Rock: SDR vocals 4.88, drums 9.47, bass 6.80")
