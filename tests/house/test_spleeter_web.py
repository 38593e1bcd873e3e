"""`SpleeterWebSeparator`, called as the application calls its separators."""

import pickle
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

import xumx_jax
from xumx_jax import audio, spleeter_web
from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.weights import zoo
from xumx_jax.weights.bag import save_model

RATE = 8000
ARGUMENTS = dict(hidden_size=8, n_fft=128, hop=32, sample_rate=RATE, bandwidth_hz=3000.0)
PARTS = ("bass", "drums", "other", "vocals")
NO_VOCALS = {"vocals": False, "drums": True, "bass": True, "other": True}
FORKED = """
import multiprocessing, sys
from xumx_jax import SpleeterWebSeparator

model, track, out = sys.argv[1:]
separator = SpleeterWebSeparator(False, 1, model=model)
assert "jax" not in sys.modules
parts = dict(vocals=True, drums=False, bass=False, other=False)
process = multiprocessing.get_context("fork").Process(
    target=separator.create_static_mix, args=(parts, track, out)
)
process.start()
process.join()
sys.exit(process.exitcode)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The path of a tiny random model; drawn here, because `init` takes seconds to compile."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    module, rng = build("xumx", **ARGUMENTS), np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 2, 256)))
    variables = jax.tree.map(lambda leaf: rng.uniform(0.05, 0.2, leaf.shape).astype("f"), shapes)
    save_model(path, "xumx", ARGUMENTS, variables)
    return path


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    spleeter_web._kept.clear()


@pytest.fixture
def track(tmp_path):
    """(path, mixture) of a short stereo file."""
    mix = np.random.default_rng(0).uniform(-0.2, 0.2, (2, 3000)).astype(np.float32)
    soundfile.write(tmp_path / "track.wav", mix.T, RATE, "FLOAT")
    return tmp_path / "track.wav", mix


@pytest.mark.slow
def test_parts_and_static_mix_are_the_separators(model, track, tmp_path):
    path, mix = track
    separator = xumx_jax.SpleeterWebSeparator(True, 0, model=model)
    separator.separate_into_parts(str(path), str(tmp_path / "parts"))
    wanted = xumx_jax.load(model)(mix, RATE)
    gain = min(1, 1 / max(np.abs(stem).max() for stem in wanted.values()))
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        f"{part}.wav" for part in PARTS
    ]
    for part in PARTS:
        stem, rate = audio.decode(tmp_path / "parts" / f"{part}.wav")
        assert rate == RATE and stem.shape == mix.shape
        np.testing.assert_allclose(stem, gain * wanted[part], atol=2**-15)

    separator.create_static_mix(NO_VOCALS, str(path), tmp_path / "deep" / "Song [256 kbps].wav")
    mixed, _ = audio.decode(tmp_path / "deep" / "Song [256 kbps].wav")
    np.testing.assert_allclose(
        mixed, sum(wanted[part] for part in PARTS if part != "vocals"), atol=2**-15
    )


@pytest.mark.parametrize("output_format, suffix", [(0, "wav"), (1, "flac"), (320, "mp3")])
def test_formats_are_those_of_the_application(model, track, tmp_path, output_format, suffix):
    separator = xumx_jax.SpleeterWebSeparator(True, output_format, False, 1.0, 0, model=model)
    separator.separate_into_parts(track[0], tmp_path / "parts")
    for part in PARTS:
        assert audio.decode(tmp_path / "parts" / f"{part}.{suffix}")[0].shape == (2, 3000)


def test_options_reach_the_separator(model):
    # as the application keeps them, an alpha also where there is no softmask
    kept = {"softmask": False, "alpha": 1.5, "iterations": 0}
    separator = pickle.loads(
        pickle.dumps(xumx_jax.SpleeterWebSeparator(True, 192, **kept, model=model, shifts=2))
    )
    assert (separator.format, separator.bitrate) == ("mp3", 192)
    made = spleeter_web.prepared(model, True, separator.options)
    assert made.wiener_options["niter"] == 0 and len(made.shifts) == 2
    soft = xumx_jax.SpleeterWebSeparator(True, 256, True, 1.5, 1, model=model, denoise=True)
    made = spleeter_web.prepared(model, True, soft.options)
    assert (
        made.wiener_options["softmask"],
        made.wiener_options["alpha"],
        made.wiener_options["niter"],
    ) == (True, 1.5, 1)


@pytest.mark.slow
def test_works_in_a_process_that_the_application_forks(model, track, tmp_path):
    out = tmp_path / "mix.flac"
    subprocess.run(
        [sys.executable, "-c", FORKED, model, track[0], out],
        check=True,
        cwd=Path(xumx_jax.__file__).parents[1],
    )
    assert audio.decode(out)[0].shape == (2, 3000)


def test_tracks_at_a_url_are_fetched(model, track, tmp_path, serve, capsys):
    server = serve(partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    url = f"http://127.0.0.1:{server.server_port}"
    separator = xumx_jax.SpleeterWebSeparator(True, 1, model=model)
    separator.create_static_mix(["vocals"], f"{url}/track.wav?signature=x", tmp_path / "mix.flac")
    assert audio.decode(tmp_path / "mix.flac")[0].shape == (2, 3000)
    with pytest.raises(UserError, match=r"none\.wav: download failed, HTTP Error 404") as raised:
        separator.create_static_mix(["vocals"], f"{url}/none.wav?signature=x", "out.flac")
    assert "signature" not in str(raised.value)


def test_no_other_model_takes_the_place_of_the_published_one(track, tmp_path, monkeypatch):
    def fetch(*arguments):
        raise UserError("no network")

    monkeypatch.setattr(zoo, "fetch", fetch)
    with pytest.raises(UserError, match="no network"):
        xumx_jax.SpleeterWebSeparator(True).separate_into_parts(track[0], tmp_path / "parts")
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize(
    "parts, message",
    [
        (dict.fromkeys(PARTS, False), "no part was chosen"),
        ({**NO_VOCALS, "piano": True}, "unknown part piano; the model has bass, drums"),
    ],
)
def test_parts_that_cannot_be_had(model, track, tmp_path, parts, message):
    separator = xumx_jax.SpleeterWebSeparator(True, model=model)
    with pytest.raises(UserError, match=message):
        separator.create_static_mix(parts, track[0], tmp_path / "mix.mp3")
    assert not (tmp_path / "mix.mp3").exists()


@pytest.mark.parametrize("bad", ["input", "output", "model", "url"])
def test_messages_do_not_show_the_servers_folders(model, track, tmp_path, serve, bad):
    (tmp_path / "file").write_text("no music")
    source, out, weights = track[0], tmp_path / "out" / "mix.wav", model
    if bad == "input":
        source = tmp_path / "file"
    elif bad == "output":
        out = tmp_path / "file" / "Song" / "mix.wav"
    elif bad == "model":
        weights = tmp_path / "file"
    else:
        server = serve(partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
        source = f"http://127.0.0.1:{server.server_port}/file"
    with pytest.raises(UserError, match="^file: |file is not a folder$") as raised:
        xumx_jax.SpleeterWebSeparator(True, 0, model=weights).create_static_mix(PARTS, source, out)
    said = str(raised.value)
    assert tmp_path.name not in said and "tmp" not in said and "\n" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/srv/media/song.mp3: is cut", "song.mp3: is cut"),
        ("'/srv/media/out/bass.wav' is there", "'out/bass.wav' is there"),
        ("/srv/media/.out.7-ab.part/bass.wav", ".out.7-ab.part/bass.wav"),
        ("/srv/media is not a folder", "media is not a folder"),
        ("/srv/another/x-umx.h5", "/srv/another/x-umx.h5"),  # what nobody named is left alone
        ("/cache/models/x-umx.h5: damaged", "models/x-umx.h5: damaged"),
        ("/var/xumx-1/song.mp3", "xumx-1/song.mp3"),
        ("/srv/media2/x", "/srv/media2/x"),
        ("media/separate2/x, media/separate/x", "media/separate2/x, x"),
        ("wanted 8 to 320 kbit/s", "wanted 8 to 320 kbit/s"),
        ("/s/a.mp3, 5/s/b.mp3", "a.mp3, 5/s/b.mp3"),
    ],
)
def test_only_whole_paths_lose_their_folders(monkeypatch, said, shown):
    monkeypatch.setenv("XUMX_CACHE", "/cache")
    monkeypatch.setattr("tempfile.tempdir", "/var")
    places = "/srv/media/song.mp3", "/srv/media/out", "media/separate/x.mp3", "/s/a.mp3", None
    with pytest.raises(UserError) as raised, spleeter_web.names_only(*places):
        raise UserError(said)
    assert str(raised.value) == shown


def test_a_long_name_in_a_url_keeps_its_end(monkeypatch):
    monkeypatch.setattr(
        "xumx_jax.weights.download.fetch", lambda url, path, *_: path.write_bytes(b"")
    )
    with spleeter_web.local_file("http://host/" + "歌" * 90 + ".flac?signature=x") as path:
        assert path.name == "歌" * 33 + ".flac"


class Aborted(Exception):
    """As Celery's SoftTimeLimitExceeded, which a signal raises anywhere."""


@pytest.mark.parametrize("method", ["create_static_mix", "separate_into_parts"])
def test_an_aborted_mix_leaves_no_folder_that_was_made_for_it(
    model, track, tmp_path, method, monkeypatch
):
    def stream(self, blocks, *_):
        yield dict.fromkeys(PARTS, next(iter(blocks))[:, :100])
        raise Aborted

    monkeypatch.setattr("xumx_jax.separation.separator.Separator.stream", stream)
    call = getattr(xumx_jax.SpleeterWebSeparator(True, 256, model=model), method)
    parts = (PARTS,) if method == "create_static_mix" else ()
    with pytest.raises(Aborted):
        call(*parts, track[0], tmp_path / "separate" / "7f" / "mix.mp3")
    assert not (tmp_path / "separate").exists()
    (tmp_path / "separate").mkdir()  # the application's, which it uses again
    with pytest.raises(Aborted):
        call(*parts, track[0], tmp_path / "separate" / "mix.mp3")
    assert not list((tmp_path / "separate").iterdir())


@pytest.mark.parametrize("title", ["12:30", "http:", "pipe:1", "AC-DC [256 kbps]", "-", "%d"])
def test_a_title_is_no_address(model, track, tmp_path, monkeypatch, title):
    monkeypatch.chdir(tmp_path)
    separator = xumx_jax.SpleeterWebSeparator(True, 256, False, 1.0, 0, model=model)
    separator.create_static_mix(["vocals"], track[0], f"{title}.mp3")
    separator.separate_into_parts(track[0], title)
    assert audio.decode(Path(f"{title}.mp3"))[0].shape == (2, 3000)
    assert {path.name for path in Path(title).iterdir()} == {f"{part}.mp3" for part in PARTS}


@pytest.mark.parametrize("name", ["..", "a%2F..%2F..%2Fb", "x" * 300 + ".wav", ""])
def test_the_name_in_a_url_is_no_path(tmp_path, serve, track, monkeypatch, name):
    def answer(self, path):
        return str(track[0])

    monkeypatch.setattr(SimpleHTTPRequestHandler, "translate_path", answer)
    server = serve(partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    with spleeter_web.local_file(f"http://127.0.0.1:{server.server_port}/{name}") as path:
        assert path.read_bytes() == track[0].read_bytes()
        folder = path.parent
        assert folder.name.startswith("xumx-") and path.name not in ("", "..")
    assert not folder.exists()


def test_an_option_that_does_not_exist_is_refused_at_once(model):
    with pytest.raises(TypeError, match="shfts"):
        xumx_jax.SpleeterWebSeparator(True, shfts=2, model=model)
    xumx_jax.SpleeterWebSeparator(True, shifts=2, device="cpu", residual=True, model=model)


def test_a_forked_child_does_not_wait_for_the_parents_threads():
    program = (
        "import os\n"
        "from xumx_jax import spleeter_web\n"
        "spleeter_web._lock.acquire()\n"  # as a thread of the parent may hold it
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if spleeter_web._lock.acquire(timeout=0) else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_errors_name_what_is_wrong(model, tmp_path):
    with pytest.raises(UserError, match="bitrate is 1000"):
        xumx_jax.SpleeterWebSeparator(True, 1000)
    with pytest.raises(UserError, match="niter is -1"):
        xumx_jax.SpleeterWebSeparator(True, 256, iterations=-1)
    (tmp_path / "track.mp3").write_text("no sound")
    with pytest.raises(UserError, match=r"track\.mp3"):
        xumx_jax.SpleeterWebSeparator(True, model=model).separate_into_parts(
            tmp_path / "track.mp3", tmp_path / "parts"
        )
    assert not (tmp_path / "parts").exists()
