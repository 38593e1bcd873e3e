"""Use an installed xumx_jax from a folder that knows nothing of the repository.

    cd EMPTY; python .../.ci/installed.py [train] [web]

Separates the bundled clip. With "train" it also trains on a few seconds of noise and scores the
result, which needs the extras train and eval; with "web" it serves the page, which needs the extra
web. The exit status is 0 if all went well.
"""

import os
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

REPOSITORY = Path(__file__).resolve().parents[1]
QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}  # compile less, for two steps


def xumx(*arguments, **environment):
    command = [sys.executable, "-m", "xumx_jax", *map(str, arguments)]
    subprocess.run(command, check=True, env=os.environ | environment)


def separate(clip):
    xumx("separate", clip, "--model", "demo", "--out", "separated")
    stems = sorted(path.name for path in Path("separated", "demo").glob("*.wav"))
    wanted = [f"{name}.wav" for name in ("bass", "drums", "other", "vocals")]
    assert stems == wanted, stems


def page(package):
    """`xumx web` serves every file of the page that the repository has."""
    files = {
        path.relative_to(REPOSITORY / "xumx_jax/web/page").as_posix(): path.read_bytes()
        for path in (REPOSITORY / "xumx_jax/web/page").rglob("*")
        if path.is_file()
    }
    options = ("--no-browser", "--port", "0", "--model", "demo", "--data", "jobs", "--min-free-mb")
    command = [sys.executable, "-m", "xumx_jax", "web", *options, "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().split()[-1]
            for name, content in files.items():
                assert (package / "web/page" / name).read_bytes() == content, name
                with urlopen(f"{address}/page/{name}", timeout=60) as answer:
                    assert answer.read() == content, name
            with urlopen(address, timeout=60) as answer:
                assert answer.read() == files["index.html"]
        finally:
            server.kill()
    print(f"{len(files)} files of the page")


def songs(root):
    """ROOT/{train,valid}/<track>/<source>.wav: three seconds of noise each."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    for folder in (root / "train" / "one", root / "train" / "two", root / "valid" / "three"):
        folder.mkdir(parents=True)
        for source in ("bass", "drums", "other", "vocals"):
            soundfile.write(folder / f"{source}.wav", 0.1 * rng.normal(size=(132300, 2)), 44100)


def train_and_score():
    songs(Path("songs"))
    small = ("--config.train.epochs=1", "--config.train.steps_per_epoch=2")
    data = "--config.data.root=songs"
    xumx("train", "--config", "xumx:tiny", "--workdir", "run", data, *small, **QUICK)
    scores = ("--root", "songs", "--subset", "valid", "--evaldir", "scores")
    xumx("evaluate", "--model", "run", *scores, **QUICK)
    assert Path("scores", "scores.json").is_file()


def main(parts):
    import xumx_jax

    package = Path(xumx_jax.__file__).resolve().parent
    assert package != REPOSITORY / "xumx_jax", f"{package} is the repository's own"
    print(f"xumx_jax {xumx_jax.__version__} in {package}")
    separate(package / "assets" / "demo.flac")
    if "web" in parts:
        page(package)
    if "train" in parts:
        train_and_score()


if __name__ == "__main__":
    main(sys.argv[1:])
