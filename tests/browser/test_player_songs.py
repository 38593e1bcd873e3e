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


def drawn(page, stem):
    return row(page, stem).locator("canvas").evaluate(DRAWN)


def says(page, wanted):
    """Wait until the address says this beside the job: it is written a moment later."""
    until(page, lambda: page.url.partition("&")[2] == wanted)


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
    says(page, SAID)
    page.reload()
    in_state(page, "paused")
    shows_all(page)
    other = open_page(page.url)
    in_state(other, "paused")
    shows_all(other)
    press(other, "2")
    until(other, lambda: "mute" not in other.url)
    page.goto(server.url)  # without anything in the address: as this browser kept it
    page.locator(f"#songs [data-job='{song['id']}'] [data-action=play]").click()
    in_state(page, "playing")
    assert silent(page) == ["drums", "other"]


def test_a_link_is_copied(open_page, server, song):
    page = opened(open_page, server, song, permissions=["clipboard-read", "clipboard-write"])
    press(page, "1")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#player [role=alert]")).to_contain_text("The link is copied")
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
    says(page, left)


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


def test_a_spectrogram_takes_the_place_of_a_waveform(open_page, server, song):
    page = opened(open_page, server, song)
    swap = page.get_by_role("button", name="Spectrogram of bass")
    swap.click()
    picture = row(page, "bass").get_by_role("img", name="Spectrogram of bass")
    until(page, lambda: picture.evaluate("picture => picture.naturalWidth") > 100)
    expect(row(page, "bass").locator("canvas")).to_be_hidden()
    row(page, "bass").locator(".wave").click()  # it seeks, as before
    assert engine(page, "position") == pytest.approx(3 * RATE, abs=RATE / 50)
    swap.click()
    expect(picture).to_have_count(0)
    expect(row(page, "bass").locator("canvas")).to_be_visible()
    page.expected = ["net::ERR_FAILED"]
    page.route("**/drums.png?*", lambda route: route.abort())
    page.get_by_role("button", name="Spectrogram of drums").click()
    expect(page.locator("#player [role=alert]")).to_contain_text("spectrogram of drums could not")
    expect(row(page, "drums").locator("canvas")).to_be_visible()


def test_the_example_says_what_it_is_and_stays_out_of_the_address(open_page, server, song):
    def as_example(route):
        response = route.fetch()
        jobs = [one for one in response.json()["jobs"] if one["id"] == song["id"]]
        route.fulfill(response=response, json={"jobs": [jobs[0] | {"example": True}]})

    page = open_page(f"{server.url}/docs")
    page.route("**/api/v1/jobs", as_example)
    page.goto(server.url)
    in_state(page, "paused")
    note = page.locator("#player .note").first
    expect(note).to_have_text(
        "This is a bundled clip, already separated. Drop a song above to hear yours."
    )
    assert "#" not in page.url
    press(page, "1")
    says(page, "mute=vocals")


def test_a_song_can_be_heard_while_it_is_separated(open_page, server):
    id = server.send(clip(60), "Long.wav").json()["id"]
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
    slide(page.get_by_label("Place in the song"), 55 * RATE)
    until(page, lambda: engine(page, "position") > 55.2 * RATE)


def test_a_song_that_is_removed_elsewhere_ends(open_page, server):
    job = server.separated(clip(1), "Song B.wav")
    page = opened(open_page, server, job)
    # the latter of what was on its way
    page.expected = ["404 (Not Found)", "ERR_CONTENT_LENGTH_MISMATCH"]
    play(page)
    server.ask("DELETE", f"{JOBS}/{job['id']}")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # look now
    in_state(page, "gone")
    line = page.locator("#player [role=alert]")
    expect(line).to_have_text("Gone: there is no such song, or not any more")
    for part in (".transport", ".knobs", ".rows"):
        expect(page.locator(f"#player {part}")).to_have_js_property("inert", True)
    press(page, "Space")
    assert not engine(page, "playing") and "job" not in page.url


@pytest.mark.parametrize("seconds, channels, stems, end", [
    (0.1, 1, {"two_stems": "vocals"}, "0:00.1"),
    (1.0, 2, {"stems": "bass"}, "0:01.0"),
])  # fmt: skip
def test_songs_of_other_kinds(open_page, server, seconds, channels, stems, end):
    job = server.separated(clip(seconds, channels), "Song C.wav", **stems)
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
    page = open_page(f"{server.url}/docs")
    page.add_init_script("delete BaseAudioContext.prototype.audioWorklet")
    page.goto(f"{server.url}/#job={song['id']}&speed=0.5&transpose=3")
    in_state(page, "paused")
    for label in ("Speed", "Key"):
        expect(page.get_by_label(label, exact=True)).to_be_disabled()
    press(page, "]", "=")
    play(page)
    assert not any(word in page.url for word in ("speed", "transpose"))
