"""Songs of the procedural generator, made once and kept."""

import subprocess
import sys
from pathlib import Path

import pipelines
from pipelines.datasets import stems_folder
from pipelines.datasets.cache import cache_folder, check_space, only_writer
from pipelines.tracks.random_access import Set
from xumx_jax.errors import UserError

SOURCES = ("vocals", "drums", "bass", "other")
VALID_SEED = 100_000  # as pipelines/songs/README.md shares out the seeds


def open_generated(
    root, targets, rate: int, channels: int, *,
    songs: int = 48, valid_songs: int = 6, seed: int = 0, seconds: float = 30.0,
    engine: str = "plain", processes: int = 2, cache: str = "", max_skipped: float = 0.1,
) -> tuple[Set, Set | None]:  # fmt: skip
    """Make `songs` + `valid_songs` songs, those that are not there yet, and open them.

    They go to ROOT/{train,valid}, without a root to a folder of the `cache`. `seed` numbers the
    first song; validation songs are the same for every seed. `engine` is plain, sampled or auto.
    """
    if songs < 1 or valid_songs < 0 or seed < 0 or seed + songs > VALID_SEED:
        raise UserError(
            f"data set 'generated': songs {songs}, valid_songs {valid_songs}, seed {seed}; wanted "
            f"at least 1, 0, 0, and songs + seed up to {VALID_SEED}"
        )
    if root:
        root = Path(root).expanduser()
    else:
        root = cache_folder(cache) / "songs" / f"{engine}-{rate}Hz-{seconds:g}s"

    def opened(split: str, first: int, count: int) -> Set:
        folder, names = root / split, [f"song_{first + n:06d}" for n in range(count)]
        if not all((folder / name).is_dir() for name in names):
            with only_writer(folder):
                size = len(SOURCES) * 4 * count * round(seconds * rate)
                check_space(folder, size, f"generating {count} songs")
                _generate(folder, first, count, rate, seconds, engine, processes)
        return stems_folder.open_tracks(
            folder, names, targets, rate, channels, sources=SOURCES, max_skipped=max_skipped
        )

    train = opened("train", seed, songs)
    return train, opened("valid", VALID_SEED, valid_songs) if valid_songs else None


def _generate(folder, first, count, rate, seconds, engine, processes) -> None:
    # A process of its own: the generator forks, which is unsafe once jax runs.
    command = [sys.executable, "-m", "pipelines.songs", str(folder.resolve())]
    for option, value in (
        ("songs", count), ("first-seed", first), ("seconds", seconds), ("rate", rate),
        ("engine", engine), ("processes", processes),
    ):  # fmt: skip
        command += [f"--{option}", str(value)]
    home = Path(pipelines.__file__).parents[1]
    done = subprocess.run(command, cwd=home, stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{folder}: generating songs failed: {last.removeprefix('songs: error: ')}")
