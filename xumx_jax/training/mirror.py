"""Copies of a run's checkpoints in an object store, so that the run goes on where its disk is not.

A place such as s3://bucket/run gets what a workdir has: `checkpoints/<step>`, `best-<step>`, the
pointer `best` and `metrics.jsonl`. Checkpoints are written to the local disk, as ever, and copied
from there while training goes on. There is no rename in an object store: a checkpoint's manifest,
with the digests of all its files, is uploaded last and removed first, and a folder without one is
no checkpoint. What is fetched is compared with these digests before it is used.
"""

import json
import logging
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path

from xumx_jax import files, stores
from xumx_jax.errors import CheckpointError, UserError
from xumx_jax.weights import pointer, store

LOG = logging.getLogger(__name__)
STARTED, METRICS, BEST = "started.json", "metrics.jsonl", "best"
PATIENCE_SECONDS = 60  # for a copy that is under way when the run ends by an error


class Mirror:
    """Keeps a place in a store like a workdir; a context manager, in one process of a run.

    Entered, it brings the newest checkpoint from there, if it is newer than those in the workdir,
    with the best weights and the records. `send()` has all that is new copied in the background.
    Left, it waits for that. Raises UserError when it is entered and the place cannot be used; later
    failures are lines in the log, and what could not be copied is tried again with the next.
    """

    def __init__(self, url: str, workdir: Path, log: Callable = LOG.info):
        if not stores.is_url(url) and not url.startswith("file://"):
            raise UserError(f"config.train.store is {url!r}, wanted a URL such as s3://bucket/run")
        self.url, self.workdir, self.log = url.rstrip("/"), workdir, log
        self.there: dict[str, str] = {}  # digests of the manifests of complete folders
        self.wanted, self.ending = threading.Event(), False
        self.told = ""

    def __enter__(self):
        started = {"host": platform.node(), "time": time.time()}
        stores.write(self._at(STARTED), json.dumps(started).encode())  # whether it may be written
        self._fetch(self._look())
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind, *_) -> None:
        self.ending = True
        self.wanted.set()
        self.thread.join(None if kind is None else PATIENCE_SECONDS)

    def send(self) -> None:
        """Copy what is new, soon."""
        self.wanted.set()

    def _at(self, *names: str) -> str:
        return stores.join(self.url, *names)

    def _look(self) -> dict[str, list[str]]:
        """The files of each complete folder there: {"checkpoints/00000002": [name in it, ...]}."""
        place, found = stores.filesystem(self.url)[1].rstrip("/"), {}
        for url in stores.search(self.url, recursive=True):
            name = url.partition("://")[2].lstrip("/").partition(f"{place.lstrip('/')}/")[2]
            folder, below = folder_of(name)
            if folder:
                found.setdefault(folder, []).append(below)
        complete = {folder: names for folder, names in found.items() if store.MANIFEST in names}
        for folder in complete:
            content = stores.read(self._at(folder, store.MANIFEST))
            self.there[folder] = digest_in(content or b"")
        return complete

    def _fetch(self, complete: dict[str, list[str]]) -> None:
        """Bring the newest checkpoint that is good and newer than the workdir's."""
        ours = newest_step(self.workdir)
        names = [name for name in complete if name.startswith(f"{store.STEPS}/")]
        for name in sorted(names, key=step_of, reverse=True):
            if step_of(name) <= ours:
                return
            self.log(f"fetching {self._at(name)}")
            if self._bring(name, complete[name]):
                break
        else:
            return
        content = stores.read(self._at(BEST))
        folder = json.loads(content)["folder"] if content else None
        if folder in complete and self._bring(folder, complete[folder]):
            files.write(self.workdir / BEST, content or b"")
        if metrics := stores.read(self._at(METRICS)):
            files.write(self.workdir / METRICS, metrics)

    def _bring(self, name: str, contents: list[str]) -> bool:
        """Copy a folder here -> whether it is good; a damaged one is left out, with a line."""
        try:
            with files.replacing_folder(self.workdir / name) as partial:
                for below in contents:
                    source, path = stores.filesystem(self._at(name, below))
                    (partial / below).parent.mkdir(parents=True, exist_ok=True)
                    with stores.told(self._at(name, below)):
                        source.get_file(path, str(partial / below))
                store.verify(partial)
        except CheckpointError as error:
            reason = str(error).replace(str(partial), self._at(name))
            LOG.warning("skipped a damaged checkpoint: %s", reason)
            return False
        return True

    def _work(self) -> None:
        while True:
            self.wanted.wait()
            self.wanted.clear()
            ending = self.ending
            try:
                self._copy()
                self.told = ""
            except (UserError, OSError) as error:
                if str(error) != self.told:
                    self.told = str(error)
                    LOG.warning("%s; what is in %s is complete", error, self.workdir)
            if ending:
                return

    def _copy(self) -> None:
        """Make the place like the workdir."""
        folders = [*self.workdir.glob(f"{store.STEPS}/[0-9]*"), *self.workdir.glob(f"{BEST}-*")]
        here = {folder.relative_to(self.workdir).as_posix(): folder for folder in folders}
        for name, folder in sorted(here.items()):
            try:
                with pointer.reading(lambda folder=folder: folder):
                    self._upload(name, folder)
            except CheckpointError:
                pass  # removed by the run in the meantime
        if pointer.is_pointer(self.workdir / BEST):
            stores.upload(self.workdir / BEST, self._at(BEST))
        if (self.workdir / METRICS).is_file():
            stores.upload(self.workdir / METRICS, self._at(METRICS))
        for name in [name for name in self.there if name not in here]:
            self._remove(name)

    def _upload(self, name: str, folder: Path) -> None:
        digest = digest_in((folder / store.MANIFEST).read_bytes())
        if self.there.get(name) == digest:
            return
        self._remove(name)
        listed = store.manifest_of(folder)["files"]
        for below in (*listed, store.MANIFEST):
            stores.upload(folder / below, self._at(name, below))
        self.there[name] = digest

    def _remove(self, name: str) -> None:
        if self.there.pop(name, None) is None:
            return
        stores.remove(self._at(name, store.MANIFEST))
        for url in stores.search(self._at(name), recursive=True):
            stores.remove(url)


def folder_of(name: str) -> tuple[str, str]:
    """The checkpoint's folder that a file is in, and its name there; ("", "") for other files."""
    parts = name.split("/")
    depth = 2 if parts[0] == store.STEPS else 1
    within = len(parts) > depth and (depth == 2 or parts[0].startswith(f"{BEST}-"))
    if not within or not all(files.safe_name(part, "") for part in parts):
        return "", ""
    return "/".join(parts[:depth]), "/".join(parts[depth:])


def step_of(name: str) -> int:
    last = name.rpartition("/")[2]
    return int(last) if last.isdigit() else -1


def newest_step(workdir: Path) -> int:
    """The step of the newest complete checkpoint; -1 if there is none."""
    try:
        return step_of(store.newest(workdir).name)
    except CheckpointError:
        return -1


def digest_in(manifest: bytes) -> str:
    """The digest that a manifest has of itself; "" if it is damaged."""
    try:
        return str(json.loads(manifest)["sha256"])
    except (ValueError, KeyError, TypeError):
        return ""
