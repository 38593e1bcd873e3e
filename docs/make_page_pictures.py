"""Take the pictures of the page that the documentation shows: `docs/images/page-*.png`.

    python docs/make_page_pictures.py

starts a server as `xumx web` does, with the example. Wanted is the package with what its tests of
the page need (`pip install '.[web,dev,browser]'`), and Chromium, which is fetched otherwise.
"""

import argparse
import io
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

IMAGES = ROOT / "docs" / "images"
COLOURS = 256  # in the palette of a file
# {name: options of a browser's context}
VIEWS = {
    "page-light": {"viewport": {"width": 1200, "height": 1120}, "color_scheme": "light"},
    "page-dark": {"viewport": {"width": 1200, "height": 1120}, "color_scheme": "dark"},
    "page-narrow": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
BALANCE = "vocals=1.2,0.2&drums=0.7&mute=bass"  # so that the player shows what it does


def take(browser, url: str, job: str, views=tuple(VIEWS)) -> dict[str, bytes]:
    """Open the page with a song that is done -> {name: PNG} of each view."""
    taken = {}
    for name in views:
        options = VIEWS[name]
        with browser.new_context(reduced_motion="reduce", **options) as context:
            page = context.new_page()
            page.goto(f"{url}/#job={job}&{BALANCE}")
            page.wait_for_selector(f"#player[data-job='{job}'][data-state=paused]")
            page.wait_for_selector("#send[data-state=ready]")
            page.wait_for_load_state("networkidle")  # the waveforms
            if options["viewport"]["width"] < 600:
                page.locator("#player").evaluate("player => player.scrollIntoView()")
            taken[name] = small(page.screenshot())
    return taken


def small(picture: bytes) -> bytes:
    """A PNG file with few colours."""
    from PIL import Image

    file = io.BytesIO()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=IMAGES, help="a folder; default: %(default)s")
    out = parser.parse_args(arguments).out
    from chromium import Failed, chromium
    from playwright.sync_api import sync_playwright
    from serving import JOBS, served, wait_for  # of the tests

    try:
        program = chromium()
    except Failed as failed:
        raise SystemExit(str(failed)) from None
    flags = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data", "--example") as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=flags) as browser,
    ):
        wait_for(lambda: server.get(JOBS).json()["jobs"])
        example = server.wait(server.get(JOBS).json()["jobs"][0]["id"])
        for name, picture in take(browser, server.url, example["id"]).items():
            (out / f"{name}.png").write_bytes(picture)
            print(f"{out / name}.png: {len(picture)} bytes")


if __name__ == "__main__":
    main()
