"""The models that jobs may ask for by name; a path of the server's is never one of a client's."""

from pathlib import Path

from xumx_jax import assets
from xumx_jax.errors import UserError
from xumx_jax.web.settings import Settings


def offered(settings: Settings) -> dict[str, str | None]:
    """{name that clients use: what `weights.load` takes}, the default first.

    The settings' models, those with a path under the file's name; without any, the default, which
    is None (the bundled model stands in where it cannot be downloaded), and the others that have
    names. Raises UserError if two have the same name.
    """
    from xumx_jax.weights import published, zoo

    if not settings.models:
        return {zoo.DEFAULT: None, assets.DEMO: assets.DEMO} | {
            name: name for name in published.PUBLISHED if name != zoo.DEFAULT
        }
    found: dict[str, str | None] = {}
    for model in settings.models:
        name = model if model in (*published.PUBLISHED, assets.DEMO) else Path(model).stem
        if name in found:
            raise UserError(f"--model {model}: there is another model called {name}; rename one")
        found[name] = model
    return found
