"""Compare with PyTorch, live: random weights through the original and through ours.

    make parity
    make parity-full
    python bench/parity.py [--full | CASE...]

Networks have their full size, except that those of the Demucs and msst packages have their full
width and less depth; `--full` runs these at full depth instead, with more music (every week).

Every case saves the original's weights with `torch.save`, loads that file as a user would, runs
both on the same audio, and prints the largest difference per tensor, relative to that tensor's
largest value. Exits with 1 if one is above the limit.
"""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import asteroid_xumx
import demucs_cases
import jax
import modern_cases
import numpy as np
import openunmix_cases
import torch
from flax.traverse_util import flatten_dict

from xumx_jax.weights import load
from xumx_jax.weights.converters import KINDS, rules, shapes

LIMIT = 1e-4
SOURCES = ["bass", "drums", "vocals", "other"]
FULL = {"sources": SOURCES, "hidden_size": 512, "max_bin": 1487}
MONO = {"sources": ["voice", "rest"], "hidden_size": 512, "nb_channels": 1, "nb_layers": 2}
LIVE = {"sources": SOURCES[:3], "hidden_size": 512, "bidirectional": False, "spec_power": 2}
# Batch normalisation removes what only adds a constant before it, so that has no gradient: the
# input's mean, and the bias of units that are always on or always off (`keep_clear_of_corners`).
SHIFTS = ("enc/mean", "dec/norm_0/bias")


def keep_clear_of_corners(model: torch.nn.Module) -> None:
    """Move the inputs of each ReLU away from 0, three in four above it and the others below.

    At 0 the gradient jumps, so a unit within rounding of it may have different gradients in two
    programs, and even in two runs of one.
    """

    def apart(tensor, distance):
        below = torch.arange(tensor.numel()) % 4 == 0
        tensor.copy_(torch.where(below, -distance, distance))

    with torch.no_grad():
        for source, decoder in model.layer_dec.items():
            hidden_norm, output_norm = decoder.dec[1], decoder.dec[4]
            hidden_norm.weight *= 0.2
            output_norm.weight *= 0.1
            apart(hidden_norm.bias, 2.0)
            apart(model.mean_scale[f"output_mean_{source}"], 4.0)


def music(channels: int, seconds: float, seed: int, rate: int = 44100) -> np.ndarray:
    """Make [1, channel, time] with partials, beats and noise."""
    draw = np.random.default_rng(seed)
    t = np.arange(round(rate * seconds)) / rate
    pitches = draw.uniform(60, 4000, 20)
    partials = np.sin(2 * np.pi * pitches[:, None] * t + draw.uniform(0, 6, (20, 1)))
    beats = np.exp(-8 * (t % 0.4)) * draw.normal(size=t.size)
    wave = draw.uniform(0, 0.05, (channels, 20)) @ partials + 0.2 * beats
    wave = wave + 0.01 * draw.normal(size=(channels, t.size))
    return wave[None].astype(np.float32)


def differ(ours, theirs) -> float:
    """Largest difference, relative to their largest value."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        raise SystemExit(f"shapes differ: ours {ours.shape}, theirs {theirs.shape}")
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def outputs(original: torch.nn.Module, path: Path, mix: np.ndarray):
    """Yield (tensor, difference) for masks, spectra and waveforms, each source for itself."""
    module, variables, _ = load.load_module(path)
    with torch.no_grad():
        magnitudes, _ = original.encoder(torch.from_numpy(mix))
        masks = original.forward_masker(magnitudes.clone())
        spec, wave = original(torch.from_numpy(mix))
    stems = jax.jit(module.apply)(variables, mix)
    # their [source, frame, batch, channel, bin] -> our [batch, source, channel, bin, frame]
    masks, spec = (tensor.permute(2, 0, 3, 4, 1).numpy() for tensor in (masks, spec))
    wave = wave.transpose(0, 1).numpy()
    for index, source in enumerate(original.sources):
        yield f"mask {source}", differ(stems.mask[0][:, index], masks[:, index])
        yield f"spectrum {source}", differ(abs(stems.spec[0][:, index]), spec[:, index])
        yield f"waveform {source}", differ(stems.wave[:, index], wave[:, index])


def as_ours(info: dict, tensors: dict) -> dict[str, dict]:
    """A state_dict, or gradients in its layout -> {collection: {our name: array}}."""
    kind = KINDS[info["kind"]]
    tensors = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    tree = rules.apply(
        kind.rules(info["args"]),
        tensors,
        shapes(kind.model, info["args"]),
        info["args"]["sources"],
        info["args"]["layers"],
        kind.ignore,
    )
    return {collection: flatten_dict(tree[collection], sep="/") for collection in tree}


def training(original: torch.nn.Module, path: Path, mix: np.ndarray):
    """Yield (tensor, difference) of one training step: waveforms, running statistics, gradients.

    The loss is the mean square of all waveforms. Gradients that are zero but for rounding are left
    out, see SHIFTS.
    """
    module, variables, info = load.load_module(path)
    original.train()
    for lstm in original.layer_lstm.values():
        lstm.dropout = 0.0
    wave = original(torch.from_numpy(mix))[1]
    wave.square().mean().backward()
    # the name map wants all tensors: gradients for the parameters, buffers after the step
    tensors = original.state_dict()
    tensors |= {name: p.grad for name, p in original.named_parameters() if p.requires_grad}
    theirs = as_ours(info, tensors)

    @jax.jit
    def step(params, statistics):
        def loss(params):
            state = {"params": params, "batch_stats": statistics}
            stems, new = module.clone(dropout=0.0).apply(state, mix, True, mutable="batch_stats")
            return (stems.wave**2).mean(), (stems.wave, new["batch_stats"])

        return jax.grad(loss, has_aux=True)(params)

    ours, (our_wave, statistics) = step(variables["params"], variables["batch_stats"])
    yield "waveforms", differ(our_wave.swapaxes(0, 1), wave.detach())
    for name, value in flatten_dict(statistics, sep="/").items():
        yield f"running {name}", differ(value, theirs["batch_stats"][name])
    for name, value in flatten_dict(ours, sep="/").items():
        if name not in SHIFTS:
            two = name.startswith("lstm") and name.endswith("bias")  # theirs are b_ih and b_hh
            yield f"gradient {name}", differ(value * (2 if two else 1), theirs["params"][name])


def asteroid_case(folder: Path, seed: int, compare, seconds: float = 6.0, **arguments):
    """Compare with asteroid's model, from a file as its `serialize` writes it."""
    original = asteroid_xumx.build(**arguments)
    asteroid_xumx.randomise(original, seed, offset=0.5)
    if compare is training:
        keep_clear_of_corners(original)
    path = folder / "asteroid.pth"
    torch.save({"state_dict": original.state_dict(), "model_args": original.get_model_args()}, path)
    mix = music(arguments.get("nb_channels", 2), seconds, seed)
    yield from compare(original, path, mix)


def aimless_case(folder: Path, seed: int):
    """Compare with AIMLESS's layout of the same network, from a file as Lightning writes it."""
    original = asteroid_xumx.build(**FULL)
    asteroid_xumx.randomise(original, seed, offset=0.5)
    renamed = asteroid_xumx.as_aimless(original.state_dict(), SOURCES)
    state = {f"model.{name}": tensor for name, tensor in renamed.items()}
    state["spec.window"] = torch.hann_window(4096)
    path = folder / "aimless.ckpt"
    torch.save({"epoch": 1, "state_dict": state, "optimizer_states": [{"lr": 1e-3}]}, path)
    yield from outputs(original, path, music(2, 6.0, seed))


def openunmix_case(folder: Path, seed: int, case: dict):
    """Compare with Open-Unmix's models and filter, on more than one window of the filter."""
    rate, hop = case["transform"]["sample_rate"], case["transform"]["n_hop"]
    mix = music(case["network"]["nb_channels"], 330 * hop / rate, seed, rate)
    yield from openunmix_cases.compare(folder, seed, mix, case, differ)


def demucs_case(folder: Path, name: str):
    """Compare with Demucs and Hybrid Demucs."""
    cases = demucs_cases.CASES | demucs_cases.FULL
    compare, seconds, make, arguments = cases[name]
    seed = 20 + list(cases).index(name)
    yield from compare(folder, seed, music(2, seconds, seed), differ, make, **arguments)


def modern_case(folder: Path, name: str):
    """Compare with HTDemucs and the networks of msst."""
    cases = modern_cases.CASES | modern_cases.FULL
    row, arguments, seconds = cases[name]
    seed = 40 + list(cases).index(name)
    yield from modern_cases.stems(folder, seed, music(2, seconds, seed), differ, row, arguments)


CASES = {
    "asteroid, full": lambda folder: asteroid_case(folder, 1, outputs, **FULL),
    "asteroid, mono": lambda folder: asteroid_case(folder, 2, outputs, **MONO),
    "asteroid, one way, power 2": lambda folder: asteroid_case(folder, 3, outputs, **LIVE),
    "AIMLESS, full": lambda folder: aimless_case(folder, 4),
    "Open-Unmix, full": lambda folder: openunmix_case(folder, 6, openunmix_cases.MUSIC),
    "Open-Unmix, one way": lambda folder: openunmix_case(folder, 7, openunmix_cases.LIVE),
    "Open-Unmix, 16 kHz mono": lambda folder: openunmix_case(folder, 8, openunmix_cases.SPEECH),
    "asteroid, training step": lambda folder: asteroid_case(folder, 5, training, 2.0, **FULL),
    **{name: partial(demucs_case, name=name) for name in demucs_cases.CASES},
    **{name: partial(modern_case, name=name) for name in modern_cases.CASES},
}
# Those of a size that takes its time.
LARGE = {
    **{name: partial(demucs_case, name=name) for name in demucs_cases.FULL},
    **{name: partial(modern_case, name=name) for name in modern_cases.FULL},
}


def main() -> int:
    print(f"torch {torch.__version__}, jax {jax.__version__} on {jax.default_backend()}")
    start, rows = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        given = sys.argv[1:] or list(CASES)
        for case in LARGE if given == ["--full"] else given:
            for tensor, value in (CASES | LARGE)[case](Path(folder)):
                rows.append((value, case, tensor))
                mark = "" if value <= LIMIT else "   ABOVE THE LIMIT"
                print(f"{case:28} {tensor:44} {value:.1e}{mark}", flush=True)
    worst = max(rows)
    bad = sum(not value <= LIMIT for value, *_ in rows)
    seconds = time.perf_counter() - start
    print(f"worst: {worst[0]:.1e} in {worst[1]}, {worst[2]}")
    print(f"{len(rows)} tensors compared in {seconds:.0f} s, {bad} above {LIMIT:g}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
