"""What tests of the server share: above all one that runs, for each process of xdist."""

import fuzzing
import pytest
from serving import clip, served
from stored_jobs import KEEP, Clock

from xumx_jax.web.settings import Settings
from xumx_jax.web.store import Store


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server as anybody starts it on their own machine."""
    with served(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def done(server):
    """A job of `server` that is done: "Song A.wav", one second of stereo. Not to be removed."""
    return server.separated(clip(), "Song A.wav")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path / "jobs", keep_seconds=KEEP, long_seconds=600.0, min_free_bytes=0)


@pytest.fixture
def store(settings, clock):
    """A store of jobs without a server."""
    with Store(settings, clock) as store:
        yield store


@pytest.fixture
def nothing_is_left():
    """Neither a descriptor nor a child process."""
    before = fuzzing.descriptors(), fuzzing.children()
    yield
    assert (fuzzing.descriptors(), fuzzing.children()) == before
