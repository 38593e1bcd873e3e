"""ZIP files of all stems, read by Python's own module."""

import io
import zipfile

import pytest

from xumx_jax.web import archive

NAMES = {"vocals": b"v" * 1000, "leer": b"", "größe": bytes(range(256)) * 3000}


def packed(folder):
    """Write the files and pack them -> what `zipped` gives, joined."""
    for name, data in NAMES.items():
        (folder / name).write_bytes(data)
    made = archive.zipped({f"{name}.wav": folder / name for name in NAMES})
    content = b"".join(made.pieces)
    assert len(content) == made.size
    return content


def check(content):
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.testzip() is None
        assert {name: file.read(f"{name}.wav") for name in NAMES} == NAMES
        assert file.namelist() == [f"{name}.wav" for name in NAMES]
        assert all(one.compress_type == zipfile.ZIP_STORED for one in file.infolist())
        assert all(one.date_time == (1980, 1, 1, 0, 0, 0) for one in file.infolist())
        assert {one.flag_bits & 8 for one in file.infolist()} == {0}  # sizes come first


def test_what_was_packed_is_unpacked(tmp_path):
    check(packed(tmp_path))


def test_the_same_files_make_the_same_bytes(tmp_path):
    assert packed(tmp_path) == packed(tmp_path)


@pytest.mark.parametrize("most", [100, 1001])
def test_what_outgrows_the_fields_is_zip64(tmp_path, monkeypatch, most):
    usual = packed(tmp_path)
    # sizes beyond are stated in the extra fields, whose presence is told by the largest number
    monkeypatch.setattr(archive, "_large", lambda size: size >= most)
    content = packed(tmp_path)
    check(content)
    assert len(content) > len(usual)
    assert b"PK\6\6" in content and b"PK\6\7" in content


def test_a_file_that_changes_meanwhile_is_an_error(tmp_path):
    (tmp_path / "a").write_bytes(b"before")
    made = archive.zipped({"a": tmp_path / "a"})
    (tmp_path / "a").write_bytes(b"after!")
    with pytest.raises(ValueError, match="^a: changed while it was sent$"):
        list(made.pieces)


SONGS = {
    "Song A.mp3": "Song A (vocals).wav",
    "../../etc/passwd": "passwd (vocals).wav",
    "C:\\music\\x.flac": "x (vocals).wav",
    "a\r\nSet-Cookie: b.mp3": "a__Set-Cookie_ b (vocals).wav",
    "": "track (vocals).wav",
    "..": "track (vocals).wav",
    ".mp3": "mp3 (vocals).wav",
    "\u202egnp.mp3": "_gnp (vocals).wav",
    "...Baby One More Time.wav": "Baby One More Time (vocals).wav",
}


@pytest.mark.parametrize("name", SONGS)
def test_downloads_have_the_songs_name(name):
    assert archive.file_name(name, "vocals", "wav") == SONGS[name]


def test_long_names_are_cut_where_a_character_ends():
    name = archive.file_name("ä" * 300 + ".mp3", "vocals", "wav")
    assert len(name.encode()) <= 200 and name.endswith("ä (vocals).wav")
