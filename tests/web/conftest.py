"""One server for all tests of it, and one job that it has done, for each process of xdist."""

import pytest
from serving import clip, served


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server as anybody starts it on their own machine."""
    with served(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def done(server):
    """A job of `server` that is done: "Song A.wav", one second of stereo. Not to be removed."""
    return server.separated(clip(), "Song A.wav")
