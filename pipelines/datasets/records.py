"""Read records written by `python -m pipelines.records`: random access on any storage."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.datasets import stored_records
from pipelines.tracks.split import Request, Split
from pipelines.tracks.track import Clip, Track, whole
from xumx_jax import files, stores
from xumx_jax.errors import UserError

FULL_SCALE = 32768
INFO = "dataset_info.json"


@dataclass(frozen=True, eq=False)
class Stream:
    """One source of one track in blocks of a second, with the methods of a `wav.File`.

    `blocks` returns the samples of a block by its number, `first` is the number of the first one.
    """

    path: Any
    rate: int
    channels: int
    samples: int
    blocks: Any
    first: int

    integer = True

    @property
    def digest(self) -> str:
        """SHA-256 of the samples."""
        blocks = map(self._block, range(-(-self.samples // self.rate)))
        return files.digest_of(np.ascontiguousarray(block, "<i2") for block in blocks)

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Fill int16 or float32 `out` [time, channel]; all of it must be within the stream.

        Raises UserError naming a record that cannot be read.
        """
        at, end = start, start + len(out)
        while at < end:
            number, skip = divmod(at, self.rate)
            block = self._block(number)[skip : skip + end - at]
            part = out[at - start : at - start + len(block)]
            if out.dtype == np.int16:
                part[:] = block
            else:
                np.multiply(block, np.float32(1 / FULL_SCALE), out=part)
            at += len(block)

    def _block(self, number: int) -> np.ndarray:
        try:
            samples = self.blocks[self.first + number]["samples"]
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{self.path}: record {self.first + number} cannot be read ({reason})"
            ) from error
        if not len(samples):
            raise UserError(f"{self.path}: record {self.first + number} is empty; wanted samples")
        return samples


def open_records(root, request: Request) -> Split | None:
    """Open what `python -m pipelines.records --data_dir=ROOT` wrote.

    ROOT may also be the folder of one of several data sets in it, on a disk or in an object store.
    Raises UserError if there is none or more than one, or if it has another rate or number of
    channels.
    """
    import tensorflow_datasets as tfds
    from etils import epath

    if not root:
        request.root(root)
    shown = root = os.path.expanduser(root)  # files.expanded would change gs://
    copied = stores.is_url(root) and not root.startswith("gs://")  # which array_record reads itself
    if copied:
        folder, shown = stored_records.described_here(root, INFO)
    else:
        folder = shown = only_folder(epath.Path(root))
    try:
        builder = tfds.builder_from_directory(folder)
        described = builder.info.metadata or {}
        stored = described.get(request.split)
        name = (stored or {}).get("records", request.split)
        blocks = stored and builder.as_data_source(name)
    except (OSError, RuntimeError, ValueError, KeyError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{shown}: cannot be read as records ({reason})") from error
    if not {"train", "valid"} & set(described):
        raise UserError(f"{shown}: wanted records that python -m pipelines.records wrote")
    if not stored:
        return None
    got = stored["rate"], stored["channels"]
    if request.rate is not None and got != (request.rate, request.channels):
        raise UserError(
            f"{shown}: {got[0]} Hz, {got[1]} channels; "
            f"wanted {request.rate} Hz, {request.channels} channels"
        )
    if copied:
        split = builder.info.splits[name]
        names = [os.path.basename(path) for path in split.filepaths]
        blocks = stored_records.Fetching(blocks, names, split.shard_lengths, folder, str(shown))
    return _split(shown, stored, blocks, request.split)


def only_folder(root):
    """The folder of the one data set below `root`. Raises UserError unless there is one."""
    from etils import epath

    places = ("", "*/", "*/*/", "*/*/*/")  # records/<config>/<version>/
    literally = epath.Path(glob.escape(str(root)))  # its own name is no pattern
    found = sorted(path.parent for place in places for path in literally.glob(f"{place}{INFO}"))
    if len(found) != 1:
        names = ", ".join(str(folder.relative_to(root)) for folder in found) or "none"
        raise UserError(f"{root}: wanted the records of one data set; found {names}")
    return found[0]


def _split(folder, stored: dict, blocks, name: str) -> Split:
    rows = [*stored["lengths"], stored["mixtures"]]
    counts = [-(-np.asarray(row, np.int64) // stored["rate"]) for row in rows]
    ends = np.cumsum(np.concatenate(counts))
    firsts = iter(np.concatenate([[0], ends[:-1]]).tolist())

    def clip(samples: int) -> Clip:
        stream = Stream(folder, stored["rate"], stored["channels"], samples, blocks, next(firsts))
        return (whole(stream),)

    # the order of the blocks: source after source, each with all tracks, and then the mixtures
    *clips, mixtures = [tuple(map(clip, row)) for row in rows]
    sources, names = tuple(stored["sources"]), tuple(stored["names"])
    made = {
        "known": sources,
        "skipped": tuple((track, why) for track, why in stored["skipped"]),
        "identity": stored["fingerprint"],
    }
    if not stored["aligned"]:
        made |= {"clips": dict(zip(sources, clips, strict=True)), "names": names}
    else:
        made["tracks"] = tuple(
            Track(
                track, Path(str(folder)) / track,
                {source: row[number] for source, row in zip(sources, clips, strict=True)},
                mixtures[number] if mixtures else None,
            )
            for number, track in enumerate(names)
        )  # fmt: skip
    return Split(folder, folder, name, "records", **made)
