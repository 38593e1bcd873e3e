"""The Python of the pages runs, from top to bottom."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from documentation import run
from foreign import write_pth
from foreign_modern import roformer

import xumx_jax
from xumx_jax.weights.bag import save_model

pytestmark = pytest.mark.slow

SMALL = dict(hidden_size=8, n_fft=512, hop=128, layers=1)
RATE = 44_100


@pytest.fixture
def mix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wave = 0.1 * np.random.default_rng(0).standard_normal((2, RATE)).astype(np.float32)
    soundfile.write("track.wav", wave.T, RATE)
    return wave


def save(path, **arguments):
    arguments = SMALL | arguments
    model = xumx_jax.build("xumx", **arguments)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 2, 1024)))
    save_model(path, "xumx", arguments, variables)


def test_use_python(mix):
    save("runs/xumx/best")
    written = []
    names = run("use/python.md", {"mix": mix, "write": written.append})
    assert names["rate"] == RATE and names["mix"].shape == mix.shape
    for stems in (names["stems"], names["both"](mix, RATE)):
        assert set(stems) == {"vocals", "drums", "bass", "other"}
    assert sum(block["vocals"].shape[1] for block in written) == RATE
    assert names["est"].wave.shape[:3] == (1, 4, 2)


def test_use_live(mix, monkeypatch):
    save("runs/xumx/best", unidirectional=True)
    blocks = np.array_split(mix, 10, axis=1)
    names = run("use/live.md", {"blocks": blocks})
    assert names["stems"]["vocals"].shape == blocks[-1].shape
    assert names["rest"]["vocals"].shape == (2, names["live"].latency)


def test_evaluate(mix):
    references = np.stack([mix, mix[:, ::-1]])
    given = {"references": references, "estimates": references + 0.01 * mix}
    names = run("evaluate.md", given)
    assert names["scores"].sdr.shape == (2, 1) and (names["scores"].sdr > 20).all()


def test_weights_convert_and_export(mix, tmp_path):
    save("weights")
    (tmp_path / "weights.pth").symlink_to("weights")
    write_pth(tmp_path / "roformer.ckpt", roformer((44100, 2048, 6)))
    run("weights/convert.md", {})
    assert xumx_jax.load("checkpoints/x-umx", niter=0).rate == RATE
    xumx_jax.export("weights", "x-umx-export", seconds=0.2, platforms=("cpu",), niter=0)
    about = json.loads((tmp_path / "x-umx-export" / "about.json").read_text())
    samples = about["input"]["shape"][-1]
    names = run("weights/export.md", {"mix": mix[None, :, :samples]})
    assert names["stems"].shape[:3] == (1, 4, 2)
