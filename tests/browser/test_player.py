"""The player: what its buttons, sliders and waveforms do to what is heard."""

import pytest
from page_player import engine, in_state, opened, play, press, row, silent, slide, until
from playwright.sync_api import expect

ROWS = ["vocals", "drums", "bass", "other"]
RATE = 44100


@pytest.fixture
def page(open_page, server, song):
    return opened(open_page, server, song, tap=True)


def heard(page):
    """The largest sample of each side at present."""
    return page.evaluate("heard()")


def test_it_plays_and_pauses(page, song):
    player = page.locator("#player")
    expect(player.get_by_role("heading", level=2)).to_have_text("Song A")
    rows = player.locator("[data-stem]")
    assert rows.evaluate_all("rows => rows.map((row) => row.dataset.stem)") == ROWS
    play(page)
    until(page, lambda: engine(page, "position") > RATE / 4)
    assert max(heard(page)) > 0.05
    expect(player.locator(".here")).not_to_have_text("0:00.0")
    player.get_by_role("button", name="Pause").click()
    in_state(page, "paused")
    place = engine(page, "position")
    until(page, lambda: heard(page) == [0, 0])
    assert engine(page, "position") == place
    press(page, "Space")
    in_state(page, "playing")
    press(page, "Space")
    in_state(page, "paused")


def test_what_is_muted_or_not_soloed_is_silent(page):
    play(page)
    until(page, lambda: max(heard(page)) > 0.05)
    row(page, "drums").get_by_role("button", name="Mute drums").click()
    expect(row(page, "drums").locator(".mute")).to_have_attribute("aria-pressed", "true")
    assert silent(page) == ["drums"]
    press(page, "1", "3", "4")
    assert silent(page) == sorted(ROWS)
    until(page, lambda: heard(page) == [0, 0])
    press(page, "1")
    until(page, lambda: max(heard(page)) > 0)
    press(page, "Shift+Digit3")  # bass is muted, and its solo does not change that
    assert silent(page) == sorted(ROWS)
    until(page, lambda: heard(page) == [0, 0])
    press(page, "Shift+Digit1")
    assert silent(page) == ["bass", "drums", "other"]
    press(page, "0")
    assert silent(page) == []
    row(page, "other").get_by_role("button", name="Solo other").click()
    assert silent(page) == ["bass", "drums", "vocals"]


def test_volume_and_pan(page):
    play(page)
    both = until(page, lambda: max(heard(page)) > 0.05 and heard(page))
    for stem in ROWS:
        slide(row(page, stem).get_by_label(f"Pan of {stem}"), 1)
    until(page, lambda: heard(page)[0] < 1e-9 and heard(page)[1] > max(both) / 2)
    pan = row(page, "vocals").get_by_label("Pan of vocals")
    expect(pan).to_have_attribute("aria-valuetext", "100 % right")
    volume = row(page, "vocals").get_by_label("Volume of vocals")
    slide(volume, 0.5)
    expect(volume).to_have_attribute("aria-valuetext", "−6.0 dB")
    expect(row(page, "vocals").locator(".level")).to_have_text("−6.0 dB")
    slide(volume, 0)
    expect(row(page, "vocals").locator(".level")).to_have_text("−∞ dB")
    assert silent(page) == ["vocals"]
    volume.dblclick()
    expect(volume).to_have_attribute("aria-valuetext", "0.0 dB")
    press(page, "ArrowDown", "ArrowDown")
    master = page.locator("#player .knobs").get_by_label("Volume", exact=True)
    expect(master).to_have_value("0.9")
    slide(master, 0)
    until(page, lambda: heard(page) == [0, 0])
    page.get_by_role("button", name="set Volume back").click()
    until(page, lambda: max(heard(page)) > 0.05)


def test_seeking(page, song):
    end = song["frames"]
    bar = page.get_by_label("Place in the song")
    slide(bar, 2 * RATE)
    assert engine(page, "position") == 2 * RATE
    expect(bar).to_have_attribute("aria-valuetext", "0:02.0 of 0:06.0")
    wave = row(page, "bass").locator(".wave")
    wave.click()  # in its middle
    pixel = end / wave.bounding_box()["width"]
    assert engine(page, "position") == pytest.approx(end / 2, abs=pixel + 1)
    at = engine(page, "position")
    press(page, "Shift+ArrowLeft")
    assert engine(page, "position") == at - RATE
    press(page, "ArrowLeft")
    assert engine(page, "position") == 0
    press(page, "ArrowRight", "Shift+ArrowLeft")
    assert engine(page, "position") == 4 * RATE
    press(page, "End")
    assert engine(page, "position") == end
    press(page, "Home")
    assert engine(page, "position") == 0
    bar.focus()
    page.keyboard.press("Shift+ArrowRight")
    assert engine(page, "position") == RATE
    page.keyboard.press("Space")  # a slider has no use for it
    in_state(page, "playing")


def test_a_loop_by_its_key(page):
    times = page.locator("#player .loop-times")
    slide(page.get_by_label("Place in the song"), RATE)
    press(page, "l")
    expect(times).to_have_text("0:01.0 – …")
    press(page, "Shift+ArrowRight", "l")
    expect(times).to_have_text("0:01.0 – 0:02.0")
    assert engine(page, "loop") == {"start": RATE, "end": 2 * RATE}
    start = page.get_by_role("slider", name="Start of the loop")
    start.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowRight")
    assert engine(page, "loop") == {"start": 40131, "end": 88200}  # 0.91 s
    expect(start).to_have_attribute("aria-valuetext", "0:00.9")
    assert engine(page, "position") == 2 * RATE  # keys of a slider are its own
    play(page)
    until(page, lambda: engine(page, "position") < 2 * RATE)
    press(page, "l")
    expect(times).to_have_text("")
    assert engine(page, "loop") is None


def test_a_loop_by_dragging(page, song):
    row(page, "other").scroll_into_view_if_needed()
    wave = row(page, "drums").locator(".wave").bounding_box()
    frame = song["frames"] / wave["width"]  # of a pixel
    middle = wave["y"] + wave["height"] / 2

    def drag(start, end):
        page.mouse.move(wave["x"] + start, middle)
        page.mouse.down()
        page.mouse.move(wave["x"] + (start + end) / 2, middle)
        page.mouse.move(wave["x"] + end, middle)
        page.mouse.up()
        return engine(page, "loop")

    near = 1.5 * frame
    assert drag(200, 100) == pytest.approx({"start": 100 * frame, "end": 200 * frame}, abs=near)
    assert drag(202, 260) == pytest.approx({"start": 100 * frame, "end": 260 * frame}, abs=near)
    assert engine(page, "position") == 0
    page.get_by_role("button", name="No loop").click()
    assert engine(page, "loop") is None
    bar = page.locator("#player .edges").bounding_box()
    for name, at in (("The loop starts here", 1), ("The loop ends here", 3)):
        slide(page.get_by_label("Place in the song"), at * RATE)
        page.get_by_role("button", name=name).click()
    assert engine(page, "loop") == {"start": RATE, "end": 3 * RATE}
    edge = page.get_by_role("slider", name="End of the loop")
    edge.hover()
    page.mouse.down()
    box = edge.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + bar["width"] / 6, bar["y"] + 5)
    page.mouse.up()
    assert engine(page, "loop")["end"] == pytest.approx(4 * RATE, abs=RATE / 50)


def test_slower_and_higher(page):
    play(page)
    press(page, "[", "[", "=", "=", "-")
    expect(page.get_by_label("Speed", exact=True)).to_have_attribute("aria-valuetext", "0.90×")
    expect(page.get_by_label("Key", exact=True)).to_have_attribute("aria-valuetext", "+1")
    in_state(page, "playing")
    until(page, lambda: max(heard(page)) > 0.05)
    slide(page.get_by_label("Speed", exact=True), 0.5)
    in_state(page, "playing")

    def half_as_fast():  # once what was begun at the other speed is over
        first, clock = engine(page, "position"), page.evaluate("performance.now()")
        page.wait_for_timeout(800)
        seconds = (page.evaluate("performance.now()") - clock) / 1000
        return engine(page, "position") - first == pytest.approx(RATE * seconds / 2, rel=0.25)

    until(page, half_as_fast)
    page.get_by_role("button", name="set Speed back").click()
    expect(page.get_by_label("Speed", exact=True)).to_have_value("1")


def test_keys_leave_fields_buttons_and_the_browser_alone(page):
    position = engine(page, "position")
    page.get_by_label("Model").focus()
    for key in ("1", "l", "ArrowRight"):
        page.keyboard.press(key)
    press(page, "Control+1", "Alt+ArrowRight", "Meta+l")
    assert silent(page) == [] and engine(page, "position") == position
    expect(page.locator("#player .loop-times")).to_have_text("")
    row(page, "vocals").locator(".mute").focus()
    page.keyboard.press("Space")
    assert silent(page) == ["vocals"] and not engine(page, "playing")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("Solo a stem")
    page.keyboard.press("2")
    assert silent(page) == ["vocals"]
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("2")
    assert silent(page) == ["drums", "vocals"]


def test_keys_of_headphones_and_lock_screens(open_page, server, song):
    page = open_page(f"{server.url}/docs")  # nothing of the page runs there
    page.add_init_script("""
      globalThis.keys = {};
      MediaSession.prototype.setActionHandler = function (name, act) { keys[name] = act; };
    """)
    page.goto(f"{server.url}/#job={song['id']}")
    in_state(page, "paused")
    assert page.evaluate("navigator.mediaSession.metadata") is None
    play(page)
    assert page.evaluate("navigator.mediaSession.metadata.title") == "Song A"
    assert page.evaluate("navigator.mediaSession.playbackState") == "playing"
    page.evaluate("keys.pause()")
    in_state(page, "paused")
    page.evaluate("keys.seekto({ seekTime: 3 })")
    assert engine(page, "position") == 3 * RATE
    page.evaluate("keys.seekbackward({ seekOffset: 2 })")
    assert engine(page, "position") == RATE
    page.evaluate("keys.seekforward({})")
    assert engine(page, "position") == song["frames"]
    page.evaluate("keys.play()")
    in_state(page, "playing")
