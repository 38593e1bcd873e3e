"""Which Chromium tests use, without the network."""

import base64
import hashlib
import io
import tarfile

import chromium
import pytest


@pytest.fixture
def machine(monkeypatch):
    """Nothing is installed, and nobody is root; `machine[name] = path` installs."""
    installed = {}
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(chromium.shutil, "which", installed.get)
    monkeypatch.setattr(chromium, "runs", lambda path: not str(path).endswith("broken"))
    monkeypatch.setattr(chromium.os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setattr(chromium.platform, "machine", lambda: "riscv64")
    return installed


def test_the_one_that_is_named_comes_first(machine, monkeypatch):
    machine |= {"mine": "/opt/mine", "chromium": "/usr/bin/chromium"}
    assert chromium.chromium() == "/usr/bin/chromium"
    monkeypatch.setenv("CHROMIUM", "mine")
    assert chromium.chromium() == "/opt/mine"


@pytest.mark.parametrize("named", ["away", "broken"])
def test_one_that_is_named_is_not_replaced(machine, monkeypatch, named):
    machine |= {"chromium": "/usr/bin/chromium", "broken": "/opt/broken"}
    monkeypatch.setenv("CHROMIUM", named)
    with pytest.raises(chromium.Failed, match=f"^CHROMIUM={named}: wanted the path"):
        chromium.chromium()


def test_an_installed_one_that_does_not_run_is_passed_over(machine):
    machine |= {"chromium-browser": "/snap/broken", "google-chrome": "/opt/chrome"}
    assert chromium.chromium() == "/opt/chrome"


def test_without_any_there_is_one_line(machine, capsys):
    assert chromium.main() == 1
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert said.err.startswith("wanted Chromium: apt-get install chromium, or CHROMIUM=")


def test_root_installs_debians_and_asks_for_its_lists_if_it_has_to(machine, monkeypatch):
    machine["apt-get"] = "/usr/bin/apt-get"
    ran = []

    def run(command, **options):
        ran.append(command[1])
        if ran == ["install", "update", "install"]:
            machine["chromium"] = "/usr/bin/chromium"
        return chromium.subprocess.CompletedProcess(command, 0 if len(ran) > 1 else 100)

    monkeypatch.setattr(chromium.sys, "platform", "linux")
    monkeypatch.setattr(chromium.os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(chromium.subprocess, "run", run)
    assert chromium.chromium() == "/usr/bin/chromium"
    assert ran == ["install", "update", "install"]


@pytest.fixture
def npm(machine, monkeypatch):
    """A machine that npm's is for, and a registry that has a small package."""
    monkeypatch.setattr(chromium.sys, "platform", "linux")
    monkeypatch.setattr(chromium.platform, "machine", lambda: "x86_64")
    made, inner = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w"):
        pass
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name in ("chromium", "al2023.tar", "swiftshader.tar"):
            data = b"program" if name == "chromium" else inner.getvalue()
            entry = tarfile.TarInfo(f"package/bin/{name}.br")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    monkeypatch.setattr(
        chromium, "_decompressed", lambda source, target: target.write_bytes(source.read_bytes())
    )
    digest = base64.b64encode(hashlib.sha512(made.getvalue()).digest()).decode()
    monkeypatch.setattr(chromium, "SHA512", digest)
    asked = []

    def opened(url, timeout):
        asked.append(url)
        return io.BytesIO(made.getvalue())

    monkeypatch.setattr(chromium.urllib.request, "urlopen", opened)
    return asked


def test_npms_is_fetched_once(npm, monkeypatch, tmp_path):
    monkeypatch.setenv("npm_config_registry", "https://mirror.example/npm/")
    for _ in range(2):
        path = chromium.npm(tmp_path / "kept")
    assert path == str(tmp_path / "kept" / "chromium.sh")
    assert (tmp_path / "kept" / "chromium").read_bytes() == b"program"
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]
    assert npm == [
        f"https://mirror.example/npm/@sparticuz/chromium/-/chromium-{chromium.VERSION}.tgz"
    ]


def test_a_package_that_was_changed_is_refused(npm, monkeypatch, tmp_path):
    monkeypatch.setattr(chromium, "SHA512", base64.b64encode(bytes(64)).decode())
    with pytest.raises(chromium.Failed, match="is not the package that is wanted"):
        chromium.npm(tmp_path / "kept")
    assert list(tmp_path.iterdir()) == []


def test_a_program_runs_if_it_tells_its_version(tmp_path):
    program = tmp_path / "browser"
    assert not chromium.runs(program)
    for line, expected in [("echo Chromium 1.2", True), ("echo wait", False), ("exit 1", False)]:
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
        assert chromium.runs(program) == expected
