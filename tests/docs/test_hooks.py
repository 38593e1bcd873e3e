"""What is done to pages when the site is built."""

import pytest
from documentation import docs_module

hooks = docs_module("hooks")


@pytest.mark.parametrize(
    "text, wanted",
    [
        ('<a href="https://example.org/x">', []),
        ('<img src="images/a.png">', []),
        ('<link rel="canonical" href="https://example.org/">', []),
        ('<script src="https://cdn.example.org/a.js"></script>', ["https://cdn.example.org/a.js"]),
        ("<script defer src=//cdn.example.org/a.js>", ["//cdn.example.org/a.js"]),
        ('<link rel="stylesheet" href="https://fonts.example.org/css">',
         ["https://fonts.example.org/css"]),
        ("a { background: url(https://example.org/a.png) }", ["https://example.org/a.png"]),
        ("@import 'https://example.org/a.css';", ["https://example.org/a.css"]),
    ],
)  # fmt: skip
def test_what_a_browser_would_fetch_is_found(text, wanted):
    assert hooks.fetched(text) == wanted


def test_a_page_that_fetches_ends_the_build(tmp_path):
    exceptions = pytest.importorskip("mkdocs.exceptions", reason="wanted: pip install '.[docs]'")

    class Config:
        site_dir = tmp_path

    (tmp_path / "a.html").write_text("<p>all here</p>")
    hooks.on_post_build(Config)
    (tmp_path / "a.html").write_text('<img src="https://example.org/a.png">')
    with pytest.raises(exceptions.PluginError, match=r"a.html loads https://example.org/a.png"):
        hooks.on_post_build(Config)


@pytest.mark.parametrize(
    "source, text, wanted",
    [
        ("CHANGELOG.md", "[a](MODEL_CARD.md)", "[a](model-card.md)"),
        ("CHANGELOG.md", "[a](MODEL_CARD.md#scores)", "[a](model-card.md#scores)"),
        ("CHANGELOG.md", "[a](docs/use/live.md)", "[a](use/live.md)"),
        ("CHANGELOG.md", "[a](configs/xumx.py)", "a"),
        ("CHANGELOG.md", "[a](https://example.org) [b](#c)", "[a](https://example.org) [b](#c)"),
        ("bench/RESULTS.md", "[a](../CHANGELOG.md)", "[a](changes.md)"),
        ("MODEL_CARD.md", "![a b](docs/images/a.png)", "![a b](images/a.png)"),
        ("bench/RESULTS.md", "![](../docs/images/a.png)", "![](images/a.png)"),
    ],
)
def test_links_of_the_root_are_turned_to_pages(source, text, wanted):
    assert hooks.as_page(text, source) == wanted
