"""A small folder of tracks."""

import pytest
from track_folders import opened, write


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    write(root)
    return opened(root)
