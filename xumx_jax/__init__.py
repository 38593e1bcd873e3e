"""Music source separation in JAX.

    separator = xumx_jax.load("x-umx")
    stems = separator(mix, rate=44_100)      # [channel, time] -> {name: [channel, time]}
    xumx_jax.separate_file(separator, "song.mp3", "stems")

Names are imported on first use, so that `import xumx_jax` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers, which do not run `__getattr__`
    from xumx_jax.audio import AudioStream
    from xumx_jax.errors import Cancelled, UserError
    from xumx_jax.models import build
    from xumx_jax.separation.bag import BagSeparator
    from xumx_jax.separation.export import export, load_exported
    from xumx_jax.separation.file import SeparatedFile, separate_file
    from xumx_jax.separation.separator import Separator, load
    from xumx_jax.spleeter_web import SpleeterWebSeparator
    from xumx_jax.stems import Stems
    from xumx_jax.weights.load import convert
    from xumx_jax.weights.tasks import model_for

    __version__: str

PUBLIC = {
    "build": "xumx_jax.models",
    "load": "xumx_jax.separation.separator",
    "model_for": "xumx_jax.weights.tasks",
    "separate_file": "xumx_jax.separation.file",
    "SeparatedFile": "xumx_jax.separation.file",
    "AudioStream": "xumx_jax.audio",
    "convert": "xumx_jax.weights.load",
    "export": "xumx_jax.separation.export",
    "load_exported": "xumx_jax.separation.export",
    "Separator": "xumx_jax.separation.separator",
    "BagSeparator": "xumx_jax.separation.bag",
    "UserError": "xumx_jax.errors",
    "Cancelled": "xumx_jax.errors",
    "SpleeterWebSeparator": "xumx_jax.spleeter_web",
    "Stems": "xumx_jax.stems",
}
__all__ = [
    "build",
    "load",
    "model_for",
    "separate_file",
    "SeparatedFile",
    "AudioStream",
    "convert",
    "export",
    "load_exported",
    "Separator",
    "BagSeparator",
    "UserError",
    "Cancelled",
    "SpleeterWebSeparator",
    "Stems",
    "__version__",
]


def __getattr__(name: str):
    if name == "__version__":
        return import_module("xumx_jax.versions").own()
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__():
    return sorted({*globals(), *__all__})
