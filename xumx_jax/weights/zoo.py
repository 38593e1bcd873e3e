"""Models by name: the bundled one, and published ones, which are fetched and converted once."""

import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.runtime import cache_folder
from xumx_jax.weights import converters, download, store
from xumx_jax.weights.converters import openunmix
from xumx_jax.weights.published import PUBLISHED

DEMO = "demo"
DEMO_FILE = Path(__file__).parents[1] / "assets" / "demo.safetensors"
DEMO_LICENCE = "MIT, as the program"
DEFAULT = "x-umx"


def names() -> tuple[str, ...]:
    """Every name that `find` knows."""
    return (*PUBLISHED, DEMO)


def cached(name: str, cache: str | Path | None = None) -> Path:
    """Where a published model lies, or would lie, converted."""
    return (Path(cache) if cache is not None else cache_folder()) / f"{name}.safetensors"


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

    Returns the `.safetensors` there; `progress` as in `download.get`. Nothing appears under a final
    name before it is complete, and of several processes one fetches while the others wait.
    """
    ours = cached(name, cache)
    if ours.is_file():
        return ours
    try:
        with download.only_writer(ours.with_name(f".{name}.lock")):
            if not ours.is_file():  # another process may have made it meanwhile
                make(name, ours, opener, progress)
    except OSError as error:
        raise UserError(f"{ours.parent}: cannot be used as a cache ({error})") from error
    return ours


def make(name: str, ours: Path, opener: Callable, progress: Callable | None) -> None:
    """Download and convert a published model to the file `ours`."""
    published = PUBLISHED[name]
    several = len(published.files) > 1
    folder = ours.with_suffix("") if several else ours.parent
    places = {target: folder / file.name for target, file in published.files.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for target, file in published.files.items():
        download.get(file, places[target], opener, progress)
    if several:
        weights = openunmix.read_targets(folder, places, published.settings)
    else:
        weights = openunmix.read(*places.values())
    model = converters.convert(weights, published.kind)
    found = set(model.args["sources"])  # in the file's own order, whatever is said of it
    if found != set(published.sources):
        raise UserError(f"{name}: its files hold {', '.join(sorted(found))}, not what is said")
    info = {
        **model.info,
        "url": " ".join(file.url for file in published.files.values()),
        "sha256": [files.digest(place) for place in places.values()],
        "licence": published.licence,
        "score": published.score,
    }
    store.save_model(ours, model.name, model.args, model.variables, info)
