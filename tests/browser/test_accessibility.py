"""The page is for everybody: axe-core finds nothing, and the keyboard reaches everything."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_player import in_state, opened, press
from page_songs import send, wait, wav
from playwright.sync_api import expect
from serving import JOBS, clip, listening

LOOKS = [("light", 1280), ("dark", 390)]
# The element that has the focus, in a few words.
FOCUSED = """() => {
  const found = document.activeElement;
  return found === document.body ? null
    : found.getAttribute("aria-label") ?? found.innerText.trim() ?? found.tagName;
}"""


def violations(page):
    """What axe-core objects to, each in a line."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response
    assert len(found["passes"]) > 10, "axe-core did not look at the page"
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.fixture(params=LOOKS, ids=["light-wide", "dark-narrow"])
def look(request):
    scheme, width = request.param
    size = {"width": width, "height": 800}
    return {"color_scheme": scheme, "viewport": size, "has_touch": width < 400}


def test_a_song_in_the_player(open_page, server, song, look):
    page = opened(open_page, server, song, "mute=drums&solo=vocals&loop=10000-40000", **look)
    assert violations(page) == []
    page.get_by_role("button", name="Spectrogram of bass").click()
    expect(page.locator("#player .picture")).to_be_visible()
    page.locator("#player summary").click()
    assert violations(page) == []
    press(page, "?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []


def test_an_empty_page_and_one_with_songs_in_every_state(open_page, tmp_path, look):
    with listening(tmp_path / "data") as idle:
        page = open_page(idle.url, **look)
        expect(page.locator("#send")).to_have_attribute("data-state", "ready")
        page.locator("#options summary").click()
        assert violations(page) == []
        page.get_by_role("button", name="Keys").click()
        dialog = page.get_by_role("dialog", name="Keys")
        expect(dialog).to_contain_text("Play, pause")
        dialog.get_by_role("button", name="Close").click()
        expect(dialog).to_be_hidden()
        send(page, wav("waits.wav"), wav("next.wav"))
        page.expected = ["415 (Unsupported Media Type)"]
        send(page, {"name": "no song.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"})
        for name in ("waits", "next"):
            wait(page, name, "queued")
        expect(page.locator("#songs [data-state=failed]")).to_be_visible()
        assert violations(page) == []


def test_a_token_is_asked_for(open_page, tmp_path, look):
    with listening(tmp_path / "data", token="secret") as locked:
        page = open_page(locked.url, **look)
        page.expected = ["401 (Unauthorized)"]
        expect(page.locator("html")).to_have_attribute("data-state", "token")
        assert violations(page) == []


def test_a_song_that_is_gone(open_page, server, look):
    job = server.separated(clip(0.2), "Song B.wav")
    page = opened(open_page, server, job, **look)
    # the latter of what was on its way
    page.expected = ["404 (Not Found)", "ERR_CONTENT_LENGTH_MISMATCH"]
    server.ask("DELETE", f"{JOBS}/{job['id']}")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    in_state(page, "gone")
    assert violations(page) == []


def tabbed(page, most=120):
    """Press Tab until the focus leaves the page -> what had it, in order."""
    found = []
    for _ in range(most):
        page.keyboard.press("Tab")
        name = page.evaluate(FOCUSED)
        if name is None:
            return found
        found.append(name)
    raise AssertionError(f"the focus does not leave the page: {found}")


def test_the_keyboard_reaches_everything_in_order(open_page, server, song):
    page = opened(open_page, server, song, "loop=10000-40000")
    found = tabbed(page)
    player = found[found.index("Reset balance") :]
    assert player[:13] == [
        "Reset balance", "Copy link", "Download", "Play", "Place in the song",
        "Start of the loop", "End of the loop", "The loop starts here (L)",
        "The loop ends here (L)", "No loop (L)", "Speed", "1.00×, set Speed back to normal", "Key",
    ]  # fmt: skip
    rows = [f"{what} {stem}" for stem in ("vocals", "drums", "bass", "other") for what in
            ("Mute", "Solo", "Volume of", "Pan of", "Spectrogram of", "Download")]  # fmt: skip
    assert [name for name in player if name in rows] == rows
    assert found.index("Keys") < found.index("Choose files") < found.index("Reset balance")


def test_the_keyboard_alone_plays_and_mixes(open_page, server, song):
    page = opened(open_page, server, song)
    page.locator("#player .play").focus()
    page.keyboard.press("Enter")
    in_state(page, "playing")
    page.keyboard.press("Space")
    in_state(page, "paused")
    page.get_by_label("Volume of vocals").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_label("Volume of vocals")).to_have_value("0.99")
    page.get_by_label("Mute drums").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Mute drums")).to_have_attribute("aria-pressed", "true")
    ring = "e => { const s = getComputedStyle(e); return s.outlineStyle + s.outlineWidth; }"
    assert page.get_by_label("Mute drums").evaluate(ring) == "solid3px"


def test_fingers_find_what_they_press(open_page, server, song):
    """Targets are at least 44 px on touch screens."""
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = opened(open_page, server, song, **phone)
    small = page.locator("#player :is(button, a, summary, input):visible").evaluate_all(
        """all => all.map((e) => [e.getAttribute("aria-label") ?? e.innerText,
             e.getBoundingClientRect()])
           .filter(([, box]) => box.height < 44 || box.width < 24)
           .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)"""
    )
    assert small == []


def test_reduced_motion_is_respected(open_page, server, song):
    page = opened(open_page, server, song, reduced_motion="reduce")
    page.locator("#player").evaluate("player => { player.dataset.state = 'waiting'; }")
    name = "e => getComputedStyle(e).animationName"
    assert page.locator("#player .play").evaluate(name) == "none"
    page.emulate_media(reduced_motion="no-preference")
    assert page.locator("#player .play").evaluate(name) == "waiting"
