"""YAML of other programs: what it says without making anything, and one line on what is refused."""

import pytest

from xumx_jax.errors import UserError
from xumx_jax.weights.converters import yamlfile


def test_what_programs_write(tmp_path):
    text = (
        "a: !!python/tuple\n- 1\n- !!python/tuple [2, [3]]\nb: 1e-3\nc: 5.0e-05\nd:\ne: 955717e8\n"
    )
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())  # as Windows writes it
    wanted = {"a": (1, (2, [3])), "b": 0.001, "c": 5e-05, "d": None, "e": "955717e8"}
    assert yamlfile.read(path) == wanted
    assert isinstance(yamlfile.read(path)["a"], tuple)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.mkdir [ran]", "line 1: hostile, .* tag .*os.mkdir"),
        ("a: !!python/name:os.system ''", "line 1: hostile"),
        ("!!python/object/new:x.Y {a: 1}", "line 1: hostile"),
        ("a: !!python/tuple 3", "line 1: hostile"),
        ("a: &b [1]\nc: *b", "it has an alias"),
        ("a: &b {x: 1}\nc:\n  <<: *b", "it has an alias"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' occurs twice"),
        ("a: {b: 1, b: 2}", "line 1: the key 'b' occurs twice"),
        ("? [1]\n: 2", "not YAML"),
        ("a: [1, 2", "line 1: expected"),
        ("a: " + "9" * 5000, "not YAML"),
        ("a: 2020-99-99", "not YAML"),
        ("a: !!timestamp x", "not YAML"),
        ("a: \x01", "not YAML"),
        ("[" * 3000, "too many lists within lists"),
        ("a: " + "x" * yamlfile.LARGEST, "has more than"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        yamlfile.read(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + len(str(path)) and not (tmp_path / "ran").exists()


def test_what_cannot_be_read(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UserError, match="a.yaml: not a text in UTF-8"):
        yamlfile.read(tmp_path / "a.yaml")
    with pytest.raises(UserError, match="no.yaml: cannot be read"):
        yamlfile.read(tmp_path / "no.yaml")
