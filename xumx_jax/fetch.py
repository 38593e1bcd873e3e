"""Downloads that resume where they stopped: weights, data sets, URLs.

The bytes received so far stay in a partial file, and only the rest is requested: at once when the
connection breaks, if several attempts are allowed, and by the next call. The caller checks that
both halves belong together and that the file is the right one.
"""

import http.client
import logging
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from xumx_jax.errors import UserError

LOG = logging.getLogger(__name__)
TIMEOUT_SECONDS = 10  # to connect, and for every block read
BLOCK_BYTES = 1 << 18
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416

OnBytes = Callable[[int, int | None], object]  # bytes so far, bytes in all if known


class CutOff(UserError):
    """The connection broke in the middle; the bytes received so far are kept."""


def fetch(
    url: str, part: Path, progress: OnBytes, *, opener: Callable = urlopen,
    attempts: int = 1, pause_seconds: float = 0.0, name: str = "", offline: str = "",
    expect: Callable[[int], object] = lambda count: None,
) -> None:  # fmt: skip
    """Download what the file `part` lacks, or all of it if there is no such file.

    Messages show `name` instead of the URL, and end in `offline` if no connection can be made.
    `expect` is called with the number of bytes to come, and may raise. Raises UserError if the
    download fails, CutOff if the last attempt is cut off, and OSError if `part` cannot be written.
    """
    name = name or url
    for attempt in range(attempts):
        try:
            return _transfer(url, part, progress, opener, name, offline, expect)
        except CutOff:
            if attempt == attempts - 1:
                raise
            time.sleep(pause_seconds)


def _transfer(url, part, progress, opener, name, offline, expect) -> None:
    """Append to `part` from where it ends; a server without ranges sends the whole file again."""
    done = part.stat().st_size if part.exists() else 0
    try:
        request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
        response = opener(request, timeout=TIMEOUT_SECONDS)
    except HTTPError as error:  # an answer, with a connection of its own
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE and done:  # complete already, or another file's part
            part.unlink()
            return _transfer(url, part, progress, opener, name, offline, expect)
        raise UserError(f"{name}: download failed, {error}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"{name}: download failed, {reason}{offline}") from error
    with response:
        if response.status != PARTIAL_CONTENT:
            done = 0
        length = int(response.headers.get("Content-Length") or 0)
        total = done + length if length else None
        expect(length)
        with part.open("r+b" if done else "wb") as file:
            file.seek(done)
            while block := _block(response, name, done):
                file.write(block)
                done += len(block)
                progress(done, total)
    if total is not None and done != total:
        raise CutOff(f"{name}: download cut off, {done} of {total} bytes; start again to resume")


def _block(response, name: str, done: int) -> bytes:
    # separate from writing, so that a full disk is not mistaken for a broken connection
    try:
        return response.read(BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise CutOff(f"{name}: download cut off after {done} bytes, {error}") from error


def log_is_shown() -> bool:
    """Whether a program shows the log, and so the bars: `commands.console.LogLines` is attached."""
    handlers = logging.getLogger("xumx_jax").handlers
    return any(getattr(handler, "draws_bars", False) for handler in handlers)


class Bar:
    """A progress bar on stderr, drawn once the first bytes arrive: a context manager.

    Where no program shows the log, a line of the log tells of the download instead. With
    `terminal_only` it is not written to files.
    """

    def __init__(self, name: str, terminal_only: bool = False):
        self.name, self.disable = name, None if terminal_only else False
        self.shown, self.drawn = log_is_shown(), None

    def __enter__(self):
        if not self.shown:
            LOG.info("downloading %s", self.name)
        return self

    def __call__(self, done: int, total: int | None) -> None:
        if not self.shown:
            return
        from tqdm import tqdm

        if self.drawn is None:
            self.drawn = tqdm(
                total=total, desc=self.name, unit="B", unit_scale=True, disable=self.disable
            )
        self.drawn.update(done - self.drawn.n)

    def __exit__(self, *_):
        if self.drawn is not None:
            self.drawn.close()
