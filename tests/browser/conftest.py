"""The page in a real Chromium, which Playwright drives: `make test-web` runs these tests."""

import os
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chromium import Failed, chromium
from serving import clip, listening, served

if find_spec("playwright") is None:  # `make test` looks at the files too
    collect_ignore_glob = ["test_*.py"]
# Without a sandbox only as root, where Chromium has none.
RIG = Path(__file__).with_name("rig.js").read_text()
FLAGS = ["--autoplay-policy=no-user-gesture-required", "--mute-audio"]


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser():
    """A Chromium, the same for all tests of a process."""
    from playwright.sync_api import sync_playwright

    try:
        path = chromium()
    except Failed as failed:
        pytest.fail(str(failed))
    flags = FLAGS + ["--no-sandbox"] * (os.name == "posix" and os.geteuid() == 0)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=flags)
        yield running
        running.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server as anybody starts it on their own machine."""
    with served(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def song(server):
    """A job of `server` that is done: "Song A.wav", six seconds of stereo. Not to be removed."""
    return server.separated(clip(6), "Song A.wav")


@pytest.fixture
def idle(tmp_path, monkeypatch):
    """A server that takes whatever is sent for a song, and separates none."""
    from page_songs import take_all

    take_all(monkeypatch)
    with listening(tmp_path / "data") as server:
        yield server


@pytest.fixture
def open_page(browser):
    """`open_page(url, **options of a context)`: a page in a context of its own.

    Whatever goes wrong there (errors of scripts, refusals of the Content-Security-Policy, requests
    to other places) fails the test at its end, unless it is in `page.expected`, a list of texts.
    """
    from contextlib import ExitStack

    with ExitStack() as stack:

        def opened(url, **options):
            return stack.enter_context(watched(browser, url, **options))

        yield opened


@contextmanager
def watched(browser, url, **options):
    """A page of which nothing may go wrong."""
    context = browser.new_context(**{"accept_downloads": True, **options})
    wrong: list[str] = []
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.expected = []

    def told(said):
        # files that are no pages have no icon
        if said.type == "error" and not said.location["url"].endswith("/favicon.ico"):
            wrong.append(f"console: {said.text}")

    def watch(one):
        one.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        one.on("console", told)

    here = "{0.scheme}://{0.netloc}/".format(urlsplit(url))

    def asked(request):
        if not request.url.startswith((here, "blob:", "data:")):
            wrong.append(f"asked for {request.url}")

    context.on("page", watch)
    context.on("request", asked)
    watch(page)
    try:
        page.goto(url)
        yield page
        left = [line for line in wrong if not any(text in line for text in page.expected)]
        assert not left, left
    finally:
        context.close()


@pytest.fixture
def rig(open_page):
    """`rig(server, **options)`: a page without the page, in which `window.rig` is rig.js."""

    def opened(server, **options):
        page = open_page(f"{server.url}/page/icon.svg", **options)
        page.evaluate(RIG)
        return page

    return opened
