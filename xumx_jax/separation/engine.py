"""What applies a model to a stream: ENGINES, and which of them serves a Separator.

An engine is made of (model, variables, EngineOptions) and has `stream(blocks, progress)`: blocks
[channel, time] at the model's rate in, [source, channel, time] out, as many samples, in blocks of
its own sizes and in bounded memory. `progress` is called with the samples that are done.
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
    """The engine that the model names, or "chunked" where chunks are asked for as such.

    Chunks that butt, and batches of them, are chunks for every model.
    """
    chunks = options.overlap == 0 or options.batch is not None
    module, name = ENGINES["chunked" if chunks else optional(model, "engine")]
    return getattr(import_module(module), name)(model, variables, options)
