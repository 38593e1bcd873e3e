"""Records in an object store: each of their files is copied to the cache when it is first read.

What describes them is small and copied at once. The cache of a data set is named after its URL and
its description, so data written anew at the same place are fetched anew. A host of several reads
the records of its own slice of each batch, and fetches the files that hold these.
"""

import bisect
import itertools
from pathlib import Path
from typing import Any

from pipelines.datasets.cache import cache_folder, only_writer, unusable
from xumx_jax import files, stores
from xumx_jax.errors import UserError


def described_here(url: str, info: str) -> tuple[Path, str]:
    """Copy what describes the records below a URL -> a folder with it, and the URL of the records.

    `info` is the name of the file that marks a data set. Raises UserError unless there is one.
    """
    found = [name for name in stores.search(url, recursive=True) if name.endswith(f"/{info}")]
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise UserError(f"{url}: wanted the records of one data set; found {names}")
    place = found[0].rpartition("/")[0]
    listed = [name for name in stores.search(place) if name.endswith(".json")]
    texts = {stores.name_of(name): stores.read(name) or b"" for name in listed}
    folder = cache_folder() / "records" / files.digest_of([url, texts[info]])[:24]
    with only_writer(folder):
        for name, text in texts.items():
            files.write(folder / name, text)
    return folder, place


class Fetching:
    """The records of a split, as a data source of tensorflow_datasets: `self[number]`.

    blocks   the data source, of the files in `folder`
    names    those files, in the order of their records
    lengths  how many records each has
    url      where they are
    """

    def __init__(self, blocks: Any, names: list[str], lengths: list[int], folder: Path, url: str):
        self.blocks, self.names, self.folder, self.url = blocks, names, folder, url
        self.ends = list(itertools.accumulate(lengths))
        self.here: set[str] = set()

    def __getitem__(self, number: int) -> Any:
        name = self.names[bisect.bisect_right(self.ends, number)]
        if name not in self.here:
            self.fetch(name)
        return self.blocks[number]

    def fetch(self, name: str) -> None:
        """Copy a file here unless it is; other threads and processes wait. Raises UserError."""
        place = self.folder / name
        with only_writer(self.folder):
            if not place.is_file():
                store, path = stores.filesystem(stores.join(self.url, name))
                try:
                    with files.replacing(place) as partial, stores.told(f"{self.url}/{name}"):
                        store.get_file(path, str(partial))
                except OSError as error:
                    raise unusable(self.folder, error) from error
        self.here.add(name)
