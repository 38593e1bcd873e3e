"""Models by name: the bundled one, and published ones, which are downloaded and converted once."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

from xumx_jax import assets, files
from xumx_jax.errors import UserError
from xumx_jax.runtime import cache_folder
from xumx_jax.weights.bag import joined, save, save_model
from xumx_jax.weights.published import PUBLISHED, File, Published

DEFAULT = "x-umx"


def names() -> tuple[str, ...]:
    """Every name that `find` knows."""
    return (*PUBLISHED, assets.DEMO)


def cached(name: str, cache: str | Path | None = None) -> Path:
    """The path of a published model once converted: a file, or a folder for several models."""
    suffix = "safetensors" if len(PUBLISHED[name].members) == 1 else "bag"
    return (Path(cache) if cache is not None else cache_folder()) / f"{name}.{suffix}"


def find(name: str = DEFAULT, cache: str | Path | None = None, opener=urlopen) -> Path:
    """Return the weights file for a name of the zoo, downloading it if it is not cached.

    Raises UserError on an unknown name and on a failed download.
    """
    if name == assets.DEMO:
        return assets.DEMO_FILE
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

    Returns the cached `.safetensors`, or the folder of a bag; `progress` as in `download.get`.
    Nothing appears under a final name before it is complete, and if there are several processes,
    one downloads while the others wait.
    """
    ours = cached(name, cache)
    if ours.exists():
        return ours
    from xumx_jax.weights import download  # only where something is to be fetched

    try:
        with download.only_writer(ours.with_name(f".{name}.lock")):
            if not ours.exists():  # another process may have made it meanwhile
                make(name, ours, opener, progress)
    except OSError as error:
        raise UserError(f"{ours.parent}: cannot be used as a cache ({error})") from error
    return ours


def make(name: str, ours: Path, opener: Callable, progress: Callable | None) -> None:
    """Download and convert a published model, or several, to `ours`."""
    from xumx_jax.weights import converters, download

    published = PUBLISHED[name]
    several = sum(len(member.files) for member in published.members) > 1
    folder = ours.with_suffix("") if several else ours.parent
    folder.mkdir(parents=True, exist_ok=True)
    paths = paths_of(published, folder)
    bags, urls, digests = [], [], []
    for member in published.members:
        places = {target: paths[file] for target, file in member.files.items()}
        for target, file in member.files.items():
            download.get(file, places[target], opener, progress)
            urls.append(file.url)
            digests.append(files.digest(places[target]))
        weights = converters.read_all(places, member.kind, member.settings)
        if member.chunk is not None:
            usual = {"chunk_size": member.chunk}
            weights = replace(weights, info={**weights.info, "separation": usual})
        made = converters.convert_all(weights, member.kind)
        found = set(made.sources)  # in the file's own order, whatever is said of it
        if found != set(member.sources):
            raise UserError(
                f"{name}: its files hold {', '.join(sorted(found))}, not the sources expected"
            )
        bags.append(made)
    about = {"licence": published.licence, "score": published.score}
    about |= {"url": " ".join(urls), "sha256": digests}
    whole = joined(bags, [member.weight for member in published.members], published.combine)
    members = [replace(member, info={**member.info, **about}) for member in whole.members]
    if len(members) == 1:
        (only,) = members
        save_model(ours, only.name, only.args, only.variables, only.info)
    else:
        save(ours, replace(whole, members=tuple(members)))


def paths_of(published: Published, folder: Path) -> dict[File, Path]:
    """Where the files of a row are kept; if several have the same name, a number precedes it."""
    found = dict.fromkeys(file for member in published.members for file in member.files.values())
    count = Counter(file.name for file in found)
    return {
        file: folder / (file.name if count[file.name] == 1 else f"{number}-{file.name}")
        for number, file in enumerate(found)
    }
