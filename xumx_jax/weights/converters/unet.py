"""Name maps of the layers that Demucs' U-Nets are made of, from PyTorch's names.

Convolutions are [output, input, tap] there and [tap, input, output] here, transposed ones
[input, output, tap].
"""

import numpy as np

from xumx_jax.layers.unet import LayerOptions
from xumx_jax.weights.converters.rules import Rule
from xumx_jax.weights.converters.umx import stack_sums, stack_turned


def taps_first(kernel: np.ndarray) -> np.ndarray:
    """[output, input, tap or (bin tap, frame tap)] -> [tap, input, output], [frame, bin, ...].

    Of two kinds of taps, one alone stays if the other is 1.
    """
    if kernel.ndim == 3:
        return kernel.transpose(2, 1, 0)
    kernel = kernel.transpose(3, 2, 1, 0)
    if kernel.shape[1] == 1:
        return kernel[:, 0]
    return kernel[0] if len(kernel) == 1 else kernel


def taps_first_transposed(kernel: np.ndarray) -> np.ndarray:
    """[input, output, tap] or [input, output, bin tap, 1] -> [tap, input, output]."""
    kernel = kernel[..., 0] if kernel.ndim == 4 else kernel
    return kernel.transpose(2, 0, 1)


def matrix(kernel: np.ndarray) -> np.ndarray:
    """[output, input, 1] -> [input, output]."""
    return kernel[..., 0].T


def convolution(ours: str, theirs: str, how=taps_first) -> list[Rule]:
    return [
        Rule(f"params/{ours}/kernel", f"{theirs}.weight", how),
        Rule(f"params/{ours}/bias", f"{theirs}.bias"),
    ]


def norm(ours: str, theirs: str) -> list[Rule]:
    return [
        Rule(f"params/{ours}/scale", f"{theirs}.weight"),
        Rule(f"params/{ours}/bias", f"{theirs}.bias"),
    ]


def lstm(ours: str, theirs: str, layers: int, linear: str) -> list[Rule]:
    """`layers.bidirectional`, from an `nn.LSTM` and an `nn.Linear` of these names."""
    rules = []
    for layer in range(layers):
        ends = (f"_l{layer}", f"_l{layer}_reverse")
        for mine, their in (("w_ih", "weight_ih"), ("w_hh", "weight_hh")):
            names = tuple(f"{theirs}.{their}{end}" for end in ends)
            rules.append(Rule(f"params/{ours}/{mine}_{layer}", names, stack_turned))
        names = tuple(f"{theirs}.bias_{part}{end}" for end in ends for part in ("ih", "hh"))
        rules.append(Rule(f"params/{ours}/bias_{layer}", names, stack_sums))
    return [*rules, *convolution(f"{ours}/linear", linear, np.transpose)]


def dconv(ours: str, theirs: str, options: LayerOptions) -> list[Rule]:
    """`layers.dconv.DConv`: in theirs, the parts of a branch are numbered."""
    rules = []
    for number in range(abs(options.depth)):
        mine, their, at = f"{ours}/branch_{number}", f"{theirs}.layers.{number}", 3
        rules += convolution(f"{mine}/squeeze", f"{their}.0") + norm(f"{mine}/norm_0", f"{their}.1")
        if options.lstm:
            rules += lstm(f"{mine}/lstm", f"{their}.{at}.lstm", 2, f"{their}.{at}.linear")
            at += 1
        if options.attention:
            parts = {"query": "query", "key": "key", "content": "content"}
            parts |= {"decay": "query_decay", "out": "proj"}
            for name, part in parts.items():
                rules += convolution(f"{mine}/attention/{name}", f"{their}.{at}.{part}", matrix)
            at += 1
        rules += convolution(f"{mine}/expand", f"{their}.{at}")
        rules += norm(f"{mine}/norm_1", f"{their}.{at + 1}")
        rules.append(Rule(f"params/{mine}/scale", f"{their}.{at + 3}.scale"))
    return rules
