"""BandSplitRNN against recorded outputs of AIMLESS's PyTorch program, and its full-size layouts."""

import json
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from foreign import write_pth
from golden_files import golden
from golden_torch import arrays, close, meta, under

from xumx_jax.weights.converters import KINDS, convert, rules, shapes
from xumx_jax.weights.converters.readers import Weights
from xumx_jax.weights.load import load_module

BENCH = Path(__file__).parents[2] / "bench"
FACTOR = 10  # of the original's own rounding; or FLOOR of its largest value, if that is more
FLOOR = 1e-6


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compile")
@golden("torch/aimless_bsrnn*.npz")
def test_masks(path, tmp_path):
    """Through files like its own: a checkpoint of PyTorch Lightning, and a plain state_dict."""
    said, weights = meta(path)["kwargs"], under(path, "w/")
    wrapped = {"state_dict": {f"model.{name}": tensor for name, tensor in weights.items()}}
    contents = {**wrapped, "model_args": said}
    module, variables, info = load_module(write_pth(tmp_path / "weights.ckpt", contents))
    plain = load_module(write_pth(tmp_path / "weights.pth", weights))[1]
    jax.tree.map(np.testing.assert_array_equal, plain, variables)
    assert info["kind"] == "bsrnn" and len(module.sources) == said.get("n_sources", 1)
    sizes = module.n_fft, module.hidden_size, module.layers, module.groups
    assert sizes == tuple(
        said[name] for name in ("n_fft", "hidden_size", "num_layers", "norm_groups")
    )
    assert (module.bands is None) == ("split_freqs" not in said)
    run = jax.jit(partial(module.apply, method="masks"))
    wanted = arrays(path)["out/y"]
    found = np.asarray(run(variables, arrays(path)["in/x"]))
    # a single source has no axis there
    assert found.shape == (
        wanted.shape if wanted.ndim == 5 else (len(wanted), 1, *wanted.shape[1:])
    )
    close(path, "y", found.reshape(wanted.shape), FACTOR, FLOOR)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@golden("torch/aimless_bsrnn*.npz")
def test_our_counterpart_in_pytorch(path, monkeypatch):
    """What benchmarks compare with is the original's network."""
    torch = pytest.importorskip("torch", reason="wanted: PyTorch, as in bench/parity-*.txt")
    monkeypatch.setattr(sys, "path", [str(BENCH), *sys.path])
    from bsrnn_torch import BandSplitRNN

    said, weights = meta(path)["kwargs"], under(path, "w/")
    bands = sum(name.startswith("fc1_list.") for name in weights) // 2
    widths = [weights[f"norm1_list.{band}.weight"].size for band in range(bands)]
    sizes = said["hidden_size"], said["num_layers"], said["norm_groups"], said.get("n_sources", 1)
    model = BandSplitRNN(np.cumsum([0, *widths]).tolist(), *sizes).eval()
    model.load_state_dict({name: torch.tensor(tensor) for name, tensor in weights.items()})
    with torch.no_grad():
        close(path, "y", model(torch.tensor(arrays(path)["in/x"])).numpy(), FACTOR, FLOOR)


@pytest.mark.slow
@golden("torch/layouts/aimless_bsrnn*.json")
def test_full_size(path):
    """Every tensor has a place, and the model's defaults are those of the layout."""
    layout = json.loads(path.read_text())
    tensors = {
        name: np.broadcast_to(np.float32(0), shape) for name, shape, *_ in layout["state_dict"]
    }
    member = convert(Weights(path, tensors))
    filled = sum(leaf.size for leaf in jax.tree.leaves(member.variables))
    # two biases of each LSTM are one here
    biases = sum(tensor.size for name, tensor in tensors.items() if ".bias_hh" in name)
    assert member.name == "bsrnn" and filled == layout["n_params"] - biases
    kind, defaults = KINDS["bsrnn"], {"sources": member.args["sources"]}
    assert rules.apply(kind.rules(member.args), tensors, shapes("bsrnn", defaults))
    last = [t.size for name, t in tensors.items() if name[:5] == "mlps." and name[-7:] == ".2.bias"]
    assert len(member.args["sources"]) == sum(last) / 2049
