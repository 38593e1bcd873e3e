"""What the player's links download: files of the command line, and the balance that is heard."""

import io
import zipfile
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
import soundfile
from page_player import opened, press, row, slide
from playwright.sync_api import expect
from serving import clip

from xumx_jax import cli

NAMES = ["bass", "drums", "other", "vocals"]


@pytest.fixture
def page(open_page, server, song):
    return opened(open_page, server, song)


@pytest.fixture(scope="module")
def command_line(tmp_path_factory):
    """What `xumx separate` writes of the same file: its stems, and a mix."""
    folder = tmp_path_factory.mktemp("command")
    (folder / "Song A.wav").write_bytes(clip(6))
    words = ["separate", str(folder / "Song A.wav"), "--model", "demo", "--out", str(folder)]
    for more in ([], ["--mix", "drums+other"]):
        assert cli.main([*words, *more]) == 0
    return folder / "Song A"


def menu(page):
    """The menu, opened: it closes as soon as something else is clicked."""
    found = page.locator("#player .menu")
    found.evaluate("menu => { menu.open = true; }")
    return found


def link(page, words):
    return menu(page).get_by_role("link", name=words)


def formats(page):
    return menu(page).get_by_label("Format of downloads")


def downloaded(page, locator):
    """Click on a link -> the name of the file, and what is in it."""
    with page.expect_download() as got:
        locator.click()
    return got.value.suggested_filename, got.value.path().read_bytes()


def wave(data):
    return soundfile.read(io.BytesIO(data), dtype="float32")[0]


def test_files_are_those_of_the_command_line(page, command_line):
    in_row = row(page, "vocals").get_by_role("link", name="Download vocals")
    assert downloaded(page, in_row)[1] == (command_line / "vocals.wav").read_bytes()
    for stem in NAMES:
        name, data = downloaded(page, link(page, stem))
        assert name == f"Song A ({stem}).wav"
        assert data == (command_line / f"{stem}.wav").read_bytes()
    press(page, "1", "3")
    name, data = downloaded(page, link(page, "This balance"))
    assert name == "Song A (drums+other).wav"
    assert data == (command_line / "drums+other.wav").read_bytes()
    name, data = downloaded(page, link(page, "All stems"))
    assert name == "Song A.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert sorted(found.namelist()) == [f"Song A ({stem}).wav" for stem in NAMES]
        inside = found.read("Song A (bass).wav")
        assert inside == (command_line / "bass.wav").read_bytes()


def test_a_balance_is_what_is_heard(page):
    formats(page).select_option(label="WAV, 32 bits, float")
    stems = {stem: wave(downloaded(page, link(page, stem))[1]) for stem in NAMES}
    slide(row(page, "vocals").get_by_label("Volume of vocals"), 0.5)
    slide(row(page, "drums").get_by_label("Pan of drums"), -0.5)
    slide(row(page, "other").get_by_label("Volume of other"), 0)
    press(page, "3")
    balance = link(page, "This balance")
    mixed = wave(downloaded(page, balance)[1])
    left, right = np.cos(np.pi / 4), np.sin(np.pi / 4)  # of a pan of -0.5
    drums = stems["drums"]
    panned = np.stack([drums[:, 0] + left * drums[:, 1], right * drums[:, 1]], 1)
    assert np.abs(mixed - 0.5 * stems["vocals"] - panned).max() < 1e-6
    slide(page.get_by_label("Speed", exact=True), 0.5)
    slide(page.get_by_label("Key", exact=True), -2)
    said = dict(parse_qsl(urlsplit(balance.get_attribute("href")).query))
    assert said == {
        "bits": "32f", "drums": "1,-0.5", "vocals": "0.5", "speed": "0.5", "transpose": "-2",
    }  # fmt: skip
    press(page, "1", "2")
    expect(page.locator("#player .menu")).to_contain_text("No stem is heard")
    expect(page.locator("#player .menu [aria-disabled=true]")).to_have_text("This balance")


def test_the_menu_closes_by_itself(page):
    menu = page.locator("#player .menu")  # as it is by itself
    summary = menu.locator("summary")
    summary.click()
    expect(menu.get_by_role("link", name="This balance")).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(summary).to_be_focused()
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("open", "")
    row(page, "bass").locator(".name").click()
    expect(menu).not_to_have_attribute("open", "")


def test_a_loop_alone(page):
    whole = wave(downloaded(page, link(page, "vocals"))[1])
    only = page.get_by_label("Only the loop")
    expect(only).to_be_hidden()
    page.evaluate("location.hash += '&loop=10000-30001'")
    only.check()
    part = wave(downloaded(page, link(page, "vocals"))[1])
    assert np.array_equal(part, whole[10000:30001])
    assert len(wave(downloaded(page, link(page, "This balance"))[1])) == 20001
    press(page, "l")
    expect(only).to_be_hidden()
    assert "start" not in link(page, "vocals").get_attribute("href")


def test_other_formats_are_remembered(page):
    form = formats(page)
    expect(form).to_have_value("wav 16")
    wanted = ["WAV, 16 bits", "WAV, 24 bits", "WAV, 32 bits, float", "FLAC, 16 bits"]
    assert form.locator("option").all_inner_texts()[:4] == wanted
    form.select_option("flac 24")
    name, data = downloaded(page, link(page, "bass"))
    assert name == "Song A (bass).flac" and data[:4] == b"fLaC"
    assert soundfile.info(io.BytesIO(data)).subtype == "PCM_24"
    page.reload()
    form = formats(page)
    expect(form).to_have_value("flac 24")
    form.select_option("mp3")
    assert downloaded(page, link(page, "This balance"))[0] == "Song A (bass+drums+vocals+other).mp3"


def test_dragged_links_become_files(page, server, song):
    address = f"/api/v1/jobs/{song['id']}/stems/vocals.wav?bits=16"
    expect(link(page, "vocals")).to_have_attribute("href", address)  # once the formats are known
    dragged = link(page, "vocals").evaluate("""link => {
      const event = new DragEvent("dragstart", { dataTransfer: new DataTransfer() });
      link.dispatchEvent(event);
      return event.dataTransfer.getData("DownloadURL");
    }""")
    assert dragged == f"audio/wav:Song A (vocals).wav:{server.url}{address}"


def test_what_cannot_be_had_is_said_in_a_line(open_page, server):
    job = server.separated(clip(0.2), "Song B.wav")
    page = opened(open_page, server, job)
    # the latter of what was on its way
    page.expected = ["404 (Not Found)", "ERR_CONTENT_LENGTH_MISMATCH"]
    page.locator("#player summary").click()
    server.ask("DELETE", f"/api/v1/jobs/{job['id']}")
    link(page, "bass").click()
    line = page.locator("#player [role=alert]")
    expect(line).to_have_text("there is no such job, or not any more")
    assert page.url.startswith(server.url) and "api" not in page.url
