"""What a model offers: the attributes of a linen module that the rest of the package uses.

There is no base class. A module with the attributes of `Separation` can separate and stream, and be
exported, converted, trained, fine-tuned, saved, evaluated and put into a bag. Further capabilities
are the attributes of OPTIONAL, found by name; a model that lacks one gets its default.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real
from types import NoneType
from typing import Any, Protocol, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from xumx_jax.stems import Stems


class Transform(Protocol):
    """A linear transform of waveforms into blocks, with an inverse; hashable.

    `forward` maps [..., time] to a tuple of complex64 blocks [..., bin, frame] (sliCQ: [..., bin,
    slice, coefficient]), `inverse` maps them back to [..., length]. One of many blocks may offer
    `joined`, (blocks) -> one array whose last axis has the values of all blocks, those of a block
    one behind the other: losses then compare all of them at once.
    """

    def forward(self, wave: Array) -> tuple[Array, ...]: ...

    def inverse(self, blocks: tuple[Array, ...], length: int) -> Array: ...


@dataclass(frozen=True)
class Segment:
    """The lengths of mixtures that a model takes, in samples.

    usual        default length of a chunk if a track is cut
    least        shorter mixtures are followed by silence
    largest      None: any length
    multiple_of  lengths are multiples of this
    next_length  (samples) -> the shortest valid length that holds them, if a multiple is not
                 enough; None: `multiple_of` suffices
    grid         chunks that begin at multiples of this have the same frames as the whole track
    """

    usual: int
    least: int = 1
    largest: int | None = None
    multiple_of: int = 1
    next_length: Callable[[int], int] | None = None
    grid: int = 1

    def fit(self, samples: int) -> int:
        """The shortest valid length that holds this many samples.

        Raises ValueError if there is none.
        """
        length = max(samples, self.least)
        length = -(-length // self.multiple_of) * self.multiple_of
        if self.next_length is not None:
            length = self.next_length(length)
        if self.largest is not None and length > self.largest:
            raise ValueError(
                f"{samples} samples do not fit into {self.largest}, the largest length"
            )
        return length

    def chunk(self, samples: float) -> int:
        """A valid length near `samples`, for chunks."""
        wanted = max(1, round(samples))
        if self.largest is not None:
            wanted = min(wanted, self.largest)
        try:
            return self.fit(wanted)
        except ValueError:
            # the valid length above is too long: the longest that is not
            return self.fit(next(n for n in range(wanted, 0, -1) if self._fits(n)))

    def _fits(self, samples: int) -> bool:
        try:
            return self.fit(samples) > 0
        except ValueError:
            return False


class InputStatistics(Protocol):
    """How a model's input is normalised: leaves to be filled from the training mixtures.

    pieces    (mixture [channel, time]) -> iterator of (piece, count): arrays of one shape each,
              which together give every frame of the whole mixture once
    features  piece -> tuple of [frame, feature], of which the first `count` frames count (an int,
              or a tuple with one for each, where blocks differ in hop); jitted
    fill      (params, ((mean, deviation), ...), each [feature]) -> params
    key       what determines the features, as JSON values: statistics are cached under it
    """

    key: Any

    def pieces(self, mix: np.ndarray) -> Iterator[tuple[np.ndarray, int | tuple[int, ...]]]: ...

    def features(self, piece: np.ndarray) -> tuple[Array, ...]: ...

    def fill(self, params: dict, moments: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict: ...


class Separation(Protocol):
    """What every entry of MODELS builds: a linen module with these attributes.

    sources      names, in the order of the source axis
    sample_rate  in hertz
    channels     of the mixtures that it takes: 1 or 2
    transform    of its spectra; None for models of waveforms: losses then take only waveforms
    segment      the lengths that it takes

    `__call__` separates [batch, channel, time]. `Stems.wave` is as long as the mixture, or ends
    with the last whole frame if the original's does: an engine then inverts `Stems.spec` itself.
    With `train`, collections other than "params" may be updated, and a "dropout" key is passed.
    """

    sources: tuple[str, ...]
    sample_rate: int
    channels: int
    transform: Transform | None
    segment: Segment

    def __call__(self, mix: Array, train: bool = False) -> Stems: ...


# What a model may offer beyond `Separation`, and the defaults.
OPTIONAL: dict[str, Any] = {
    # key of POST_FILTERS: what its original applies to the estimates; None: they are the stems
    "post_filter": None,
    # key of ENGINES: what runs it over a track
    "engine": "chunked",
    # (before, after): how many slices around its own the masks of a slice depend on, for "slices"
    "context": None,
    # key of separation.normalization.NORMALIZATIONS: statistics of the whole track that `__call__`
    # takes as `statistics=`; what it does if given None, as in training, is its own matter
    "normalization": None,
    # (samples) -> how many its original gives it for a chunk of so many, with the music around it;
    # None: `segment.fit`
    "valid_length": None,
    # factor with which its stems are taken from the mixture, to get the residual
    "residual_gain": 1.0,
    # keys of separation.protocols.PROTOCOLS, for how its original program cuts tracks, and of
    # separation.audio_separator.FAMILIES, for how python-audio-separator does
    **{"protocol": None, "audio_separator": None},
    # an InputStatistics
    "input_statistics": None,
    # the source axis of every array, if each has one: fine-tuning then matches sources by name.
    # Otherwise {pattern of the path of an array: its axis of sources}, such as of the last layer's:
    # each source has an equal part of the axis, which fine-tuning takes by name
    **{"source_axis": None, "source_outputs": {}},
    # a model for mono also takes stereo, with one mask; else channels are separated one by one
    "any_channels": False,
    # {backend of JAX: seconds of music that a full-size model separates in a second}, for the time
    # that a batch may take until its first track has been measured; None: not known
    "usual_speed": None,
    # (argument, what was wanted): the first argument that training refuses, since it makes no sense
    "refused": None,
    # classes of its layers whose insides training may compute again instead of keeping them
    "checkpointed_layers": (),
    # whether products of all its layers follow `layers.dense.autocast`, which training then enters
    # for other precisions, in place of a field `dtype`
    "autocast": False,
    # exponent of the magnitudes in `Stems.spec`, which losses compare
    "power": 1,
}

# Fields of a module that training sets, if the module has them: (axis that devices share, precision
# of matrix products).
TRAINING_FIELDS = ("axis_name", "dtype")
# The same for separation: precision of matrix products.
SEPARATING_FIELDS = ("compute",)


def optional(model, name: str) -> Any:
    """An attribute of OPTIONAL, or its default."""
    return getattr(model, name, OPTIONAL[name])


def matmul_precision(model, field: str, precision: str = "highest"):
    """A context in which JAX compiles matrix products of this precision.

    It leaves alone a model that has `field`, of TRAINING_FIELDS or SEPARATING_FIELDS, and so sets
    its own: without one, devices other than CPUs take less than float32 for float32.
    """
    own = field in type(model).__dataclass_fields__
    return nullcontext() if own else jax.default_matmul_precision(precision)


def fields(make: Callable) -> dict[str, Any]:
    """{argument: default} of what makes a model (`models.model_class`), without linen's own."""
    parameters = inspect.signature(make).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in ("parent", "name")}


def example_mix(model, batch: int = 1) -> jax.ShapeDtypeStruct:
    """The shape of a short mixture that a model takes, [batch, channel, time]."""
    segment = model.segment
    length = segment.fit(max(segment.least, 4 * segment.grid))
    return jax.ShapeDtypeStruct((batch, model.channels, length), jnp.float32)


def variable_shapes(model: nn.Module) -> dict:
    """Shapes of a model's variables as a tree of ShapeDtypeStruct; nothing is computed."""

    def init(key, mix):
        return model.init(key, mix)

    return jax.eval_shape(init, jax.random.key(0), example_mix(model))


# More of anything than a network has. Sizes that grow with every layer would soon be beyond what
# floats, NumPy and XLA can hold.
LARGEST = 2**24
LAYERS, LEVELS = 1000, 32  # of one kind in a row, and of a U-Net
# {field: (least, largest)} of whole numbers
WHOLE = {
    "n_fft": (0, LARGEST), "hop": (0, LARGEST), "sample_rate": (1, LARGEST),
    "channels": (1, LARGEST), "width": (1, LARGEST), "width_time": (1, LARGEST),
    "hidden_size": (1, LARGEST), "inner_size": (1, LARGEST), "groups": (1, LARGEST),
    "norm_groups": (1, LARGEST), "heads": (1, LARGEST), "context_size": (1, LARGEST),
    "kernel_size": (1, LARGEST), "stride": (1, LARGEST), "time_stride": (1, LARGEST),
    "depth": (1, LEVELS), "layers": (1, LAYERS), "attention_layers": (1, LAYERS),
    "lstm_layers": (0, LAYERS), "dconv_depth": (-LAYERS, LAYERS),
    "context": (0, LARGEST), "context_enc": (0, LARGEST), "multi_freqs_depth": (0, LARGEST),
    "norm_starts": (0, LARGEST), "dconv_attn": (0, LARGEST), "dconv_lstm": (0, LARGEST),
}  # fmt: skip
POSITIVE = ("seconds", "growth", "dconv_comp", "emb_scale")
FINITE = ("dconv_init", "freq_emb", "rescale")


def check(model) -> None:
    """Raise ValueError on the first field of a model that makes no network.

    Fields are found by name, so that one name has one meaning in all models; None is taken where
    the field says so. Not here: sources (`models.build`), which n_fft and hop go together
    (transforms), and what only concerns one model.
    """
    fields = type(model).__dataclass_fields__
    given: dict[str, Any] = {
        name: getattr(model, name) for name in fields if name not in ("parent", "name")
    }
    for name, value in list(given.items()):
        if value is None and NoneType in get_args(fields[name].type):
            del given[name]
    for name, (least, largest) in WHOLE.items():
        if name in given:
            _check_whole(name, given[name], least, largest)
    for name in (*POSITIVE, *FINITE):
        if name in given:
            _check_real(name, given[name], name in POSITIVE)
    if "dconv_mode" in given and given["dconv_mode"] not in range(4):
        raise ValueError(f"dconv_mode {given['dconv_mode']}: wanted 0, 1, 2 or 3")
    if "dropout" in given and not 0 <= given["dropout"] < 1:
        raise ValueError(f"dropout {given['dropout']}: wanted 0 to below 1")
    if "depth" in given and "stride" in given and given["stride"] ** given["depth"] > LARGEST:
        raise ValueError(
            f"depth {given['depth']} with stride {given['stride']}: wanted fewer, so that all "
            f"strides together are at most {LARGEST}"
        )
    for name in ("width", "width_time"):
        if "depth" in given and name in given:
            _check_growth(name, given[name], given.get("growth", 2), given["depth"])


def _check_whole(name: str, value: Any, least: int, largest: int) -> None:
    if not isinstance(value, Integral):
        raise ValueError(f"{name} {value!r}: wanted a whole number")
    if int(value) < least:
        raise ValueError(f"{name} {value}: wanted {least} or more")
    if int(value) > largest:
        raise ValueError(f"{name} {value}: wanted at most {largest}")


def _check_real(name: str, value: Any, positive: bool) -> None:
    if not (isinstance(value, Real) and isfinite(value)):
        raise ValueError(f"{name} {value!r}: wanted a finite number")
    if positive and not float(value) > 0:
        raise ValueError(f"{name} {value}: wanted more than 0")


def _check_growth(name: str, width: int, growth: float, depth: int) -> None:
    """The channels of every layer, each of which has `growth` times those of the one before it."""
    channels = width
    for _ in range(depth - 1):
        grown = growth * channels
        if not 1 <= grown <= LARGEST:
            raise ValueError(
                f"{name} {width}, growth {growth:g}, depth {depth}: a layer of {grown:g} channels; "
                f"wanted 1 to {LARGEST}"
            )
        channels = int(grown)
