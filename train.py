"""Train a model: python train.py --config configs/xumx.py --config.data.root=FOLDER

FOLDER is MUSDB18 (.stem.mp4 or WAV), or holds train/ (and, for validation, valid/ or test/) with
one folder per track, in it vocals.wav, drums.wav, bass.wav and other.wav. Any value of the config
may be set on the command line: --config.train.batch_size=8. A run that was stopped, or killed, goes
on when started again with the same --workdir.
"""

import difflib
import os
import re
import signal
import sys
import traceback
from pathlib import Path

from absl import flags, logging
from ml_collections import ConfigDict, config_flags

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

CONFIG = config_flags.DEFINE_config_file("config", None, "recipe to train, with :variant if any")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "folder of checkpoints and logs (default: runs/<name of the config>)"
)
DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "join the processes that a cluster's launcher has started"
)


def parse(arguments: list[str]) -> tuple[ConfigDict, Path, bool]:
    """Read the command line: config, workdir, whether to ask the cluster.

    Raises UserError with one line where a key is unknown or its value of another type.
    """
    from xumx_jax.errors import UserError

    flags.FLAGS.unparse_flags()
    try:
        rest = flags.FLAGS(arguments)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(explain(error, arguments)) from error
    if CONFIG.value is None or rest[1:]:
        wrong = f"; got {' '.join(rest[1:])!r}" if rest[1:] else ""
        raise UserError(f"wanted --config configs/NAME.py and --config.KEY=VALUE{wrong}")
    name = Path(flags.FLAGS["config"].config_filename.split(":")[0]).stem
    return CONFIG.value, Path(WORKDIR.value or f"runs/{name}"), DISTRIBUTED.value


def explain(error: Exception, arguments: list[str]) -> str:
    """Make one line of what the flag parser found, with the nearest key where one is unknown."""
    message = " ".join(str(error).split())
    try:
        known = keys(CONFIG.value)
    except (flags.Error, AttributeError):
        return message
    for argument in arguments:
        found = re.match(r"--config\.([\w.]+)", argument)
        if found and found[1] not in known:
            near = difflib.get_close_matches(found[1], known, 1, 0.5)
            hint = f"; did you mean config.{near[0]}?" if near else ""
            return f"unknown key config.{found[1]}{hint}"
    return message


def keys(config: ConfigDict, above: str = "") -> list[str]:
    """All keys of a config, as they are written on the command line."""
    found = []
    for key in config:
        value = config.get_ref(key).get() if hasattr(config, "get_ref") else config[key]
        found += keys(value, f"{above}{key}.") if isinstance(value, ConfigDict) else [above + key]
    return found


def open_data(config: ConfigDict):
    """What a run reads: the data set that the config names, by way of the loader it names."""
    import jax
    import numpy as np

    from pipelines import datasets, loader, recipe
    from xumx_jax import models
    from xumx_jax.training.run import Data

    model = models.build(config.model.name, **config.model.args.to_dict())
    mixing = recipe.Recipe(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in config.recipe.items()}
    )
    channels = 2  # a mono model averages the magnitudes of both, so both are loaded
    name = config.data.name
    if name == "auto":
        name = datasets.guess(config.data.root)
    tracks, held_out = datasets.open_data(
        name, config.data.root, model.sources, model.sample_rate, channels,
        config.data[name].to_dict() if name in config.data else {},
    )  # fmt: skip
    hosts = {"process_index": jax.process_index(), "process_count": jax.process_count()}
    train = config.train
    samples = round(train.seconds * model.sample_rate)
    valid_samples = round(train.valid_seconds * model.sample_rate)

    def train_batches(first: int):
        return loader.Loader(
            tracks, mixing, train.seed, train.batch_size, samples,
            first=first, workers=config.data.workers, engine=config.data.engine, **hosts,
        )  # fmt: skip

    def valid_pieces():
        if held_out is None:
            return iter(())
        return loader.pieces(held_out, valid_samples, jax.device_count(), **hosts)

    def mixes():
        for track, length in enumerate(tracks.track_lengths):
            frames = np.zeros((length, channels), np.float32)
            tracks.mixture_into(track, 0, frames)
            yield frames.T

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

    same = np.array_equal(tracks.mixing, np.eye(len(tracks.sources)))
    return Data(
        train_batches, valid_pieces, mixes, max(tracks.counts), tracks.fingerprint(),
        None if same else tracks.mixing, example,
    )  # fmt: skip


def main(arguments: list[str]) -> int:
    from xumx_jax.errors import UserError
    from xumx_jax.training import hosts
    from xumx_jax.training.run import run

    logging.set_verbosity(logging.FATAL)  # Orbax logs what it raises as well, over many lines
    try:
        config, workdir, distributed = parse(arguments)
        hosts.connect(distributed)
        outcome = run(config, workdir, open_data(config))
    except UserError as error:
        print(f"train: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        return 1
    return 130 if outcome.signal == signal.SIGINT else 0


if __name__ == "__main__":
    from xumx_jax.training.hosts import leave

    leave(main(sys.argv))
