"""Name map of MDX-Net: of kuielab's checkpoints, and of .onnx files by the order of their nodes.

Batch normalisation behind a convolution becomes part of it, as the exporters of .onnx do.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.weights.converters import mdxnet_files
from xumx_jax.weights.converters.arrays import cells, plane, spread
from xumx_jax.weights.converters.configuration import agree, ask, of_all, section
from xumx_jax.weights.converters.kinds import Kind, Tensors, groups_in, sizes, stated, vote
from xumx_jax.weights.converters.mdxnet_files import KNOWN
from xumx_jax.weights.converters.onnxfile import WEIGHED
from xumx_jax.weights.converters.rules import Rule

# {option of the program: ours}, for what tensors do not show; and others
OPTIONS = {"n_fft": "n_fft", "hop_length": "hop", "dim_t": "frames", "sample_rate": "sample_rate"}
SHOWN = ("optimizer", "lr", "dim_c", "dim_f", "num_blocks", "l", "g", "k", "bn", "bias", "overlap")
AUDIO = ("n_fft", "hop_length", "dim_t", "dim_f", "sample_rate")
EPSILON = 1e-5  # of batch normalisation
NORM = ("weight", "bias", "running_mean", "running_var")


def arguments(tensors: Tensors, info: dict) -> dict:
    """Sizes from tensors; the rest from the settings or the defaults."""
    features = vote(sizes(tensors, r"first_conv\.0\.(?:weight|bias)", 0), "the first layer")
    inputs = vote(sizes(tensors, r"first_conv\.0\.weight", 1), "the channels")
    inner, bins = tensors["encoding_blocks.0.tdf.0.weight"].shape
    scales = len(groups_in(tensors, r"encoding_blocks\.(\d+)\..+"))
    given = stated(info, "model_args", OPTIONS, SHOWN) | (info.get("settings") or {})
    made = {
        "channels": inputs // 2,
        "bins": bins,
        "features": features,
        "scales": scales,
        "layers": len(groups_in(tensors, r"bottleneck_block\.tfc\.H\.(\d+)\..+")),
        "taps": vote(sizes(tensors, r"bottleneck_block\.tfc\.H\.\d+\.0\.weight", 2), "taps"),
        "bottleneck": bins // inner,
        **given,
    }
    checked(made, info)
    made.setdefault("frames", 256 if scales <= 8 else 2**scales)
    return made


def rules(model: dict) -> list[Rule]:
    """The name map for these arguments."""
    made, scales = conv("first/", "first_conv"), model["scales"]
    for scale in range(scales):
        back = scales - 1 - scale
        made += block(model, f"encoder_{scale}", f"encoding_blocks.{scale}.")
        made += conv(f"down_{scale}_", f"ds.{scale}", cells)
        made += of_upscaling(f"up_{scale}", with_norm(f"us.{back}"))
        made += block(model, f"decoder_{scale}", f"decoding_blocks.{back}.")
    made += block(model, "bottleneck", "bottleneck_block.")
    made.append(Rule("params/last/kernel", "final_conv.0.weight", plane))
    made.append(Rule("params/last/bias", "final_conv.0.bias"))
    return made


def onnx_arguments(tensors: Tensors, info: dict) -> dict:
    """Sizes from tensors; the rest from the settings or the defaults."""
    scales, layers = plan_of(info.get("nodes") or [])
    features, inputs, *_ = tensors["onnx.conv.0.weight"].shape
    bins, inner = tensors["onnx.dense.0.weight"].shape
    made = {
        "channels": inputs // 2,
        "bins": bins,
        "features": features,
        "scales": scales,
        "layers": layers,
        "taps": tensors["onnx.conv.1.weight"].shape[2],
        "bottleneck": bins // inner,
        **stated(info, "model_args", OPTIONS, SHOWN),
        **(info.get("settings") or {}),
    }
    checked(made, info)
    return made


def plan_of(nodes: list[str]) -> tuple[int, int]:
    """Scales, and layers of a block, of a network whose nodes with weights are these, in order.

    Raises UserError, which says what was found, unless such a network of MDX-Net has these nodes.
    """
    count = Counter(nodes)
    scales = count["up"]
    layers = (count["conv"] - 2 - scales) // (2 * scales + 1)
    block = ["conv"] * layers + ["dense", "norm"] * 2
    wanted = ["conv", *(block + ["conv"]) * scales, *block, *(["up", "norm"] + block) * scales]
    wanted += ["conv"]
    if layers < 1 or nodes != wanted:
        names = {name: operator for operator, (name, _) in WEIGHED.items()}
        found = ", ".join(f"{number} {names[name]}" for name, number in count.items())
        raise UserError(f"its nodes with weights are {found}, not those of MDX-Net in their order")
    return scales, layers


def checked(made: dict, info: dict) -> None:
    """Raise UserError if what is stated is not so, and if the transform is not known.

    The latter since the published ones do not have 2 * bins.
    """
    shown = {"dim_f": made["bins"], "g": made["features"], "bn": made["bottleneck"]}
    agree(info.get("model_args") or {}, shown)
    usual = sorted({n_fft for _, bins, _, n_fft, *_ in KNOWN.values() if bins == made["bins"]})
    also = f"; with {made['bins']} bins, published ones have {', '.join(map(str, usual))}"
    values = {"n_fft": (usual[0] if usual else 6144, "audio: n_fft")}
    ask(values, made, f"MDX-Net leaves out the highest bins{also if usual else ''}")


def onnx_rules(model: dict) -> list[Rule]:
    """The name map for these arguments: by the order of the nodes."""
    counts: dict[str, int] = dict.fromkeys(("conv", "up", "dense", "norm"), 0)

    def following(kind: str) -> str:
        counts[kind] += 1
        return f"onnx.{kind}.{counts[kind] - 1}."

    made = []

    def conv(ours: str, how: Callable = plane):
        theirs = following("conv")
        made.append(Rule(f"params/{ours}kernel", f"{theirs}weight", how))
        made.append(Rule(f"params/{ours}bias", f"{theirs}bias"))

    def block(ours: str):
        for number in range(model["layers"]):
            conv(f"{ours}/conv_{number}/")
        for number in range(2):
            made.append(Rule(f"params/{ours}/dense_{number}", f"{following('dense')}weight"))
            place = following("norm")
            norm = tuple(place + name for name in NORM)
            made.append(Rule(f"params/{ours}/scale_{number}", norm, lambda *of: factors(*of)[0]))
            made.append(Rule(f"params/{ours}/shift_{number}", norm, lambda *of: factors(*of)[1]))

    conv("first/")
    for scale in range(model["scales"]):
        block(f"encoder_{scale}")
        conv(f"down_{scale}_", cells)
    block("bottleneck")
    for scale in reversed(range(model["scales"])):
        place, norm = following("up"), following("norm")
        names = (*(place + name for name in NORM[:2]), *(norm + name for name in NORM))
        made += of_upscaling(f"up_{scale}", names)
        block(f"decoder_{scale}")
    conv("last/")
    return made


def of_upscaling(ours: str, names: tuple[str, ...]) -> list[Rule]:
    """A transposed convolution with the normalisation behind it, of tensors with these names."""
    return [
        Rule(f"params/{ours}_kernel", names, lambda *of: spread(folded(*of, axis=1)[0])),
        Rule(f"params/{ours}_bias", names, lambda *of: folded(*of, axis=1)[1]),
    ]


def block(model: dict, ours: str, theirs: str) -> list[Rule]:
    made = []
    for number in range(model["layers"]):
        made += conv(f"{ours}/conv_{number}/", f"{theirs}tfc.H.{number}")
    for number in range(2):
        dense = f"{theirs}tdf.{3 * number}.weight"
        norm = tuple(f"{theirs}tdf.{3 * number + 1}.{name}" for name in NORM)
        made.append(Rule(f"params/{ours}/dense_{number}", dense, np.transpose))
        made.append(Rule(f"params/{ours}/scale_{number}", norm, lambda *of: factors(*of)[0]))
        made.append(Rule(f"params/{ours}/shift_{number}", norm, lambda *of: factors(*of)[1]))
    return made


def configured(config: dict) -> dict:
    """Part of `info` for what a configuration says of the transform."""
    about = {name: value for name, value in section(config, "audio").items() if name in AUDIO}
    return {**of_all(config), "model_args": about}


def conv(ours: str, theirs: str, how: Callable | None = None) -> list[Rule]:
    names, how = with_norm(theirs), how or plane
    return [
        Rule(f"params/{ours}kernel", names, lambda *of: how(folded(*of)[0])),
        Rule(f"params/{ours}bias", names, lambda *of: folded(*of)[1]),
    ]


def with_norm(theirs: str) -> tuple[str, ...]:
    """The tensors of a convolution and of the normalisation behind it."""
    return (*(f"{theirs}.0.{name}" for name in NORM[:2]), *(f"{theirs}.1.{name}" for name in NORM))


def factors(gamma, beta, mean, var) -> tuple[np.ndarray, np.ndarray]:
    """Batch normalisation as a factor and what is added behind it."""
    scale = gamma / np.sqrt(np.float64(1) * var + EPSILON)
    return scale.astype(np.float32), (beta - mean * scale).astype(np.float32)


def folded(weight, bias, *norm, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A convolution and the normalisation of its outputs, that axis of its plane, as one."""
    scale, shift = factors(*norm)
    shape = [-1 if number == axis else 1 for number in range(weight.ndim)]
    return weight * scale.reshape(shape), bias * scale + shift


KINDS = {
    "mdxnet": Kind(
        model="mdxnet",
        anchor=r"(.*?)first_conv\.0\.weight",
        also=(r".*?encoding_blocks\.0\.tdf\.0\.weight",),
        arguments=arguments,
        rules=rules,
        configured=configured,
    ),
    "mdxnet-onnx": Kind(
        model="mdxnet",
        anchor=r"(.*?)onnx\.[a-z]+\.0\.weight",
        arguments=onnx_arguments,
        rules=onnx_rules,
        beside=mdxnet_files.settings,
        configured=configured,
    ),
}
