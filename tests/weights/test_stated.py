"""What a file says of its model is believed if it makes sense, and else one line that names it."""

import json
from pathlib import Path

import numpy as np
import pytest
from foreign import draw, write_pth, write_th
from safetensors.numpy import save_file

from xumx_jax.errors import UserError
from xumx_jax.weights.converters import convert
from xumx_jax.weights.converters.readers import Weights, read

KLASS, SOURCES = "demucs.demucs.Demucs", ["a", "b", "c", "d"]
STATE = draw(  # of a network with a single layer
    {
        "encoder.0.0.weight": (4, 2, 8), "encoder.0.0.bias": (4,),
        "encoder.0.3.weight": (8, 4, 1), "encoder.0.3.bias": (8,),
        "decoder.0.0.weight": (8, 4, 3), "decoder.0.0.bias": (8,),
        "decoder.0.3.weight": (4, 8, 8), "decoder.0.3.bias": (8,),
    }
)  # fmt: skip


def saved(path, kwargs, **more):
    said = {"klass": KLASS, "args": "[]", "kwargs": kwargs, **more}
    save_file(STATE, path, said)
    return path


def test_what_makes_sense_is_taken(tmp_path):
    """Options that are switched off are none, nor is the length of chunks in training."""
    said = {"sources": SOURCES, "samplerate": 8000, "growth": 2.5, "new_option": False}
    said |= {"newer": None, "segment_length": 44100}
    found = convert(read(saved(tmp_path / "a.safetensors", json.dumps(said))))
    assert (found.args["sources"], found.args["sample_rate"]) == (tuple(SOURCES), 8000)
    assert found.args["growth"] == 2.5 and "new_option" not in found.args


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ("[1, 2]", r"its kwargs are no arguments by name, but \[1, 2\]"),
        ("a text", "its kwargs are no arguments by name, but a text"),
        ('{"sources": 5}', "its kwargs give as sources 5; wanted a list of names"),
        ('{"sources": "abcd"}', "its kwargs give as sources abcd"),
        ('{"sources": ["a", 1, "c", "d"]}', "its kwargs give as sources"),
        ('{"sources": ["a", "a", "b", "c"]}', "sources a, a, b, c: wanted each name once"),
        ('{"growth": Infinity}', "growth inf: wanted a finite number"),
        ('{"growth": NaN}', "growth nan: wanted a finite number"),
        ('{"depth": 3000}', "depth 3000: wanted at most 32"),
        ('{"lstm_layers": 1000000000}', "lstm_layers 1000000000: wanted at most 1000"),
        ('{"stride": "4"}', "stride '4': wanted a whole number"),
        ('{"kernel_size": [8]}', r"kernel_size \(8,\): wanted a whole number"),
        ('{"segment": {}}', "seconds {}: wanted a finite number"),
        ('{"new_option": true, "b": 0}', "its kwargs have an unknown argument, new_option, b"),
    ],
)
def test_what_makes_none_is_one_line(tmp_path, kwargs, message):
    path = saved(tmp_path / "a.safetensors", kwargs)
    with pytest.raises(UserError, match=message) as error:
        convert(read(path))
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["klass", "class"])
def test_a_class_is_one_line(tmp_path, key):
    said = {"klass": "", key: "demucs.\n\x1bDemucs" + "s" * 1000, "args": "[4]"}
    path = saved(tmp_path / "a.safetensors", "{}", **said)
    if key == "class":
        save_file(STATE, path, {name: said[name] for name in ("class", "args")})
    with pytest.raises(UserError, match="arguments without names; .*model is demucs. Demucss") as e:
        convert(read(path))
    assert str(e.value).isprintable() and len(str(e.value)) < 500


def test_a_pickle_says_no_more(tmp_path):
    path = write_th(tmp_path / "a.th", STATE, KLASS, sources=SOURCES, new_option=3)
    with pytest.raises(UserError, match="a.th: as demucs: .*unknown argument, new_option; it says"):
        convert(read(path))
    write_pth(path, {"state": STATE, "model_args": ("x",), "kwargs": None})
    with pytest.raises(UserError, match=r"a.th: its model_args are no arguments by name, but \['x"):
        read(path)
    # what only a row of the zoo, or a bag, says
    write_pth(path, {"state": STATE, "settings": 3, "targets": 5, "kwargs": None})
    assert convert(read(path)).args["sources"] == ("drums", "bass", "other", "vocals")


def test_options_of_aimless_that_are_not_known():
    zeros = {"dec_pre_convs.0.weight": np.zeros((1, 1, 1), np.float32)}
    info = {"model_args": {"channels": 48, "num_sources": 4, "attention": "new"}}
    with pytest.raises(UserError, match="as demucs-split: .*an unknown argument, attention"):
        convert(Weights(Path("model.ckpt"), zeros, info))
