"""Songs from the procedural generator, made once and kept."""

import subprocess
import sys
from pathlib import Path

import pipelines
from pipelines.datasets.cache import cache_folder, check_space, only_writer
from pipelines.tracks.folders import track_of
from pipelines.tracks.split import Request, Split
from xumx_jax import files
from xumx_jax.errors import UserError

SOURCES = ("vocals", "drums", "bass", "other")
# As seeds are allotted in pipelines/songs/README.md.
VALID_SEED, TEST_SEED = 100_000, 300_000
RATE = 44_100  # where nobody asks for another


def open_generated(
    root, request: Request, *,
    songs: int = 48, valid_songs: int = 6, test_songs: int = 6, seed: int = 0,
    seconds: float = 30.0, engine: str = "plain", processes: int = 2, cache: str = "",
    max_skipped: float = 0.1,
) -> Split | None:  # fmt: skip
    """Make `songs`, `valid_songs` or `test_songs` songs, except those that exist already.

    They are written to ROOT/{train,valid,test}, or without a root to a folder in the `cache`.
    `seed` is the number of the first song; the songs for validation and test are the same for every
    seed. `engine` is plain, sampled or auto.
    """
    counts = {"train": songs, "valid": valid_songs, "test": test_songs}
    if songs < 1 or min(counts.values()) < 0 or seed < 0 or seed + songs > VALID_SEED:
        raise UserError(
            f"data set 'generated': songs {songs}, valid_songs {valid_songs}, test_songs "
            f"{test_songs}, seed {seed}; wanted at least 1, 0, 0, 0, and songs + seed up to "
            f"{VALID_SEED}"
        )
    rate = request.rate or RATE
    if root:
        root = files.expanded(root)
    else:
        root = cache_folder(cache) / "songs" / f"{engine}-{rate}Hz-{seconds:g}s"
    count = counts.get(request.split, 0)
    if not count:
        return None
    folder = root / request.split
    first = {"train": seed, "valid": VALID_SEED, "test": TEST_SEED}[request.split]
    names = [f"song_{first + n:06d}" for n in range(count)]
    if not all((folder / name).is_dir() for name in names):
        with only_writer(folder):
            size = len(SOURCES) * 4 * count * round(seconds * rate)
            check_space(folder, size, f"generating {count} songs")
            _generate(folder, first, count, rate, seconds, engine, processes)
    tracks = tuple(track_of(folder / name) for name in names)
    return Split(root, folder, request.split, "generated", tracks, SOURCES, max_skipped=max_skipped)


def _generate(folder, first, count, rate, seconds, engine, processes) -> None:
    # A separate process: the generator forks, which is unsafe once JAX runs.
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
