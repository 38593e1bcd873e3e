"""The container's files agree with the program, and let nothing of the host into the image."""

import re
import shlex
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import yaml

from xumx_jax import cli
from xumx_jax.commands import serve

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
CADDY = (ROOT / "Caddyfile").read_text()


def instructions(name):
    """The arguments of one kind of instruction of the Dockerfile."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.M)


def settings_of(words, monkeypatch):
    monkeypatch.setenv("XUMX_TOKEN", "secret")
    return serve.settings_of(cli.parser().parse_args(words[1:]))


def words_of(text):
    return re.findall(r'"([^"]*)"', text)


def test_the_program_takes_what_container_and_compose_give_it(monkeypatch, tmp_path):
    (entry,) = map(words_of, instructions("ENTRYPOINT"))
    entry[entry.index("--data") + 1] = str(tmp_path)
    given = [
        word.replace("${SITE:?a name such as music.example}", "music.example")
        for word in COMPOSE["services"]["xumx"]["command"]
    ]
    settings = settings_of([*entry, *given], monkeypatch)
    assert (settings.host, settings.port) == ("0.0.0.0", int(*instructions("EXPOSE")))
    assert settings.hosts == ("music.example",)
    (network,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    assert settings.proxies == (network["subnet"],)
    size = int(re.search(r"max_size (\d+)GiB", CADDY)[1])
    assert size * 2**30 == settings.max_bytes
    assert f"reverse_proxy xumx:{settings.port} " in CADDY and "flush_interval -1" in CADDY
    assert f"127.0.0.1:{settings.port}/healthz" in DOCKERFILE


def test_the_image_runs_as_a_user_without_rights():
    assert instructions("USER") == ["10001"]
    assert shlex.split(instructions("VOLUME")[0].strip("[]").replace(",", " ")) == [
        "/data",
        "/cache",
    ]
    assert instructions("STOPSIGNAL") == ["SIGTERM"] and instructions("HEALTHCHECK")
    assert not instructions("ADD")


def test_only_the_proxy_is_reached_from_outside():
    xumx, caddy = COMPOSE["services"]["xumx"], COMPOSE["services"]["caddy"]
    assert "ports" not in xumx and set(xumx["networks"]) & set(caddy["networks"]) == {"inside"}
    assert xumx["read_only"] and xumx["cap_drop"] == ["ALL"]
    assert COMPOSE["networks"]["inside"]["internal"]


def test_what_is_copied_is_all_that_the_builder_gets():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = [line.split()[:-1] for line in instructions("COPY") if not line.startswith("--from")]
    assert {name for names in copied for name in names} == let_in
    assert all((ROOT / name).exists() for name in let_in)
    secrets = (".env", ".git", ".venv", ".pypirc", "pip.conf", "runs", "songs")
    assert not any(fnmatch(name, pattern) for name in secrets for pattern in let_in)


def builder(folder, name, text):
    """Put a program into a folder of programs."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def make_container(tmp_path, **variables):
    for name in ("bash", "env", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    return subprocess.run(
        [str(ROOT / ".ci" / "container"), "--pull"],
        env={"PATH": str(tmp_path), **variables},
        capture_output=True,
        text=True,
    )


def test_without_a_builder_that_works_it_is_one_line(tmp_path):
    builder(tmp_path, "docker", "exit 1")  # a client without its daemon
    done = make_container(tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("wanted docker ") and done.stderr.count("\n") == 1


def test_the_first_builder_that_works_builds(tmp_path):
    builder(tmp_path, "docker", "exit 1")
    builder(tmp_path, "podman", 'echo "$@"')
    done = make_container(tmp_path, BASE="some/python", EXTRAS="web,cuda12")
    assert done.stdout.splitlines() == [
        "building with podman ...",
        "build --tag xumx_jax --pull --build-arg BASE=some/python --build-arg EXTRAS=web,cuda12 "
        "--format docker .",
    ]
