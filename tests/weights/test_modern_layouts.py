"""Full-size checkpoints of today's networks: every tensor has a place, and every place one.

Tensors are zeros of one byte, which take no memory, and variables are shapes alone.
"""

import json
from fnmatch import fnmatchcase
from math import prod

import jax
import numpy as np
import pytest
from golden_files import golden

from xumx_jax.models import frozen
from xumx_jax.weights.converters import KINDS, detect, rules, shapes

pytestmark = pytest.mark.slow
CLASSES = {  # of the programs: kinds
    "BSRoformer": "bs_roformer",
    "MelBandRoformer": "mel_band_roformer",
    "TFC_TDF_net": "mdx23c",
    "SCNet": "scnet",
    "HTDemucs": "htdemucs",
}
OPEN = ("hop", "n_fft", "shares", "strides")  # what some kinds ask for


@golden("torch/layouts/modern_[!u]*.json")
def test_every_tensor_has_a_place(path):
    layout = json.loads(path.read_text())
    sizes = {name: tuple(shape) for name, shape, *_ in layout["state_dict"]}
    tensors = {name: np.broadcast_to(np.int8(0), shape) for name, shape in sizes.items()}
    name = detect(tensors)
    assert name == CLASSES[layout["cls"].rsplit(".", 1)[-1]]
    kind = KINDS[name]

    said = kind.arguments(tensors, {"model_args": layout["kwargs"]})
    given = {"settings": {key: said[key] for key in OPEN if key in said}}
    alone = kind.arguments(tensors, given)
    assert len(alone.pop("sources")) == len(said["sources"])
    assert frozen({key: said.get(key) for key in alone}) == frozen(alone)

    wanted = shapes(kind.model, said)
    leaves = {
        jax.tree_util.keystr(where, simple=True, separator="/"): leaf
        for where, leaf in jax.tree_util.tree_leaves_with_path(wanted)
    }
    used = set()
    for rule, target, names in rules.expand(kind.rules(said), 0):
        rules.convert(rule, target, names, tensors, leaves.pop(target).shape)
        used.update(names)
    assert not leaves  # each was filled once
    left = [one for one in sizes if one not in used]
    assert not [one for one in left if not any(fnmatchcase(one, each) for each in kind.ignore)]
    # two biases of an LSTM are added
    summed = sum(prod(size) for one, size in sizes.items() if ".bias_hh" in one)
    count = sum(leaf.size for leaf in jax.tree.leaves(wanted))
    assert count == layout["n_params"] - summed
