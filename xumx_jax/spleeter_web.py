"""A separator with the methods that Spleeter Web (github.com/JeffreyCA/spleeter-web) calls.

That application has no X-UMX back end. docs/spleeter-web.md lists what has to be changed in it; in
`get_separator` of its api/tasks.py:

    if separator == XUMX:
        return SpleeterWebSeparator(cpu_separation, bitrate, **separator_args)

where `separator_args` are those that it keeps for X-UMX: softmask, alpha, iterations.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import urlopen

from xumx_jax.errors import UserError
from xumx_jax.files import shortened
from xumx_jax.separation.engine import check_options

if TYPE_CHECKING:
    from xumx_jax.weights.load import Models

MIX = "mix"  # what the sum of parts is called
# {output_format: (format, bits, bitrate)} that are not a bitrate of mp3 in kbit/s
LOSSLESS = {0: ("wav", "16", None), 1: ("flac", "16", None)}


class SpleeterWebSeparator:
    """Separate files for Spleeter Web.

    cpu_separation  keep JAX on the CPU in this process, whatever other devices there are
    output_format   0 wav, 1 flac, else the bitrate of an mp3 in kbit/s
    softmask, alpha, iterations  softmask, alpha and niter of `Separator`
    model           as for `load`; it is an error if the published X-UMX cannot be downloaded,
                    since the application asked for that model and no other
    options         further options of `Separator`, such as shifts; `cpu_separation` has the same
                    effect as device "cpu"

    The application makes one in its server process and, where there is a GPU, calls it in a forked
    child: so JAX is not touched before a method is called. Files have the sample rate and channels
    of the input. Raises UserError with one line, which the application shows, and which names
    files without their folders.
    """

    def __init__(
        self,
        cpu_separation: bool,
        output_format: int = 256,
        softmask: bool = False,
        alpha: float = 1.0,
        iterations: int = 1,
        *,
        model: "Models" = "x-umx",
        **options,
    ):
        from xumx_jax.audio import check_format

        self.format, self.bits, self.bitrate = LOSSLESS.get(
            output_format, ("mp3", None, output_format)
        )
        check_format(self.format, self.bits, self.bitrate)
        # the application stores an alpha with every mix, even without a softmask
        options |= {"niter": iterations, "softmask": softmask, "alpha": alpha if softmask else 1.0}
        # of a Separator, which is imported with JAX, these are no options of its engine
        others = ("residual", "device", "cpu_fallback", "mid_side", "denoise", "combine")
        check_options(**{name: value for name, value in options.items() if name not in others})
        self.cpu_separation, self.model, self.options = cpu_separation, model, options

    def create_static_mix(self, parts, input_path, output_path) -> None:
        """Write the sum of the wanted parts of a track to the file `output_path`.

        `parts` is {name: whether it is wanted}, or just the names that are. `input_path` is a file
        or, where the application keeps its files elsewhere, a URL.
        """
        wanted = [name for name in parts if not isinstance(parts, Mapping) or parts[name]]
        if not wanted:
            raise UserError("no part was chosen; choose at least one")
        self._separate(input_path, {MIX: Path(output_path)}, wanted)

    def separate_into_parts(self, input_path, output_path) -> None:
        """Write every part of a track as `<part>.<wav|flac|mp3>` into the folder `output_path`."""
        self._separate(input_path, Path(output_path))

    def _separate(self, input_path, out, wanted=None):
        """Separate into `out`: every part, or the sum of those that are wanted."""
        from xumx_jax import audio
        from xumx_jax.separation.file import separate_file

        places = out.values() if isinstance(out, Mapping) else (out,)
        with local_file(input_path) as path, names_only(path, *places, self.model):
            audio.check_file(path)  # before a model is loaded
            separator = prepared(self.model, self.cpu_separation, self.options)
            missing = [name for name in wanted or () if name not in separator.sources]
            if missing:
                known = ", ".join(separator.sources)
                raise UserError(f"unknown part {', '.join(missing)}; the model has {known}")
            separate_file(
                separator,
                path,
                out,
                aggregate=None if wanted is None else {MIX: wanted},
                format=self.format,
                bits=self.bits,
                bitrate=self.bitrate,
            )


_lock = Lock()
_kept: dict = {}  # the Separator of this process and what it was made for


def _unlocked() -> None:
    """Begin with a new lock: a forked child has not got the thread that may hold the old one."""
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlocked)


def prepared(model, cpu: bool, options: dict):
    """The Separator of this process, kept from one track to the next."""
    from xumx_jax import runtime
    from xumx_jax.separation.separator import load

    runtime.check_not_forked()
    wanted = (model, cpu, options)
    with _lock:
        if _kept.get("for") != wanted:
            _kept.clear()
            runtime.cache_compiled_code()
            runtime.choose_device("cpu" if cpu else "auto")
            _kept.update({"for": wanted, "separator": load(model, **options)})
        return _kept["separator"]


@contextmanager
def names_only(*places):
    """Let a UserError show the names of files without their folders, which are the server's.

    `places` are files and folders that messages may name, besides the cache and the folder for
    temporary files; what is no path is ignored.
    """
    try:
        yield
    except UserError as error:
        from xumx_jax import runtime

        paths = [Path(place) for place in places if isinstance(place, str | Path)]
        shown = {str(part): part.name for path in paths for part in (path, *path.parents)}
        folders = [*(path.parent for path in paths), runtime.cache_folder(), tempfile.gettempdir()]
        shown |= {f"{folder}{os.sep}": "" for folder in folders if Path(folder).name}
        # only whole names: /srv is not meant by /srv2, nor by /srv/another
        wanted = "|".join(
            re.escape(path) + ("" if path.endswith(os.sep) else r"(?![\w/-])")
            for path in sorted(shown, key=len, reverse=True)
            if Path(path).name
        )
        message = re.sub(rf"(?<![\w/.])(?:{wanted})", lambda at: shown[at[0]], str(error))
        raise type(error)(message) from None


@contextmanager
def local_file(place):
    """The path of a file; a URL is downloaded first, and the download removed afterwards."""
    url = urlsplit(str(place))
    if url.scheme not in ("http", "https"):
        with nullcontext(Path(place)) as path:
            yield path
        return
    from xumx_jax.weights import download

    # never "..", nor longer than names of files may be; its end says what kind of file it is
    named = Path(Path(url.path).name.strip(".") or "track")
    name = shortened(named.stem, 100) + shortened(named.suffix, 100)
    with tempfile.TemporaryDirectory(prefix="xumx-") as folder:
        path = Path(folder, name)
        try:
            download.fetch(str(place), path, urlopen, name, lambda done, total: None)
        except UserError as error:
            # the query of a signed URL is a secret
            shown = url._replace(query="", fragment="").geturl()
            raise UserError(str(error).replace(str(place), shown)) from None
        yield path
