"""Find a Chromium for the tests, or get one: `python tests/chromium.py` prints its path.

In this order: what the variable CHROMIUM names; what is installed; as root on Debian, its package;
and on 64-bit Linux the one inside the npm package @sparticuz/chromium (MIT), which needs neither
root nor an installed Node: Playwright brings one. It lies below the environment from then on.
"""

import base64
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
PLACES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
VERSION = "153.0.0"
SHA512 = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
WANTED = "wanted Chromium: apt-get install chromium, or CHROMIUM=/path/to/chrome"
UNPACK = """
const { createReadStream, createWriteStream } = require("fs");
const { createBrotliDecompress } = require("zlib");
const [from, to] = process.argv.slice(1);
require("stream").pipeline(
  createReadStream(from), createBrotliDecompress(), createWriteStream(to),
  (error) => { if (error) throw error; },
);
"""


class Failed(Exception):
    """One way did not work; its text is the reason."""


def chromium() -> str:
    """Return the path of a Chromium that runs. Raises Failed with one line if there is none."""
    if named := os.environ.get("CHROMIUM"):
        if (found := shutil.which(named)) and runs(found):
            return found
        raise Failed(f"CHROMIUM={named}: wanted the path of a Chromium that runs")
    reasons = []
    for way in (installed, debian, npm):
        try:
            return way()
        except Failed as failed:
            reasons.append(str(failed))
    raise Failed(f"{WANTED} ({'; '.join(reasons)})")


def installed() -> str:
    """The first that is installed and runs; some systems have mere pointers to a shop."""
    for name in (*NAMES, *PLACES):
        if (found := shutil.which(name)) and runs(found):
            return found
    raise Failed("none is installed")


def debian() -> str:
    """Install Debian's package."""
    if not (sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get")):
        raise Failed("no root on a Debian")
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]
    _say("installing Debian's chromium ...")
    for command in (install, ["apt-get", "update"], install):
        variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=variables, stdout=sys.stderr)
        if done.returncode == 0 and (found := shutil.which("chromium")) and runs(found):
            return found
    raise Failed("apt-get did not install it")


def npm(folder: Path | None = None) -> str:
    """Fetch the npm package, once, and unpack what is in it."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Failed("npm's is for Linux on x86-64")
    folder = folder or Path(sys.prefix) / f"chromium-{VERSION}"
    program = folder / "chromium.sh"
    if not program.exists():
        with tempfile.TemporaryDirectory(prefix="xumx-chromium-", dir=folder.parent) as name:
            unpack(fetch(registry(), Path(name)), Path(name))
            shutil.rmtree(folder, ignore_errors=True)
            Path(name, "made").rename(folder)
    if not runs(program):
        raise Failed(f"{program} does not run")
    return str(program)


def registry() -> str:
    """Where packages come from, as npm's settings say."""
    named = os.environ.get("npm_config_registry") or os.environ.get("NPM_CONFIG_REGISTRY")
    return (named or "https://registry.npmjs.org").rstrip("/")


def fetch(registry: str, folder: Path) -> Path:
    """Fetch the package and check that it is the one we know."""
    url = f"{registry}/@sparticuz/chromium/-/chromium-{VERSION}.tgz"
    _say(f"fetching {url} (70 MB) ...")
    path, digest = folder / "package.tgz", hashlib.sha512()
    try:
        with urllib.request.urlopen(url, timeout=60) as response, path.open("wb") as file:
            while block := response.read(1 << 20):
                digest.update(block)
                file.write(block)
    except OSError as error:
        raise Failed(f"{url}: {error}") from None
    if digest.digest() != base64.b64decode(SHA512):
        raise Failed(f"{url}: is not the package that is wanted")
    return path


def unpack(package: Path, folder: Path) -> None:
    """Make `folder`/made, with the program, its libraries and a script that starts it."""
    made = folder / "made"
    made.mkdir()
    with opened(package) as archive:
        for name in ("chromium", "al2023.tar", "swiftshader.tar"):
            archive.extract(f"package/bin/{name}.br", folder)
            _decompressed(folder / "package" / "bin" / f"{name}.br", made / name)
    for name in ("al2023.tar", "swiftshader.tar"):
        with opened(made / name) as archive:
            archive.extractall(made)
        (made / name).unlink()
    (made / "chromium").chmod(0o755)
    # Its sandbox would want rights that a downloaded program lacks; tests open our own page alone.
    (made / "chromium.sh").write_text(
        "#!/bin/sh\n"
        'export LD_LIBRARY_PATH="${0%/*}/lib:$LD_LIBRARY_PATH"\n'
        'exec "${0%/*}/chromium" --no-sandbox "$@"\n'
    )
    (made / "chromium.sh").chmod(0o755)


def opened(path: Path) -> tarfile.TarFile:
    """An archive that writes beside nothing, where Python (from 3.11.4 on) can see to that."""
    archive = tarfile.open(path)
    archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
    return archive


def _decompressed(source: Path, target: Path) -> None:
    try:
        from playwright._impl._driver import compute_driver_executable
    except ImportError:
        raise Failed("npm's wants Playwright: make test-web installs it") from None
    node = str(compute_driver_executable()[0])
    done = subprocess.run([node, "-e", UNPACK, str(source), str(target)], capture_output=True)
    if done.returncode:
        raise Failed(f"{source.name} cannot be unpacked: {done.stderr.decode()[-200:]!r}")


def runs(path) -> bool:
    """Whether a program starts and says that it is a browser."""
    if str(path).endswith(".exe"):
        return True  # these open a window instead
    try:
        done = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and any(char.isdigit() for char in done.stdout)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Print the path, or one line on why there is none."""
    try:
        print(chromium())
    except Failed as failed:
        _say(str(failed))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
