"""`xumx separate` on many tracks: streams, choices, several at once, and what is told before."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from opened_files import Opened
from separating import RATE, SOURCES, noise, stems_in, write

from xumx_jax import audio
from xumx_jax.commands.batch import planning
from xumx_jax.models import build
from xumx_jax.separation.separator import Separator
from xumx_jax.weights.bag import load_model, save_model


@pytest.fixture
def run(run_separate):
    return run_separate


@pytest.fixture
def small_blocks(monkeypatch):
    """Files come in many blocks, as long ones do."""
    monkeypatch.setattr(sys.modules["xumx_jax.audio.decode"], "_BLOCK", 700)


def stem(name, track="song", out="separated"):
    return audio.decode(f"{out}/{track}/{name}.wav")[0]


def separator(path, **options):
    loaded = load_model(path)
    return Separator(build(loaded.name, **loaded.args), loaded.variables, **options)


@pytest.mark.slow
def test_the_mixture_stays_beside_its_stems(run, tiny_model, small_blocks):
    mix = noise(3 * RATE + 1)
    mix[0, 5000] = np.nan
    write("song.wav", mix)
    mix[0, 5000] = 0
    for chosen in (["--two-stems", "vocals"], ["--aggregate", "vocals=bass+drums,b=bass"]):
        status, out, err = run("song.wav", "--bits", "32f", *chosen, "--out", chosen[0][2:])
        assert status == 0 and err.count("\n") == 1 and "song.wav: 1 samples are NaN" in err
        assert float(re.search(r"mix (-[\d.]+) dB", out)[1]) < -20
    wanted = separator(tiny_model)(mix, RATE)
    np.testing.assert_array_equal(stem("vocals", out="two-stems"), wanted["vocals"])
    np.testing.assert_array_equal(stem("rest", out="two-stems"), mix - wanted["vocals"])
    np.testing.assert_array_equal(stem("b", out="aggregate"), wanted["bass"])
    summed = wanted["bass"] + wanted["drums"]
    np.testing.assert_allclose(stem("vocals", out="aggregate"), summed, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 6])
def test_all_channels_are_separated_in_pairs(run, tiny_model, small_blocks, channels):
    mix = noise(2000, channels)
    write("song.wav", mix)
    status, _, err = run("song.wav", "--channels", "all", "--bits", "32f")
    assert (status, err) == (0, "")
    one = separator(tiny_model)
    pairs = [one(mix[at : at + 2], RATE) for at in range(0, channels, 2)]
    for name in SOURCES:
        wanted = np.concatenate([pair[name] for pair in pairs])
        np.testing.assert_allclose(stem(name), wanted, atol=1e-6)


def test_formats_that_cannot_hold_all_channels(run, tmp_path):
    write("song.wav", noise(500, 6))
    status, _, err = run("song.wav", "--channels", "all", "--format", "mp3")
    assert status == 1 and err == (
        "xumx: error: song.wav: has 6 channels, and mp3 files hold 2; use --format wav, or "
        "--channels front\n"
    )
    assert stems_in(tmp_path / "work") == ["song.wav"]
    assert run("song.wav", "--channels", "all", "--format", "flac", "--stems", "bass")[0] == 0
    assert soundfile.info("separated/song/bass.flac").channels == 6


def test_strict(run, tmp_path, small_blocks):
    wave = noise(3000)
    wave[:, [10, 2900]] = [[np.nan, np.inf], [0, -np.inf]]
    write("bad.wav", wave)
    write("good.wav", noise(300))
    status, _, err = run("bad.wav", "good.wav", "--strict", "--stems", "bass")
    assert status == 1 and err.count("\n") == 1
    assert err.startswith(
        "xumx: error: bad.wav: 3 samples are NaN, infinite or beyond 1e12; use finite"
    )
    assert stems_in(tmp_path / "work" / "separated") == ["good/bass.wav"]


def test_several_models_and_shifts(run, tiny_model, tmp_path):
    loaded = load_model(tiny_model)
    other = tmp_path / "work" / "other:2"  # exists, so it is a path
    variables = {"params": dict(loaded.variables["params"]), **loaded.variables}
    save_model(other, loaded.name, loaded.args, variables, {})
    write("song.wav", noise())
    chosen = ("song.wav", "--stems", "bass", "--bits", "32f", "--json", "report.json")
    status, out, err = run(*chosen, "--model", other, model=f"{tiny_model}:3")
    assert (status, err) == (0, "")
    assert f"models {other} x 1; {tiny_model} x 3, licence: MIT; device" in out
    report = json.loads(Path("report.json").read_text())
    assert [used["weight"] for used in report["models"]] == [1.0, 3.0]
    assert len({used["sha256"] for used in report["models"]}) == 2
    both = stem("bass")  # of one model with itself
    assert run(*chosen)[0] == 0
    np.testing.assert_allclose(both, stem("bass"), atol=1e-6)
    shifted = []
    for seed in (1, 1, 2):
        assert run(*chosen, "--shifts", 2, "--seed", seed)[0] == 0
        shifted.append(stem("bass"))
    np.testing.assert_array_equal(shifted[0], shifted[1])
    assert np.abs(shifted[0] - shifted[2]).max() > 0
    assert np.abs(shifted[0] - both).max() > 0


def test_a_report_replaces_no_track(run):
    write("a.wav", noise())
    write("b.wav", noise())
    before = Path("a.wav").read_bytes()
    status, _, err = run("b.wav", "--json", "a.wav")  # as the shell makes it of --json *.wav
    assert status == 2 and "--json a.wav: exists and is not a report" in err
    assert Path("a.wav").read_bytes() == before
    status, _, err = run("b.wav", "--json", "/dev/null")
    assert status == 2 and "/dev/null: cannot be written (it is not a regular file)" in err


def test_several_tracks_at_once(run):
    names = [f"{name}.wav" for name in "dacbe"]
    for at, name in enumerate(names):
        write(name, noise(1000 + 900 * at))
    Path("b.wav").write_text("no audio")
    status, out, err = run(*names, "--jobs", 3, "--bits", "32f", "--json", "x.json")
    assert status == 1 and err.count("\n") == 1 and err.startswith("xumx: error: b.wav: ")
    tracks = json.loads(Path("x.json").read_text())["tracks"]
    assert [track["input"] for track in tracks] == names
    lines = out.splitlines()
    for name in "dace":  # what belongs together stays so
        at = next(n for n, line in enumerate(lines) if line.startswith(f"{name}.wav: "))
        wanted = [f"  separated/{name}/{source}.wav" for source in SOURCES]
        assert sorted(lines[at + 1 : at + 5]) == wanted
    assert re.match(r"4 done, 1 failed: 1\.\d s of music in ", lines[-1])
    assert run(*names, "--bits", "32f", "--out", "one")[0] == 1
    for name in "dace":
        np.testing.assert_array_equal(stem("bass", name), stem("bass", name, "one"))


@pytest.mark.parametrize("format", ["wav", "mp3", "ogg"])
def test_each_file_is_opened_to_look_to_identify_and_to_read(run, format):
    for name in ("a", "b"):
        audio.encode(f"{name}.{format}", noise(20000), 44100, format)
    with Opened(f"b.{format}") as opened:
        status, _, err = run(f"a.{format}", f"b.{format}", "--stems", "bass", "--json", "x.json")
    assert (status, err) == (0, "") and opened.count == 3


def test_an_estimate_comes_before_a_batch(run, monkeypatch):
    monkeypatch.setattr(planning, "_ENOUGH_SECONDS", 2)
    for name in "abc":
        write(f"{name}.wav", noise(RATE))
    status, out, err = run("a.wav", "b.wav", "c.wav", "--stems", "bass")
    assert (status, err) == (0, "")
    before, *_ = (line for line in out.splitlines() if line.startswith("3 tracks"))
    assert re.match(
        r"3 tracks, 00:03 of music: 96\.2 kB of stems \([\d.]+ [MGT]B free\), about 00:00 at 20 x "
        r"real time \(usual for a cpu; the first minute will show\)$",
        before,
    )
    assert len(re.findall(r"^about 00:0\d left, at [\d.]+ x real time$", out, re.M)) == 1
    again = run("a.wav", "b.wav", "c.wav", "--stems", "bass", "--skip-existing")
    assert "3 skipped: 0.0 s of music" in again[1] and "tracks, " not in again[1]


def test_a_disk_that_is_too_small_is_told_before_the_work(run, monkeypatch, tmp_path):
    monkeypatch.setattr(Separator, "stream", None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 50_000))
    write("song.wav", noise(2 * RATE))
    status, _, err = run("song.wav", "--bits", "32f")
    assert status == 2 and err == (
        "xumx: error: separated: the stems need 512 kB and the disk has 50 kB left; use another "
        "--out, fewer --stems or a --format that takes less, such as flac or m4a\n"
    )
    assert stems_in(tmp_path / "work") == ["song.wav"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path / "work")


def test_a_disk_that_may_be_too_small_is_a_warning(run, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 90_000))
    write("song.wav", noise(RATE // 2))
    status, _, err = run("song.wav", "--format", "flac", "--stems", "bass,drums")
    assert (status, err) == (0, "")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 70_000))
    status, _, err = run("song.wav", "--format", "flac", "--stems", "bass,drums", "--out", "x")
    assert status == 0 and err.startswith("xumx: warning: x: the stems may need 8")


def test_tracks_of_one_name(run, tmp_path):
    for folder in ("a", "b"):
        Path(folder).mkdir()
        write(f"{folder}/song.wav", noise(300))
    status, _, err = run("a/song.wav", "b/song.wav", "--stems", "bass")
    assert status == 0 and err == (
        "xumx: note: 2 tracks have the same name as others: their stems go to folders with longer "
        "names, such as "
        "separated/a_song\n"
    )
    assert stems_in(tmp_path / "work" / "separated") == ["a_song/bass.wav", "b_song/bass.wav"]


@pytest.mark.parametrize("device", ["gpu", "tpu"])
def test_a_device_that_is_not_there(run, device, tmp_path):
    write("song.wav", noise(300))
    status, _, err = run("song.wav", "--device", device)
    assert status == 2 and err.count("\n") == 1 and stems_in(tmp_path / "work") == ["song.wav"]
    assert err.startswith(f"xumx: error: --device {device}: JAX finds no {device.upper()} here")
    assert "use --device auto" in err
    assert run("song.wav", "--device", "cpu", "--stems", "bass")[0] == 0
