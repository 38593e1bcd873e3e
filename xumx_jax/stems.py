"""What every model returns, and the order of axes used throughout the package.

    waveforms   [batch, source, channel, time]         float32, full scale is 1
    spectra     [batch, source, channel, bin, frame]   complex64
    magnitudes  the same, float32

A mixture has no source axis. Sources are an axis like any other; their names live in
`model.sources` and appear only at the edges.
"""

from flax import struct
from jax import Array


@struct.dataclass
class Stems:
    """Separated (or true) sources, in the time domain and in the model's transform.

    `spec` is a tuple of blocks: one for the STFT. `mask` holds the factors between the mixture's
    spectrum and `spec`, shaped like it, and is empty where there is no mask (the true sources,
    models that work on waveforms). `magnitude` holds the absolute values of `spec` where the model
    has them more cheaply than `abs` would, whose gradient is costly; else it is empty. Under jit,
    fields that are not used cost nothing.
    """

    wave: Array
    spec: tuple[Array, ...] = ()
    mask: tuple[Array, ...] = ()
    magnitude: tuple[Array, ...] = ()
