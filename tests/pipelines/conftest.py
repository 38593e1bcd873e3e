"""A small folder of tracks, and one of generated recordings."""

import pytest
import recorded_material
from track_folders import opened, write


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    write(root)
    return opened(root)


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    from pipelines.songs.material import Stock

    return Stock(recorded_material.make(tmp_path_factory.mktemp("material")))
