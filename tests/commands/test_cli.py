"""The command line on real files: `cli.main`, in process, with a tiny model."""

import hashlib
import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from separating import RATE, SOURCES, noise, stems_in, write

from xumx_jax import audio, cli
from xumx_jax.models import build
from xumx_jax.separation.separator import Separator
from xumx_jax.weights.bag import load_model


@pytest.fixture
def run(run_separate):
    return run_separate


@pytest.fixture
def model(tiny_model):
    return tiny_model


@pytest.mark.slow
def test_stems_equal_the_separators(run, model, tmp_path):
    mix = noise()
    write("song.wav", mix)
    status, out, err = run("song.wav", "--out", "stems", "--bits", "32f")
    assert (status, err) == (0, "")
    assert "licence: MIT" in out and "device" in out and "x real time" in out and "dB" in out
    loaded = load_model(model)
    wanted = Separator(build(loaded.name, **loaded.args), loaded.variables)(mix, RATE)
    for name, stem in wanted.items():
        read, rate = audio.decode(f"stems/song/{name}.wav")
        assert rate == RATE
        np.testing.assert_array_equal(read, stem)
    assert stems_in(tmp_path / "work" / "stems") == [f"song/{name}.wav" for name in SOURCES]


@pytest.mark.slow
def test_options_reach_the_separator(run, model):
    mix = noise()
    write("song.wav", mix)
    options = dict(niter=2, softmask=True, alpha=2.0, residual=True, chunk_seconds=0.1, overlap=0)
    status, _, _ = run(
        *("song.wav", "--bits", "32f", "--niter", 2, "--softmask", "--alpha", 2, "--residual"),
        *("--chunk-seconds", 0.1, "--overlap", 0, "--stems", "residual,bass"),
    )
    assert status == 0
    loaded = load_model(model)
    wanted = Separator(build(loaded.name, **loaded.args), loaded.variables, **options)(mix, RATE)
    for name in ("residual", "bass"):
        np.testing.assert_array_equal(audio.decode(f"separated/song/{name}.wav")[0], wanted[name])


def test_chosen_stems_as_flac(run, tmp_path):
    write("a song.wav", noise())
    status, out, _ = run(
        "a song.wav", "--stems", "vocals, bass", "--format", "flac", "--bits", "24"
    )
    assert status == 0
    folder = tmp_path / "work" / "separated"
    assert stems_in(folder) == ["a song/bass.flac", "a song/vocals.flac"]
    assert soundfile.info(folder / "a song" / "bass.flac").subtype == "PCM_24"


def test_tags_are_carried_over(run):
    audio.encode("song.mp3", noise(44100), 44100, "mp3", tags=audio.Tags({"title": "A"}))
    assert run("song.mp3", "--stems", "bass")[0] == 0
    assert audio.read_tags("separated/song/bass.wav").text == {"title": "A (song) (bass)"}


def test_several_files_of_which_some_are_bad(run, tmp_path):
    for name in ("a.wav", "b.wav"):
        write(name, noise())
    whole = (tmp_path / "work" / "a.wav").read_bytes()
    (tmp_path / "work" / "half.wav").write_bytes(whole[: len(whole) // 2])
    status, out, err = run("missing.wav", "a.wav", "half.wav", "b.wav")
    assert status == 1
    lines = err.splitlines()
    assert len(lines) == 2 and all(line.startswith("xumx: error: ") for line in lines)
    assert "missing.wav" in lines[0] and "half.wav" in lines[1] and "3000 samples" in lines[1]
    written = stems_in(tmp_path / "work" / "separated")
    assert written == [f"{track}/{name}.wav" for track in "ab" for name in SOURCES]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "0 bytes"),
        (b"This is no audio.\n" * 50, "not an audio file"),
        ("half", "the file ends after"),
    ],
)
def test_bad_files_are_one_line_and_nothing_is_written(run, tmp_path, content, says):
    if content == "half":
        write("x.wav", noise())
        content = (tmp_path / "work" / "x.wav").read_bytes()[:4000]
    if content is not None:
        (tmp_path / "work" / "x.wav").write_bytes(content)
    status, out, err = run("x.wav")
    assert status == 1 and not (tmp_path / "work" / "separated").exists()
    assert err.startswith("xumx: error: x.wav: ") and says in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--stems", "vocals,piano"], "unknown stem 'piano'; the model has bass, drums"),
        (["--stems", "residual"], "unknown stem 'residual'"),
        (["--format", "flac", "--bits", "32f"], "flac files cannot hold '32f' bits"),
        (["--format", "mp4"], "format 'mp4' is not known; wanted one of wav, flac, mp3, ogg"),
        (["--format", "mp3", "--bits", "16"], "mp3 files have no bits ('16'); use --bitrate"),
        (["--bitrate", "128"], "wav files have no bitrate"),
        (["--format", "opus", "--bitrate", "9"], "wanted 16 to 510 kbit/s for opus files"),
        (["--bits", "8"], "wav files cannot hold '8' bits"),
        (["--alpha", "2"], "use softmask as well, since alpha needs it"),
        (["--niter", "-1"], "niter is -1"),
        (["--niter", "many"], "invalid int value"),
        (["--overlap", "1"], "wanted 0 <= overlap < 1"),
        (["--chunk-seconds", "0"], "chunk-seconds is 0.0"),
        (["--stems", "bass", "--mix", "bass+drums"], "only one of --stems, --two-stems, --mix"),
        (["--two-stems", "piano"], "unknown stem 'piano'"),
        (["--mix", "bass+piano"], "unknown stem 'piano'"),
        (["--start", "-1"], "start is -1"),
        (["--duration", "0"], "duration is 0"),
        (["--rate", "96000"], "invalid choice: '96000'"),
        (["--out", "-"], "--out - writes one stem as wav; use --stems A or --mix A+B"),
        (["--out", "-", "--mix", "bass", "--format", "flac"], "--out - writes one stem as wav"),
        (["--out", "-", "--mix", "bass", "--skip-existing"], "--skip-existing could find"),
        (["../x.wav", "--out", "-", "--mix", "bass"], "--out - takes one track; use a folder"),
        (["--json", "song.wav/x"], "song.wav/x: cannot be written"),
        (["--colour", "red"], "unrecognized arguments"),
        (["--aggregate", "a=bass", "--mix", "bass"], "only one of --stems, --two-stems, --mix"),
        (["--aggregate", "a=bass,b=piano"], "unknown stem 'piano'"),
        (["--out", "-", "--aggregate", "a=bass,b=drums"], "--out - writes one stem as wav"),
        (["--jobs", "0"], "jobs is 0"),
        (["--shifts", "-1"], "shifts is -1"),
        (["--channels", "some"], "invalid choice: 'some'"),
        (["--device", "abacus"], "invalid choice: 'abacus'"),
        (["--model", "demo:0"], "--model demo:0: the weight is 0; wanted a positive number"),
        (["--skip-existing", "--overwrite"], "either --skip-existing or --overwrite"),
    ],
)
def test_bad_options_are_one_line(run, tmp_path, monkeypatch, arguments, says):
    work = tmp_path / "work" / "song"
    work.mkdir()
    write(tmp_path / "work" / "x.wav", noise(100))
    write(work / "song.wav", noise(100))
    monkeypatch.chdir(work)
    status, out, err = run("song.wav", *arguments)
    assert status == 2 and says in err and err.count("\n") == 1, err
    assert err.startswith("xumx: error: ") and stems_in(work) == ["song.wav"]


def test_an_unknown_model(run):
    write("song.wav", noise(100))
    status, _, err = run("song.wav", model="x-unmix")
    assert status == 2 and "x-unmix" in err and "x-umx" in err and err.count("\n") == 1


def test_a_place_that_cannot_be_written(run, tmp_path):
    write("song.wav", noise(100))
    (tmp_path / "work" / "separated").write_text("a file")
    status, _, err = run("song.wav")
    assert status == 1 and "separated/song" in err and "cannot be written" in err


@pytest.mark.parametrize(
    ("wave", "shape", "warns"),
    [
        (np.zeros((2, 0)), (2, 0), "no samples"),
        (noise(1), (2, 1), ""),
        (noise(50), (2, 50), ""),  # shorter than a window
        (noise(3001, channels=1), (1, 3001), ""),
        (noise(500, channels=6), (2, 500), "6 channels: the front pair"),
        (
            np.where(noise(500) > 0.4, np.nan, noise(500)),
            (2, 500),
            "samples are NaN, infinite or beyond 1e12",
        ),
        (
            np.where(noise(500) > 0.4, np.inf, noise(500)),
            (2, 500),
            "samples are NaN, infinite or beyond 1e12",
        ),
        (np.zeros((2, 4000)), (2, 4000), ""),
    ],
)
def test_odd_input_has_a_defined_result(run, wave, shape, warns):
    write("odd.wav", wave)
    status, out, err = run("odd.wav", "--bits", "32f")
    assert status == 0, err
    assert err.count("\n") == bool(warns) and warns in err
    assert not warns or err.startswith("xumx: warning: odd.wav: ")
    for name in SOURCES:
        stem, rate = audio.decode(f"separated/odd/{name}.wav")
        assert stem.shape == shape and rate == RATE and np.isfinite(stem).all()
        assert wave.any() or np.abs(stem).max(initial=0) < 1e-6


def test_rates_from_8_to_192_kilohertz(run):
    rates = (8000, 11025, 44100, 192000)
    for rate in rates:
        write(f"{rate}.wav", noise(2001), rate)
    status, _, err = run(*(f"{rate}.wav" for rate in rates), "--bits", "32f")
    assert (status, err) == (0, "")
    for rate in rates:
        stem, read = audio.decode(f"separated/{rate}/vocals.wav")
        assert read == rate and stem.shape == (2, 2001)


def test_stems_share_a_gain_which_is_said_and_files_are_replaced(run, tmp_path):
    write("loud.wav", noise() * 40)
    old = tmp_path / "work" / "separated" / "loud"
    old.mkdir(parents=True)
    (old / "bass.wav").write_bytes(b"old")
    status, _, err = run("loud.wav")
    assert status == 0 and err.startswith("xumx: warning: loud.wav: ") and err.count("\n") == 1
    assert "stems were attenuated by" in err
    kept = {name: audio.decode(old / f"{name}.wav")[0] for name in SOURCES}
    assert stems_in(old) == [f"{name}.wav" for name in SOURCES]
    assert run("loud.wav", "--bits", "32f", "--out", "float")[2] == ""
    loud = {name: audio.decode(f"float/loud/{name}.wav")[0] for name in SOURCES}
    peak = max(np.abs(wave).max() for wave in loud.values())
    assert peak > 1
    for name in SOURCES:
        np.testing.assert_allclose(kept[name] * peak, loud[name], atol=peak * 2**-15)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "bitrate"), [("mp3", 96), ("ogg", 96), ("m4a", 96), ("opus", 64)]
)
def test_lossy_formats_and_their_bitrate(run, format, bitrate):
    write("song.wav", noise(44100), 44100)
    chosen = ("song.wav", "--stems", "other", "--format", format)
    assert run(*chosen)[0] == 0
    path = Path(f"separated/song/other.{format}")
    default = path.stat().st_size
    assert run(*chosen, "--bitrate", bitrate)[0] == 0
    assert path.stat().st_size < 0.8 * default
    stem, rate = audio.decode(path)
    assert rate == (48000 if format == "opus" else 44100)
    assert stem.shape == (2, rate)


def test_interruption(run, monkeypatch, tmp_path):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Separator, "stream", interrupt)
    write("song.wav", noise(100))
    status, _, err = run("song.wav")
    assert status == 130 and not (tmp_path / "work" / "separated").exists()


def test_convert(run, model, capsys, tmp_path):
    target = tmp_path / "copy.safetensors"
    assert cli.main(["convert", str(model), str(target)]) == 0
    assert "xumx" in capsys.readouterr().out and target.exists()
    assert cli.main(["convert", str(tmp_path / "none.h5"), str(target)]) == 2
    assert "none.h5" in capsys.readouterr().err


def test_convert_several_to_a_folder(run, model, capsys, tmp_path):
    other, both = tmp_path / "other.safetensors", tmp_path / "both"
    other.write_bytes(model.read_bytes())
    assert cli.main(["convert", f"{model}:3", str(other), str(both)]) == 0
    assert capsys.readouterr().out == f"{both}: xumx (bass, drums, vocals, other)\n"
    said = json.loads((both / "bag.json").read_text())
    assert [member["weights"]["bass"] for member in said["members"]] == [0.75, 0.25]
    assert str(tmp_path) not in (both / "0.safetensors").read_bytes().decode(errors="ignore")
    write("song.wav", noise(500))
    assert run("song.wav", "--stems", "bass", model=both)[::2] == (0, "")
    assert cli.main(["convert", "--kind", "xumx-nnabla", str(model), str(other), str(both)]) == 2
    assert (
        "--kind xumx-nnabla is for one model; convert each one on its own first"
        in capsys.readouterr().err
    )


def test_help_is_quick_because_it_imports_little():
    code = (
        "import sys; from xumx_jax import cli\n"
        "try: cli.main(['separate', '--help'])\n"
        "except SystemExit: pass\n"
        "cli.main(['separate', 'missing.wav'])\n"
        "heavy = {'jax', 'flax', 'orbax', 'tensorflow', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_part_of_a_track(run):
    mix = noise(2 * RATE)
    write("song.wav", mix)
    write("part.wav", mix[:, RATE // 2 : RATE])
    chosen = ("--bits", "32f", "--stems", "bass")
    assert run("song.wav", "--start", 0.5, "--duration", 0.5, *chosen)[0] == 0
    assert run("part.wav", *chosen)[0] == 0
    part, song = (audio.decode(f"separated/{name}/bass.wav")[0] for name in ("part", "song"))
    np.testing.assert_array_equal(song, part)
    status, _, err = run("song.wav", "--start", 3)
    assert status == 1 and "song.wav: ends before 3 s" in err


def test_a_cut_track_if_allowed(run, tmp_path):
    write("song.wav", noise())
    path = tmp_path / "work" / "song.wav"
    path.write_bytes(path.read_bytes()[:12000])
    assert run("song.wav", "--stems", "bass")[0] == 1
    status, _, err = run("song.wav", "--stems", "bass", "--allow-truncated")
    assert status == 0 and err.startswith("xumx: warning: song.wav: the file ends after 14")


def test_a_place_that_cannot_be_written_is_told_before_the_work(run, tmp_path, monkeypatch):
    monkeypatch.setattr(Separator, "stream", None)
    monkeypatch.setattr("os.access", lambda path, mode: mode == os.R_OK)  # root may write anywhere
    write("song.wav", noise(100))
    status, _, err = run("song.wav")
    assert status == 1 and err == (
        "xumx: error: separated/song: cannot be written: . is read-only\n"
    )


def test_two_stems_and_mix(run, tmp_path):
    mix = noise()
    write("song.wav", mix)
    for chosen in ([], ["--two-stems", "vocals"], ["--mix", "drums+bass"]):
        assert (
            run("song.wav", "--bits", "32f", "--out", f"out{len(chosen)}{chosen[:1]}", *chosen)[0]
            == 0
        )
    read = {path.stem: audio.decode(path)[0] for path in (tmp_path / "work").rglob("out*/*/*.wav")}
    assert set(read) == {*SOURCES, "rest", "drums+bass"}
    np.testing.assert_allclose(read["rest"], mix - read["vocals"], atol=1e-6)
    np.testing.assert_allclose(read["drums+bass"], read["drums"] + read["bass"], atol=1e-6)


def test_folders_patterns_and_stdin(run, tmp_path, monkeypatch):
    (tmp_path / "work" / "music" / "album").mkdir(parents=True)
    for name in ("a.wav", "a.flac", "album/b.wav", "album/note.txt"):
        path = tmp_path / "work" / "music" / name
        soundfile.write(path, noise().T, RATE, format="WAV" if "fl" not in name else "FLAC")
    with open("music/a.wav", "rb") as file:
        monkeypatch.setattr("sys.stdin", type("Piped", (), {"buffer": file}))
        bass = ("--stems", "bass")
        assert run("music", *bass, "--out", "x")[::2] == (0, "")
        status, _, err = run("music", *bass, "--out", "music/out", "--recursive")
        passed = "files passed over in folders: .txt 1; a file given by name is never"
        assert (status, err) == (0, f"xumx: note: {passed}\n")
        status, _, err = run("music", *bass, "--out", "music/out", "--recursive")
        passed = "files passed over in folders: .txt 1; a file given by name is never"
        assert (status, err) == (0, f"xumx: note: {passed}\n")
        assert run("music/album/*.w?v", "-", *bass, "--out", "y")[::2] == (0, "")
    assert stems_in(tmp_path / "work" / "x") == ["a.flac/bass.wav", "a.wav/bass.wav"]
    assert stems_in(tmp_path / "work" / "y") == ["b/bass.wav", "stdin/bass.wav"]
    again = ["a.flac/bass.wav", "a.wav/bass.wav", "album/b/bass.wav"]  # and no stems of stems
    assert stems_in(tmp_path / "work" / "music" / "out") == again


def test_a_name_as_long_as_names_get(run, tmp_path):
    name = "ü" * 125
    write(f"{name}.wav", noise(100))
    assert run(f"{name}.wav", "--stems", "bass")[::2] == (0, "")
    assert stems_in(tmp_path / "work" / "separated") == [f"{name}/bass.wav"]


def test_stdin_that_is_no_audio(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", type("Piped", (), {"buffer": BytesIO(b"no audio" * 99)}))
    status, _, err = run("-")
    assert status == 1 and err.startswith("xumx: error: stdin: not an audio file")


def test_one_stem_to_stdout(model, tmp_path, monkeypatch, capfdbinary):
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    monkeypatch.chdir(tmp_path)
    write("song.wav", noise())
    arguments = ["separate", "song.wav", "--mix", "bass+vocals", "--bits", "32f", "--model", model]
    with open(1, "w", closefd=False) as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        assert cli.main([*map(str, arguments), "--out", "-"]) == 0
    out, err = capfdbinary.readouterr()
    assert b"x real time" in err and not (tmp_path / "separated").exists()
    (tmp_path / "out.wav").write_bytes(out)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert cli.main([*map(str, arguments)]) == 0
    piped, written = (audio.decode(n)[0] for n in ("out.wav", "separated/song/bass+vocals.wav"))
    np.testing.assert_array_equal(piped, written)


def test_existing_stems_are_skipped(run, tmp_path):
    write("a.wav", noise())
    write("b.wav", noise())
    assert run("a.wav")[0] == 0
    old = (tmp_path / "work" / "separated" / "a" / "bass.wav").stat()
    status, out, err = run("a.wav", "b.wav", "--skip-existing")
    assert (status, err) == (0, "") and "a.wav: skipped, its stems are in separated/a\n" in out
    assert (tmp_path / "work" / "separated" / "a" / "bass.wav").stat() == old
    (tmp_path / "work" / "separated" / "a" / "bass.wav").unlink()
    assert "skipped" not in run("a.wav", "--skip-existing")[1]


def test_stems_at_the_models_rate(run):
    wave = noise(6001, channels=1)
    wave[:, 10] = np.nan
    write("song.wav", wave, 2 * RATE)
    status, _, err = run("song.wav", "--rate", "model", "--bits", "32f")
    said = "song.wav: 1 samples are NaN, infinite or beyond 1e12 and were replaced by 0"
    assert status == 0 and err == f"xumx: warning: {said}\n"
    stem, rate = audio.decode("separated/song/bass.wav")
    assert rate == RATE and stem.shape == (1, 3001) and np.isfinite(stem).all()


def test_the_report(run, model, tmp_path):
    write("a.wav", noise() * 9)
    (tmp_path / "work" / "bad.wav").write_text("no audio")
    status, _, err = run("bad.wav", "a.wav", "none.wav", "--json", "deep/report.json", "--niter", 0)
    assert status == 1
    report = json.loads((tmp_path / "work" / "deep" / "report.json").read_text())
    assert report["status"] == 1 and report["options"]["niter"] == 0
    (used,) = report["models"]
    assert used["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert used["licence"] == "MIT" and report["versions"]["jax"] == jax.__version__
    assert report["device"]
    bad, done, none = report["tracks"]  # as on the command line
    assert (none["input"], none["status"]) == ("none.wav", "failed")
    assert (bad["input"], bad["status"]) == ("bad.wav", "failed")
    assert f"xumx: error: {bad['error']}\n" in err
    assert done["status"] == "done" and done["input"] == "a.wav"
    assert done["outputs"] == {name: f"separated/a/{name}.wav" for name in SOURCES}
    assert (done["rate"], done["channels"], done["samples"]) == (RATE, 2, 3000)
    assert done["gain"] == pytest.approx(min(1, 1 / max(done["peak"].values())))
    assert set(done["timings"]) == {"decode", "separate", "encode", "total"}
    assert np.isfinite(done["null_error_db"]) and isinstance(done["warnings"], list)


def test_the_unexpected_stops_one_track_and_asks_for_a_report(run, monkeypatch, tmp_path):
    def fall(self, blocks, rate, length, callback):
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr(Separator, "stream", fall)
    write("a.wav", noise(100))
    write("b.wav", noise(100))
    status, _, err = run("a.wav", "b.wav")
    lines = [line for line in err.splitlines() if line.startswith("xumx: ")]
    line = (
        "xumx: error: a.wav: unexpected ZeroDivisionError: a b; please report this, with the "
        "output of `xumx doctor --json`"
    )
    assert status == 1 and lines == [line, line.replace("a.wav", "b.wav")]
    assert err.count("Traceback") == 2 and "in fall" in err


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(24, "Too many open files", "x/y"), "x/y: Too many open files"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (MemoryError(), "there is not enough memory"),
    ],
)
def test_errors_of_the_system_are_told_in_its_words(run, monkeypatch, error, says):
    def fall(self, blocks, rate, length, callback):
        raise error

    monkeypatch.setattr(Separator, "stream", fall)
    write("a.wav", noise(100))
    assert run("a.wav")[::2] == (1, f"xumx: error: a.wav: {says}\n")
    status, _, err = run("a.wav", "--debug")
    assert status == 1 and "in fall" in err and err.endswith(f"{says}\n")


def test_interruption_is_in_the_report(run, monkeypatch, tmp_path):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Separator, "stream", interrupt)
    write("song.wav", noise(100))
    assert run("song.wav", "--json", "x.json")[0] == 130
    report = json.loads((tmp_path / "work" / "x.json").read_text())
    assert report["status"] == 130 and report["tracks"][0]["status"] == "interrupted"
