"""Records that `python -m pipelines.records` wrote: random access to a data set on any storage."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pipelines.tracks.opening import arrange
from xumx_jax.errors import UserError

FULL_SCALE = 32768
INFO = "dataset_info.json"


@dataclass(frozen=True)
class Records:
    """One split of sharded records; the same to its users as a `pipelines.tracks.random_access.Tracks`.

    `stored` is what the builder wrote about the split, `order` says which of its sources is which
    of ours, and `blocks` gives the samples of a block by its number.
    """

    root: Any
    stored: dict
    blocks: Any
    order: tuple[int, ...]
    sources: tuple[str, ...]
    mixing: np.ndarray

    integer = True

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.stored["names"])

    @property
    def rate(self) -> int:
        return self.stored["rate"]

    @property
    def channels(self) -> int:
        return self.stored["channels"]

    @property
    def aligned(self) -> bool:
        return self.stored["aligned"]

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, why) for name, why in self.stored["skipped"])

    @cached_property
    def lengths(self) -> list[list[int]]:
        return [self.stored["lengths"][place] for place in self.order]

    @cached_property
    def counts(self) -> list[int]:
        return [len(row) for row in self.lengths]

    @cached_property
    def track_lengths(self) -> list[int]:
        if self.aligned:
            return self.lengths[0]
        tracks = range(max(self.counts))
        return [min(row[track % len(row)] for row in self.lengths) for track in tracks]

    @cached_property
    def _first(self) -> list[np.ndarray]:
        # [source][track] the number of the first block; the mixtures come after the sources
        rows = [*self.stored["lengths"], self.stored["mixtures"]]
        blocks = [-(-np.asarray(row, np.int64) // self.rate) for row in rows]
        ends = np.cumsum(np.concatenate(blocks))
        starts = np.concatenate([[0], ends[:-1]])
        return np.split(starts, np.cumsum([len(row) for row in rows])[:-1])

    def length(self, source: int, track: int) -> int:
        """Samples to choose excerpts from."""
        return self.lengths[source][track]

    def read_into(self, source: int, track: int, start: int, out: np.ndarray) -> None:
        """Fill int16 or float32 `out` [time, channel], with silence beyond the end."""
        self._read(self.order[source], track, self.lengths[source][track], start, out)

    def mixture_into(self, track: int, start: int, out: np.ndarray) -> None:
        """Fill float32 `out` [time, channel] with the real mixture, else the sum of all sources."""
        if self.stored["mixtures"]:
            self._read(len(self.order), track, self.stored["mixtures"][track], start, out)
            return
        out[:] = 0
        one = np.empty_like(out)
        for source, count in enumerate(self.counts):  # as Set: the shorter lists go round
            self.read_into(source, track % count, start, one)
            out += one

    def fingerprint(self) -> str:
        """SHA-256 of what identifies the data that were turned into records, and of our order."""
        return hashlib.sha256(f"{self.stored['fingerprint']} {self.sources}".encode()).hexdigest()

    def _read(self, row, track, length, start, out):
        first, end = int(self._first[row][track]), min(length, start + len(out))
        at = start
        while at < end:
            number, skip = divmod(at, self.rate)
            block = self._block(first + number)[skip : skip + end - at]
            part = out[at - start : at - start + len(block)]
            if out.dtype == np.int16:
                part[:] = block
            else:
                np.multiply(block, np.float32(1 / FULL_SCALE), out=part)
            at += len(block)
        out[max(0, at - start) :] = 0

    def _block(self, number):
        try:
            samples = self.blocks[number]["samples"]
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{self.root}: record {number} cannot be read ({reason})") from error
        if not len(samples):
            raise UserError(f"{self.root}: record {number} is empty; wanted samples")
        return samples


def open_records(root, targets, rate: int, channels: int) -> tuple[Records, Records | None]:
    """Open what `python -m pipelines.records --data_dir=ROOT` wrote -> (training, validation).

    ROOT may also be the folder of one of several data sets in it. Raises UserError if there is none
    or more than one, or if it is of another rate or number of channels.
    """
    import tensorflow_datasets as tfds
    from etils import epath

    if not root:
        raise UserError("no data: give its folder, --config.data.root=FOLDER")
    root = epath.Path(root)
    places = ("", "*/", "*/*/", "*/*/*/")  # records/<config>/<version>/
    found = sorted(path.parent for place in places for path in root.glob(f"{place}{INFO}"))
    if len(found) != 1:
        names = ", ".join(str(folder.relative_to(root)) for folder in found) or "none"
        raise UserError(f"{root}: wanted the records of one data set; found {names}")
    try:
        builder = tfds.builder_from_directory(found[0])
        described = builder.info.metadata or {}
        opened = [
            _open(found[0], described[split], builder.as_data_source(split), targets)
            for split in ("train", "valid")
            if split in described
        ]
    except (OSError, RuntimeError, ValueError, KeyError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{found[0]}: cannot be read as records ({reason})") from error
    if not opened:
        raise UserError(f"{found[0]}: wanted records that python -m pipelines.records wrote")
    for split in opened:
        if (split.rate, split.channels) != (rate, channels):
            raise UserError(
                f"{split.root}: {split.rate} Hz, {split.channels} channels; "
                f"wanted {rate} Hz, {channels} channels"
            )
    return opened[0], opened[1] if len(opened) > 1 else None


def _open(root, stored, blocks, targets) -> Records:
    sources, mixing = arrange(root, targets, stored["sources"])
    order = tuple(stored["sources"].index(name) for name in sources)
    return Records(root, stored, blocks, order, sources, mixing)
