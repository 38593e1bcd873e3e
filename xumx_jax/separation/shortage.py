"""When a device has too little memory."""

import warnings

from jax.errors import JaxRuntimeError

from xumx_jax.errors import UserError

_SIGNS = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory")


def is_shortage(error: Exception) -> bool:
    """Whether `error` says that the device's memory did not suffice."""
    return isinstance(error, JaxRuntimeError) and any(sign in str(error) for sign in _SIGNS)


def tell(what: str) -> None:
    """Warn that a smaller step is taken; `what` says which."""
    warnings.warn(f"the device has too little memory: going on with {what}", stacklevel=2)


def give_up(least: str) -> UserError:
    """The error for a device that has too little for the `least` step there is."""
    return UserError(
        f"the device has too little memory even for {least}; wanted a device with more, or the "
        "CPU (--device cpu)"
    )
