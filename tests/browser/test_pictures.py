"""The page in all its states, wide and narrow, light and dark.

What a picture shows is looked at by people (`--basetemp=FOLDER` keeps them there); that nothing is
cut off, lies over something else or scrolls sideways is looked at here.
"""

import io

import pytest
from documentation import docs_module
from page_songs import button, row, send, wait, wav
from PIL import Image
from playwright.sync_api import expect
from serving import clip, listening
from stored_jobs import queued, ran

make_page_pictures = docs_module("make_page_pictures")
VIEWS = ((1280, 800, "light"), (1280, 800, "dark"), (390, 844, "dark"), (360, 640, "light"))
LARGE = (3840, 2160, "light")
# What can be seen of what is pressed, typed into or read, and lies outside of the window, is cut
# off, or lies over another one. What scrolls by itself, and what is for screen readers alone, may.
WRONG = """() => {
  const wide = document.documentElement.clientWidth;
  const all = [...document.querySelectorAll("button, a, select, input, summary, .name, .words, h2")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".unseen"));
  const name = (one) => `${one.tagName}.${one.className}#${one.id} ${one.textContent}`.slice(0, 60);
  const boxes = all.map((one) => [one, one.getBoundingClientRect()]);
  const wrong = [];
  if (document.documentElement.scrollWidth > wide) wrong.push("scrolls sideways");
  for (const [one, box] of boxes) {
    if (box.left < -0.5 || box.right > wide + 0.5) wrong.push(`outside: ${name(one)}`);
    const cut = one.matches("button, a, summary, .words") && one.scrollWidth > one.clientWidth + 1;
    if (cut && getComputedStyle(one).display !== "inline") wrong.push(`cut off: ${name(one)}`);
  }
  const pressed = boxes.filter(([one, box]) => {
    // Within what floats at an edge of a narrow window, or lies in layers on purpose.
    return !one.matches("[type=range], .name, .words, h2") && !one.closest(".transport, .edges");
  });
  for (const [k, [one, a]] of pressed.entries()) {
    for (const [other, b] of pressed.slice(k + 1)) {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      const apart = one.contains(other) || other.contains(one);
      if (across > 1 && down > 1 && !apart) wrong.push(`overlap: ${name(one)} | ${name(other)}`);
    }
  }
  return wrong;
}"""


@pytest.fixture
def pictured(tmp_path):
    """`pictured(page, state)`: take the state's pictures, and look at what they cannot show."""

    def taken(page, state, views=VIEWS):
        for width, height, scheme in views:
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.screenshot(path=tmp_path / f"{state}-{width}-{scheme}.png", full_page=True)
            assert page.evaluate(WRONG) == [], (state, width)

    return taken


def test_states_of_the_songs(tmp_path, open_page, pictured):
    with listening(tmp_path / "data", max_per_client=5) as server:
        page = open_page(server.url)
        page.expected += ["status of 415", "status of 404", "net::ERR_", "status of 503"]
        expect(page.locator("#send")).to_have_attribute("data-state", "ready")
        pictured(page, "empty")
        store = server.store
        running = ran(
            store, name="What runs, with a name that is longer than a row of a phone is wide"
        )
        store.progress(running.id, 0.62, 18)
        store.failed(
            ran(store, name="Failed").id, "out_of_memory", "Failed: too long for the device"
        )
        for k in range(3):
            queued(store, f"Waits {k}.flac")
        page.reload()
        wait(page, "What runs", "running")
        send(page, {"name": "x.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"})
        wait(page, "x.pdf", "failed")
        page.route("**/api/v1/jobs?*", lambda route: None)
        send(page, wav("On its way.wav"), wav("Next.wav"))
        wait(page, "On its way", "uploading")
        page.evaluate("id => (location.hash = `job=${id}`)", "0" * 32)
        expect(page.locator("li[data-state=gone]")).to_be_visible()
        page.get_by_text("More options").click()
        page.select_option("[name=choice]", "some_stems")
        pictured(page, "songs")
        page.evaluate("document.documentElement.classList.add('dragging')")
        page.screenshot(path=tmp_path / "dragging.png")
        page.evaluate("document.documentElement.classList.remove('dragging')")
    expect(page.locator("html")).to_have_attribute("data-state", "away", timeout=10_000)
    pictured(page, "away")


def test_a_server_that_wants_a_token(tmp_path, open_page, pictured):
    with listening(tmp_path / "data", token="secret") as server:
        page = open_page(server.url)
        page.expected.append("status of 401")
        expect(page.locator("html")).to_have_attribute("data-state", "token")
        pictured(page, "token")
        # what is looked for is found
        page.evaluate("document.querySelector('#token input').style.minWidth = '2000px'")
        assert "scrolls sideways" in page.evaluate(WRONG)
        page.evaluate("document.querySelector('#token').style.marginTop = '-90px'")
        assert any("overlap: BUTTON.quiet#show-keys" in line for line in page.evaluate(WRONG))


def test_a_song_in_the_player(server, open_page, pictured, browser):
    job = server.separated(clip(4, seed=9), "A song.wav")
    page = open_page(f"{server.url}/#job={job['id']}")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    expect(row(page, "A song")).to_have_attribute("aria-current", "true")
    pictured(page, "player", (*VIEWS, LARGE))
    pictures = make_page_pictures.take(browser, server.url, job["id"], ("page-narrow",))
    assert Image.open(io.BytesIO(pictures["page-narrow"])).size == (390, 844)
    for name in make_page_pictures.VIEWS:
        assert (make_page_pictures.IMAGES / f"{name}.png").stat().st_size < 150_000
    page.set_viewport_size({"width": 1280, "height": 800})
    button(page, "A song", "remove").click()
    expect(page.locator("#player")).to_be_hidden()
