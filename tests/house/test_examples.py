"""The notebooks run from top to bottom in a kernel of their own, and show what they say."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart.ipynb"


@pytest.mark.parametrize("path", sorted(QUICKSTART.parent.glob("*.ipynb")), ids=lambda p: p.name)
def test_nothing_that_was_computed_is_kept(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


@pytest.mark.slow
def test_quickstart_separates_sounds_and_shows(monkeypatch, tmp_path):
    # as in a checkout, with no home to read settings from or to leave traces in
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XLA_FLAGS", raising=False)  # one device
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    notebook = nbformat.read(QUICKSTART, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = [output["data"] for output in outputs if "data" in output]
    assert sum("<audio" in data.get("text/html", "") for data in shown) == 6
    assert sum("image/png" in data for data in shown) == 1
    streams = [output for output in outputs if output["output_type"] == "stream"]
    assert {output["name"] for output in streams} == {"stdout"}
    (left,) = [line for output in streams for line in output["text"].splitlines() if "dB" in line]
    assert float(left.split()[-2]) < -20
