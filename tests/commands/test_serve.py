"""`xumx serve`: its options, and that nothing heavy is imported to refuse them."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from xumx_jax import cli
from xumx_jax.commands import serve
from xumx_jax.errors import UserError

ROOT = Path(__file__).parents[2]


def settings(*words):
    return serve.settings_of(cli.parser("serve").parse_args(["serve", *words]))


def test_options_become_settings(tmp_path, monkeypatch):
    monkeypatch.delenv(serve.TOKEN, raising=False)
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path))
    usual = settings()
    assert (usual.host, usual.port, usual.token, usual.device) == ("127.0.0.1", 8000, None, "auto")
    assert usual.folder == tmp_path / "jobs" and usual.models == ()
    assert (usual.keep_seconds, usual.max_bytes, usual.max_seconds) == (604800, 1 << 30, 10800)
    words = ["--host", "0.0.0.0", "--port", "0", "--token", "secret", "--data", str(tmp_path / "d")]
    words += ["--model", "demo", "--model", "~/m.safetensors", "--device", "cpu", "--keep", "90m"]
    words += ["--max-mb", "2", "--max-minutes", "1.5", "--max-queue", "3", "--max-per-client", "4"]
    words += ["--min-free-mb", "0", "--length-wanted", "--proxy", "10.0.0.1"]
    words += ["--allow-host", "Music.example", "--allow-host", "b.example:8443"]
    found = settings(*words)
    assert (found.host, found.port, found.token) == ("0.0.0.0", 0, "secret")
    assert found.models == ("demo", os.path.expanduser("~/m.safetensors"))
    assert (found.folder, found.device) == (tmp_path / "d", "cpu")
    assert (found.keep_seconds, found.max_bytes, found.max_seconds) == (5400, 2 << 20, 90)
    assert (found.max_queue, found.max_per_client, found.min_free_bytes) == (3, 4, 0)
    assert found.length_wanted and found.proxies == ("10.0.0.1",)
    assert found.hosts == ("music.example", "b.example:8443")


def test_the_token_comes_from_the_environment_too(monkeypatch):
    monkeypatch.setenv(serve.TOKEN, "from-the-environment")
    assert settings("--host", "0.0.0.0").token == "from-the-environment"
    assert settings("--token", "given").token == "given"
    assert "given" not in repr(settings("--token", "given"))
    monkeypatch.setenv(serve.TOKEN, "")
    assert settings().token is None


@pytest.mark.parametrize("words, line", [
    (["--host", "0.0.0.0"], "--host 0.0.0.0: others could use this machine; use a --token"),
    (["--host", "example.org"], "--host example.org: others could"),
    (["--host", "::", "--token", ""], "--token: wanted letters"),
    (["--token", "two words"], "--token: wanted letters, digits and signs"),
    (["--token", "gehe\u00efm"], "--token: wanted letters"),
    (["--port", "65536"], "--port is 65536; wanted 0 to 65535"),
    (["--port", "-1"], "--port is -1"),
    (["--max-mb", "0"], "--max-mb is 0; wanted a positive number"),
    (["--max-mb", "nan"], "--max-mb is nan"),
    (["--max-minutes", "-3"], "--max-minutes is -3"),
    (["--max-queue", "0"], "--max-queue is 0"),
    (["--max-per-client", "0"], "--max-per-client is 0"),
    (["--min-free-mb", "-1"], "--min-free-mb is -1; wanted 0 or more"),
    (["--keep", "long"], "--keep is 'long'; wanted a time such as 90m, 12h or 7d"),
    (["--keep", "0d"], "--keep is '0d'"),
    (["--keep", "3y"], "--keep is '3y'"),
    (["--data", __file__], "test_serve.py: cannot be written: "),
    (["--allow-host", "http://x"], "--allow-host http://x: wanted a name such as music.example"),
    (["--proxy", "caddy"], "--proxy caddy: wanted an address such as 10.0.0.1, or *"),
])  # fmt: skip
def test_options_that_make_no_sense(monkeypatch, words, line):
    monkeypatch.delenv(serve.TOKEN, raising=False)
    with pytest.raises(UserError) as error:
        settings(*words)
    assert line in str(error.value)


@pytest.mark.parametrize("text, seconds", [
    ("45", 45), ("45s", 45), ("90m", 5400), ("1.5h", 5400), ("7d", 604800), ("2W", 1209600),
])  # fmt: skip
def test_times(text, seconds):
    assert serve.seconds_of(text) == seconds


def run(*words, **variables):
    """Run the command -> its status and stderr."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"} | variables
    command = [sys.executable, "-m", "xumx_jax", "serve", *map(str, words)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    return ran.returncode, ran.stderr


@pytest.mark.slow
def test_a_place_that_cannot_be_had_is_one_line(tmp_path):
    from xumx_jax.web import program, settings

    with pytest.raises(UserError, match="--host no such host: cannot be found"):
        with program.bound(settings.Settings(tmp_path, host="no such host")):
            pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, err = run("--port", port, "--data", tmp_path / "data")
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"xumx: error: 127.0.0.1:{port}: cannot be listened at (Address already")
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
@pytest.mark.parametrize("words, line", [
    (("--model", "nothing"), "--model nothing: no such model; wanted a path, or one of x-umx"),
    (("--device", "gpu"), "--device gpu: JAX finds no GPU here"),
])  # fmt: skip
def test_what_cannot_begin_is_one_line(tmp_path, words, line):
    status, err = run("--port", 0, "--data", tmp_path / "data", *words)
    assert (status, err.count("\n")) == (2, 1) and line in err


class Slow:
    """Workers that are in the middle of something when the server ends."""

    def __init__(self, store, settings):
        pass

    def start(self):
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()

    def stop(self, seconds):
        assert seconds <= 3
        return False


def test_what_still_computes_is_not_waited_for(tmp_path, monkeypatch, capsys):
    from xumx_jax.web import program

    left = []
    monkeypatch.setattr(program, "Workers", Slow)
    monkeypatch.setattr(program, "end_now", left.append)
    begin = time.monotonic()
    cli.main(["serve", "--port", "0", "--data", str(tmp_path / "data"), "--model", "demo"])
    assert left == [143] and time.monotonic() - begin < 3
    out, err = capsys.readouterr()
    assert re.fullmatch(r"listening on http://127\.0\.0\.1:\d+\n", out)
    assert err == "xumx: error: interrupted by SIGTERM\n"


def test_without_the_extra_one_line_says_what_to_install(tmp_path):
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError('no', name='fastapi')")
    status, err = run(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (status, err) == (
        2, "xumx: error: xumx serve needs fastapi: pip install 'xumx_jax[web]'\n"
    )  # fmt: skip


def test_what_needs_no_server_imports_none():
    code = (
        "import sys; from xumx_jax import cli; import xumx_jax; cli.parser()\n"
        "from xumx_jax.commands import serve\n"
        "serve.settings_of(cli.parser('serve').parse_args(['serve']))\n"
        "wrong = {'fastapi', 'pydantic', 'starlette', 'uvicorn', 'jax'} & set(sys.modules)\n"
        "assert not wrong, wrong\n"
        "import xumx_jax.web.program\n"
        "bridge = sys.modules.get('jax._src.xla_bridge')\n"
        "assert not getattr(bridge, '_backends', None)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
