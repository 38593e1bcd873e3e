"""Train a model: python train.py --config configs/xumx.py --config.data.root=FOLDER

FOLDER holds train/ (and, for validation, valid/ or test/) with one folder per track, in it
vocals.wav, drums.wav, bass.wav and other.wav. Any value of the config may be set on the command
line: --config.train.batch_size=8. A run that was stopped goes on when started again with the same
--workdir.
"""

import os
import sys
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

CONFIG = config_flags.DEFINE_config_file("config", None, "recipe to train, with :variant if any")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "folder of checkpoints (default: runs/<name of the config>)"
)


def open_data(config: ConfigDict):
    """The iterators that a run reads, from a folder of stems."""
    import dataclasses
    from contextlib import contextmanager

    import jax
    import numpy as np

    from pipelines import datasets, loader, pieces, recipe
    from xumx_jax import models
    from xumx_jax.errors import UserError
    from xumx_jax.training.examples import render
    from xumx_jax.training.run import Data

    if not config.data.root:
        raise UserError(
            "no data: give --config.data.root=FOLDER (a folder with train/<track>/*.wav)"
        )
    if config.data.recipe not in recipe.RECIPES:
        known = ", ".join(recipe.RECIPES)
        raise UserError(f"unknown recipe {config.data.recipe!r}; known: {known}")
    model = models.build(config.model.name, **config.model.args.to_dict())
    options = {
        key: tuple(v) if isinstance(v, list) else v
        for key, v in config.data.options.to_dict().items()
    }
    try:
        mixing = dataclasses.replace(recipe.RECIPES[config.data.recipe], **options)
    except TypeError as error:
        raise UserError(f"config.data.options: {error}") from error
    channels = 2  # a mono model averages the magnitudes of both, so both are loaded
    tracks, held_out = datasets.open_data(
        "folder", config.data.root, model.sources, model.sample_rate, channels,
        {"sources": model.sources},
    )  # fmt: skip
    hosts = {"process_index": jax.process_index(), "process_count": jax.process_count()}
    train = config.train

    unpack = jax.jit(render)

    @contextmanager
    def train_batches(first: int):
        samples = round(train.seconds * model.sample_rate)
        with loader.Loader(
            tracks, mixing, train.seed, train.batch_size, samples,
            first=first, workers=config.data.workers, **hosts,
        ) as batches:  # fmt: skip
            yield (np.asarray(unpack(examples)) for examples in batches)

    def valid_pieces():
        if held_out is None:
            return iter(())
        samples = round(train.valid_seconds * model.sample_rate)
        found = pieces.pieces(held_out, samples, jax.device_count(), **hosts)
        return ((piece.stems, piece.weight) for piece in found)

    def mixes():
        for track, samples in enumerate(tracks.track_lengths):
            mix = np.empty((samples, channels), np.float32)
            tracks.mixture_into(track, 0, mix)
            yield mix.T

    return Data(train_batches, valid_pieces, mixes, len(tracks.names))


def main(_):
    from xumx_jax.errors import UserError
    from xumx_jax.training.run import run

    config = CONFIG.value
    logging.set_verbosity(logging.WARNING)
    name = Path(flags.FLAGS["config"].config_filename.split(":")[0]).stem
    try:
        run(config, WORKDIR.value or f"runs/{name}", open_data(config))
    except UserError as error:
        print(f"train: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main)
