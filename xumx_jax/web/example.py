"""The example: the bundled clip, separated by the server itself, so that a first visit has a song.

It is a job like others, of a client that is no address (`jobs.EXAMPLE`); its place is behind all
that wait, it never expires, and it is made anew when its files are not those that it was made with.
"""

import logging
import shutil

from xumx_jax import assets, files
from xumx_jax.audio.decode import open_blocks
from xumx_jax.errors import UserError
from xumx_jax.versions import own
from xumx_jax.web.jobs import DONE, EXAMPLE, Options
from xumx_jax.web.store import INPUT, Store

LOG = logging.getLogger(__name__)
NAME = "Example"
SEAL = "example.sha256"  # in its folder: of its files, and of what they were made from


def tidy(store: Store) -> None:
    """Remove what there is of examples, unless it is wanted, done, whole and up to date."""
    kept = False
    for job in store.jobs():
        if not job.example:
            continue
        good = store.settings.example and not kept and job.state == DONE and _is_sealed(store, job)
        kept |= good
        if not good:
            store.remove(job.id)


def offer(store: Store) -> None:
    """Send the clip, unless it is there; that this fails is for the log alone."""
    if not store.settings.example or any(job.example for job in store.jobs()):
        return
    try:
        with open_blocks(assets.DEMO_CLIP) as stream:
            seconds = (stream.length or 0) / stream.rate
        job = store.create(NAME, Options(assets.DEMO), EXAMPLE)
        try:
            shutil.copyfile(assets.DEMO_CLIP, store.folder(job.id) / INPUT)
            store.uploaded(job.id, assets.DEMO_CLIP.stat().st_size, seconds)
        except BaseException:
            store.discard(job.id)
            raise
    except (UserError, OSError) as error:
        LOG.warning("there is no example: %s", error)


def seal(store: Store, id: str) -> None:
    """Note what the files of the example are, which are complete."""
    folder = store.folder(id)
    (folder / SEAL).write_text(_digest(folder))


def _is_sealed(store, job) -> bool:
    folder = store.folder(job.id)
    try:
        return (folder / SEAL).read_text() == _digest(folder)
    except OSError:
        return False


def _digest(folder) -> str:
    """Of the model, the clip, the program, and the files from which all others are made."""
    made = [path for path in folder.iterdir() if path.suffix in (".wav", ".f32", ".peaks", ".json")]
    sources = [("model", assets.DEMO_FILE), ("clip", assets.DEMO_CLIP)]
    found = files.digest_of_all([*sources, *((path.name, path) for path in sorted(made))])
    return files.digest_of([own(), found])
