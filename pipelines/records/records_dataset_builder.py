"""Turn a data set into sharded records of one second each, for storage that cannot be mapped.

    tfds build pipelines/records --manual_dir=ROOT --data_dir=OUT --config=musdb

ROOT is the data set's root; OUT receives ArrayRecord files, to be read with the data set `records`.
A config is a data set with its defaults. Others are given as JSON, with the fields of `Config`:

    --config='{"name": "mine", "dataset": "folder", "targets": ["speech", "rest"], "rate": 16000}'

Samples are 16-bit integers, as bytes: as a Tensor, tfds would store each as a varint of up to three
bytes. Stems that are not 16-bit are rounded, and clipped at full scale. A split has its sources one
after another, then the mixtures if the data set has its own; each source has its tracks, and each
track its seconds, so that a block's number follows from the lengths.
"""

import dataclasses
import functools
import logging
import sys
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

# `tfds build` knows this folder, but not that it is part of a package.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from pipelines import datasets  # noqa: E402
from xumx_jax.errors import UserError  # noqa: E402

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(eq=False)
class Config(tfds.core.BuilderConfig):
    """Which data set, opened how; `options` are those of the data set."""

    dataset: str = ""
    targets: tuple[str, ...] = ("bass", "drums", "vocals", "other")
    rate: int = 44_100
    channels: int = 2
    options: dict = dataclasses.field(default_factory=dict)


class Builder(tfds.core.GeneratorBasedBuilder):
    """Music with its sources, in blocks of one second."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        Config(name=name, dataset=name, description=f"The data set {name!r}, with its defaults.")
        for name in datasets.DATASETS
        if name != "records"
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = "--manual_dir is the root of the data set to be turned."

    def __init__(self, *, file_format=None, **options):
        super().__init__(file_format=file_format or "array_record", **options)

    def _info(self) -> tfds.core.DatasetInfo:
        block = tfds.features.Tensor(
            shape=(None, self.builder_config.channels),
            dtype=np.int16,
            encoding=tfds.features.Encoding.BYTES,
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=tfds.features.FeaturesDict({"samples": block}),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager):
        config = self.builder_config
        names = ("train", "valid", "test")
        opened = datasets.open_tracks(
            config.dataset, names, dl_manager.manual_dir, config.targets, config.rate,
            config.channels, config.options,
        )  # fmt: skip
        found = {name: tracks for name, tracks in zip(names, opened, strict=True) if tracks}
        if any(tracks.scene is not None for tracks in found.values()):
            raise UserError(
                f"data set {config.dataset!r}: its examples are composed as they are read, which "
                "records cannot hold; train on its files"
            )
        described = {name: describe(tracks) for name, tracks in found.items()}
        if "test" in found and described["test"] == described.get("valid"):
            # where nothing else validates: written once
            described["test"]["records"] = "valid"
            del found["test"]
        self.info.metadata.update(described)
        return {name: blocks(tracks) for name, tracks in found.items()}

    def _generate_examples(self):
        raise AssertionError("every split has its own generator")


def describe(tracks) -> dict:
    """What a reader has to know about a split, as JSON."""
    return {
        "names": list(tracks.names),
        "sources": list(tracks.sources),
        "rate": tracks.rate,
        "channels": tracks.channels,
        "aligned": tracks.aligned,
        "lengths": [
            [tracks.length(source, track) for track in range(count)]
            for source, count in enumerate(tracks.counts)
        ],
        "mixtures": list(tracks.track_lengths) if tracks.mixtures else [],
        "skipped": [list(pair) for pair in tracks.skipped],
        "fingerprint": tracks.fingerprint(),
    }


def blocks(tracks):
    """Yield (key, example) for every second of all sources' tracks, then of the mixtures."""
    sample_type = np.int16 if tracks.integer else np.float32
    rows = [
        (
            tracks.length(source, track),
            sample_type,
            functools.partial(tracks.read_into, source, track),
        )
        for source, count in enumerate(tracks.counts)
        for track in range(count)
    ]
    if tracks.mixtures:
        rows += [
            (length, np.float32, functools.partial(tracks.mixture_into, track))
            for track, length in enumerate(tracks.track_lengths)
        ]
    key = clipped = 0
    for length, dtype, read_into in rows:
        for start in range(0, length, tracks.rate):
            out = np.empty((min(tracks.rate, length - start), tracks.channels), dtype)
            read_into(start, out)
            if dtype != np.int16:
                out = np.rint(out * 32768)
                clipped += np.count_nonzero((out < -32768) | (out > 32767))
                out = np.clip(out, -32768, 32767).astype(np.int16)
            yield key, {"samples": out}
            key += 1
    if clipped:
        LOG.warning("%s: %d samples beyond full scale were clipped", tracks.root, clipped)
