"""Which errors say that a device has too little memory: a real one, and other devices' words."""

import jax
import jax.numpy as jnp
import pytest
from jax.errors import JaxRuntimeError

from xumx_jax.separation.out_of_memory import is_out_of_memory


def test_a_real_error_of_the_device_is_recognised():
    with pytest.raises(JaxRuntimeError) as raised:
        jax.jit(lambda: jnp.ones(2**56, jnp.float32))()
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "RESOURCE_EXHAUSTED: Failed to allocate request for 2.00GiB on device ordinal 0",
        "Out of memory while trying to allocate 2147483648 bytes.",
        "INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    ],
)
def test_every_wording_is_recognised(text):
    assert is_out_of_memory(JaxRuntimeError(text))


@pytest.mark.parametrize(
    "error",
    [
        JaxRuntimeError("INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access"),
        JaxRuntimeError("INVALID_ARGUMENT: shapes do not agree"),
        RuntimeError("Out of memory while trying to allocate 2147483648 bytes."),
    ],
)
def test_other_errors_are_not(error):
    assert not is_out_of_memory(error)
