"""From a manifest to files and the folders of their stems; what is wrong is one entry's fault."""

from pathlib import Path

import pytest

from xumx_jax.commands.catalogue import manifest
from xumx_jax.errors import UserError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/one.wav", "a/two.mp3", "a/deep/one.wav", "b/one.wav", "a/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"1")


def read(place, inputs=(), out="out", recursive=False):
    return manifest.read(place, inputs, out, recursive)


def names(entries):
    return [(entry.label, entry.name, entry.fault) for entry in entries]


def test_a_table_is_relative_to_its_folder():
    Path("a/list.csv").write_text("\ufeffname,path,id\n,one.wav,7\nbest/of,../b/one.wav,8\n")
    assert names(read("a/list.csv")) == [
        ("a/one.wav", "one", ""),
        ("a/../b/one.wav", "best/of", ""),
    ]


def test_what_is_wrong_with_an_entry_is_its_fault():
    Path("list.csv").write_text(
        "path,name\na/one.wav,x\n,\na/one.wav,y\nb/one.wav,X\na/two.mp3,../up\nb,one,wav\n"
        "none.wav,\n"
    )
    assert names(read("list.csv")) == [
        ("a/one.wav", "x", ""),
        ("list.csv, line 3", "", "list.csv, line 3: no path"),
        (
            "a/one.wav",
            "",
            "list.csv, line 4: a/one.wav is there already, list.csv, line 2",
        ),
        ("b/one.wav", "", "list.csv, line 5: its name 'X' is that of list.csv, line 2"),
        ("a/two.mp3", "", "list.csv, line 6: '../up' cannot be a folder"),
        (
            "list.csv, line 7",
            "",
            "list.csv, line 7: more fields than columns; a path with a comma needs quotes",
        ),
        ("none.wav", "none", ""),  # found out by who opens it
    ]


def test_names_alike_get_folders_apart_and_stay_when_the_list_grows():
    Path("list.csv").write_text("path\na/one.wav\nb/one.wav\n")
    first = read("list.csv")
    assert [entry.name for entry in first] == ["one", "b_one"]
    assert first[1].note == "a/one.wav has the same name, so these stems go to b_one"
    with open("list.csv", "a") as file:
        file.write("a/deep/one.wav\nelsewhere/b/one.wav\n")
    assert read("list.csv")[:2] == first
    assert [entry.name for entry in read("list.csv")[2:]] == ["deep_one", "b_one_2"]


def test_parquet():
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra cluster")
    from pyarrow import parquet

    table = pyarrow.table({"id": [1, 2, 3], "path": ["a/one.wav", None, "b/one.wav"]})
    parquet.write_table(table, "list.parquet")
    assert names(read("list.parquet")) == [
        ("a/one.wav", "one", ""),
        ("list.parquet, row 2", "", "list.parquet, row 2: no path"),
        ("b/one.wav", "b_one", ""),
    ]
    parquet.write_table(table.drop(["path"]), "other.parquet")
    with pytest.raises(UserError, match="^other.parquet: its columns are 'id'; wanted one called"):
        read("other.parquet")
    Path("bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="^bad.parquet: cannot be read: .*wanted a Parquet file$"):
        read("bad.parquet")


@pytest.mark.parametrize(
    "content, line",
    [
        (b"", "list.csv: its columns are none; wanted one called 'path'"),
        (b"file\na.wav\n", "list.csv: its columns are 'file'; wanted one called 'path'"),
        (b"path\n\xff\xfe\n", "list.csv: is not UTF-8; wanted a CSV file with a column path"),
        (b"path\n", "list.csv: lists no files; wanted some to separate"),
    ],
)
def test_a_bad_table_is_one_line(content, line):
    Path("list.csv").write_bytes(content)
    with pytest.raises(UserError) as raised:
        read("list.csv")
    assert str(raised.value) == line


def test_a_missing_table():
    with pytest.raises(UserError, match="^none.csv: cannot be read: No such file.*manifest$"):
        read("none.csv")


def test_folders_and_patterns_as_on_the_command_line():
    assert names(read("a")) == [("a/one.wav", "one", ""), ("a/two.mp3", "two", "")]
    deep = read(None, ["a", "b/*.wav"], recursive=True)
    assert [entry.name for entry in deep] == ["deep/one", "one", "two", "b_one"]
    assert names(read("empty*"))[0][2] == "empty*: no file matches"
    with pytest.raises(UserError, match="^-: a catalogue is read more than once; wanted files$"):
        read(None, ["-"])


def test_stores():
    memory = pytest.importorskip("fsspec", reason="needs the extra cluster").filesystem("memory")
    for name in ("in/a.wav", "in/b.txt", "in/.c.wav", "in/d/a.wav", "in/out/x.wav"):
        memory.pipe_file(f"/{name}", b"1")
    memory.pipe_file("/in/list.csv", b"path\na.wav\n/tmp/x.wav\nhttps://h/y.wav?s=1\n")
    try:
        found = read("memory://in", out="memory://in/out", recursive=True)
        assert [entry.label for entry in found] == ["memory://in/a.wav", "memory://in/d/a.wav"]
        assert [entry.name for entry in found] == ["a", "d/a"]
        assert read("memory://in/d/*.wav")[0].name == "a"
        assert read(None, ["memory://in/a.wav"])[0].source == "memory://in/a.wav"
        assert names(read("memory://in/list.csv")) == [
            ("memory://in/a.wav", "a", ""),
            ("/tmp/x.wav", "x", ""),
            ("https://h/y.wav", "y", ""),
        ]
        assert read("memory://in/list.csv")[2].source == "https://h/y.wav?s=1"
        assert names(read("memory://none"))[0][2] == "memory://none: no audio files here"
        with pytest.raises(UserError, match="^memory://in/no.csv: there is no such file; wanted a"):
            read("memory://in/no.csv")
    finally:
        memory.rm("/", recursive=True)


def test_shards_are_a_partition():
    entries = [manifest.Entry(str(at), str(at), str(at)) for at in range(10)]
    parts = [manifest.shard(entries, at, 3) for at in range(3)]
    assert sorted(sum(parts, []), key=entries.index) == entries
    assert {len(part) for part in parts} == {3, 4}


@pytest.mark.parametrize("text", ["", "3", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_shard_that_is_none(text):
    with pytest.raises(UserError, match="wanted I/N, such as 0/16"):
        manifest.shard_of(text)


def test_a_shard_out_of_range():
    assert manifest.shard_of("2/3") == (2, 3)
    with pytest.raises(UserError, match="^--shard 3/3: wanted 0/3 to 2/3$"):
        manifest.shard_of("3/3")
