"""What is in the way of files that are sent: no room, files that change, proxies."""

import pytest
from page_songs import button, row, send, take_all, wait, wav
from playwright.sync_api import expect
from serving import clip, listening, wait_for
from stored_jobs import queued


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    take_all(monkeypatch)


def test_a_full_queue_is_waited_for(tmp_path, open_page):
    with listening(tmp_path / "data", max_per_client=1) as server:
        page = open_page(server.url)
        page.expected.append("status of 429")
        send(page, wav("a.wav"), wav("b.wav"))
        words = wait(page, "b.wav", "waiting").locator(".words")
        expect(words).to_contain_text("The server has enough for now; sent in")
        button(page, "a.wav", "cancel").click()  # makes room
        wait(page, "b.wav", "queued")
        assert [job.name for job in server.store.jobs()] == ["b.wav"]


def test_what_is_refused_for_want_of_room_is_sent_when_the_server_said(tmp_path, open_page):
    with listening(tmp_path / "data", hosts=("music.localhost",), max_queue=1) as server:
        queued(server.store, "somebody else's")  # which the page cannot see
        page = open_page("about:blank")
        page.expected += ["asked for", "status of 403", "status of 429"]
        page.clock.install()
        page.goto(server.url.replace("127.0.0.1", "music.localhost"))
        asked = []
        page.on("request", lambda request: request.method == "POST" and asked.append(request))
        send(page, wav("a.wav"))
        words = wait(page, "a.wav", "waiting").locator(".words")
        expect(words).to_contain_text("The server has enough for now")
        page.clock.fast_forward(12_000)  # the page looks at the songs, several times
        page.set_input_files("#files", [wav("b.wav")])
        wait(page, "b.wav", "waiting")
        page.clock.fast_forward(10_000)
        expect(words).to_have_text("The server has enough for now; sent in 8 s")
        assert len(asked) == 1
        page.clock.fast_forward(10_000)
        wait_for(lambda: len(asked) == 2 or page.wait_for_timeout(10))
        wait(page, "a.wav", "waiting")
        button(page, "a.wav", "remove").click()
        wait_for(lambda: len(asked) == 3 or page.wait_for_timeout(10))
        expect(row(page, "b.wav").locator(".words")).to_contain_text("enough for now")


def test_a_file_that_changed_on_the_disk_is_one_line(idle, open_page, tmp_path):
    page = open_page(idle.url)
    page.expected.append("ERR_UPLOAD_FILE_CHANGED")
    path = tmp_path / "song.wav"
    path.write_bytes(clip(0.2))
    held = []
    page.route("**/api/v1/jobs?*", lambda route: held.append(route), times=1)
    send(page, wav("first.wav"))
    wait_for(lambda: held or page.wait_for_timeout(10))
    page.set_input_files("#files", path)
    wait(page, "song.wav", "waiting")
    path.unlink()
    held[0].continue_()
    failed = wait(page, "song.wav", "failed")
    expect(failed).to_have_attribute("data-code", "changed")
    expect(failed.locator(".words")).to_contain_text("changed or moved since it was chosen")


def test_an_answer_that_is_not_the_servers_fails_the_upload_alone(idle, open_page):
    page = open_page(idle.url)
    answer = {"status": 200, "content_type": "text/html", "body": "<p>Accept our terms</p>"}
    page.route("**/api/v1/jobs?*", lambda route: route.fulfill(**answer), times=1)
    send(page, wav("a.wav"), wav("b.wav"))
    expect(wait(page, "a.wav", "failed").locator(".words")).to_contain_text("status 200")
    wait(page, "b.wav", "queued")


def test_files_that_come_before_the_servers_answers_go_with_what_was_chosen_before(idle, open_page):
    page = open_page(idle.url)
    page.evaluate("""localStorage.setItem("xumx.options", '{"format": "flac"}')""")
    held = []
    page.route("**/api/v1/models", lambda route: held.append(route))
    with page.expect_request("**/api/v1/models"):
        page.reload()
    page.locator("#files").set_input_files([wav("a.wav")])
    wait(page, "a.wav", "uploading")
    assert not idle.store.jobs()
    held.pop().continue_()
    wait(page, "a.wav", "queued")
    (job,) = idle.store.jobs()
    assert job.options.format == "flac"
