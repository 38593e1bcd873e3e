"""The models by name; `build` makes one from plain arguments."""

from functools import partial

from flax import linen as nn

from xumx_jax.errors import UserError
from xumx_jax.models.umx import UMX

MODELS = {
    "xumx": UMX,
    "umx": partial(UMX, bridge=False),
}


def build(name: str, **arguments) -> nn.Module:
    """Make the linen module called `name`, a key of MODELS.

    Lists (from JSON), nested ones too, become tuples. Raises UserError on an unknown name or
    argument.
    """
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}; known: {', '.join(MODELS)}")
    try:
        return MODELS[name](**frozen(arguments))
    except (TypeError, ValueError) as error:
        raise UserError(f"model {name!r}: {error}") from error


def frozen(arguments: dict) -> dict:
    """Arguments as a module takes them: lists, however deep, are tuples."""

    def one(value):
        return tuple(map(one, value)) if isinstance(value, list | tuple) else value

    return {name: one(value) for name, value in arguments.items()}
