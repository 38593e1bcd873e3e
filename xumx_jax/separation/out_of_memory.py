"""What to do when a device has too little memory."""

import jax
from jax.errors import JaxRuntimeError

from xumx_jax import errors
from xumx_jax.errors import UserError

_SIGNS = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory")


def is_out_of_memory(error: Exception) -> bool:
    """Whether `error` says that the device ran out of memory."""
    return isinstance(error, JaxRuntimeError) and any(sign in str(error) for sign in _SIGNS)


def warn(what: str) -> None:
    """Warn that work continues in a smaller step; `what` describes it."""
    errors.warn(f"the device has too little memory: continuing with {what}")


def fall_back_to_cpu(devices, allowed: bool, least: str):
    """Return the CPU, if `devices` have too little memory even for the `least` step.

    Raises UserError if that is not allowed, or it was the CPU.
    """
    cpu = jax.local_devices(backend="cpu")[0]
    if not allowed or all(device.platform == cpu.platform for device in devices):
        raise UserError(
            f"the device has too little memory even for {least}; use a device with more, or the "
            "CPU (--device cpu)"
        )
    warn(f"{least} on the CPU")
    return cpu
