"""The list of songs on the page: order, states, tokens, links, a server that goes away.

The servers' workers take no job here: what runs and ends is made in the store.
"""

import time

import numpy as np
import pytest
from page_songs import button, names, row, send, take_all, wait, wav
from playwright.sync_api import expect
from serving import clip, listening, wait_for
from stored_jobs import queued, ran, separated

from xumx_jax.web.jobs import EXAMPLE, Result, Stem

RESULT = Result(100, 2, 23100, 1.0, (Stem("vocals", 44, 0.5),), -70.0, ("the track is odd",))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    take_all(monkeypatch)


def done(store, name):
    """A job that is done, of which the list shows what it shows."""
    job = ran(store, name=name)
    store.done(job.id, RESULT)
    return store.get(job.id)


def focused(page, text, action) -> bool:
    return button(page, text, action).evaluate("one => one === document.activeElement")


def test_songs_that_wait_are_moved_and_keep_the_focus(idle, open_page):
    for name in ("a", "b", "c"):
        queued(idle.store, name)
    page = open_page(idle.url)
    wait(page, "c", "queued")
    assert not button(page, "a", "up").is_visible() and not button(page, "c", "down").is_visible()
    button(page, "c", "up").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#songs li .name")).to_have_text(["a", "c", "b"])
    assert focused(page, "c", "up")
    page.keyboard.press("Enter")
    expect(page.locator("#songs li .name")).to_have_text(["c", "a", "b"])
    button(page, "c", "down").click()
    expect(page.locator("#songs li .name")).to_have_text(["a", "c", "b"])
    button(page, "c", "down").click()
    expect(page.locator("#songs li .name")).to_have_text(["a", "b", "c"])
    assert [job.name for job in idle.store.jobs()] == ["a", "b", "c"]


def test_rows_say_what_there_is_to_say_in_every_state(idle, open_page):
    store = idle.store
    store.failed(ran(store, name="failed").id, "out_of_memory", "failed: too long for this device")
    ready = done(store, "ready")
    running = ran(store, name="running")
    queued(store, "waits")
    page = open_page(idle.url)
    words = {name: row(page, name).locator(".words") for name in ("failed", "ready", "waits")}
    expect(words["failed"]).to_have_text("failed: too long for this device")
    expect(row(page, "failed")).to_have_attribute("data-code", "out_of_memory")
    until = time.strftime("%b %-d, %H:%M", time.localtime(store.get(ready.id).expires))
    expect(words["ready"]).to_have_text(f"Ready, 3:51, kept until {until}")
    expect(row(page, "ready").locator(".warnings li")).to_have_text(["the track is odd"])
    expect(words["waits"]).to_have_text("Waits, 1 before it")
    store.progress(running.id, 0.419, 18.4)
    expect(row(page, "running").locator(".words")).to_have_text("41%, 18 s left")
    bar = row(page, "running").locator("progress")
    expect(bar).to_have_attribute("aria-valuetext", "41%")
    assert bar.evaluate("bar => bar.value") == 0.419
    expect(page).to_have_title("41% · xumx_jax")
    store.progress(running.id, 0.8, 5000)
    expect(row(page, "running").locator(".words")).to_have_text("80%, 1 h 23 min left")
    expect(page.locator("#said")).to_have_text("running: 80%")
    store.done(running.id, RESULT)
    expect(page).to_have_title("Ready: running")
    expect(page.locator("#said")).to_have_text("running is ready")
    page.locator("h1").click()
    expect(page).to_have_title("xumx_jax")
    button(page, "failed", "dismiss").click()
    expect(row(page, "failed")).to_have_count(0)
    button(page, "waits", "cancel").click()
    expect(row(page, "waits")).to_have_count(0)
    assert sorted(names(page)) == ["ready", "running"]
    assert sorted(job.name for job in store.jobs()) == ["ready", "running"]


def test_two_tabs_show_the_same(idle, open_page):
    page = open_page(idle.url)
    other = page.context.new_page()
    other.goto(idle.url)
    send(page, wav("a.wav"))
    wait(other, "a.wav", "queued")
    button(other, "a.wav", "cancel").click()
    expect(row(page, "a.wav")).to_have_count(0)


def test_a_hundred_songs_are_quick(idle, open_page):
    for k in range(100):
        queued(idle.store, f"Song {k}", client=str(k))
    page = open_page(idle.url)
    expect(page.locator("#songs li[data-job]")).to_have_count(100)
    page.evaluate("window.first = document.querySelector('#songs li')")
    # a change of one is a change of its row alone
    changes = """() => new Promise((resolve) => {
      const seen = new Set();
      const observer = new MutationObserver((all) => all.forEach((one) => {
        seen.add((one.target.closest ?? (() => one.target.parentElement)).call(one.target, "li"));
      }));
      const list = document.querySelector("#songs > ul");
      observer.observe(list, { childList: true, subtree: true, attributes: true });
      const names = () => [...seen].map((li) => li?.querySelector(".name").textContent);
      setTimeout(() => resolve(names()), 1200);
    })"""
    idle.store.take()
    wait(page, "Song 0", "running")
    idle.store.progress(idle.store.jobs()[0].id, 0.5, 10)
    assert page.evaluate(changes) in (["Song 0"], [])
    expect(row(page, "Song 0").first.locator(".words")).to_have_text("50%, 10 s left")
    assert page.evaluate("window.first === document.querySelector('#songs li')")


def test_a_server_that_goes_away_is_one_calm_line_until_it_is_back(tmp_path, open_page):
    with listening(tmp_path / "data") as server:
        page = open_page(server.url)
        page.expected.append("net::ERR_")
        page.expected.append("status of 503")  # while it is being stopped
        send(page, wav("a.wav"))
        wait(page, "a.wav", "queued")
    root = page.locator("html")
    expect(root).to_have_attribute("data-state", "away", timeout=10_000)
    expect(page.locator("#away")).to_contain_text("The server cannot be reached; trying again")
    page.set_input_files("#files", [wav("b.wav")])
    expect(row(page, "b.wav").locator(".words")).to_have_text("Sent when the server is back")
    page.locator("#away button").click()  # in vain: then it looks again soon
    with listening(tmp_path / "data", port=server.port) as again:
        expect(root).to_have_attribute("data-state", "ready")
        expect(page.locator("#away")).to_be_hidden()
        wait(page, "b.wav", "queued")
        assert [job.name for job in again.store.jobs()] == ["a.wav", "b.wav"]


def test_a_server_with_a_token_asks_for_it_once(tmp_path, open_page):
    with listening(tmp_path / "data", token="secret") as server:
        queued(server.store, "a")
        page = open_page(server.url)
        page.expected.append("status of 401")
        root = page.locator("html")
        expect(root).to_have_attribute("data-state", "token")
        expect(page.locator("#send")).to_be_hidden()
        about = page.locator("#token-about")
        for wrong in ("guessed", "ключ"):
            about.evaluate("one => { one.textContent = ''; }")
            page.get_by_label("this server wants a token").fill(wrong)
            page.keyboard.press("Enter")
            expect(about).to_have_text("The server does not know this token.")
            expect(root).to_have_attribute("data-state", "token")
        page.get_by_label("this server wants a token").fill("secret")
        page.keyboard.press("Enter")
        expect(root).to_have_attribute("data-state", "ready")
        expect(page.locator("#token")).to_be_hidden()
        wait(page, "a", "queued")
        statuses = []
        page.on("response", lambda response: statuses.append(response.status))
        page.reload()
        send(page, wav("b.wav"))
        wait(page, "b.wav", "queued")
        assert [job.name for job in server.store.jobs()] == ["a", "b.wav"]
        assert 200 in statuses and 401 not in statuses


def test_a_link_to_a_song_needs_no_token(tmp_path, open_page):
    with listening(tmp_path / "data", token="secret") as server:
        job = queued(server.store, "linked")
        queued(server.store, "somebody else's")
        page = open_page(f"{server.url}/#job={job.id}")
        page.expected += ["status of 401", "status of 404"]  # the latter: there is no sound in it
        found = wait(page, "linked", "queued")
        assert names(page) == ["linked"]
        assert found.locator("button:visible").count() == 0  # nothing that would be refused
        server.store.done(server.store.take().id, RESULT)
        wait(page, "linked", "done")
        expect(page.locator("#player")).to_have_attribute("data-job", job.id)


def test_who_plays_another_song_than_the_link_says_keeps_it(idle, open_page):
    played = separated(idle.store, {"vocals": np.zeros((2, 4410))}, name="played")
    linked = queued(idle.store, "linked")
    page = open_page(f"{idle.url}/#job={linked.id}")
    wait(page, "linked", "queued")
    button(page, "played", "play").click()
    player = page.locator("#player")
    expect(player).to_have_attribute("data-job", played)
    assert page.url.startswith(f"{idle.url}/#job={played}")
    idle.store.done(idle.store.take().id, RESULT)
    wait(page, "linked", "done")
    expect(player).to_have_attribute("data-job", played)


def test_a_link_to_a_song_that_is_gone_says_so(idle, open_page):
    page = open_page(f"{idle.url}/#job={'0' * 32}")
    page.expected.append("status of 404")
    gone = page.locator("#songs li")
    expect(gone).to_have_attribute("data-state", "gone")
    expect(gone.locator(".words")).to_have_text("Gone: there is no such song, or not any more")
    gone.locator("[data-action=dismiss]").click()
    expect(page.locator("#songs")).to_be_hidden()
    assert page.url == f"{idle.url}/"


def test_where_the_list_is_refused_a_browser_has_its_own_songs(tmp_path, open_page):
    with listening(tmp_path / "data", hosts=("music.localhost",)) as server:
        queued(server.store, "somebody else's")
        # `localhost` is told from this machine's own names, as behind a proxy
        page = open_page(server.url.replace("127.0.0.1", "music.localhost"))
        page.expected.append("status of 403")
        send(page, wav("mine.wav"))
        wait(page, "mine", "queued")
        page.reload()
        mine = wait(page, "mine", "queued")
        assert names(page) == ["mine.wav"]
        assert not button(page, "mine", "up").is_visible()
        assert server.ask("DELETE", f"/api/v1/jobs/{mine.get_attribute('data-job')}").status == 202
        page.expected.append("status of 404")
        expect(page.locator("#songs li")).to_have_attribute("data-state", "gone")
        page.locator("#songs li [data-action=dismiss]").click()
        expect(page.locator("#songs")).to_be_hidden()


def test_notifications_are_asked_for_by_who_wants_them(idle, open_page):
    running = ran(idle.store, name="a")
    page = open_page(idle.url)
    page.evaluate("""() => {
      window.told = [];
      window.Notification = class { constructor(title) { told.push(title); }
        static permission = "granted";
        static async requestPermission() { window.asked = true; return "granted"; } };
    }""")
    wait(page, "a", "running")
    assert page.evaluate("window.asked") is None
    page.check("#notify")
    hidden = "Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' })"
    page.evaluate(f"() => {{ {hidden}; }}")
    idle.store.done(running.id, RESULT)
    wait_for(lambda: page.evaluate("window.told") == ["Ready: a"])
    assert page.evaluate("window.asked")


def test_files_that_wait_go_on_after_the_token(tmp_path, open_page):
    with listening(tmp_path / "data", token="secret") as server:
        page = open_page(server.url)
        page.expected.append("status of 401")
        expect(page.locator("html")).to_have_attribute("data-state", "token")
        page.set_input_files("#files", [wav("a.wav")])
        wait(page, "a.wav", "waiting")
        page.fill("#token-text", "secret")
        page.keyboard.press("Enter")
        wait(page, "a.wav", "queued")
        assert server.send(clip(0.1), "b").status == 202


def test_a_first_visit_is_shown_the_example_which_cannot_be_removed(idle, open_page):
    queued(idle.store, "Example song", client=EXAMPLE)
    page = open_page(idle.url)
    page.expected.append("status of 404")  # there is no sound in what is made here
    words = wait(page, "Example", "queued").locator(".words")
    expect(words).to_have_text(
        "The clip that comes with the program, being separated: Waits, next in the queue"
    )
    example = idle.store.take()
    idle.store.done(example.id, RESULT)
    wait(page, "Example", "done")
    expect(words).to_have_text("The clip that comes with the program")
    player = page.locator("#player")
    expect(player).to_have_attribute("data-job", example.id)
    assert not button(page, "Example", "remove").is_visible()
    send(page, wav("mine.wav"))
    mine = wait(page, "mine", "queued")
    assert names(page) == ["mine.wav", "Example song"]
    idle.store.done(idle.store.take().id, RESULT)
    expect(player).to_have_attribute("data-job", mine.get_attribute("data-job"))
    other = page.context.new_page()
    other.goto(idle.url)  # no first visit: there is something else than the example
    wait(other, "mine", "done")
    expect(other.locator("#player")).to_be_hidden()
