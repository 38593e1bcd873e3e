"""Low-rank adapters: a run that leaves the weights as they are, and trains what is added to them.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv:2106.09685). A matrix W
of the model becomes W + alpha / rank * A B, with A [..., in, rank] and B [..., rank, out]; axes
before these two, such as the layers of a stack, have matrices each. Models know nothing of it: they
are given the sum. B begins as zeros, and so the model as it was.

Such a run trains `{"adapters": tree of {"a", "b"}, "full": arrays that are trained themselves}`;
what it leaves alone is `{"params": the other arrays, "scale": alpha / rank}`.
"""

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from xumx_jax.errors import UserError
from xumx_jax.layers.initializers import symmetric
from xumx_jax.weights.adapters import merged

__all__ = ["LINEAR", "Lora", "merged", "with_base"]

# Names of attention's and of dense layers, of all models; convolutions and LSTMs have others.
LINEAR = (
    "attention", "qkv", "gates", "out", "wide", "narrow", "hidden", "dense", "linear", "project",
)  # fmt: skip
NO_MATRIX = re.compile(r"bias|norm|scale|shift|gain|mean|var|position|embedding|phase|temperature")

Key = tuple[str, ...]


class Lora(NamedTuple):
    """Which matrices have adapters, and what is trained besides.

    rank     of what is added to a matrix
    alpha    that, divided by the rank, is its factor; None: the rank
    targets  names of layers, or several that follow each other, joined by "/"; a name without a
             number is also each of that name with one. Empty: LINEAR
    full     the same for arrays that are trained themselves (PEFT calls these modules_to_save)
    """

    rank: int
    alpha: float | None = None
    targets: tuple[str, ...] = ()
    full: tuple[str, ...] = ()

    def chosen(self, params: dict) -> tuple[list[Key], list[Key]]:
        """The paths of the matrices that have adapters, and of the arrays trained themselves.

        Raises UserError if a name is nowhere in the model, or nothing would be adapted.
        """
        flat = flatten_dict(params)
        full = [key for key in flat if _under(self.full, key)]
        possible = [key for key, leaf in flat.items() if _is_matrix(key, leaf) and key not in full]
        adapted = [key for key in possible if _under(self.targets or LINEAR, key)]
        for option, names, keys in (("targets", self.targets, possible), ("full", self.full, full)):
            for name in names:
                if not any(_under((name,), key) for key in keys):
                    raise UserError(
                        f"config.train.lora.{option}: nothing is called {name!r}; {_known(flat)}"
                    )
        if not adapted:
            raise UserError(
                f"config.train.lora.targets: the model has no attention or dense layers; "
                f"name some of its others; {_known(flat)}"
            )
        return adapted, full

    def split(self, key: Array, params: dict) -> tuple[dict, dict]:
        """Split weights into what is trained and what is left alone; adapters are drawn.

        A is drawn as PyTorch draws a dense layer of as many inputs.
        """
        adapted, full = self.chosen(params)
        flat: dict[Key, Any] = dict(flatten_dict(params))
        adapters: dict[Key, Array] = {}
        for number, path in enumerate(adapted):
            *stack, inputs, outputs = flat[path].shape
            a = symmetric(inputs**-0.5)(
                jax.random.fold_in(key, number), (*stack, inputs, self.rank)
            )
            b = jnp.zeros((*stack, self.rank, outputs))
            adapters |= {(*path, "a"): a, (*path, "b"): b}
        factor = (self.rank if self.alpha is None else self.alpha) / self.rank
        trained = {
            "adapters": unflatten_dict(adapters),
            "full": unflatten_dict({path: flat[path] for path in full}),
        }
        left = {path: leaf for path, leaf in flat.items() if path not in full}
        return trained, {"params": unflatten_dict(left), "scale": jnp.float32(factor)}


def with_base(trained: dict, frozen: dict | None, params: dict) -> tuple[dict, dict | None]:
    """The same adapters for other weights `params`: (what is trained, what is left alone)."""
    if frozen is None:
        return params, None
    flat, full = flatten_dict(params), flatten_dict(trained["full"])
    left = {path: leaf for path, leaf in flat.items() if path not in full}
    now = trained | {"full": unflatten_dict({path: flat[path] for path in full})}
    return now, frozen | {"params": unflatten_dict(left)}


def _is_matrix(key: Key, leaf) -> bool:
    return min((0, *leaf.shape)[-2:]) > 1 and not NO_MATRIX.search(key[-1])


def _under(names: tuple[str, ...], key: Key) -> bool:
    """Whether a path has one of the names, or the parts of one, next to each other."""
    return any(_has(tuple(name.split("/")), key) for name in names)


def _has(parts: Key, key: Key) -> bool:
    starts = range(len(key) - len(parts) + 1)
    return any(all(map(_same, parts, key[start:])) for start in starts)


def _same(name: str, part: str) -> bool:
    return name in (part, re.sub(r"_\d+$", "", part))


def _known(flat: dict) -> str:
    names = {re.sub(r"_\d+$", "", part) for key in flat for part in key}
    return f"known: {', '.join(sorted(names))}"
