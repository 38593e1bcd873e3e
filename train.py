"""Train a model: python train.py --config configs/xumx.py --config.data.root=FOLDER

FOLDER is MUSDB18 (.stem.mp4 or WAV), or contains train/ (and, for validation, valid/ or test/) with
one folder per track, each with vocals.wav, drums.wav, bass.wav and other.wav. Any value of the
config may be set on the command line: --config.train.batch_size=8. A run that was stopped or killed
resumes when started again with the same --workdir.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from absl import logging
from ml_collections import ConfigDict

from configs.command_line import override, read
from configs.common import defaults
from xumx_jax import files, runtime
from xumx_jax.commands.console import Parser

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def parser() -> argparse.ArgumentParser:
    made = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--config",
        required=True,
        metavar="FILE[:VARIANT]",
        help="a recipe, such as configs/xumx.py",
    )
    made.add_argument(
        "--workdir", type=Path, help="for checkpoints and logs (default: runs/NAME, by the config)"
    )
    made.add_argument(
        "--distributed", action="store_true", help="join the processes that a cluster has started"
    )
    return made


def parse(arguments: list[str]) -> tuple[ConfigDict, Path, bool]:
    """Read the command line: config, workdir, whether to ask the cluster.

    Raises UserError with one line if a key is unknown, or its value has the wrong type or makes no
    sense.
    """
    from pipelines.datasets import EXAMPLES
    from xumx_jax.training import phases
    from xumx_jax.training.config_checks import check

    given, rest = parser().parse_known_args(arguments)
    config = override(read(given.config), rest)
    check(config)
    phases.check(config)
    if config.data.name in EXAMPLES and config.train.steps_per_epoch is None:
        config.train.steps_per_epoch = max(1, EXAMPLES[config.data.name] // config.train.batch_size)
    name = Path(given.config.split(":")[0]).stem
    workdir = files.expanded(given.workdir) if given.workdir else Path("runs") / name
    return config, workdir, given.distributed


def mixing_of(config: ConfigDict, data: str):
    """The recipe for mixing examples: the config's values, then the data set's, then X-UMX's."""
    from pipelines import datasets
    from pipelines.mixing import recipe

    given = {key: value for key, value in config.recipe.items() if value is not None}
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}
    return recipe.Recipe(**datasets.RECIPES.get(data, {}) | given)


def open_data(config: ConfigDict):
    """Open what a run reads: the data set that the config names, through the loader it names."""
    import jax
    import numpy as np

    from pipelines import datasets, loader, validation
    from xumx_jax import models
    from xumx_jax.errors import UserError
    from xumx_jax.training import phases
    from xumx_jax.training.batches import Data
    from xumx_jax.training.config_checks import samples_of

    model = models.build(config.model.name, **config.model.args.to_dict())
    name, train = config.data.name, config.train
    if name == "auto":
        name = datasets.guess(config.data.root)
    channels = 2  # a model for mono may want both: see `batches.to_channels`
    tracks, held_out = datasets.open_data(
        name, config.data.root, model.sources, model.sample_rate, channels,
        config.data[name].to_dict() if name in config.data else {},
        train.valid_seconds or train.seconds,
    )  # fmt: skip
    hosts = {"process_index": jax.process_index(), "process_count": jax.process_count()}
    samples, valid_samples = (
        samples_of(model, seconds) for seconds in (train.seconds, train.valid_seconds)
    )

    def train_batches(first: int, phase: ConfigDict = config):
        return loader.Loader(
            tracks, mixing_of(phase, name), train.seed, train.batch_size, samples,
            first=first, workers=config.data.workers, engine=config.data.engine, **hosts,
        )  # fmt: skip

    def valid_pieces():
        if held_out is None:
            return iter(())
        return validation.pieces(held_out, valid_samples, jax.device_count(), **hosts)

    def mixes():
        silent = True
        for track, length in enumerate(tracks.track_lengths):
            frames = np.zeros((length, channels), np.float32)
            tracks.mixture_into(track, 0, frames)
            silent = silent and not frames.any()
            yield frames.T
        if silent:
            raise UserError(f"{tracks.root}: every mixture is silent; wanted music to train on")

    def example():
        """Up to 10 s from the middle of the first validation track."""
        if held_out is None:
            return None
        length = min(held_out.track_lengths[0], 10 * model.sample_rate)
        start = (held_out.track_lengths[0] - length) // 2
        stems = np.zeros((len(held_out.sources), length, channels), np.float32)
        mix = np.zeros((length, channels), np.float32)
        for source in range(len(held_out.sources)):
            held_out.read_into(source, 0, start, stems[source])
        held_out.mixture_into(0, start, mix)
        return stems.swapaxes(1, 2), mix.T

    for phase in phases.each(config):
        train_batches(0, phase)  # nothing is read: a recipe that fits no data is known now
    same = np.array_equal(tracks.mixing, np.eye(len(tracks.sources)))
    return Data(
        train_batches, valid_pieces, mixes, max(tracks.counts), tracks.fingerprint(),
        outline(tracks, held_out), None if same else tracks.mixing, example,
    )  # fmt: skip


def outline(*sets) -> str:
    """A digest of what determines how many batches there are and which tracks are in them."""
    seen = [(s.names, s.track_lengths, s.counts) for s in sets if s is not None]
    return files.digest_of([repr(seen)])


def main(arguments: list[str]) -> int:
    from xumx_jax.commands.console import run_program, shown_log
    from xumx_jax.training import distributed
    from xumx_jax.training.loop import run

    logging.set_verbosity(logging.FATAL)  # Orbax logs what it raises as well, over many lines

    def work() -> int:
        config, workdir, cluster = parse(arguments)
        runtime.use_one_heap(keep_all=True)
        runtime.prevent_fft_deadlock()
        distributed.connect(cluster, config.train.heartbeat_seconds, workdir)
        with shown_log(), distributed.losses_reported():
            data = open_data(config)
            outcome = run(config, workdir, data, print, defaults(config.model.name))
        return 130 if outcome.signal == signal.SIGINT else 0

    again = "interrupted; run the same command to resume"
    return run_program(work, "train", interrupted=again)


if __name__ == "__main__":
    from xumx_jax.training.distributed import leave

    leave(main(sys.argv[1:]))
