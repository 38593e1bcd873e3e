"""Published weights: where they are, what they are, and the copy of them in the cache.

The cache is `$XUMX_CACHE`, else `$XDG_CACHE_HOME/xumx_jax`, else `~/.cache/xumx_jax`.
"""

import hashlib
import http.client
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from xumx_jax import checkpoint, converters
from xumx_jax.converters import readers
from xumx_jax.errors import UserError

DEMO = "demo"
DEMO_FILE = Path(__file__).parent / "data" / "demo.safetensors"
DEFAULT = "x-umx"
TIMEOUT_SECONDS = 10  # to connect, and for every block read
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Published:
    """Weights that somebody else offers for download.

    score is what their authors measured: BSSEval v4 SDR on the 50 test songs of MUSDB18, median
    over frames, median over songs.
    """

    url: str
    sha1: str
    kind: str
    licence: str
    score: str


PUBLISHED = {
    "x-umx": Published(
        url="https://nnabla.org/pretrained-models/ai-research-code/x-umx/x-umx.h5",
        sha1="6414e08527d37bd1d08130c4b87255830af819bf",
        kind="xumx-nnabla",
        licence="none stated for the weights; their program is Apache-2.0; trained on MUSDB18, "
        "which is for non-commercial use",
        score="vocals 6.61, drums 6.47, bass 5.43, other 4.64, mean 5.79 dB",
    ),
}


def names() -> tuple[str, ...]:
    """Every name that `find` knows."""
    return (*PUBLISHED, DEMO)


def cache_folder() -> Path:
    if chosen := os.environ.get("XUMX_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xumx_jax"


def find(name: str | None = None, cache: str | Path | None = None, opener=urlopen) -> Path:
    """Return the weights file for a name of the zoo, downloading it where it is not cached.

    None is the published default; where it can't be had, one line on stderr says so and the bundled
    demo model takes its place. Raises UserError on an unknown name and on a failed download.
    """
    if name is None:
        try:
            return fetch(DEFAULT, cache, opener)
        except UserError as error:
            print(
                f"xumx: published weights unavailable ({error}); using the bundled demo model",
                file=sys.stderr,
            )
            return DEMO_FILE
    if name == DEMO:
        return DEMO_FILE
    if name not in PUBLISHED:
        raise UserError(f"unknown model {name!r}; known: {', '.join(names())}, or a path")
    return fetch(name, cache, opener)


def fetch(
    name: str,
    cache: str | Path | None = None,
    opener: Callable = urlopen,
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Download published weights into the cache and convert them, each once.

    Returns the `.safetensors` there. `progress` is called with the bytes so far and those in all;
    None draws a bar on stderr. Nothing appears under a final name before it is complete.
    """
    published = PUBLISHED[name]
    cache = Path(cache) if cache is not None else cache_folder()
    ours = cache / f"{name}.safetensors"
    if ours.is_file():
        return ours
    theirs = cache / Path(urlsplit(published.url).path).name
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if not (theirs.is_file() and sha1_of(theirs) == published.sha1):
            if progress is None:
                with bar(name) as drawn:
                    download(published, theirs, opener, drawn)
            else:
                download(published, theirs, opener, progress)
        model = converters.convert(readers.read(theirs), published.kind)
        info = {
            **model.info,
            "url": published.url,
            "sha1": published.sha1,
            "licence": published.licence,
            "score": published.score,
        }
        checkpoint.save_model(ours, model.name, model.args, model.variables, info)
    except OSError as error:
        raise UserError(f"{cache}: cannot be used as a cache ({error})") from error
    return ours


def download(published: Published, place: Path, opener: Callable, progress: Callable) -> None:
    """Download to `place`, by way of a partial file beside it whose digest is checked first."""
    partial = place.with_name(f"{place.name}.{os.getpid()}.part")
    state, done = hashlib.sha1(), 0
    try:
        with partial.open("wb") as file:
            try:
                with opener(published.url, timeout=TIMEOUT_SECONDS) as response:
                    total = int(response.headers.get("Content-Length") or 0) or None
                    while block := response.read(BLOCK_BYTES):
                        file.write(block)
                        state.update(block)
                        done += len(block)
                        progress(done, total)
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason = getattr(error, "reason", None) or error
                if isinstance(error, HTTPError):  # an answer, with a connection of its own
                    error.close()
                raise UserError(f"{published.url}: download failed, {reason}") from error
        if total is not None and done != total:
            raise UserError(f"{published.url}: download cut off, {done} of {total} bytes")
        if state.hexdigest() != published.sha1:
            raise UserError(
                f"{published.url}: SHA-1 is {state.hexdigest()}, wanted {published.sha1}"
            )
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def sha1_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


class bar:
    """A progress bar for `download` on stderr, drawn once the first bytes have come."""

    def __init__(self, name: str):
        self.name, self.drawn = name, None

    def __enter__(self):
        return self

    def __call__(self, done: int, total: int | None) -> None:
        from tqdm import tqdm

        if self.drawn is None:
            self.drawn = tqdm(total=total, desc=self.name, unit="B", unit_scale=True)
        self.drawn.update(done - self.drawn.n)

    def __exit__(self, *_):
        if self.drawn is not None:
            self.drawn.close()
