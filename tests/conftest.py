"""What holds for the whole suite: four CPU devices, and a count of golden files."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from xumx_jax.runtime import prevent_fft_deadlock

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
)
prevent_fft_deadlock()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# Where compiled code lies until the tests end: many compile the same, also in other processes of
# pytest-xdist, which inherit the place.
COMPILED = "XUMX_TESTS_COMPILED"
if COMPILED not in os.environ:
    os.environ[COMPILED] = tempfile.mkdtemp(prefix="xumx-tests-")
    atexit.register(shutil.rmtree, os.environ[COMPILED], ignore_errors=True)

# Shells let what they start in the background ignore it, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import golden_files  # noqa: E402
import jax  # noqa: E402

jax.config.update("jax_compilation_cache_dir", os.environ[COMPILED])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


@pytest.hookimpl(trylast=True)
def pytest_collection():
    """Count no lines in threads on Python 3.11, where starting two at once may then fail.

    "Cannot install a trace function while another trace function is being installed" is that.
    """
    if sys.version_info < (3, 12):
        threading.settrace(None)  # pyright: ignore[reportArgumentType]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Collect what the processes of pytest-xdist used."""
    golden_files.used.update(map(Path, getattr(node, "workeroutput", {}).get("golden", ())))


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["golden"] = [str(path) for path in golden_files.used]


def pytest_terminal_summary(terminalreporter):
    used = sorted(golden_files.used)
    folders = ", ".join(str(folder) for folder in golden_files.folders() if folder.is_dir())
    terminalreporter.write_line(f"golden files used: {len(used)} (from {folders})")


@pytest.fixture
def quick_compile():
    """Let XLA compile in a third of the time, for tests that compile much and compute little."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def own_cache(monkeypatch, session_cache):
    """Keep what is kept between runs (statistics, decoded music) out of the user's cache."""
    monkeypatch.setenv("XUMX_CACHE", str(session_cache))


@pytest.fixture(scope="module", autouse=True)
def forget_compiled():
    """What one module compiled serves no other; kept, it grew to gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """The path of a tiny random model."""
    import numpy as np
    from separating import ARGUMENTS

    from xumx_jax.models import build
    from xumx_jax.weights.bag import save_model

    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    rng = np.random.default_rng(0)
    # computing nothing but shapes is a hundred times as quick as initialising
    shapes = jax.eval_shape(
        build("xumx", **ARGUMENTS).init, jax.random.key(0), np.zeros((1, 2, 256), np.float32)
    )
    variables = jax.tree.map(
        lambda shape: rng.uniform(0.02, 0.4, shape.shape).astype(np.float32), shapes
    )
    save_model(path, "xumx", ARGUMENTS, variables, {"licence": "MIT"})
    return path


@pytest.fixture
def run_separate(tiny_model, tmp_path, monkeypatch, capsys):
    """`run(*arguments) -> (status, stdout, stderr)` of `xumx separate`, inside an empty folder.

    Stems of an earlier run are replaced; `keep=True` leaves out `--overwrite`, and `model=None`
    leaves out `--model`.
    """
    from xumx_jax import cli

    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")  # a setting of the whole process
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def run(*arguments, model=tiny_model, keep=False):
        words = [*map(str, arguments), *(["--model", str(model)] if model else [])]
        piped = "--out" in words and words[words.index("--out") + 1] == "-"
        if not (keep or piped or "--skip-existing" in words):
            words.append("--overwrite")
        status = cli.main(["separate", *words])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def serve(monkeypatch):
    """`serve(handler)`: a web server on this machine that answers with it until the test ends."""
    import threading
    from http.server import HTTPServer

    running = []

    def start(handler, kind=HTTPServer):
        server = kind(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return server

    monkeypatch.setenv("no_proxy", "*")
    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def bucket(monkeypatch):
    """An object store that serves this test, with the variables that name it."""
    from object_store import ObjectStore

    FsspecStore = pytest.importorskip(
        "obstore.fsspec", reason="needs the extra cluster"
    ).FsspecStore
    with ObjectStore() as running:
        for name, value in running.variables().items():
            monkeypatch.setenv(name, value)
        FsspecStore.clear_instance_cache()  # it knows the last one's address
        yield running
