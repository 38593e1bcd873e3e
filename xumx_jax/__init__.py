"""Music source separation in JAX.

    separator = xumx_jax.load("x-umx")
    stems = separator(mix, rate=44_100)      # [channel, time] -> {name: [channel, time]}

Names are imported on first use, so that `import xumx_jax` costs nothing.
"""

from importlib import import_module

PUBLIC = {
    "build": "xumx_jax.models",
    "load": "xumx_jax.loading",
    "convert": "xumx_jax.loading",
    "export": "xumx_jax.exporting",
    "load_exported": "xumx_jax.exporting",
    "Separator": "xumx_jax.separation.separator",
    "Ensemble": "xumx_jax.separation.ensemble",
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
]


def __getattr__(name: str):
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__():
    return sorted([*globals(), *PUBLIC])
