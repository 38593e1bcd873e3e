"""`xumx separate` where stems are already, and where the model that was wanted is not."""

import json
from pathlib import Path
from urllib.error import URLError

import pytest
from separating import RATE, noise, stems_in, write

from xumx_jax import assets, audio
from xumx_jax.separation import record
from xumx_jax.weights import zoo


@pytest.fixture
def run(run_separate):
    return lambda *arguments, **more: run_separate(*arguments, "--stems", "bass", keep=True, **more)


def bass(place):
    return audio.decode(f"{place}/bass.wav")[0]


def test_albums_with_titles_alike_lose_nothing(run):
    for number, album in enumerate(("first", "second")):
        Path(album).mkdir()
        write(f"{album}/01 Intro.wav", noise(900 + number))
    assert run("first/01 Intro.wav")[::2] == (0, "")
    status, out, err = run("second/01 Intro.wav", "--skip-existing")
    assert status == 0 and "skipped" not in out
    assert err == (
        "xumx: note: second/01 Intro.wav: separated/01 Intro holds stems of other music, so these "
        "stems go to separated/second_01 Intro (--overwrite replaces what is there)\n"
    )
    assert bass("separated/01 Intro").shape == (2, 900)
    assert bass("separated/second_01 Intro").shape == (2, 901)
    for album, folder in (("first", "01 Intro"), ("second", "second_01 Intro")):
        status, out, err = run(f"{album}/01 Intro.wav", "--skip-existing")
        assert (status, err) == (0, "")
        assert f"Intro.wav: skipped, its stems are in separated/{folder}\n" in out
    assert run("second/01 Intro.wav", "--overwrite")[::2] == (0, "")
    assert bass("separated/01 Intro").shape == (2, 901)


def test_other_options_lose_nothing_either(run, tmp_path):
    write("song.wav", noise(900))
    assert run("song.wav", "--niter", 0)[::2] == (0, "")
    before = bass("separated/song")
    status, _, err = run("song.wav")
    assert status == 0 and "separated/song holds its stems by another model or with other" in err
    assert (bass("separated/song") == before).all()
    assert (bass("separated/song_2") != before).any()
    # the same again, and with another format, go where their like are
    assert run("song.wav", "--format", "flac")[0] == 0
    assert stems_in(Path("separated")) == ["song/bass.wav", "song_2/bass.flac", "song_2/bass.wav"]
    _, out, _ = run("song.wav", "--niter", 0, "--skip-existing")
    assert "its stems are in separated/song\n" in out


def test_other_sums_and_bits_under_the_same_name_lose_nothing(run_separate):
    def run(*arguments):
        return run_separate("song.wav", *arguments, "--skip-existing")

    write("song.wav", noise(900))
    assert run("--aggregate", "a=bass+drums")[0] == 0
    for place, other in enumerate((["--aggregate", "a=bass+other"], ["--mix", "bass+drums"]), 2):
        assert "skipped" not in run(*other)[1]
        assert "skipped" in run(*other)[1] and (place == 3 or Path("separated/song_2").exists())
    assert "skipped" not in run("--aggregate", "a=bass+drums", "--bits", "24")[1]
    assert "separated/song_3" in run("--aggregate", "a=bass+drums", "--bits", "24")[1]
    assert "skipped, its stems are in separated/song\n" in run("--aggregate", "a=bass+drums")[1]


def test_python_leaves_no_record_that_is_not_true(run, tiny_model):
    import xumx_jax

    write("song.wav", noise(900))
    assert run("song.wav")[0] == 0
    separator = xumx_jax.load(tiny_model, niter=0)
    xumx_jax.separate_file(separator, "song.wav", "separated/song", stems="bass")
    status, out, err = run("song.wav", "--skip-existing")
    assert status == 0 and "skipped" not in out
    assert "separated/song holds stems of unknown origin" in err


def test_the_report_says_where_stems_went_instead(run):
    write("song.wav", noise(900))
    assert run("song.wav")[0] == 0
    assert run("song.wav", "--niter", 0, "--json", "report.json")[0] == 0
    (track,) = json.loads(Path("report.json").read_text())["tracks"]
    assert track["outputs"] == {"bass": "separated/song_2/bass.wav"}
    assert "so these stems go to separated/song_2" in track["warnings"][0]


def test_stems_of_one_batch_keep_out_of_each_others_way(run):
    write("song.wav", noise(900))
    write("song_2.wav", noise(901))
    assert run("song.wav")[0] == 0
    write("song.wav", noise(902))
    folder = Path.cwd().name
    assert run("song.wav", "song_2.wav")[0] == 0
    found = {place: bass(f"separated/{place}").shape[1] for place in ("song", "song_2")}
    assert found == {"song": 900, "song_2": 901}
    assert bass(f"separated/{folder}_song").shape[1] == 902


def test_the_record_moves_with_the_tree_and_its_stems_are_not_tracks(run, tmp_path):
    Path("music").mkdir()
    write("music/song.wav", noise(900))
    assert run("music", "--out", "music/stems")[0] == 0
    Path("music/stems").rename("music/moved")
    text = Path("music/moved/song", record.FILE).read_text()
    assert str(tmp_path) not in text and "music" not in text
    _, out, _ = run("music/song.wav", "--out", "music/moved", "--skip-existing")
    assert "skipped" in out
    status, out, err = run("music", "--recursive", "--out", "elsewhere")
    assert (status, err) == (
        0,
        "xumx: note: files passed over in folders: stems 1; a file given by name is never\n",
    )
    assert stems_in(Path("elsewhere")) == ["song/bass.wav"]


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(zoo.find, "__defaults__", (zoo.DEFAULT, None, refuse))
    monkeypatch.setattr("xumx_jax.weights.download.PAUSE_SECONDS", 0)


@pytest.fixture
def run_default(run_separate, tiny_model, monkeypatch, capsys):
    """`xumx separate` without --model, where the bundled model is a tiny one."""
    from xumx_jax import cli

    monkeypatch.setattr(assets, "DEMO_FILE", tiny_model)

    def run(*arguments):
        status = cli.main(["separate", *map(str, arguments), "--stems", "bass"])
        return status, *capsys.readouterr()

    return run


def test_one_track_is_separated_by_the_bundled_model(run_default, offline):
    write("song.wav", noise(900))
    status, out, err = run_default("song.wav", "--json", "report.json")
    assert status == 0 and err.count("\n") == 1 and "no route to host" in err
    assert "song.wav: 0.1 s separated by demo instead of x-umx in " in out
    report = json.loads(Path("report.json").read_text())
    assert report["fallback"]["wanted"] == "x-umx"
    assert "no route to host" in report["fallback"]["reason"]
    assert report["models"][0]["name"] == "demo"
    assert report["tracks"][0]["warnings"] == ["separated by demo, not by x-umx"]
    assert record.read(Path("separated/song")).fallback == "x-umx"


def test_several_tracks_are_not_unless_allowed(run_default, offline, tmp_path):
    write("a.wav", noise(900))
    write("b.wav", noise(901))
    status, _, err = run_default("a.wav", "b.wav", "--json", "report.json")
    assert status == 2 and "x-umx could not be downloaded" in err and "no route to host" in err
    assert "use --model demo or --allow-fallback" in err and not Path("separated").exists()
    assert json.loads(Path("report.json").read_text())["status"] == 2
    status, out, _ = run_default("a.wav", "b.wav", "--allow-fallback")
    assert status == 0 and out.splitlines()[-1].endswith(", by demo instead of x-umx")


def test_stems_of_the_bundled_model_are_replaced_later(run_default, offline, run, tiny_model):
    from xumx_jax.weights.bag import load_model, save_model

    write("song.wav", noise(900))
    assert run_default("song.wav")[0] == 0
    assert "skipped" in run_default("song.wav", "--skip-existing")[1]
    loaded = load_model(tiny_model)
    save_model("x-umx", loaded.name, loaded.args, loaded.variables, {"score": 1})
    status, out, err = run("song.wav", "--skip-existing", model="./x-umx")
    assert (status, err) == (0, "") and "skipped" not in out
    found = record.read(Path("separated/song"))
    assert found.fallback == "" and found.models[0]["name"] == "x-umx"


def test_a_report_on_stdout_is_json_alone(run_separate):
    write("song.wav", noise(900), RATE)
    status, out, err = run_separate("song.wav", "--stems", "bass", "--json", "-")
    assert status == 0 and "song.wav: 0.1 s separated" in err
    assert json.loads(out)["status"] == 0 and not Path("-").exists()
    status, _, err = run_separate("song.wav", "--stems", "bass", "--json", "-", "--out", "-")
    assert status == 2 and "--out - and --json - cannot both be stdout" in err


def test_home_is_known_in_options(run_separate, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write("song.wav", noise(900))
    chosen = ("song.wav", "--stems", "bass", "--out=~/stems", "--json=~/report.json")
    assert run_separate(*chosen)[0] == 0
    assert stems_in(tmp_path / "home") == ["report.json", "stems/song/bass.wav"]


def test_numbers_that_json_has_not_got(tmp_path):
    from xumx_jax.commands.batch.report import Report

    with Report(tmp_path / "x.json", {"a": [float("nan"), (1.5, float("inf"))]}) as report:
        report.end(0)
    assert json.loads((tmp_path / "x.json").read_text())["options"] == {"a": [None, [1.5, None]]}


def test_a_report_that_cannot_be_written_does_not_hide_the_error_before(tmp_path, capsys):
    from xumx_jax.commands.batch.report import Report

    def fail():
        with Report(tmp_path / "deep" / "x.json", {}) as report:
            report.path = tmp_path  # a folder now
            raise ZeroDivisionError("the first")

    with pytest.raises(ZeroDivisionError, match="the first"):
        fail()
    assert "cannot be written" in capsys.readouterr().err
