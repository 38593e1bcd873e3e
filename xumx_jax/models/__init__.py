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

    Lists (from JSON) become tuples. Raises UserError on an unknown name or argument.
    """
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}; known: {', '.join(MODELS)}")
    frozen = {key: tuple(v) if isinstance(v, list) else v for key, v in arguments.items()}
    try:
        return MODELS[name](**frozen)
    except (TypeError, ValueError) as error:
        raise UserError(f"model {name!r}: {error}") from error
