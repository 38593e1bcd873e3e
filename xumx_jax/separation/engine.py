"""What applies a model to a stream: ENGINES, and which of them serves a Separator.

An engine is made of (model, variables, EngineOptions) and has `stream(blocks, progress)`: blocks
[channel, time] at the model's rate in, [source, channel, time] out, as many samples, in blocks of
its own sizes and in bounded memory. `progress` is called with the samples that are done.
"""

from xumx_jax.models.interface import optional
from xumx_jax.separation.chunked import Chunked
from xumx_jax.separation.options import EngineOptions
from xumx_jax.separation.umx.offline import Offline

ENGINES = {"chunked": Chunked, "umx": Offline}


def make_engine(model, variables, options: EngineOptions):
    """The engine that the model names, or "chunked" where chunks are asked for as such.

    Chunks that butt, and batches of them, are chunks for every model.
    """
    chunks = options.overlap == 0 or options.batch is not None
    name = "chunked" if chunks else optional(model, "engine")
    return ENGINES[name](model, variables, options)
