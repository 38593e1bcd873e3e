"""Engines apply a model to a stream: ENGINES, and which of them a Separator uses.

An engine is made from (model, variables, EngineOptions) and has `stream(blocks, progress)`: blocks
[channel, time] at the model's rate in, [source, channel, time] out, with as many samples, in blocks
of any size and in bounded memory. `progress` is called with the number of samples done.
"""

from importlib import import_module

from xumx_jax.models.interface import optional
from xumx_jax.separation.options import EngineOptions

# {name: (module, class)}, imported when first used
ENGINES = {
    "chunked": ("xumx_jax.separation.chunked", "Chunked"),
    "umx": ("xumx_jax.separation.umx.offline", "Offline"),
}


def make_engine(model, variables, options: EngineOptions):
    """Make the engine that the model names, or "chunked" if the options ask for chunks.

    Chunks without overlap, and batches of chunks, always use "chunked".
    """
    chunks = options.overlap == 0 or options.batch is not None
    module, name = ENGINES["chunked" if chunks else optional(model, "engine")]
    return getattr(import_module(module), name)(model, variables, options)
