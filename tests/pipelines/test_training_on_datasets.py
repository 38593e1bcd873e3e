"""train.py on each data set of AIMLESS, a few steps with a tiny network, then evaluate.py."""

import numpy as np
import pytest
import songs
import soundfile

import train
from pipelines.evaluation import command
from xumx_jax.evaluation.scores import TrackScores
from xumx_jax.training.monitor.logs import read_metrics

pytestmark = pytest.mark.usefixtures("own_cache", "quick_compile")
FOUR = ("drums", "bass", "other", "vocals")
TRACKS = {"train": ("A", "B", "Leaf - Summerghost"), "test": ("C",)}
FILMS = ("mix", "music", "sfx", "speech")
# Of each data set the files, and the target of a model.
CASES = {
    "dnr": ([f"{a}/1/{b}" for a in ("tr", "cv", "tt") for b in FILMS], "speech"),
    "label_noise": ([f"song {n}/{b}" for n in range(6) for b in FOUR], "drums"),
    "bleed": ([f"song {n}/{b}" for n in range(6) for b in FOUR], "bass"),
    "musdb_voiceless": (
        [f"{a}/{b}/{c}" for a, own in TRACKS.items() for b in own for c in FOUR], "other",
    ),
    "speech_noise": ([f"{a}/{n}" for a in ("speech", "noise") for n in range(8)], "speech"),
}  # fmt: skip


def write(root, names):
    rng = np.random.default_rng(0)
    for name in names:
        path = root / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = 0.1 * rng.standard_normal(songs.RATE // 2)
        soundfile.write(path, wave, songs.RATE)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_run_trains_validates_and_is_evaluated(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(songs.ROOT)
    files, target = CASES[name]
    write(tmp_path / "root", files)
    run = tmp_path / "run"
    words = [
        "--config=configs/umx.py:tiny", f"--workdir={run}", f"--config.data.name={name}",
        f"--config.data.root={tmp_path / 'root'}", "--config.data.engine=threads", *songs.SMALL,
        f"--config.model.args.sources=({target!r},)", "--config.train.epochs=1",
        "--config.train.steps_per_epoch=2", "--config.log.pictures_every=0",
    ]  # fmt: skip
    assert train.main(words) == 0
    told = capsys.readouterr()
    assert told.err == "", told.err
    seen = list(read_metrics(run / "metrics.jsonl"))
    losses = [row["loss"] for row in seen if "loss" in row]
    valid = [value for row in seen for key, value in row.items() if key.startswith("valid")]
    assert len(losses) == 2 and np.isfinite(losses).all() and valid and np.isfinite(valid).all()

    where = ["--dataset", name, "--root", str(tmp_path / "root"), "--limit", "1"]
    where += ["--evaldir", str(tmp_path / "scores"), "--metrics", "usdr", "--niter", "0"]
    assert command.main(["--model", str(run), *where]) == 0, capsys.readouterr().err
    (path,) = (tmp_path / "scores" / "test").glob("*.json")
    assert np.isfinite(TrackScores.load(path).whole[target]["uSDR"])
