"""Docstrings as Markdown."""

import pytest

pytest.importorskip("griffe", reason="wanted: pip install '.[docs]'")

from documentation import docs_module  # noqa: E402

docstrings = docs_module("docstrings")
TEXT = """Cut a track.

seconds       of a chunk,
              at most
overlap, hop  what is shared

Gives `a[0][1]` of clips [source][track].

    as it is    in code
    x[0][1]
"""
MARKDOWN = """Cut a track.

- `seconds`: of a chunk, at most
- `overlap, hop`: what is shared

Gives `a[0][1]` of clips [source]\\[track].

    as it is    in code
    x[0][1]
"""


def test_aligned_blocks_become_lists():
    assert docstrings.as_markdown(TEXT).strip() == MARKDOWN.strip()


def test_plain_text_stays():
    text = "One line.\n\nTwo lines  with two blanks\nand more."
    assert docstrings.as_markdown(text) == text
