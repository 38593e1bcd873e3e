"""xumx-sliCQ's first network against recorded outputs of the original program."""

import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import golden
from golden_slicq import arrays, meta, transform
from slicq_states import blocks_of, first_version, recorded

from xumx_jax import losses, postfilters
from xumx_jax.models import build
from xumx_jax.stems import Stems
from xumx_jax.weights.converters import convert, slicq
from xumx_jax.weights.converters.readers import Weights

pytestmark = pytest.mark.usefixtures("quick_compile")
BENCH = Path(__file__).parents[2] / "bench"
FILTERED = {"y_slicqwiener": "xumx_slicq", "y_stftwiener": "xumx_slicq_stft"}
SEPARATED = ("vocals", "drums", "bass", "other")  # the order of recorded waveforms


def weights(path):
    """The recorded network: (its settings, its blocks, how many have a network, its tensors)."""
    about = meta(path)
    settings = {"scale": about["kind"], "bins": about["bins"], "low_hz": about["fmin"]}
    settings["bandwidth_hz"] = about["bandwidth"]
    model = build("xumx_slicq", **settings)
    count, blocks = sum(len(group.blocks) for group in model.groups), blocks_of(transform(about))
    tensors = recorded(first_version(blocks[:count]), path.parent, about["param_tag"])
    return settings, blocks, count, tensors


def network(path):
    """The same by its name map: (model, variables)."""
    settings, _, _, tensors = weights(path)
    member = convert(Weights(Path("v1.pth"), tensors, {"settings": settings}))
    return build(member.name, **member.args), member.variables


@pytest.mark.slow
@golden("slicq/net_*.npz")
def test_network(path):
    """Masks of each target, and waves: with the mixture's phase, and after each of the filters."""
    file, about = arrays(path), meta(path)
    model, variables = network(path)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert count == about["params"]
    found = jax.tree.map(np.asarray, jax.jit(model.apply)(variables, jnp.asarray(file["x"])))
    for number, target in enumerate(model.sources):
        masks = [block[:, number] for block in found.mask]
        if f"mask_{target}" in file:
            flat = np.concatenate(list(map(np.ravel, masks)))
            np.testing.assert_allclose(flat, file[f"mask_{target}"], atol=1e-5)
        for block, mask in enumerate(masks):
            if (wanted := file.get(f"mask_{target}_{block}")) is not None:
                np.testing.assert_allclose(mask, wanted, atol=1e-5)
        sums = [mask.sum(dtype=np.float64) for mask in masks]
        np.testing.assert_allclose(sums, file[f"masksum_{target}"], rtol=1e-6)
    order = np.array([model.sources.index(name) for name in SEPARATED])
    if "y_phasemix" in file:
        np.testing.assert_allclose(found.wave[:, order], file["y_phasemix"], atol=1e-6)
    for key, name in FILTERED.items():
        if key not in file:
            continue
        known, stems = postfilters.POST_FILTERS[name], jax.tree.map(lambda leaf: leaf[0], found)
        used = known.transform or model.transform
        if known.transform is not None:
            stems = Stems(stems.wave, used.forward(stems.wave))
        run = partial(postfilters.apply, name, frames=known.frames, niter=1, **known.options)
        spec = jax.jit(run)(stems, used.forward(jnp.asarray(file["x"][0])))
        wave = used.inverse(spec, file["x"].shape[-1])
        np.testing.assert_allclose(wave[order], file[key][0], atol=1e-5)


@pytest.mark.slow
@golden("slicq/loss_*.npz")
def test_training(path):
    """The loss as coded, its gradients, and running statistics after one step."""
    file, about = arrays(path), meta(path)
    model, variables = network(path)
    ref = jnp.stack([file[f"src_{name}"] for name in model.sources], axis=1)
    truth = Stems(ref, model.transform.forward(ref))
    measure = losses.build("si_sdr_multi_domain", model.transform, original=True)

    def loss(params):
        given = {**variables, "params": params}
        found, now = model.apply(given, jnp.asarray(file["x"]), True, mutable=["batch_stats"])
        value, parts = measure(found, truth, jnp.asarray(file["x"]))
        return value, (parts, now, found.wave)

    (value, (parts, now, wave)), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(
        variables["params"]
    )
    np.testing.assert_allclose(wave, file["pred_waves"], atol=2e-6)
    assert float(parts["mse"]) == pytest.approx(about["mse_as_coded"], rel=1e-5)
    assert float(value) == pytest.approx(about["loss"], rel=1e-5)

    wanted = {n.removeprefix("grad/"): file[n] for n in file if n.startswith("grad/")}
    after = {n.removeprefix("bn_after/"): file[n] for n in file if n.startswith("bn_after/")}
    found = as_theirs(model, {"params": gradient, **now})
    assert wanted and after
    for name, theirs in wanted.items():
        ours = found[name]
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
    for name, theirs in after.items():
        if "num_batches" not in name:
            np.testing.assert_allclose(found[name], theirs, rtol=1e-4, atol=1e-6)
    norms = dict(zip(file["grad_names"].tolist(), file["grad_norms"].tolist(), strict=True))
    for name, norm in norms.items():
        assert np.linalg.norm(found[name]) == pytest.approx(norm, rel=1e-3, abs=1e-7), name


@pytest.mark.slow
@golden("slicq/net_*.npz")
def test_our_counterpart_in_pytorch(path, monkeypatch):
    """What benchmarks compare with is the original's network."""
    torch = pytest.importorskip("torch", reason="wanted: PyTorch, as in bench/parity-*.txt")
    monkeypatch.setattr(sys, "path", [str(BENCH), *sys.path])
    from slicq_v1_torch import XumxSliCQ

    file, (_, blocks, count, tensors) = arrays(path), weights(path)
    model = XumxSliCQ(blocks, count).eval()
    model.load_state_dict({name: torch.tensor(tensor) for name, tensor in tensors.items()})
    mix = transform(meta(path)).forward(jnp.asarray(file["x"]))
    with torch.no_grad():
        found = model([torch.tensor(np.abs(block)) for block in mix])
    for number, target in enumerate(model.targets):
        masks = [block[:, number].numpy() for block in found]
        if f"mask_{target}" in file:
            flat = np.concatenate(list(map(np.ravel, masks)))
            np.testing.assert_allclose(flat, file[f"mask_{target}"], atol=1e-5)
        sums = [mask.sum(dtype=np.float64) for mask in masks]
        np.testing.assert_allclose(sums, file[f"masksum_{target}"], rtol=1e-6)


def as_theirs(model, variables) -> dict[str, np.ndarray]:
    """Our variables by their names: the name map, backwards."""
    found: dict[str, np.ndarray] = {}
    names = {n: (leaf,) for n, leaf in (("input_mean", "mean"), ("input_scale", "scale"))}
    blocks = sorted(number for group in model.groups for number in group.blocks)
    for t, target in enumerate(model.sources):
        for leaf in names:
            at = 0
            for number in blocks:
                bands = model.transform.blocks[number].bands
                place = slicq.NAME.format(target, number, leaf)
                found[place] = np.asarray(variables["params"][leaf])[t, at : at + bands]
                at += bands
        for group in model.groups:
            place = "kernels_{}x{}".format(*group.kernel)
            own = {tree: jax.tree.map(np.asarray, variables[tree][place]) for tree in variables}
            for row, number in enumerate(group.blocks):
                before = slicq.NAME.format(target, number, "cdae.")
                for n, layer in enumerate(slicq.KERNELS):
                    kernel = own["params"][f"kernel_{n}"][row, t]
                    axes = (3, 2, 0, 1) if n < 2 else (2, 3, 0, 1)
                    found[f"{before}{layer}.weight"] = kernel.transpose(axes)
                growth = own["params"]["growth"][row, t]
                found[f"{before}12.weight"] = growth.transpose(1, 2, 0)[:, :, None]
                found[f"{before}12.bias"] = own["params"]["growth_bias"][row, t]
                ends = np.cumsum([25, 55, 25, 2])[:-1]
                for tree, leaves in slicq.LEAVES.items():
                    for ours, theirs in leaves.items():
                        parts = np.split(own[tree][ours][row, t], ends)
                        for layer, part in zip(slicq.NORMS, parts, strict=True):
                            found[f"{before}{layer}.{theirs}"] = part
    return found
