"""Arguments that make no network, refused in one line: for every model that has the field."""

from math import isfinite
from numbers import Integral, Real
from types import NoneType
from typing import Any, get_args

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
