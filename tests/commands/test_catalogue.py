"""`xumx separate` for a catalogue on this machine: rows, reruns, shards, kills and stores."""

import errno
import json
import os
from pathlib import Path

import pytest
from separating import RATE, noise, write

from xumx_jax import audio, files, stores
from xumx_jax.audio.encode import StemWriter
from xumx_jax.commands.catalogue import on_ray, outputs, rows, worker
from xumx_jax.errors import UserError
from xumx_jax.separation import record

pytest.importorskip("pyarrow", reason="needs the extra cluster")


@pytest.fixture
def run(run_separate):
    def call(*arguments, **more):
        return run_separate(*arguments, "--stems", "bass", keep=True, **more)

    Path("music").mkdir()
    for number in range(4):
        write(f"music/{number}.wav", noise(900 + number))
    return call


def table(place):
    from pyarrow import parquet

    return {row["input"]: row for row in parquet.read_table(place).to_pylist()}


def test_entries_that_fail_are_rows_and_the_rest_is_done(run):
    Path("music/bad.wav").write_text("no music")
    Path("list.csv").write_text(
        "path,name\nmusic/0.wav,\nmusic/none.wav,\nmusic/0.wav,\nmusic/bad.wav,\n"
        "music/1.wav,best/1\nmusic/2.wav,best/1\n"
    )
    status, out, err = run("--manifest", "list.csv", "--out", "out")
    assert status == 1 and out.splitlines()[-1].startswith("2 done, 4 failed: 0.2 s of music in ")
    assert [line.partition("error: ")[2] for line in err.splitlines()] == [
        "music/none.wav: cannot be read: No such file or directory; wanted an audio file",
        "list.csv, line 4: music/0.wav is there already, list.csv, line 2",
        "music/bad.wav: not an audio file that can be decoded (Invalid data found when "
        "processing input)",
        "list.csv, line 7: its name 'best/1' is that of list.csv, line 6",
    ]
    found = table("out/report.parquet")
    assert found["music/1.wav"]["outputs"] == ["out/best/1/bass.wav"]
    assert found["music/1.wav"]["seconds"] == 901 / RATE
    assert dict(found["music/1.wav"]["peaks"])["bass"] > 0
    assert found["music/none.wav"]["error"].startswith("music/none.wav: cannot be read")
    beside = json.loads(Path("out/best/1", outputs.REPORT).read_text())
    assert beside["status"] == "done" and beside["null_error_db"] < -60
    assert json.loads(Path("out/none", outputs.REPORT).read_text())["status"] == "failed"


def test_a_rerun_skips_what_is_there_and_shards_share_the_rest(run):
    status, out, err = run("music", "--out", "out", "--shard", "1/3")
    assert (status, err) == (0, "") and out.startswith("4 files, of which 1 are those of shard 1/3")
    assert sorted(os.listdir("out")) == ["1", "report-00001-of-00003.parquet"]
    status, out, err = run("--manifest", "music", "--out", "out")
    assert (status, err) == (0, "") and "music/1.wav: skipped, its stems are there\n" in out
    assert out.splitlines()[-1].startswith("3 done, 1 skipped: 0.3 s of music in ")
    found = table("out/report.parquet")
    assert [row["status"] for row in found.values()] == ["done", "skipped", "done", "done"]
    assert found["music/1.wav"]["seconds"] == 901 / RATE  # as its report says
    assert run("music", "--out", "out", "--shard", "0/1", model="none")[0] == 2
    assert table("out/report.parquet") == found  # nothing new is known
    write("music/1.wav", noise(950))
    status, _, err = run("music", "--out", "out", "--shard", "0/1")
    assert status == 1 and "out/1 holds stems of other music; use --overwrite, or another" in err
    assert run("music", "--out", "out", "--shard", "0/1", "--overwrite")[0] == 0
    assert audio.decode("out/1/bass.wav")[0].shape[1] == 950


class Killed(BaseException):
    """In place of SIGKILL, after which nothing is written."""


@pytest.mark.parametrize("place", ["out", "memory://out"])
def test_a_kill_at_any_moment_loses_nothing(run_separate, place, monkeypatch):
    write("0.wav", noise(900))
    arguments = ("--manifest", "*.wav", "--out", place, "--stems", "bass,drums")
    monkeypatch.setattr(worker, "MOST_TRIES", 100)
    calls, dies = [], [0]

    def dying(usual):
        def call(*given, **more):
            calls.append(given)
            if len(calls) == dies[0]:
                raise Killed
            return usual(*given, **more)

        return call

    for module, name in ((files, "rename"), (files, "write"), (stores, "upload")):
        monkeypatch.setattr(module, name, dying(getattr(module, name)))
    monkeypatch.setattr(stores, "write", dying(stores.write))
    for dies[0] in range(1, 30):
        calls.clear()
        try:
            status, out, err = run_separate(*arguments, keep=True)
        except Killed:
            continue
        assert (status, err) == (0, "")
        break
    assert dies[0] > 5 and "0.wav: " in out
    found = table("out/report.parquet") if place == "out" else {"0.wav": {"status": "done"}}
    assert found["0.wav"]["status"] in (rows.DONE, rows.SKIPPED)
    there = outputs.at(place, "0")
    if place == "out":
        names = {path.name for path in Path("out/0").iterdir()}
    else:
        names = set(stores.entries("memory://out/0"))
        import fsspec

        fsspec.filesystem("memory").rm("/", recursive=True)
    assert names == {"bass.wav", "drums.wav", record.FILE, outputs.REPORT}, there


@pytest.mark.parametrize("place", ["out", "memory://out"])
def test_a_file_that_kills_its_workers_is_given_up_at_last(run, place, monkeypatch):
    def die(*_, **__):
        raise Killed

    separated = worker.Job.separated
    monkeypatch.setattr(worker.Job, "separated", die)
    for _ in range(worker.MOST_TRIES):
        with pytest.raises(Killed):
            run("music", "--out", place, "--shard", "0/4")
    status, _, err = run("music", "--out", place, "--shard", "0/4")
    line = "music/0.wav: its worker died 4 times; the next run tries it again\n"
    assert (status, err) == (1, f"xumx: error: {line}")
    monkeypatch.setattr(worker.Job, "separated", separated)
    assert run("music", "--out", place, "--shard", "0/4")[0] == 0
    if place != "out":
        assert outputs.INTENT not in stores.entries("memory://out/0")
        pytest.importorskip("fsspec").filesystem("memory").rm("/", recursive=True)


def test_what_dead_workers_left_is_removed_and_what_live_ones_hold_is_not(run):
    for name in ("dead", "live"):
        Path(f"out/0/.stems.{name}.part/stems").mkdir(parents=True)
    intent = Path("out/0", f".{outputs.INTENT}.1-0badcafe.part")
    intent.write_text("half")
    with files.locked(Path("out/0/.stems.live.part")):
        assert run("music", "--out", "out", "--shard", "0/4")[0] == 0
    assert not Path("out/0/.stems.dead.part").exists() and Path("out/0/.stems.live.part").exists()
    assert not intent.exists()
    # the same beside stems that are complete, as when two did a file and one of them was killed
    Path("out/0/.stems.dead.part/stems").mkdir(parents=True)
    Path("out/0", outputs.INTENT).write_text("of the live one")
    with files.locked(Path("out/0/.stems.live.part")):
        assert "1 skipped" in run("music", "--out", "out", "--shard", "0/4")[1]
    assert sorted(os.listdir("out/0")) == [
        *(".separating", ".separation.json", ".stems.live.part"),
        *("bass.wav", "separation-report.json"),
    ]
    assert "1 skipped" in run("music", "--out", "out", "--shard", "0/4")[1]
    assert sorted(os.listdir("out/0")) == [".separation.json", "bass.wav", "separation-report.json"]


def test_stems_in_a_store_are_complete_before_their_record(run, bucket):
    bucket.objects["music/in/0.wav"] = Path("music/0.wav").read_bytes()
    assert run("s3://music/in", "--out", "s3://stems/x")[0] == 0
    written = [key for method, key, _ in bucket.requests if method == "PUT" and "/x/0/" in key]
    assert [Path(key).name for key in written] == [
        *(outputs.INTENT, "bass.wav", outputs.REPORT, record.FILE)
    ]
    assert run("s3://music/in", "--out", "s3://stems/x")[1].count("skipped") == 2
    bucket.objects["stems/x/0/bass.wav"] = b"other"
    status, _, err = run("s3://music/in", "--out", "s3://stems/x")
    assert status == 1 and "s3://stems/x/0 holds stems that were changed; use --overwrite" in err
    assert run("s3://music/in", "--out", "s3://stems/x", "--overwrite")[0] == 0
    assert len(bucket.objects["stems/x/0/bass.wav"]) > 900


def test_what_could_not_be_published_is_no_success(run, bucket, monkeypatch):
    def full(record):
        raise UserError("s3://stems/x: cannot be written: full")

    with monkeypatch.context() as patched:
        patched.setattr(record, "text_of", full)
        status, _, err = run("music", "--out", "s3://stems/x", "--shard", "0/4")
    assert (status, err) == (1, "xumx: error: s3://stems/x: cannot be written: full\n")
    assert json.loads(bucket.objects["stems/x/0/" + outputs.REPORT])["status"] == "failed"
    assert run("music", "--out", "s3://stems/x", "--shard", "0/4")[0] == 0
    assert json.loads(bucket.objects["stems/x/0/" + outputs.REPORT])["status"] == "done"


def test_a_bucket_without_permission(run, bucket):
    status, out, err = run("music", "--out", "s3://forbidden/x")
    assert (status, out) == (2, "")
    assert err == (
        "xumx: error: s3://forbidden/x/.separating-probe: cannot be written: permission denied\n"
    )
    Path("list.csv").write_text("path\ns3://forbidden/a.wav\nmusic/0.wav\n")
    status, out, err = run("--manifest", "list.csv", "--out", "out")
    assert status == 1 and "1 done, 1 failed" in out
    assert err == "xumx: error: s3://forbidden/a.wav: cannot be read: permission denied\n"


def test_a_full_disk_is_a_row_and_on_a_cluster_others_take_the_rest(run, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(StemWriter, "write", full)
        status, out, _ = run("music", "--out", "out", "--shard", "0/4")
        stored = run("music", "--out", "memory://full", "--shard", "0/4")[2]
    assert status == 1 and "1 failed" in out
    assert "/xumx-" in stored and stored.endswith(
        ": cannot be written: No space left on device; TMPDIR=FOLDER chooses another place\n"
    )
    row = table("out/report-00000-of-00004.parquet")["music/0.wav"]
    assert row["error"] == "out/0: cannot be written: No space left on device"
    waited = []
    monkeypatch.setattr(on_ray.time, "sleep", waited.append)
    monkeypatch.setattr(worker, "Worker", lambda *_: lambda entry: row)
    item = dict(source="a", name="a", label="a", fault="", note="")
    assert on_ray.Remote(None, None, None)(item) == row and waited == [on_ray.PAUSE_SECONDS]
    late = on_ray.Remote.failed(item, "has no model")
    assert waited == 2 * [on_ray.PAUSE_SECONDS] and late["status"] == rows.FAILED
    assert late["error"] == f"a: has no model (on {late['host']})"


@pytest.mark.parametrize(
    "arguments, line",
    [
        (("--shard", "4/4"), "--shard 4/4: wanted 0/4 to 3/4"),
        (("--manifest", "none.parquet"), "none.parquet: cannot be read: No such file or directory"),
        (("--manifest", __file__), f"{__file__}: wanted .csv or .parquet with a column 'path', a"),
        (("--shard", "0/2", "--out", "-"), "--out - takes one track; a catalogue needs a folder"),
        (("--shard", "0/2", "--json", "x"), "--json x: each file of a catalogue has a report"),
        (("--address", "a:1"), "--address is for --runner ray; give both"),
        (("--runner", "ray", "--jobs", "2"), "--jobs 2 is for --runner local"),
        (("--shard", "0/2", "--server", "http://x"), "--shard does not work with --server"),
    ],
)
def test_options_that_cannot_be_are_one_line(run, arguments, line):
    status, out, err = run("music", *arguments)
    assert (status, out) == (2, "") and err.startswith(f"xumx: error: {line}")
    assert len(err.splitlines()) == 1


def test_without_parquet_there_is_a_report_beside_each_file(run, monkeypatch):
    def missing(place):
        raise UserError(f"{place}: Parquet needs more packages")

    monkeypatch.setattr(rows, "Table", missing)
    status, _, err = run("music", "--out", "out", "--shard", "0/4")
    assert status == 0 and Path("out/0", outputs.REPORT).is_file()
    assert err.startswith("xumx: note: out/report-00000-of-00004.parquet: Parquet needs more")
