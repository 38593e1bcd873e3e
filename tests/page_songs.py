"""The songs of the page, for tests in a browser: files to send, and what the list shows."""

from playwright.sync_api import expect
from serving import clip

from xumx_jax.web import uploads
from xumx_jax.web.decoding import Probe


def wav(name, seconds=0.2, **options) -> dict:
    """A song for `set_input_files`."""
    data = clip(seconds, **options)
    return {"name": name, "mimeType": "audio/wav", "buffer": data}


def take_all(monkeypatch, looked_at=None):
    """Let servers of this process take whatever is sent for a song, once the event is set."""

    def probe(*_):
        assert looked_at is None or looked_at.wait(30)
        return Probe(44100, 2, 1.0, True)

    monkeypatch.setattr(uploads.decoding, "probe", probe)


def send(page, *files):
    """Choose files, as if in the dialog that the button opens."""
    expect(page.locator("#send")).to_have_attribute("data-state", "ready")
    page.set_input_files("#files", list(files))


def row(page, text):
    """The row of the song whose name contains `text`."""
    return page.locator("#songs li[data-job]").filter(has=page.locator(".name", has_text=text))


def wait(page, text, state):
    """Wait until a song is in a state -> its row."""
    found = row(page, text)
    expect(found).to_have_attribute("data-state", state, timeout=30_000)
    return found


def names(page) -> list[str]:
    """The names in the list, in their order."""
    return page.locator("#songs li .name").all_inner_texts()


def button(page, text, action):
    """A button of a song."""
    return row(page, text).locator(f"[data-action={action}]")
