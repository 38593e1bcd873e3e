"""Files of records that are fetched when they are first read."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.datasets.stored_records import Fetching, described_here
from xumx_jax import stores
from xumx_jax.errors import UserError

NAMES, LENGTHS = ["a-0", "a-1", "a-2"], [2, 0, 3]


@pytest.fixture
def place(request):
    url = f"memory://stored/{request.node.name}"
    for name in NAMES:
        stores.write(f"{url}/{name}", name.encode())
    return url


@pytest.mark.parametrize("number, name", [*enumerate(["a-0", "a-0", "a-2", "a-2", "a-2"])])
def test_only_the_file_that_holds_a_record_is_fetched(place, tmp_path, number, name):
    records = Fetching("ABCDE", NAMES, LENGTHS, tmp_path / "cache", place)
    assert records[number] == "ABCDE"[number] and records[number] == "ABCDE"[number]
    fetched = [path.name for path in (tmp_path / "cache").iterdir() if path.name != ".lock"]
    assert fetched == [name] and (tmp_path / "cache" / name).read_text() == name


def test_a_file_is_fetched_once_whoever_asks(place, tmp_path, monkeypatch):
    asked, filesystem = [], stores.filesystem
    monkeypatch.setattr(stores, "filesystem", lambda url: asked.append(url) or filesystem(url))
    several = [Fetching("ABCDE", NAMES, LENGTHS, tmp_path, place) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: several[n % 2][n % 5], range(40)))
    assert found == ["ABCDE"[n % 5] for n in range(40)] and sorted(asked) == [
        f"{place}/a-0", f"{place}/a-2",
    ]  # fmt: skip


def test_a_missing_file_is_named(place, tmp_path):
    stores.remove(f"{place}/a-2")
    records = Fetching("ABCDE", NAMES, LENGTHS, tmp_path, place)
    with pytest.raises(UserError, match=f"{place}/a-2: cannot be read: there is no such file"):
        records[4]
    assert not list(tmp_path.glob("*a-2*"))


def test_data_written_anew_have_a_cache_of_their_own(place, monkeypatch, tmp_path):
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=f"{place}: wanted the records of one .* found none"):
        described_here(place, "info.json")
    folders = []
    for text in (b"1", b"2"):
        stores.write(f"{place}/x/info.json", text)
        stores.write(f"{place}/x/features.json", b"{}")
        folder, url = described_here(place, "info.json")
        assert url == f"{place}/x" and (folder / "info.json").read_bytes() == text
        assert (folder / "features.json").read_bytes() == b"{}"
        folders.append(folder)
    assert folders[0] != folders[1]
