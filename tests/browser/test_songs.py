"""A song's way through the page, on servers that separate."""

import io
import re
import zipfile

from page_songs import button, names, row, send, wait, wav
from playwright.sync_api import expect
from serving import JOBS, clip, served

STEMS = ("bass", "drums", "other", "vocals")


def test_a_song_is_sent_separated_shown_and_removed(server, open_page):
    page = open_page(server.url)
    send(page, wav("Blue in Green.wav", 3))
    done = wait(page, "Blue in Green", "done")
    expect(done.locator(".words")).to_contain_text("Ready, 0:03, kept until")
    expect(page).to_have_title("Ready: Blue in Green.wav")
    id = done.get_attribute("data-job")
    expect(page.locator("#player")).to_have_attribute("data-job", id)  # without being asked
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    with page.expect_download() as download:
        done.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "Blue in Green.zip"
    stems = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())).namelist()
    assert sorted(stems) == [f"Blue in Green ({stem}).wav" for stem in STEMS]
    page.reload()
    wait(page, "Blue in Green", "done")
    expect(page.locator("#player")).to_have_attribute("data-job", id)
    button(page, "Blue in Green", "remove").click()
    expect(row(page, "Blue in Green")).to_have_count(0)
    expect(page.locator("#player")).to_be_hidden()
    assert server.get(f"{JOBS}/{id}").status == 404


def test_play_sounds_and_nothing_else_does(server, open_page):
    job = server.separated(clip(2, seed=5), "played.wav")
    page = open_page(server.url)
    button(page, "played", "play").click()
    player = page.locator("#player")
    expect(player).to_have_attribute("data-job", job["id"])
    expect(player).to_have_attribute("data-state", "playing")
    expect(row(page, "played")).to_have_attribute("aria-current", "true")


def test_what_runs_is_heard_already_or_cancelled(server, open_page):
    page = open_page(server.url)
    send(page, wav("runs.wav", 240, channels=1, rate=8000))
    wait(page, "runs", "running")
    button(page, "runs", "live").click()
    id = row(page, "runs").get_attribute("data-job")
    expect(page.locator("#player")).to_have_attribute("data-job", id)
    assert row(page, "runs").get_attribute("data-state") == "running"
    button(page, "runs", "cancel").click()
    expect(row(page, "runs")).to_have_count(0)
    assert server.get(f"{JOBS}/{id}").status == 404


def test_the_list_survives_a_kill_of_the_server(tmp_path, open_page):
    with served(tmp_path / "data", ready=False) as server:
        page = open_page(server.url)
        page.expected += ["net::ERR_"]
        send(page, wav("a.wav", 10))
        expect(row(page, "a.wav")).to_have_attribute("data-state", re.compile("queued|running"))
        server.process.kill()
    expect(page.locator("html")).to_have_attribute("data-state", "away", timeout=10_000)
    assert names(page) == ["a.wav"]
    with served(tmp_path / "data", "--port", server.port, ready=False):
        expect(page.locator("html")).to_have_attribute("data-state", "ready", timeout=30_000)
        expect(row(page, "a.wav")).to_have_attribute("data-state", "done", timeout=60_000)
