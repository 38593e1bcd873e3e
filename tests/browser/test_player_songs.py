"""Songs in the player: remembered, linked, still being separated, gone, and of every kind."""

import pytest
from page_player import engine, in_state, opened, play, press, row, silent, slide, until
from playwright.sync_api import expect
from serving import JOBS, clip

RATE = 44100
# How much of a stem's canvas is drawn, by columns, and in which colour.
DRAWN = """canvas => {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const columns = new Set();
  let colour = null;
  for (let at = 3; at < data.length; at += 4) if (data[at]) {
    columns.add(((at - 3) / 4) % width);
    colour = [...data.slice(at - 3, at)].join(",");
  }
  return { share: columns.size / width, colour };
}"""


@pytest.fixture(scope="module")
def song(server):
    return server.separated(clip(4), "Song A.wav")


def drawn(page, stem):
    return row(page, stem).locator("canvas").evaluate(DRAWN)


def words(page):
    """What the address says beside the job, once it is written."""
    page.wait_for_timeout(350)
    return page.url.partition("&")[2]


def set_all(page):
    slide(row(page, "vocals").get_by_label("Volume of vocals"), 0.8)
    slide(row(page, "vocals").get_by_label("Pan of vocals"), -0.3)
    slide(page.get_by_label("Place in the song"), RATE)
    press(page, "2", "Shift+Digit3", "Shift+Digit1", "l", "Shift+ArrowRight", "l", "[", "-", "-")
    press(page, "ArrowUp")


SAID = (
    "vocals=0.8,-0.3&mute=drums&solo=vocals,bass&loop=44100-88200"
    "&speed=0.95&transpose=-2&volume=1.05&at=88200"
)


def shows_all(page):
    assert silent(page) == ["drums", "other"]
    volume = row(page, "vocals").get_by_label("Volume of vocals")
    expect(volume).to_have_value("0.8")
    expect(row(page, "vocals").get_by_label("Pan of vocals")).to_have_value("-0.3")
    expect(page.locator("#player .loop-times")).to_have_text("0:01.0 – 0:02.0")
    expect(page.get_by_label("Speed", exact=True)).to_have_value("0.95")
    expect(page.get_by_label("Key", exact=True)).to_have_value("-2")
    assert engine(page, "position") == 2 * RATE
    assert engine(page, "loop") == {"start": RATE, "end": 2 * RATE}


def test_what_was_set_is_there_after_a_reload_and_in_a_link(open_page, server, song):
    page = opened(open_page, server, song)
    set_all(page)
    assert words(page) == SAID
    page.reload()
    in_state(page, "paused")
    shows_all(page)
    other = open_page(page.url)
    in_state(other, "paused")
    shows_all(other)
    press(other, "2")
    assert "mute" not in words(other)
    page.goto(server.url)  # without anything in the address: as this browser kept it
    page.locator(f"#songs [data-job='{song['id']}'] [data-action=play]").click()
    in_state(page, "playing")
    assert silent(page) == ["drums", "other"]


def test_a_link_is_copied(open_page, server, song):
    page = opened(open_page, server, song, permissions=["clipboard-read", "clipboard-write"])
    press(page, "1")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#said")).to_contain_text("The link is copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{server.url}/#job={song['id']}&mute=vocals"


def test_a_link_can_be_copied_where_there_is_no_clipboard(open_page, server, song):
    page = opened(open_page, server, song, "mute=vocals")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy link").click()
    field = page.get_by_label("Copy this link")
    expect(field).to_be_focused()
    expect(field).to_have_value(f"{server.url}/#job={song['id']}&mute=vocals")
    assert page.evaluate("getSelection().toString()") == field.input_value()


@pytest.mark.parametrize("said, left", [
    ("vocals=loud&mute=tuba,drums", "mute=drums"),
    ("vocals=-1,2&bass=0.5,left&speed=9&transpose=1.5&loop=9-3&at=99999999&volume=x", "bass=0.5"),
    ("vocals=11&drums=1e3&speed=0.77&loop=5", "speed=0.75"),
])  # fmt: skip
def test_a_link_that_makes_no_sense_sets_what_does(open_page, server, song, said, left):
    page = opened(open_page, server, song, said)
    assert words(page) == left


def test_another_balance_in_the_address(open_page, server, song):
    page = opened(open_page, server, song, "mute=vocals")
    page.evaluate(f"location.hash = 'job={song['id']}&solo=bass'")
    expect(row(page, "vocals").locator(".mute")).to_have_attribute("aria-pressed", "false")
    assert silent(page) == ["drums", "other", "vocals"]


def test_waveforms_follow_the_colour_scheme_and_the_width(open_page, server, song):
    page = opened(open_page, server, song)
    until(page, lambda: drawn(page, "vocals")["share"] == 1)
    colours = {stem: drawn(page, stem)["colour"] for stem in ("vocals", "bass")}
    assert colours["vocals"] != colours["bass"]
    page.emulate_media(color_scheme="dark")
    until(page, lambda: drawn(page, "vocals")["colour"] != colours["vocals"])
    wide = row(page, "vocals").locator("canvas").evaluate("canvas => canvas.width")
    page.set_viewport_size({"width": 360, "height": 700})
    canvas = row(page, "vocals").locator("canvas")
    until(page, lambda: canvas.evaluate("canvas => canvas.width") != wide)
    until(page, lambda: drawn(page, "vocals")["share"] == 1)
    inside = page.evaluate("document.documentElement.scrollWidth")
    assert inside == 360


def test_a_song_can_be_heard_while_it_is_separated(open_page, server):
    id = server.send(clip(90), "Long.wav").json()["id"]
    page = opened(open_page, server, {"id": id})
    player = page.locator("#player")
    expect(player.locator(".note").first).to_contain_text("Still being separated")
    expect(player).to_have_attribute("data-live", "")
    expect(player.locator("summary")).to_have_count(0)
    ready = server.job(id)["live"]["ready"]
    play(page)
    until(page, lambda: 0 < drawn(page, "vocals")["share"] < 1)
    until(page, lambda: engine(page, "position") > RATE / 2)
    assert server.wait(id)["frames"] > ready
    expect(player.locator("summary")).to_be_visible()
    expect(player.locator(".note").first).to_be_hidden()
    in_state(page, "playing")
    until(page, lambda: drawn(page, "vocals")["share"] == 1)
    slide(page.get_by_label("Place in the song"), 80 * RATE)
    until(page, lambda: engine(page, "position") > 80.2 * RATE)


def test_a_song_that_is_removed_elsewhere_ends(open_page, server):
    job = server.separated(clip(1), "Song B.wav")
    page = opened(open_page, server, job)
    page.expected = ["404 (Not Found)"]
    play(page)
    server.ask("DELETE", f"{JOBS}/{job['id']}")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # look now
    in_state(page, "gone")
    line = page.locator("#player [role=alert]")
    expect(line).to_have_text("there is no such job, or not any more")
    expect(page.locator("#player .play")).to_be_disabled()
    assert not engine(page, "playing") and "job" not in page.url


@pytest.mark.parametrize("seconds, options, stems, end", [
    (0.1, {"channels": 1}, {}, "0:00.1"),
    (1.0, {"channels": 1}, {"two_stems": "vocals"}, "0:01.0"),
    (1.0, {}, {"stems": "bass"}, "0:01.0"),
])  # fmt: skip
def test_songs_of_other_kinds(open_page, server, seconds, options, stems, end):
    job = server.separated(clip(seconds, **options), "Song C.wav", **stems)
    page = opened(open_page, server, job)
    names = [stem["name"] for stem in job["stems"]]
    assert page.locator("#player [data-stem]").count() == len(names)
    expect(page.locator("#player .time .end")).to_have_text(end)
    for name in names:
        until(page, lambda name=name: drawn(page, name)["share"] == 1)
    play(page)
    in_state(page, "paused")  # at its end
    assert engine(page, "position") == job["frames"]


def test_without_https_speed_and_key_stay(open_page, server, song):
    page = open_page(server.url)
    page.add_init_script("delete BaseAudioContext.prototype.audioWorklet")
    page.goto(f"{server.url}/#job={song['id']}&speed=0.5&transpose=3")
    page.reload()
    in_state(page, "paused")
    for label in ("Speed", "Key"):
        expect(page.get_by_label(label, exact=True)).to_be_disabled()
    press(page, "]", "=")
    play(page)
    assert not any(word in words(page) for word in ("speed", "transpose"))
