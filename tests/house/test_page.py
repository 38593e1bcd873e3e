"""Rules for the files of the page: nothing from elsewhere, no text that becomes markup, small."""

import gzip
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "xumx_jax" / "web" / "page"
OURS = [path for path in sorted(PAGE.glob("*")) if path.suffix in (".js", ".css", ".html", ".svg")]
SCRIPTS = [path for path in OURS if path.suffix == ".js"]
NAMESPACE = "http://www.w3.org/2000/svg"  # a name, which nobody looks up
MOST_LINES, MOST_BYTES = 300, 150_000
# what would make markup or code of data
MARKUP = (
    r"\b(?:inner|outer)HTML\b", r"\binsertAdjacentHTML\b", r"\bsetHTMLUnsafe\b", r"\bsrcdoc\b",
    r"\bdocument\.write", r"\bcreateContextualFragment\b", r"\bDOMParser\b", r"\beval\(",
    r"\bnew Function\b", r"\bset(?:Timeout|Interval)\(\s*[\"'`]", r"\bjavascript:",
)  # fmt: skip


def names(paths):
    return [path.name for path in paths]


def without_comments(text):
    return re.sub(r"/\*.*?\*/|(?<![:\"'])//[^\n]*|<!--.*?-->", "", text, flags=re.S)


def texts():
    """The keys of texts.js, as they are written there."""
    body = re.search(
        r"export const TEXTS = \{(.*?)^\};", (PAGE / "texts.js").read_text(), re.M | re.S
    )
    return re.findall(r'^  "?([\w.]+)"?:', body[1], re.M)


def base(key):
    """The name under which a text is used: without the category of its plural."""
    return re.sub(r"\.(zero|one|two|few|many|other)$", "", key)


def test_there_is_something_to_look_at():
    assert {"index.html", "main.js", "style.css", "texts.js"} <= set(names(OURS))
    assert len(SCRIPTS) > 10 and len(texts()) > 50


@pytest.mark.parametrize("path", OURS, ids=names(OURS))
def test_files_are_short_and_ask_nobody_else(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert not re.search(r"^(?:<<<<<<<|=======|>>>>>>>)", text, re.M), "a merge was not ended"
    assert not re.findall(r"(?:https?|wss?|ftp):?//|[\"'(]//\w", text.replace(NAMESPACE, ""))
    if path.suffix == ".css":
        assert "@import" not in text
        assert all(
            url.startswith(("/page/", "data:")) for url in re.findall(r"url\(\W?([^)]+)", text)
        )


@pytest.mark.parametrize("path", SCRIPTS, ids=names(SCRIPTS))
def test_scripts_are_modules_of_ours_and_no_data_becomes_markup(path):
    text = path.read_text()
    code = without_comments(text)
    for pattern in MARKUP:
        assert not re.search(pattern, code), pattern
    assert "style=" not in code and not re.search(r"setAttribute\(\s*[\"']style", code)
    for name in re.findall(r"(?:from|import)\s*\(?\s*[\"']([^\"']+)[\"']", code):
        assert (PAGE / name).is_file(), name
    assert text.startswith(("//", "/*")), "wanted a comment that says what it is"
    assert all(len(line) <= 100 and line == line.rstrip() for line in text.splitlines())


def test_no_script_or_style_is_in_the_markup():
    text = (PAGE / "index.html").read_text()
    assert not re.search(
        r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|<base|<iframe", text, re.I
    )
    for name in re.findall(r'\b(?:src|href)="([^"#]+)"', text):
        assert name.startswith("/page/") or name == "/docs", name
        assert name == "/docs" or (PAGE / name.removeprefix("/page/")).is_file(), name


def test_every_text_is_used_and_every_text_that_is_used_is_there():
    known = texts()
    assert len(known) == len(set(known))
    code = "".join(
        without_comments(path.read_text()) for path in SCRIPTS if path.name != "texts.js"
    )
    marks = set(re.findall(r'\bdata-text[\w-]*="(\w+)"', (PAGE / "index.html").read_text()))
    asked = marks | set(re.findall(r'\btext\(\s*"(\w+)"', code))
    assert asked <= {base(key) for key in known}, asked - {base(key) for key in known}
    words = marks | set(re.findall(r'"(\w+)"', code)) | set(re.findall(r"\b(\w+):", code))
    begun = tuple(re.findall(r"text\(`(\w+)\$\{", code))
    unused = [key for key in known if base(key) not in words and not base(key).startswith(begun)]
    assert not unused


def loaded():
    """What a browser loads of the page without a song: what index.html leads to."""
    found, left = set(), [PAGE / "index.html"]
    while left:
        path = left.pop()
        if path in found:
            continue
        found.add(path)
        text = path.read_text()
        if path.suffix == ".js":
            imported = re.findall(r"^(?:import|export)\b[^\"';]*[\"']\./([^\"']+)", text, re.M)
            left += [PAGE / name for name in imported]
        left += [PAGE / name for name in re.findall(r'(?:src|href)="/page/([^"]+)"', text)]
    return found


def test_the_page_without_a_song_is_small():
    """As it is sent to browsers, which all take gzip: see `xumx_jax.web.routes.page`."""
    files = loaded()
    assert {"main.js", "style.css", "server.js"} <= set(names(files))
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < MOST_BYTES


def test_every_file_is_used():
    """By the page, by name: `vendor` holds what others wrote."""
    everything = "".join(path.read_text() for path in OURS)
    for path in PAGE.rglob("*"):
        if path.is_file() and path.name not in ("index.html", "LICENSE.txt"):
            assert path.name in everything, path.name
