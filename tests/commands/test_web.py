"""`xumx web`: the server with its page in the browser, or the page of one that runs already."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

import pytest
from serving import environment, listening

from xumx_jax import cli
from xumx_jax.commands import serve, web
from xumx_jax.web import running

ROOT = Path(__file__).parents[2]


def parsed(*words):
    return cli.parser("web").parse_args(["web", *words])


@pytest.fixture
def browser(tmp_path):
    """{variables of a child whose browser it is: `asked()` is what it was asked to open}."""
    program, said = tmp_path / "browser", tmp_path / "asked"
    program.write_text(f'#!/bin/sh\necho "$1" >> "{said}"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    variables = {"BROWSER": f"{program} %s"}
    return variables, lambda: said.read_text().split() if said.exists() else []


class Started:
    """`xumx web` as a process."""

    def __init__(self, folder, *words, **variables):
        command = [sys.executable, "-m", "xumx_jax", "web", "--model", "demo", "--data", folder]
        command += ["--min-free-mb", "0", *words]
        self.process = subprocess.Popen(
            list(map(str, command)),
            env=environment(folder.parent / "cache") | {"BROWSER": ""} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def end(self):
        """Its status, and what else it has printed: stdout and stderr."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def waited(condition):
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_its_options_are_those_of_serve_and_it_has_the_example():
    web_parser = cli.parser()._subparsers._group_actions[0].choices
    strings = {
        name: {one for action in web_parser[name]._actions for one in action.option_strings}
        for name in ("serve", "web")
    }
    assert strings["web"] - strings["serve"] == {"--no-example", "--no-browser"}
    assert strings["serve"] - strings["web"] == {"--example"}
    assert serve.settings_of(parsed()).example
    assert not serve.settings_of(parsed("--no-example")).example
    assert not serve.settings_of(cli.parser("serve").parse_args(["serve"])).example
    assert serve.settings_of(cli.parser("serve").parse_args(["serve", "--example"])).example


@pytest.mark.slow
def test_it_opens_its_page_and_a_second_one_opens_the_same(tmp_path, browser):
    variables, asked = browser
    folder = tmp_path / "data"
    with Started(folder, "--port", 0, **variables) as first:
        line = first.line()
        assert line.startswith("listening on http://127.0.0.1:")
        address = line.split()[-1]
        assert waited(asked) == [address]
        with Started(folder, **variables) as second:
            assert second.line() == f"running already on {address}"
            assert second.process.wait(20) == 0 and asked() == [address] * 2
        with Started(folder, "--no-browser") as third:
            assert third.process.wait(20) == 0
        for more in (("--port", "1"), ("--host", "0.0.0.0", "--token", "x", "--port", "0")):
            with Started(folder, *more) as other:
                assert other.process.wait(60) == 2
                assert other.process.stderr.read().count("\n") == 1
        status, out, err = first.end()
    assert (status, out, err) == (143, "", "xumx: error: interrupted by SIGTERM\n")
    assert asked() == [address] * 2 and not (folder / running.FILE).exists()


@pytest.mark.slow
def test_a_port_that_is_taken_is_no_obstacle_unless_it_was_chosen(tmp_path, monkeypatch, capsys):
    from xumx_jax.web import program

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(serve, "PORT", port)
        monkeypatch.setattr(web, "PORT", port)
        monkeypatch.setattr(web, "_MORE_PORTS", (port, 0))
        monkeypatch.setattr(program, "Workers", Ending)
        words = ["web", "--no-browser", "--data", str(tmp_path / "data"), "--model", "demo"]
        assert cli.main(words) == 143
        out, err = capsys.readouterr()
        assert out.startswith("listening on http://127.0.0.1:") and f":{port}\n" not in out
        assert err.startswith(f"xumx: note: port {port} is taken: --port chooses another\n")
        assert cli.main([*words, "--port", str(port)]) == 2
        assert "cannot be listened at" in capsys.readouterr().err


class Ending:
    """Workers whose server is asked to end soon."""

    def __init__(self, store, settings):
        pass

    def start(self):
        from threading import Timer

        Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()

    def stop(self, seconds):
        return True


def test_other_devices_are_told_an_address_of_theirs(tmp_path, monkeypatch, capsys):
    from xumx_jax.web import program

    monkeypatch.setattr(program, "Workers", Ending)
    monkeypatch.setattr(running, "_OUTSIDE", ((socket.AF_INET, "127.9.9.9"),) * 2)
    words = ["--host", "0.0.0.0", "--token", "x", "--port", "0", "--no-browser"]
    assert cli.main(["web", *words, "--data", str(tmp_path / "data"), "--model", "demo"]) == 143
    first, second = capsys.readouterr().out.splitlines()
    port = first.rpartition(":")[2]
    assert first == f"listening on http://127.0.0.1:{port}"
    assert second == f"for other devices on http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://0.0.0.0:80", "http://127.0.0.1:80"),
        ("http://[::]:80", "http://[::1]:80"),
    ],
)
def test_where_this_machine_finds_it(address, here):
    assert running.local(address) == here
    if address == here:
        assert running.from_outside(address) is None


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"host": "x"}', '{"address": "http://["}'])
def test_a_note_that_makes_no_sense_is_no_server(tmp_path, text):
    with listening(tmp_path / "jobs") as server:
        (server.folder / running.FILE).write_text(text)
        assert running.found(server.folder) is None


def test_a_server_is_found_while_it_runs_and_answers(tmp_path):
    with listening(tmp_path / "jobs") as server:
        assert running.found(server.folder) is None
        with running.noted(server.folder, "127.0.0.1", server.url):
            assert running.found(server.folder) == {"host": "127.0.0.1", "address": server.url}
        with running.noted(server.folder, "127.0.0.1", "http://127.0.0.1:9"):
            assert running.found(server.folder) is None
    (server.folder / running.FILE).write_text(f'{{"host": "x", "address": "{server.url}"}}')
    assert running.found(server.folder) is None  # a killed one leaves its note
    assert running.found(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("platform", "root", "variables", "has"),
    [
        ("linux", False, {"DISPLAY": ":0"}, True),
        ("linux", False, {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", False, {}, False),
        ("linux", True, {"DISPLAY": ":0"}, False),
        ("linux", True, {"BROWSER": "firefox"}, True),
        ("darwin", False, {}, True),
        ("darwin", False, {"SSH_CONNECTION": "1.2.3.4"}, False),
        ("win32", False, {}, True),
    ],
)
def test_when_a_browser_is_opened(monkeypatch, platform, root, variables, has):
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    assert web.has_browser() == has


class Broken(webbrowser.BaseBrowser):
    def __init__(self, error=None):
        super().__init__()
        self.error = error

    def open(self, url, new=0, autoraise=True):
        if self.error:
            raise self.error
        return False


@pytest.mark.parametrize(
    "browser",
    [Broken(), Broken(OSError("why")), Broken(webbrowser.Error("why")),
     webbrowser.GenericBrowser("w3m")],
)  # fmt: skip
def test_a_browser_that_cannot_be_opened_is_one_line(monkeypatch, capsys, browser):
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    web.opened("http://127.0.0.1:8000").join()
    assert capsys.readouterr().err == (
        "xumx: note: no browser could be opened; open http://127.0.0.1:8000 in one\n"
    )


def test_without_the_extra_one_line_says_what_to_install(tmp_path):
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError('no', name='fastapi')")
    variables = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "xumx_jax", "web"]
    ran = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (
        2, "xumx: error: xumx web needs fastapi: pip install 'xumx_jax[web]'\n"
    )  # fmt: skip
