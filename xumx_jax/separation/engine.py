"""Engines apply a model to a stream: ENGINES, and which of them a Separator uses.

An engine is made from (model, variables, EngineOptions) and has `stream(blocks, progress)`: blocks
[channel, time] at the model's rate in, [source, channel, time] out, with as many samples, in blocks
of any size and in bounded memory. `progress` is called with the number of samples done.
"""

from xumx_jax.models.interface import optional
from xumx_jax.separation.chunked import Chunked
from xumx_jax.separation.options import EngineOptions
from xumx_jax.separation.umx.offline import Offline

ENGINES = {"chunked": Chunked, "umx": Offline}


def make_engine(model, variables, options: EngineOptions):
    """Make the engine that the model names, or "chunked" if the options ask for chunks.

    Chunks without overlap, and batches of chunks, always use "chunked".
    """
    chunks = options.overlap == 0 or options.batch is not None
    name = "chunked" if chunks else optional(model, "engine")
    return ENGINES[name](model, variables, options)
