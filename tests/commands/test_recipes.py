"""`xumx train` and `xumx evaluate`: found from any folder, and clear where something is missing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs.command_line import read
from xumx_jax import cli
from xumx_jax.commands import recipes
from xumx_jax.errors import UserError

ROOT = Path(__file__).parents[2]


def program(*arguments, cwd):
    """Run `xumx` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "xumx_jax", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd)},
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_help_comes_from_the_program_itself(name, tmp_path):
    ran = program(name, "--help", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"usage: xumx {name} [-h]")


@pytest.mark.slow
def test_a_users_own_folder_configs_does_not_get_in_the_way(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "__init__.py").write_text("")
    (tmp_path / "configs" / "common.py").write_text("raise SystemExit('the wrong configs')")
    shutil.copy(ROOT / "configs" / "xumx.py", tmp_path / "configs" / "mine.py")
    ran = program("train", "--config", "configs/mine.py", "--config.nonsense=1", cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stderr == "train: error: unknown key config.nonsense\n"


def test_a_mistake_is_one_line(tmp_path):
    ran = program("evaluate", "--nonsense", cwd=tmp_path)
    assert ran.returncode == 2 and ran.stderr.startswith("evaluate: error: ")
    assert ran.stderr.count("\n") == 1 and "xumx evaluate --help" in ran.stderr


@pytest.mark.parametrize("name", ["xumx", "xumx.py", "configs/xumx.py", "configs/xumx.py:tiny"])
def test_our_configs_are_found_by_name_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read(name)
    assert config.model.name == "xumx"
    assert config.model.args.hidden_size == (16 if name.endswith(":tiny") else 512)


def test_a_path_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    text = (ROOT / "configs" / "umx.py").read_text()
    (tmp_path / "configs" / "xumx.py").write_text(text)
    assert read("configs/xumx.py").model.name == "umx"
    for name in ("nowhere/xumx.py", "nothing", "../configs/xumx.py"):
        with pytest.raises(UserError, match="no such file"):
            read(name)


def test_what_is_not_installed_is_said(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(recipes, "EXTRAS", {"train": ("train", "no_such_package")})
    assert cli.main(["train", "--config", "xumx"]) == 2
    assert "pip install 'xumx_jax[train]'" in capsys.readouterr().err
    monkeypatch.setattr(recipes, "PLACES", (tmp_path,))
    assert cli.main(["train", "--config", "xumx"]) == 2
    assert "not part of this installation" in capsys.readouterr().err
