"""The true entry point, on folders of noise and on the real preview track where it is at hand."""

import os
import signal
import subprocess
import sys
import time

import pytest
import songs
import stem_files
from shared_files import shared

from xumx_jax.training.monitor.logs import read_metrics
from xumx_jax.weights import store
from xumx_jax.weights.bag import load_model

pytestmark = pytest.mark.usefixtures("own_cache")
SAMPLE = shared("musdb18-7-sample")
FOUR = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return songs.make(tmp_path_factory.mktemp("songs"))


def finish(process, status: int = 0) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == status, output
    return output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xumx", "umx", "demo"])
def test_every_tiny_config_runs_as_it_is(name, tmp_path):
    """On songs at the model's own rate, with tf.data, and to the end."""
    rate = {"demo": 22050}.get(name, 44100)
    root = songs.make(tmp_path / "songs", seconds=3.0, rate=rate)
    run = tmp_path / "run"
    output = finish(
        songs.train(run, root, "--config.data.engine=tf", config=f"configs/{name}.py:tiny")
    )
    assert len(output.splitlines()) == 4, output  # statistics, header, two epochs
    assert load_model(run).name == ("umx" if name == "umx" else "xumx")
    assert [path.suffix for path in (run / "pictures").iterdir()] == [".png"] * 2
    steps = [record for record in read_metrics(run / "metrics.jsonl") if "lr" in record]
    assert len(steps) == 10 and all(0 <= step.get("waiting", 0) for step in steps)


@pytest.mark.slow
def test_stems_of_musdb_on_four_devices(tmp_path):
    """The real preview track, or one made up: decoded, then a few steps, weights thrown away."""
    root = SAMPLE
    if not SAMPLE.is_dir():
        root = tmp_path / "musdb"
        stem_files.write(root / "train" / "sines.stem.mp4")
    output = finish(songs.train(tmp_path / "run", root, XLA_FLAGS=FOUR))
    assert "training continues without validation" in output
    losses = [r["loss"] for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in r]
    assert len(losses) == 8 and min(losses[4:]) < max(losses[:4])


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path, root):
    """The launcher, the true script and two devices each: the losses of a single device."""
    options = [*songs.SMALL, "--config.log.pictures_every=0"]
    alone = songs.train(tmp_path / "one", root, *options)
    flags = FOUR.replace("=4", "=2")
    launch = ("-m", "xumx_jax.training.launch", "--processes", "2")
    together = songs.train(tmp_path / "two", root, *options, XLA_FLAGS=flags, before=launch)
    finish(alone), finish(together)
    curves = [
        [r["loss"] for r in read_metrics(tmp_path / name / "metrics.jsonl") if "loss" in r]
        for name in ("one", "two")
    ]
    assert len(curves[0]) == 8 and curves[1] == pytest.approx(curves[0], rel=1e-3)


@pytest.mark.slow
def test_sigterm_saves_within_a_step_and_goes_on(tmp_path, root):
    options = [*songs.SMALL, "--config.train.steps_per_epoch=100000"]
    process = songs.train(tmp_path, root, *options)
    log = tmp_path / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not log.exists() or log.read_text().count("gradient_norm") < 5:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    done = log.read_text().count("gradient_norm")
    process.send_signal(signal.SIGTERM)
    output = finish(process, 0)
    saved = int(store.newest(tmp_path).name)
    assert f"stopped after step {saved}; run the same command to resume" in output
    seen = [r for r in read_metrics(log) if "gradient_norm" in r]
    # the log was read before the signal was sent, and is one step behind
    assert done <= saved == len(seen) and saved - done < 40
    options[-1] = "--config.train.steps_per_epoch=100001"
    message = finish(songs.train(tmp_path, root, *options), 2)
    assert "train.steps_per_epoch was 100000, now 100001" in message


@pytest.mark.parametrize(
    "words, wanted",
    [
        (["--config.data.root=/nowhere"], "/nowhere: not a folder"),
        (["--config.train.bach_size=3"], "did you mean config.train.batch_size?"),
        (["--config.data.name=stems"], "unknown data set 'stems'"),
        (["--config.data.engine=dask"], "unknown engine 'dask'"),
        (["--config.optimizer.name=sgd"], "unknown optimizer 'sgd'; known: adam"),
        (["--config.loss.name=l7"], "unknown loss 'l7'; known: mse"),
        (["--config.model.name=tasnet"], "unknown model 'tasnet'"),
        (["--config.model.args.sources=('piano',)"], "no source 'piano'; known: bass, drums"),
        (["--config.train.steps_per_epoch=0"], "steps_per_epoch"),
        (["--config.recipe.swap=2.0"], "recipe.swap is 2.0, wanted 0 to 1"),
        (["--config.recipe.gain=(1.0,)"], "config.recipe.gain is (1.0,), wanted two numbers"),
        (["--config.train.compute=float8"], "float8"),
        (["--config.model.args.n_fft=255"], "config.model.args.n_fft is 255, wanted an even"),
        (["--config.model.args.sources=()"], "config.model.args.sources is (), wanted at least"),
        (["--config.optimizer.clip=0"], "config.optimizer.clip is 0.0, wanted more than 0"),
        (["--config.train.weights=nothing.pth"], "nothing.pth: no such file"),
        (["--workdir=/proc/nowhere"], "/proc/nowhere: cannot be used as a workdir"),
    ],
)
def test_bad_input_is_one_line(words, wanted, tmp_path, root, capsys, monkeypatch):
    """In this process, which saves the time of starting another."""
    import train

    monkeypatch.chdir(songs.ROOT)
    given = ["--config=configs/xumx.py:tiny", f"--workdir={tmp_path}", f"--config.data.root={root}"]
    status = train.main([*given, "--config.data.engine=threads", *songs.SMALL, *words])
    error = capsys.readouterr().err.strip()
    assert status == 2 and wanted in error and len(error.splitlines()) == 1, error


def test_help():
    done = subprocess.run(
        [sys.executable, "train.py", "--help"], cwd=songs.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "--config configs/xumx.py" in done.stdout


def test_the_process_is_prepared_before_jax_starts(monkeypatch, capsys):
    """Where FFTs of several devices may wait for each other, XLA's pool is switched off."""
    import train
    from xumx_jax import runtime

    asked = []
    monkeypatch.setattr(runtime, "version", lambda name: "0.11.2")
    monkeypatch.setattr(runtime, "use_one_heap", lambda **options: asked.append(options))
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.chdir(songs.ROOT)
    given = ["--config=configs/xumx.py:tiny", "--config.data.name=folder"]
    assert train.main([*given, "--config.data.root=/proc/nowhere"]) == 2
    assert asked == [{"keep_all": True}]
    assert os.environ["XLA_FLAGS"] == runtime.ONE_POOL_THREAD
    assert "/proc/nowhere" in capsys.readouterr().err
