"""What mkdocs does beside turning pages into HTML.

- A line `<!-- table: NAME -->` in a page becomes the table NAME of `tables.py`: options of the
  programs, keys of the configs and rows of the zoo, read from the code that is being documented.
- Texts that lie elsewhere in the repository (`ROOT_PAGES`) become pages.
- A page that would load anything over the network ends the build.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARKER = re.compile(r"^<!-- table: ([a-z_.]+) -->$", re.M)
ROOT_PAGES = {
    "changes.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "measurements.md": "bench/RESULTS.md",
    "model-card.md": "MODEL_CARD.md",
    "songs.md": "pipelines/songs/README.md",
}
# Attributes that make a browser fetch something, as opposed to links that a reader may follow.
FETCHED = re.compile(
    r"<(?:img|script|iframe|source|video|audio|embed)\b[^>]*?\bsrc=[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*?\bhref=[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|url\([\"']?((?:https?:)?//[^\"')\s]+)"
    r"|@import\s+[\"']((?:https?:)?//[^\"']+)",
    re.I,
)


def on_startup(command, dirty):
    """The programs and their data layer are imported from the clone.

    Not at this file's top: mkdocs puts `sys.path` back when it has loaded a hook.
    """
    sys.path[:0] = [str(ROOT), str(ROOT / "docs")]


def on_files(files, config):
    from mkdocs.structure.files import File

    for page, source in ROOT_PAGES.items():
        text = as_page((ROOT / source).read_text(), source)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    import tables

    return MARKER.sub(lambda found: tables.make(found[1]), markdown)


def on_post_build(config):
    from mkdocs.exceptions import PluginError

    site = Path(config.site_dir)
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        if found := fetched(path.read_text()):
            raise PluginError(f"{path.relative_to(site)} loads {', '.join(found)}")


def fetched(text: str) -> list[str]:
    """The addresses that HTML or CSS would have a browser load from elsewhere."""
    return [next(filter(None, found)) for found in FETCHED.findall(text)]


def as_page(text: str, source: str) -> str:
    """The text of a file of the repository as a page at the top of docs/: its links point there.

    A link to a file that is no page becomes its text alone; a picture has to lie below docs/.
    """
    pages = {name: page for page, name in ROOT_PAGES.items()}

    def point(found):
        words, target = found.groups()
        if target.startswith(("http", "#", "mailto:")):
            return found[0]
        path, hash_, anchor = target.partition("#")
        path = (ROOT / source).parent.joinpath(path).resolve().relative_to(ROOT).as_posix()
        if path in pages:
            return f"[{words}]({pages[path]}{hash_}{anchor})"
        if path.startswith("docs/") and path.endswith(".md"):
            return f"[{words}]({path.removeprefix('docs/')}{hash_}{anchor})"
        return words

    text = re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", point, text)
    return re.sub(r"(!\[[^\]]*\]\()(?:\.\./)*docs/", r"\1", text)
