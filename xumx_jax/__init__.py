"""Music source separation in JAX.

    separator = xumx_jax.load("x-umx")
    stems = separator(mix, rate=44_100)      # [channel, time] -> {name: [channel, time]}

Names are imported on first use, so that `import xumx_jax` costs nothing.
"""

from importlib import import_module

PUBLIC = {
    "build": "xumx_jax.models",
    "load": "xumx_jax.separation.separator",
    "convert": "xumx_jax.weights.load",
    "export": "xumx_jax.separation.export",
    "load_exported": "xumx_jax.separation.export",
    "Separator": "xumx_jax.separation.separator",
    "Ensemble": "xumx_jax.separation.bag",
    "Cancelled": "xumx_jax.errors",
    "SpleeterWebSeparator": "xumx_jax.spleeter_web",
    "Stems": "xumx_jax.stems",
}
__all__ = [
    "build",
    "load",
    "convert",
    "export",
    "load_exported",
    "Separator",
    "Ensemble",
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
