"""Tables that are made from parsers, configs and registries."""

import argparse
import re

import pytest
from documentation import DOCS, docs_module, pages

tables = docs_module("tables")


def parser(**option):
    made = argparse.ArgumentParser()
    made.add_argument("--it", **option)
    return made


@pytest.mark.parametrize(
    "option, row",
    [
        (dict(type=int, default=3, metavar="N", help="how many; default: %(default)s"),
         "| `--it N` | `3` | how many |"),
        (dict(metavar="S", help="cut; default: 300, so that; with more"),
         "| `--it S` | `300, so that` | cut; with more |"),
        (dict(metavar="S", help="of it; default: 0.25"), "| `--it S` | `0.25` | of it |"),
        (dict(metavar="S", help="one; default: x. Given twice, two"),
         "| `--it S` | `x` | one. Given twice, two |"),
        (dict(default="w", metavar="F", help="for logs (default: runs)"),
         "| `--it F` | `runs` | for logs |"),
        (dict(default=["v4"], nargs="+", metavar="M", help="of them"),
         "| `--it M...` | `v4` | of them |"),
        (dict(action="store_true", help="do"), "| `--it` | off | do |"),
        (dict(choices=("a", "b"), help="which"), "| `--it a&#124;b` |  | which |"),
        (dict(metavar="P", help="<x>/<y>, or `<z>`"),
         "| `--it P` |  | &lt;x>/&lt;y>, or `&lt;z>` |"),
    ],
)  # fmt: skip
def test_options_become_rows(option, row):
    made = tables.options_table(parser(**option)).splitlines()
    assert made[:2] == ["| option | default |  |", "| --- | --- | --- |"]
    assert made[2:] == [re.sub("`(.*?)`", r"<code>\1</code>", row)]


SOURCE = """
    config.train = ConfigDict(
        {
            "epochs": 3,  # at most
            "seed": 42,
            "rate": placeholder(int),  # in hertz
            # of the files
        }
    )
    config.train.rest = 1  # a string = "with" signs
    config.other = ConfigDict({"seed": 1})  # of another block
"""


def test_comments_beside_keys_are_found():
    wanted = {
        "epochs": "at most",
        "rate": "in hertz of the files",
        "rest": 'a string = "with" signs',
    }
    assert tables.comments(SOURCE, "train") == wanted
    assert tables.comments(SOURCE, "other") == {"seed": "of another block"}
    assert tables.comments("gain: tuple[int, int] = (0, 1)  # factor", "recipe") == {
        "gain": "factor"
    }


def test_every_key_of_the_config_is_in_some_page():
    from configs.common import base
    from xumx_jax.training.config_checks import flatten

    shown = "".join(
        tables.make(name)
        for page in pages()
        for name in re.findall(r"^<!-- table: ([a-z_.]+) -->$", (DOCS / page).read_text(), re.M)
    )
    text = "".join((DOCS / page).read_text() for page in pages())
    for key in flatten(base().to_dict()):
        _, data, option = key.partition("data.")
        name = option.rpartition(".")[2] if data and "." in option else key
        named = "." not in key and f"config.{key}" in text
        assert named or f"<code>{name}</code>" in shown, key


@pytest.mark.parametrize("prefix", ["train", "model", "loss", "optimizer", "data", "recipe", "log"])
def test_every_key_of_a_table_is_explained(prefix):
    rows = tables.make(f"config.{prefix}").splitlines()[2:]
    assert [row for row in rows if row.endswith("|  |")] == []
    # each explanation is understood without the row above it
    assert [row for row in rows if re.search(r"\| \.\.\.|[^,] \.\.\. \||the above", row)] == []


def test_keys_have_the_order_of_the_code():
    keys = re.findall(r"^\| <code>train\.(\w+)", tables.make("config.train"), re.M)
    assert keys[:3] == ["epochs", "patience", "batch_size"]


TEXT = """Do it.

    n       how many
            of them
    middle  where
    Not an argument: more text.

    last    the end
    """


def test_arguments_of_a_docstring_are_found():
    wanted = {"n": "how many of them", "middle": "where", "last": "the end"}
    assert tables.arguments(TEXT) == wanted


def test_prefix_without_keys_is_an_error():
    with pytest.raises(KeyError, match="nothing"):
        tables.make("config.nothing")


@pytest.mark.parametrize("name", ["separate", "evaluate"])
def test_tables_have_every_option(name):
    found = set(re.findall(r"^\| <code>(--[a-z-]+)", tables.make(name), re.M))
    assert found == tables.options_of(tables.parser_of(name)) - {"--debug"}


def test_public_names_are_all_asked_for():
    import xumx_jax

    asked = [line.rpartition(".")[2] for line in tables.make("public").split("\n\n")]
    assert asked == list(xumx_jax.PUBLIC)
