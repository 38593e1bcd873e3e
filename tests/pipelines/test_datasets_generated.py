"""Generated songs: made once, kept, opened as any other folder."""

import pytest

from pipelines.datasets import open_data
from xumx_jax.errors import UserError

OPTIONS = {"songs": 2, "valid_songs": 1, "seconds": 3.0, "processes": 1}


def opened(root, **options):
    return open_data("generated", root, ("vocals", "bass"), 8000, 2, {**OPTIONS, **options})


@pytest.mark.slow
def test_songs_are_made_once_in_the_cache(tmp_path, monkeypatch):
    train, valid = opened("", cache=str(tmp_path))
    assert train.names == ("song_000000", "song_000001") and valid.names == ("song_100000",)
    assert train.root == tmp_path / "songs" / "plain-8000Hz-3s" / "train"
    assert train.sources == ("vocals", "bass", "drums", "other")
    assert train.integer and min(train.track_lengths) >= 24000
    monkeypatch.delattr("subprocess.run")
    again, none = opened("", cache=str(tmp_path), valid_songs=0)
    assert again.fingerprint() == train.fingerprint() and none is None
    fewer, _ = opened("", cache=str(tmp_path), songs=1, seed=1)
    assert fewer.names == ("song_000001",), "songs made for others are left alone"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"songs": 0}, "wanted at least 1"),
        ({"seed": 100_000}, "songs . seed up to 100000"),
        ({"seconds": 0.5}, "generating songs failed: wanted at least 1 song, 1 second"),
    ],
)
def test_what_cannot_be_made_is_one_line(tmp_path, options, message):
    with pytest.raises(UserError, match=message) as caught:
        opened(tmp_path, **options)
    assert "\n" not in str(caught.value)
