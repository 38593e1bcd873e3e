"""The player where something is in the way: what cannot be loaded, and unusual gestures."""

from page_player import engine, in_state, opened, play, press, row, until
from page_songs import row as row_of
from playwright.sync_api import expect

RATE = 44100


def test_a_player_that_could_not_be_loaded_is_loaded_later(open_page, server, song):
    page = open_page(f"{server.url}/docs")
    page.expected += ["net::ERR_FAILED"]
    page.route("**/page/opened.js", lambda route: route.abort(), times=1)
    with page.expect_event("requestfailed"):
        page.goto(f"{server.url}/#job={song['id']}")
    expect(row_of(page, "Song A")).to_be_visible()
    in_state(page, "empty")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # look now
    in_state(page, "paused")
