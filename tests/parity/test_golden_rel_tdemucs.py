"""RelTDemucs and its attention against recorded outputs of AIMLESS's PyTorch program."""

from functools import partial

import jax
import numpy as np
import pytest
from golden_files import golden
from golden_torch import arrays, close, loaded, meta, under

from xumx_jax.layers.relative_attention import RelativeAttention, features_of
from xumx_jax.weights.converters.aimless import attention_rules
from xumx_jax.weights.converters.rules import apply

close = partial(close, factor=10, floor=1e-6)
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]


@pytest.fixture
def model(path, tmp_path):
    """Module and variables, through a file like the program's own."""
    module, variables, _ = loaded(path, tmp_path)
    return module, variables


@golden("torch/aimless_rel_mha*.npz")
def test_attention(path):
    x, blocked = arrays(path)["in/x"], arrays(path)["in/mask"]
    frames, channels = x.shape[-2:]
    context = int(np.flatnonzero(blocked[0])[0])
    distances = np.arange(frames) - np.arange(frames)[:, None]
    np.testing.assert_array_equal(blocked, abs(distances) >= context)
    weights = under(path, "w/")
    rules = attention_rules("", "", heads := len(weights["u"]))
    for name, width in (("y", None), ("y_masked", context)):
        module = RelativeAttention(heads, width)
        shapes = jax.eval_shape(module.init, jax.random.key(0), x)
        variables = apply(rules, weights, shapes, ignore=("*inv_freq",))
        close(path, name, jax.jit(module.apply)(variables, x))
    close(path, "pos_emb", features_of(np.arange(1 - frames, frames), channels))


@golden("torch/aimless_rel_tdemucs*.npz")
def test_forward(path, model):
    module, variables = model
    said = meta(path)["kwargs"]
    assert module.context_size == said.get("context_size")
    for name in under(path, "out/"):
        _, _, context = name.partition("_ctx")
        this = module.clone(context_size=int(context)) if context else module
        run = jax.jit(partial(this.apply, method="separate"))
        close(path, name, run(variables, arrays(path)["in/x"]))
