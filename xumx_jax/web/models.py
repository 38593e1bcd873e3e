"""The models that jobs may ask for, by name, and the Separators that are kept of them."""

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xumx_jax import assets
from xumx_jax.errors import UserError
from xumx_jax.web.errors import NoModel
from xumx_jax.web.jobs import Options
from xumx_jax.web.settings import Settings

RETRY_SECONDS = 600.0  # after which a download that failed is tried again
# fields of `Options` that a Separator takes
_APPLIED = ("niter", "softmask", "alpha", "residual")


def offered(settings: Settings) -> dict[str, str | None]:
    """{name: name or path for `load_bag`} of the models that jobs may ask for, the default first.

    None stands for the default of the zoo, which the bundled model replaces where it cannot be
    downloaded. A path is known to clients by its last part, without suffix. Raises UserError for
    a model that there is not, and for two of one name.
    """
    from xumx_jax.weights import zoo

    if not settings.models:
        others = [name for name in zoo.names() if name not in (zoo.DEFAULT, assets.DEMO)]
        return {zoo.DEFAULT: None, assets.DEMO: assets.DEMO, **{name: name for name in others}}
    found: dict[str, str | None] = {}
    for model in settings.models:
        known = model in zoo.names()
        if not (known or os.path.exists(model)):
            raise UserError(
                f"--model {model}: no such model; wanted a path, or one of {', '.join(zoo.names())}"
            )
        name = model if known else Path(model).stem
        if name in found:
            raise UserError(f"--model {model}: two models are called {name!r}; rename one")
        found[name] = model
    return found


@dataclass
class Kept:
    """A Separator, in how many jobs it is used, and when it was made.

    instead  why the bundled model takes the place of the one that was asked for, else ""
    """

    separator: Any
    instead: str
    made: float
    users: int = 0


class Separators:
    """The Separators of one device: one is kept, and another one for as long as both are used.

    A job that wants another model does not wait for one that runs, which may take long; but the
    former's Separator goes as soon as nobody uses it and another one is wanted.

    settings  of the server
    device    for a Separator: one of `runtime.DEVICES`, or one device such as "gpu:1"
    """

    def __init__(self, settings: Settings, device: str, clock=time.monotonic):
        self._settings, self._device, self._clock = settings, device, clock
        self._offered = offered(settings)
        self._kept: dict[Any, Kept] = {}
        self._lock = threading.Lock()

    @contextmanager
    def using(self, options: Options):
        """Yield the `Kept` Separator for a job's options, loaded if it is not there.

        Raises UserError for options that the model refuses, and NoModel.
        """
        key = (options.model, *(getattr(options, name) for name in _APPLIED))
        with self._lock:
            for other, kept in list(self._kept.items()):
                late = kept.instead and self._clock() - kept.made >= RETRY_SECONDS
                if not kept.users and (other != key or late):
                    del self._kept[other]
            if key not in self._kept:
                self._kept[key] = self._load(options)
            kept = self._kept[key]
            kept.users += 1
        try:
            yield kept
        finally:
            with self._lock:
                kept.users -= 1

    def of_example(self) -> "Separators":
        """Those that have the bundled model: these, or else others, which nobody keeps.

        The model that jobs get by default so stays loaded, and the bundled one need not be on
        offer.
        """
        if next(iter(self._offered.items())) == (assets.DEMO, assets.DEMO):
            return self
        return Separators(replace(self._settings, models=(assets.DEMO,)), self._device)

    def models(self) -> list[str]:
        """The names of the models that are loaded."""
        return [key[0] for key in list(self._kept)]

    def _load(self, options) -> Kept:
        from xumx_jax.separation.separator import separator_of
        from xumx_jax.weights.load import load_bag

        if options.model not in self._offered:
            raise NoModel(f"unknown model {options.model!r}; known: {', '.join(self._offered)}")
        try:
            bag = load_bag(self._offered[options.model])
        except UserError as error:  # it may name places on this machine
            message = f"model {options.model!r} cannot be loaded; the server's log says why"
            raise NoModel(message) from error
        separator = separator_of(
            bag,
            **{name: getattr(options, name) for name in _APPLIED},
            device=self._device,
            # a device that was asked for by name is never replaced by another
            cpu_fallback=self._settings.device == "auto",
        )
        instead = ""
        if fallback := bag.members[0].info.get("fallback"):
            instead = f"separated by {assets.DEMO}: {fallback['wanted']} could not be downloaded"
        return Kept(separator, instead, self._clock())
