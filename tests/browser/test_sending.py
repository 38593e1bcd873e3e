"""Files on their way from the page to the server, whose workers take no job here."""

import base64
import threading

from page_songs import button, names, row, send, take_all, wait, wav
from playwright.sync_api import expect
from serving import clip, listening, wait_for

# Makes a DataTransfer of [name, type, base64], as a drop or a paste brings one.
TRANSFER = """files => {
  const transfer = new DataTransfer();
  for (const [name, type, text] of files) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  return transfer;
}"""


def transfer(page, *files):
    listed = [[one["name"], one["mimeType"], base64.b64encode(one["buffer"]).decode()]
              for one in files]  # fmt: skip
    return page.evaluate_handle(TRANSFER, listed)


def drag(page, path):
    """Drop a file or folder of the disk onto the page, as a user does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"type": kind, "x": 300, "y": 300, "data": data}
        session.send("Input.dispatchDragEvent", place)
        if kind == "dragOver":
            expect(page.locator("#over")).to_be_visible()
    expect(page.locator("#over")).to_be_hidden()


def sent(server):
    return [job.name for job in server.store.jobs()]


def test_several_files_are_sent_in_their_order_and_wait(idle, open_page):
    page = open_page(idle.url)
    send(page, *(wav(f"{k}.wav") for k in range(3)))
    last = wait(page, "2.wav", "queued")
    expect(last.locator(".words")).to_have_text("Waits, 2 before it")
    expect(row(page, "0.wav").locator(".words")).to_have_text("Waits, next in the queue")
    assert sent(idle) == names(page) == ["0.wav", "1.wav", "2.wav"]
    assert page.locator("#said").inner_text() == "3 files are being sent"


def test_files_are_dropped_anywhere_and_pasted(idle, open_page):
    page = open_page(idle.url)
    expect(page.locator("#send")).to_have_attribute("data-state", "ready")
    page.dispatch_event("body", "drop", {"dataTransfer": transfer(page, wav("a.wav"))})
    wait(page, "a.wav", "queued")
    paste = "data => dispatchEvent(new ClipboardEvent('paste', {clipboardData: data}))"
    page.evaluate(paste, transfer(page, wav("b.wav")))
    wait(page, "b.wav", "queued")
    assert sent(idle) == ["a.wav", "b.wav"]


def test_folders_are_walked_and_only_sound_is_taken_from_them(idle, open_page, tmp_path):
    album = tmp_path / "album"
    for path in ("10.wav", "2.wav", "cover.jpg", "._2.wav", "list.m3u8", "deep/er/1.wav"):
        (album / path).parent.mkdir(parents=True, exist_ok=True)
        (album / path).write_bytes(clip(0.1))
    page = open_page(idle.url)
    expect(page.locator("#send")).to_have_attribute("data-state", "ready")
    page.set_input_files("#folder", album)
    wait(page, "1.wav", "queued")
    assert sent(idle) == ["2.wav", "10.wav", "1.wav"]  # by their paths, as people count
    drag(page, album)
    wait_for(lambda: len(sent(idle)) == 6)
    assert sorted(sent(idle)[3:]) == ["1.wav", "10.wav", "2.wav"]
    (tmp_path / "empty").mkdir()
    drag(page, tmp_path / "empty")
    expect(page.locator("#drop-about")).to_have_text("Nothing in there looks like audio or video.")


def test_a_folder_may_have_more_files_than_a_reader_gives_at_once(idle, open_page, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for k in range(130):
        (many / f"{k}.mp3").touch()
    page = open_page(idle.url)
    expect(page.locator("#send")).to_have_attribute("data-state", "ready")
    page.route("**/api/v1/jobs?*", lambda route: None)  # the first is on its way for ever
    drag(page, many)
    expect(page.locator("#songs li[data-job]")).to_have_count(130)
    assert names(page)[:3] == ["0.mp3", "1.mp3", "2.mp3"]


def test_progress_is_true_and_what_waits_or_is_sent_can_be_removed(idle, open_page):
    page = open_page(idle.url)
    session = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    session.send("Network.emulateNetworkConditions", slow)
    send(page, wav("first.wav", 24), wav("second.wav"), wav("third.wav"))
    first = wait(page, "first", "uploading")
    bar = first.locator("progress")
    expect(bar).to_have_attribute("aria-label", "Progress of first.wav")
    wait_for(lambda: 0.1 < bar.evaluate("bar => bar.value") < 1)
    expect(row(page, "second").locator(".words")).to_have_text("Waits to be sent")
    assert page.locator("#songs li").count() == 3  # the server's own row of it is not shown too
    button(page, "second", "remove").click()
    expect(row(page, "second")).to_have_count(0)
    button(page, "first", "cancel").click()
    session.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    wait(page, "third", "queued")
    wait_for(lambda: sent(idle) == ["third.wav"])
    assert names(page) == ["third.wav"]


def test_what_is_cancelled_when_all_of_it_was_sent_leaves_no_job(tmp_path, open_page, monkeypatch):
    looked_at = threading.Event()
    take_all(monkeypatch, looked_at)
    with listening(tmp_path / "data") as server:
        page = open_page(server.url)
        send(page, wav("a.wav"), wav("b.wav"))
        words = row(page, "a.wav").locator(".words")
        expect(words).to_have_text("Sent, the server looks at it")
        button(page, "a.wav", "cancel").click()
        expect(row(page, "a.wav")).to_have_count(0)
        assert sent(server) == ["a.wav"]
        looked_at.set()
        wait(page, "b.wav", "queued")
        assert sent(server) == names(page) == ["b.wav"]


def test_a_page_that_is_closed_while_it_sends_asks(idle, open_page):
    page = open_page(idle.url)
    page.route("**/api/v1/jobs?*", lambda route: None)
    send(page, wav("a.wav"))
    wait(page, "a.wav", "uploading")
    page.locator("h1").click()  # browsers ask only on pages that were used
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]


def test_too_large_is_said_before_anything_is_sent(tmp_path, open_page):
    with listening(tmp_path / "data", max_bytes=100_000) as server:
        page = open_page(server.url)
        posts = []

        def asked(request):
            if request.method == "POST":
                posts.append(request.url)

        page.on("request", asked)
        send(page, wav("large.wav", 3), wav("small.wav"))
        large = wait(page, "large", "failed")
        expect(large).to_have_attribute("data-code", "too_large")
        expect(large.locator(".words")).to_have_text(
            "the file is too large; wanted at most 0.0953674 MB"
        )
        wait(page, "small", "queued")
        assert [post.endswith("name=small.wav") for post in posts] == [True]
        answer = server.send(clip(3), "large.wav")
        assert answer.json()["error"]["message"] == large.locator(".words").inner_text()
        assert sent(server) == ["small.wav"]
        button(page, "large", "dismiss").click()
        expect(row(page, "large")).to_have_count(0)


def test_refusals_are_in_the_servers_words(tmp_path, open_page):
    with listening(tmp_path / "data") as server:
        page = open_page(server.url)
        page.expected += ["status of 415", "status of 400"]
        pdf = b"%PDF-1.7 nothing"
        send(page, {"name": "x.pdf", "mimeType": "application/pdf", "buffer": pdf})
        failed = wait(page, "x.pdf", "failed")
        expect(failed).to_have_attribute("data-code", "not_audio")
        wanted = server.send(pdf, "x.pdf").json()["error"]["message"]
        assert failed.locator(".words").inner_text() == wanted
        page.get_by_text("More options").click()
        page.fill("[name=niter]", "11")
        send(page, wav("a.wav"))
        refused = wait(page, "a.wav", "failed")
        expect(refused).to_have_attribute("data-code", "bad_option")
        expect(refused.locator(".words")).to_contain_text("niter: ")
        button(page, "x.pdf", "again").click()
        expect(failed.locator(".words")).to_have_text(wanted)
        for name in ("x.pdf", "a.wav"):
            button(page, name, "dismiss").click()
        expect(page.locator("#songs")).to_be_hidden()


HOSTILE = (
    "<img src=x onerror=alert(1)>.wav",
    "\u202egnp.wav",
    "a" * 300 + ".wav",
    "%00 & ?x=y#z.wav",
    "{name} ${name}.wav",
)


def test_hostile_names_are_text(idle, open_page):
    page = open_page(idle.url, viewport={"width": 360, "height": 640})
    send(page, *map(wav, HOSTILE))
    expect(page.locator("#songs li[data-state=queued]")).to_have_count(len(HOSTILE))
    wanted = [name.replace("\u202e", "")[:255] for name in HOSTILE]
    assert sent(idle) == wanted
    shown = page.locator("#songs .name")
    assert shown.evaluate_all("all => all.map((one) => one.textContent)") == wanted
    assert shown.evaluate_all("all => all.map((one) => one.childElementCount)") == [0] * len(
        HOSTILE
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_options_reach_the_server_and_are_remembered(idle, open_page):
    page = open_page(idle.url)
    send(page, wav("usual.wav"))
    wait(page, "usual", "queued")
    (job,) = idle.store.jobs()
    usual = idle.send(clip(0.2), "curl.wav").json()
    assert idle.job(job.id)["options"] == usual["options"]

    page.select_option("[name=choice]", "some_stems")
    for stem in ("drums", "other"):
        page.get_by_label(stem, exact=True).uncheck()
    page.select_option("[name=format]", "mp3")
    page.fill("[name=bitrate]", "128")
    page.get_by_text("More options").click()
    page.fill("[name=niter]", "3")
    page.fill("[name=alpha]", "0.5")
    page.check("[name=softmask]")
    page.check("[name=residual]")
    page.reload()
    send(page, wav("other.wav"))
    wait(page, "other", "queued")
    wanted = usual["options"] | {
        "stems": ["vocals", "bass"], "format": "mp3", "bitrate": 128, "niter": 3, "alpha": 0.5,
        "softmask": True, "residual": True,
    }  # fmt: skip
    assert idle.job(row(page, "other").get_attribute("data-job"))["options"] == wanted

    page.select_option("[name=choice]", "two_stems")
    page.get_by_label("drums", exact=True).check()
    page.select_option("[name=format]", "flac")
    page.select_option("[name=bits]", "24")
    send(page, wav("two.wav"))
    wait(page, "two", "queued")
    options = idle.job(row(page, "two").get_attribute("data-job"))["options"]
    wanted = {"two_stems": "drums", "stems": None, "format": "flac", "bits": "24", "bitrate": None}
    assert {name: options[name] for name in wanted} == wanted


def test_models_are_offered_by_what_they_separate(tmp_path, open_page):
    with listening(tmp_path / "data", models=()) as server:
        offered = server.get("/api/v1/models").json()
        page = open_page(server.url)
        expect(page.locator("#send")).to_have_attribute("data-state", "ready")
        shown = page.locator("[name=model] option").all_inner_texts()
        assert shown == [model["name"] for task in offered["tasks"] for model in task["models"]]
        assert page.locator("[name=model]").input_value() == offered["default"]
        assert page.locator("[name=model] optgroup").count() == len(offered["tasks"])
        for task in offered["tasks"]:
            for model in task["models"]:
                page.select_option("[name=model]", model["name"])
                about = page.locator("#model-about").inner_text()
                assert (model["licence"] or "") in about
                assert ("downloaded" in about) == (not model["here"])
                if model["mean_sdr_db"] is not None:
                    assert f"{model['mean_sdr_db']:.2f} dB" in about


def test_the_keyboard_alone_sends_and_cancels(idle, open_page):
    page = open_page(idle.url)
    # Playwright asks Chromium for choosers without waiting for the answer: early enough, here
    page.on("filechooser", lambda chooser: None)
    expect(page.locator("#send")).to_have_attribute("data-state", "ready")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "choose-files":
            break
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([wav("a.wav"), wav("b.wav")])
    wait(page, "b.wav", "queued")
    cancel = button(page, "a.wav", "cancel")
    for _ in range(30):
        page.keyboard.press("Tab")
        if cancel.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Space")
    expect(row(page, "a.wav")).to_have_count(0)
    assert sent(idle) == ["b.wav"]
    # the focus is in the row that took its place, not lost
    assert row(page, "b.wav").evaluate("row => row.contains(document.activeElement)")
