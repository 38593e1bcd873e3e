"""Name map of xumx-sliCQ's first network: a list of autoencoders for each target, one a block."""

from functools import partial

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.layers.band_autoencoder import Group
from xumx_jax.models.xumx_slicq import XumxSliCQ
from xumx_jax.weights.converters.kinds import Kind, Tensors, groups_in, sizes, vote
from xumx_jax.weights.converters.rules import Rule

NAME = "bucketed_unmixes_{}.{}.{}"
# The places of layers and of normalisations in theirs, and of what makes two values of each frame
KERNELS, NORMS, GROWTH = (0, 3, 6, 9), (1, 4, 7, 10), 12
LEAVES = {
    "params": {"scale": "weight", "bias": "bias"},
    "batch_stats": {"mean": "running_mean", "var": "running_var"},
}


def arguments(tensors: Tensors, info: dict) -> dict:
    """Sources and channels; of the transform tensors only show how many blocks there are."""
    sources = groups_in(tensors, r"bucketed_unmixes_(.+?)\.\d+\..+")
    if not sources:
        raise UserError("none of its tensors is one of a target (bucketed_unmixes_...)")
    found = {
        "sources": tuple(sources),
        "channels": vote(sizes(tensors, r".*\.cdae\.0\.weight", 1), "the number of channels"),
        **info.get("settings", {}),
    }
    model = XumxSliCQ(**found)
    numbers = groups_in(tensors, r"bucketed_unmixes_.+?\.(\d+)\..+")
    count = {
        int(n): vote(sizes(tensors, rf"bucketed_unmixes_.+?\.{n}\.input_(mean|scale)", 0), "bands")
        for n in numbers
    }
    wanted = {
        number: bands
        for group in model.groups
        for number, bands in zip(group.blocks, group.bands, strict=True)
    }
    if count != wanted:
        raise UserError(
            f"it has {len(count)} blocks with a network, of {sum(count.values())} bands, and "
            f"{model.bins} {model.scale} bins from {model.low_hz} Hz up to {model.bandwidth_hz} Hz "
            f"make {len(wanted)} of {sum(wanted.values())}, or others"
        )
    return found


def rules(model: dict) -> list[Rule]:
    """The name map for these arguments."""
    module = XumxSliCQ(**model)
    groups, targets = module.groups, module.sources
    blocks = sorted(number for group in groups for number in group.blocks)

    def in_order(leaf: str) -> tuple[str, ...]:
        return tuple(NAME.format(t, number, leaf) for t in targets for number in blocks)

    joined = partial(joined_bands, len(targets))
    found = [Rule(f"params/{n}", in_order(n), joined) for n in ("input_mean", "input_scale")]
    for group in groups:
        found += group_rules(group, targets)
    return found


def group_rules(group: Group, targets: tuple[str, ...]) -> list[Rule]:
    """The rules of all blocks with kernels of one shape."""
    place = "kernels_{}x{}".format(*group.kernel)

    def each(leaf: str) -> tuple[str, ...]:
        return tuple(NAME.format(t, n, f"cdae.{leaf}") for n in group.blocks for t in targets)

    def stacked(*axes: int):
        return partial(stacked_blocks, len(targets), axes)

    found = [
        # Convolutions are [out, in, band, frame] there, transposed ones [in, out, band, frame]
        Rule(
            f"params/{place}/kernel_{number}",
            each(f"{layer}.weight"),
            stacked(2, 3, 1, 0) if number < 2 else stacked(2, 3, 0, 1),
        )
        for number, layer in enumerate(KERNELS)
    ]
    layers = partial(joined_layers, len(targets))
    found += [
        Rule(
            f"{collection}/{place}/{ours}",
            tuple(name for layer in NORMS for name in each(f"{layer}.{theirs}")),
            layers,
        )
        for collection, leaves in LEAVES.items()
        for ours, theirs in leaves.items()
    ]
    growth = partial(stacked_rows, len(targets))
    found.append(Rule(f"params/{place}/growth", each(f"{GROWTH}.weight"), growth))
    found.append(Rule(f"params/{place}/growth_bias", each(f"{GROWTH}.bias"), stacked(0)))
    return found


def stacked_blocks(targets: int, axes: tuple[int, ...], *tensors: np.ndarray) -> np.ndarray:
    """Of every block each target's -> [block, target, ...], their axes in this order."""
    values = np.stack([tensor.transpose(axes) for tensor in tensors])
    return values.reshape(-1, targets, *values.shape[1:])


def joined_layers(targets: int, *tensors: np.ndarray) -> np.ndarray:
    """[channel] of each layer, of every block each target's -> [block, target, channel of all]."""
    count = len(tensors) // len(NORMS)
    parts = [np.stack(tensors[at : at + count]) for at in range(0, len(tensors), count)]
    return np.concatenate(parts, axis=1).reshape(count // targets, targets, -1)


def stacked_rows(targets: int, *tensors: np.ndarray) -> np.ndarray:
    """[in, out, 1, tap] of every block each target's -> [block, target, tap, in, out]."""
    return stacked_blocks(targets, (2, 0, 1), *(tensor[:, :, 0] for tensor in tensors))


def joined_bands(targets: int, *tensors: np.ndarray) -> np.ndarray:
    """Of every target each block's values of its bands -> [target, band]."""
    return np.concatenate(tensors).reshape(targets, -1)


KINDS = {
    "xumx-slicq": Kind(
        model="xumx_slicq",
        anchor=r"(.*?)bucketed_unmixes_.+?\.0\.cdae\.12\.weight",
        arguments=arguments,
        rules=rules,
    ),
}
