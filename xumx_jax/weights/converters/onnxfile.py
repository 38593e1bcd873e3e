"""The weights of an .onnx file by the order in which its nodes use them, as MDX-Net's are read.

Exporters fold normalisation into convolutions and rename what they fold, so names tell nothing; but
a network's nodes are sorted. Nothing of the graph is executed, and no other file is opened.
"""

from pathlib import Path

import numpy as np

from xumx_jax.errors import UserError

EXTRA = "pip install 'xumx_jax[onnx]'"
# Nodes with weights, and what they are called here: the first tensors of each are named after it.
WEIGHED = {
    "Conv": ("conv", ("weight", "bias")),
    "ConvTranspose": ("up", ("weight", "bias")),
    "MatMul": ("dense", ("weight",)),
    "BatchNormalization": ("norm", ("weight", "bias", "running_mean", "running_var")),
}
# What MDX-Net is made of besides; Constant and Identity hold weights in other exporters' files.
OTHERS = ("Relu", "Transpose", "Add", "Mul", "Constant", "Identity")


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """{"onnx.conv.0.weight": ...} in the order of the nodes, and {"nodes": their kinds}.

    Raises UserError if a node is none of MDX-Net's, and without the package onnx.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
        from onnx import numpy_helper
    except ModuleNotFoundError:
        raise UserError(f"reading .onnx needs the package onnx: {EXTRA}") from None
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except DecodeError as error:
        raise ValueError(error) from error
    known = {one.name: one for one in graph.initializer}
    aliases: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    known[node.output[0]] = attribute.t
        elif node.op_type == "Identity":
            aliases[node.output[0]] = node.input[0]
    tensors: dict[str, np.ndarray] = {}
    counts, order = dict.fromkeys(WEIGHED, 0), []
    for node in graph.node:
        if node.op_type not in WEIGHED:
            if node.op_type not in OTHERS:
                raise UserError(f"it has a node {node.op_type[:40]!r}; wanted a network of MDX-Net")
            continue
        kind, parts = WEIGHED[node.op_type]
        number = counts[node.op_type]
        counts[node.op_type] += 1
        order.append(kind)
        given = [aliases.get(name, name) for name in node.input]
        for part, name in zip(parts, [name for name in given if name in known], strict=False):
            tensor = numpy_helper.to_array(known[name])
            tensors[f"onnx.{kind}.{number}.{part}"] = np.asarray(tensor, np.float32)
    return tensors, {"nodes": order}
