"""One side of the evaluation benchmark: python bench/evaluate_side.py SIDE FOLDER [PLATFORM]

FOLDER holds references.npy and estimates.npy, float32 [source, channel, time], loaded before the
clock starts, and for "long" the same as WAV, which is read while scoring. Results are
[metric, source, frame]. The sides:

museval       museval's BSSEval v4, on float64 as its own readers give it
float64       ours, all four metrics
float32       the same in single precision
sdr           ours, only SDR; after the first turn ten times per turn, because it is so quick
long          as float64, with both sets read from files piece by piece
museval-long  museval on the same files, all of them in memory as it requires
"""

import itertools
import sys
import time
import types
from importlib.metadata import version
from pathlib import Path

BEGIN = time.perf_counter()

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
from worker import serve  # noqa: E402

RATE = 44_100
REPEATS = 10


class Files:
    """Files of one length, as an array [source, channel, time] that stays on disk."""

    def __init__(self, folder: Path):
        self._files = [soundfile.SoundFile(path) for path in sorted(folder.glob("*.wav"))]
        self.shape = (len(self._files), self._files[0].channels, self._files[0].frames)

    def __getitem__(self, key) -> np.ndarray:
        sources, channels, samples = key
        begin, end, _ = samples.indices(self.shape[-1])
        for file in self._files[sources]:
            file.seek(begin)
        waves = [file.read(end - begin, "float32", True).T for file in self._files[sources]]
        return np.stack(waves)[:, channels]


def inputs(folder: Path, long: bool):
    """References and estimates, [source, channel, time] each."""
    names = ("references", "estimates")
    if long:
        return [Files(folder / name) for name in names]
    return [np.load(folder / f"{name}.npy") for name in names]


def museval(folder: Path, long: bool):
    """Return the task, and facts."""
    # Imported only for data sets on disk, which need ffmpeg.
    for name in ("musdb", "stempeg"):
        sys.modules[name] = types.ModuleType(name)
    import museval

    # [source, channel, time] -> [source, time, channel]
    waves = [np.float64(x[:, :, :]).transpose(0, 2, 1).copy() for x in inputs(folder, long)]

    def task():
        return np.stack(museval.evaluate(*waves, win=RATE, hop=RATE, mode="v4"))

    return task, {"version": version("museval"), "scipy": version("scipy")}


def ours(folder: Path, side: str, platform: str):
    """Return the task, and facts."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import jax

    from xumx_jax.metrics import bss_eval, sdr_frames

    if jax.default_backend() != platform:
        raise SystemExit(f"jax computes on {jax.default_backend()}, wanted {platform}")
    references, estimates = inputs(folder, side == "long")
    turns = itertools.chain([1], itertools.repeat(REPEATS))
    precision = "float32" if side == "float32" else "float64"

    def task():
        if side == "sdr":
            for _ in range(next(turns)):
                found = sdr_frames(references, estimates, RATE)
            return found[None]
        found = bss_eval(references, estimates, RATE, precision=precision)
        return np.stack([found.sdr, found.isr, found.sir, found.sar])

    device = jax.devices()[0]

    def device_mib():
        return (device.memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**20

    facts = {"version": jax.__version__, "device": device.device_kind}
    return task, facts | {"repeats": REPEATS if side == "sdr" else 1}, device_mib


def main(side: str, folder: str, platform: str = "cpu") -> None:
    if side.startswith("museval"):
        task, facts, *count = museval(Path(folder), side.endswith("long"))
    else:
        task, facts, *count = ours(Path(folder), side, platform)
    serve(task, time.process_time, *count, **facts, loaded=time.perf_counter() - BEGIN)


if __name__ == "__main__":
    main(*sys.argv[1:])
