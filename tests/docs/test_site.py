"""The site builds with `--strict`, from the repository alone."""

import os
import subprocess
import sys

import pytest
from documentation import ROOT, docs_module

pytest.importorskip("mkdocs", reason="wanted: pip install '.[docs]'")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    # a proxy that is not there: what asks the network fails
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | nowhere | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_elsewhere(site):
    found = {path: docs_module("hooks").fetched(path.read_text()) for path in site.rglob("*.html")}
    assert len(found) > 25 and not any(found.values())


def test_tables_and_names_are_in_the_pages(site):
    assert "--skip-existing" in (site / "use" / "separate.html").read_text()
    assert "umxl" in (site / "weights" / "zoo.html").read_text()
    reference = (site / "reference" / "index.html").read_text()
    assert 'id="xumx_jax.separation.separator.Separator.stream"' in reference
    for path in site.rglob("*.html"):
        text = path.read_text()
        assert "table: " not in text and "<p>:::" not in text, path
