"""One side of the loader benchmark: python bench/loader_side.py SIDE ROOT BATCHES [WORKERS]

Every turn makes BATCHES new batches of 16 x 4 stems x 6 s with the recipe of X-UMX (each source
from a random track and start, gain, channel swap). What each side does, and what it hands over:

openunmix     Open-Unmix's MUSDBDataset in PyTorch's DataLoader: mixture and target, float32
stand-in      the same, but ffmpeg and ffprobe are functions that only read
soundfile     open, seek, read, swap, gain, one by one: float32 [batch, source, channel, time]
read-alone    the same without swap and gain
tf, threads   ours, unpacked by `render` on JAX's CPU device: float32, as `soundfile`
tf-fresh      the same, where JAX asks the kernel for new memory for every result
tf-packed     ours as it comes: int16, gain and swap as numbers
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import worker

sys.path.append(str(Path(__file__).parents[1]))

BATCH, RATE, SECONDS, SEED = 16, 44_100, 6.0, 0
SAMPLES = int(RATE * SECONDS)
SOURCES = ("bass", "drums", "vocals", "other")


def ours(root: Path, batches: int, engine: str, way: str):
    """Return the task, and versions."""
    import jax
    import jax.numpy as jnp

    from pipelines.loader import Loader
    from pipelines.mixing.recipe import Recipe
    from xumx_jax.training.batches import render

    # The memory of the result before last is reused: a device that trains has its memory, which the
    # kernel does not have to clear each time.
    again = jax.jit(lambda examples, old: render(examples), donate_argnums=1, keep_unused=True)
    fresh = jax.jit(render)
    tracks, done = open_tracks(root), 0
    result = jnp.zeros((BATCH, len(SOURCES), 2, SAMPLES))

    def task():
        nonlocal done, result
        first, done = done, done + batches * BATCH
        with Loader(
            tracks, Recipe(), SEED, BATCH, SAMPLES, first=first, last=done, workers=1, engine=engine
        ) as loader:
            for examples in loader:
                if way == "":
                    result = again(examples, result).block_until_ready()
                elif way == "fresh":
                    result = fresh(examples).block_until_ready()
        return np.zeros(0)

    return task, {"version": jax.__version__}


def open_tracks(root: Path):
    from pipelines.datasets import open_data

    return open_data("folder", root, SOURCES, RATE, 2, {})[0]


def plain(root: Path, batches: int, augmented: bool):
    """Return the task of the plainest loader on soundfile, and versions."""
    import soundfile

    paths = [
        [path / f"{name}.wav" for name in SOURCES] for path in sorted((root / "train").iterdir())
    ]
    draw = np.random.default_rng(SEED)

    def task():
        for _ in range(batches):
            out = np.empty((BATCH, len(SOURCES), 2, SAMPLES), np.float32)
            for example in range(BATCH):
                for source in range(len(SOURCES)):
                    with soundfile.SoundFile(paths[draw.integers(len(paths))][source]) as file:
                        file.seek(draw.integers(file.frames - SAMPLES + 1))
                        wave = file.read(SAMPLES, dtype="float32").T
                    if augmented:
                        if draw.random() < 0.5:
                            wave = wave[::-1]
                        wave = wave * np.float32(draw.uniform(0.25, 1.25))
                    out[example, source] = wave
        return out

    return task, {"version": soundfile.__version__}


def openunmix(root: Path, batches: int, workers: int, stand_in: bool):
    """Return the task of Open-Unmix's loader, as its training program makes it, and versions."""
    import types
    from importlib.metadata import version

    # Imported by its module, used by its folder data sets only.
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    if stand_in:
        replace_ffmpeg()
    import torch
    from openunmix.data import MUSDBDataset, aug_from_str

    dataset = MUSDBDataset(
        target="vocals",
        root=str(root),
        is_wav=True,
        split="train",
        seq_duration=SECONDS,
        source_augmentations=aug_from_str(["gain", "channelswap"]),
        random_track_mix=True,
    )
    dataset.samples_per_track = -(-batches * BATCH // len(dataset.mus.tracks))
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,  # starting them anew each turn would count against it
    )

    def task():
        made = sum(len(x) == BATCH and x.shape[-1] == SAMPLES for x, _ in loader)
        if made != batches:
            raise SystemExit(f"openunmix: {made} batches, wanted {batches}")
        return np.zeros(0)

    return task, {"version": version("openunmix"), "torch": torch.__version__}


def replace_ffmpeg() -> None:
    """Give stempeg, which reads for musdb, an ffmpeg and an ffprobe that cost almost nothing.

    It starts both for every excerpt. Here soundfile returns what they would, in this process; the
    rest of the program is unchanged.
    """
    from unittest import mock

    import ffmpeg
    import soundfile

    with mock.patch("shutil.which", return_value="ffmpeg"):
        import stempeg  # noqa: F401

    def probe(path):
        info = soundfile.info(path)
        stream = {"codec_type": "audio", "index": 0, "duration_ts": info.frames}
        stream |= {"duration": info.duration, "channels": info.channels}
        return {"streams": [{**stream, "sample_rate": info.samplerate}]}

    class Process:
        def __init__(self, path):
            self.path = path

        def output(self, _, ss, t, **options):
            self.start, self.duration = seconds(ss), seconds(t)
            return self

        def run_async(self, **_):
            return self

        def communicate(self):
            with soundfile.SoundFile(self.path) as file:
                file.seek(round(self.start * RATE))
                return file.buffer_read(round(self.duration * RATE), dtype="int16"), b""

    ffmpeg.probe, ffmpeg.input = probe, Process


def seconds(text: str) -> float:
    """Of h:mm:ss.ffffff."""
    hours, minutes, rest = text.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def tree_seconds() -> float:
    """CPU seconds of this process and of all its descendants."""
    parents, spent = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            pid = int(folder.name)
            parents[pid] = int(fields[1])
            spent[pid] = sum(map(int, fields[11:15]))  # its own, and its dead children's
    mine, before = {os.getpid()}, 0
    while len(mine) > before:
        before = len(mine)
        mine |= {pid for pid, parent in parents.items() if parent in mine}
    return sum(spent[pid] for pid in mine) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    side, root, batches = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    begin = time.perf_counter()
    if side in ("openunmix", "stand-in"):
        task, facts = openunmix(root, batches, int(sys.argv[4]), side == "stand-in")
    elif side in ("soundfile", "read-alone"):
        task, facts = plain(root, batches, side == "soundfile")
    else:
        engine, _, way = side.partition("-")
        task, facts = ours(root, batches, engine, way)
    worker.serve(task, tree_seconds, **facts, loaded=time.perf_counter() - begin)


if __name__ == "__main__":
    main()
