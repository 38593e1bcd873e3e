"""The command line, `xumx`: separate tracks, convert weights.

Options are checked before anything heavy is imported, so mistakes and `--help` answer at once.
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

from xumx_jax.errors import UserError

USER_ERROR, INTERRUPTED = 2, 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like all others of this program."""

    def error(self, message):
        raise UserError(f"{message} (see {self.prog} --help)")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 2 (the user's error) or 130 (^C)."""
    try:
        options = parser().parse_args(arguments)
        return options.run(options)
    except UserError as error:
        _say("error", error)
        return USER_ERROR
    except KeyboardInterrupt:
        _say("error", "interrupted")
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    top = Parser(prog="xumx", description="Music source separation.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    _add_separate(commands)
    _add_convert(commands)
    return top


def _add_separate(commands):
    command = commands.add_parser(
        "separate",
        help="split tracks into stems",
        description="Split tracks into stems: OUT/<track>/<stem>.wav, with the track's length, "
        "sample rate and channels.",
    )
    add = command.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="audio files of any format")
    add(
        "--model",
        help="x-umx (published, downloaded once), demo (bundled), or a path: .safetensors, .h5, "
        ".pth or a checkpoint folder; default: x-umx, or demo where that cannot be had",
    )
    add("--out", default="separated", metavar="DIR", help="default: %(default)s")
    add("--stems", metavar="A,B", help="write only these stems; default: all")
    add(
        "--format",
        default="wav",
        metavar="F",
        help="wav, flac, mp3, ogg, m4a or opus; default: %(default)s",
    )
    add("--bits", metavar="16|24|32f", help="of wav and flac (not 32f); default: 16")
    add("--bitrate", type=int, metavar="K", help="of the others, kbit/s; default: 256, opus 192")
    add(
        "--niter",
        type=int,
        default=1,
        metavar="N",
        help="iterations of the Wiener filter; 0 is faster and lets more through; "
        "default: %(default)s",
    )
    add("--softmask", action="store_true", help="start from ratio masks")
    add("--alpha", type=float, default=1.0, metavar="A", help="exponent of the ratio masks")
    add("--residual", action="store_true", help="add a stem for what the model leaves")
    add(
        "--chunk-seconds",
        type=float,
        metavar="S",
        help="cut the track into chunks; default: the whole track at once where the model allows, "
        "else 10; with --overlap 0 each chunk is separated like a track of its own",
    )
    add(
        "--overlap",
        type=float,
        metavar="R",
        help="what chunks share with their neighbours, 0 <= R < 1; default: 0.25",
    )
    command.set_defaults(run=separate)


def _add_convert(commands):
    command = commands.add_parser(
        "convert",
        help="convert weights to this program's format",
        description="Convert weights of this or another program to a checkpoint folder, or to one "
        "file if OUT ends in .safetensors.",
    )
    command.add_argument("source", metavar="IN", help="as separate --model")
    command.add_argument("target", metavar="OUT")
    command.add_argument("--kind", metavar="K", help="whose weights; default: found out")
    command.set_defaults(run=convert)


def separate(options) -> int:
    """`xumx separate`: one model, any number of files; a bad file does not stop the others."""
    from xumx_jax import audio
    from xumx_jax.separation.options import check_options

    chunk_seconds, overlap = options.chunk_seconds, options.overlap
    if overlap is not None and chunk_seconds is None:
        chunk_seconds = 10.0
    post = dict(
        niter=options.niter,
        softmask=options.softmask,
        alpha=options.alpha,
        residual=options.residual,
        chunk_seconds=chunk_seconds,
        overlap=0.25 if overlap is None else overlap,
    )
    check_options(**{name: value for name, value in post.items() if name != "residual"})
    encoding = dict(format=options.format, bits=options.bits, bitrate=options.bitrate)
    audio.check_format(**encoding)
    folders = _folders(options.inputs, Path(options.out))

    failed = 0
    for path in list(folders):
        try:
            audio.check_file(path)
        except UserError as error:
            _say("error", error)
            del folders[path]
            failed += 1
    if not folders:
        return USER_ERROR

    keep_compiled_code()
    from xumx_jax.loading import load_module
    from xumx_jax.separation.separator import Separator

    module, variables, info = load_module(options.model)
    separator = Separator(module, variables, **post)
    stems = _chosen(options.stems, separator.sources)
    print(_describe(options.model, info))
    for path, folder in folders.items():
        try:
            print(_separate_file(separator, path, folder, stems, encoding))
        except UserError as error:
            _say("error", error)
            failed += 1
    return USER_ERROR if failed else 0


def _folders(inputs, out) -> dict[Path, Path]:
    """Map input files to the folders of their stems; raises UserError if two would share one."""
    folders, owners = {}, {}
    for name in inputs:
        path = Path(name)
        folder = out / path.stem
        if folder in owners:
            raise UserError(
                f"{path}: its stems would go to {folder}, as those of {owners[folder]}; "
                "separate them with another --out"
            )
        if path.parent.resolve() == folder.resolve():
            raise UserError(
                f"{path}: lies in {folder}, where its stems would go; wanted another --out"
            )
        owners[folder] = path
        folders[path] = folder
    return folders


def _chosen(stems, sources) -> tuple[str, ...]:
    """The stems to write; raises UserError on one that the model does not have."""
    if stems is None:
        return sources
    names = [name.strip() for name in stems.split(",")]
    for name in names:
        if name not in sources:
            raise UserError(f"unknown stem {name!r}; the model has {', '.join(sources)}")
    return tuple(dict.fromkeys(names))


def _separate_file(separator, path, folder, stems, encoding) -> str:
    """Separate one file and return its summary."""
    from tqdm import tqdm

    from xumx_jax import audio

    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", category=UserWarning, module="xumx_jax")
        mix, rate = audio.decode(path)
        seconds = mix.shape[1] / rate
        begin = time.perf_counter()
        with tqdm(
            total=100, desc=path.name, unit="%", leave=False, disable=None, file=sys.stderr
        ) as bar:
            separated = separator(mix, rate, lambda done: bar.update(100 * done - bar.n))
        took = time.perf_counter() - begin
        paths = {stem: folder / f"{stem}.{encoding['format']}" for stem in stems}
        waves = {paths[stem]: separated[stem] for stem in stems}
        audio.encode_all(waves, rate, **encoding, tags=audio.read_tags(path))
    for warning in caught:
        message = str(warning.message)
        _say("warning", message if str(path) in message else f"{path}: {message}")
    return (
        f"{path}: {seconds:.1f} s separated in {took:.2f} s ({seconds / took:.1f} x real time), "
        f"stems against mix {_null_error(mix, separated)}\n"
        + "\n".join(f"  {path}" for path in paths.values())
    )


def _null_error(mix, stems) -> str:
    """How far all stems together are from the mixture, in dB below it."""
    import numpy as np

    heard = np.nan_to_num(mix[:2], nan=0, posinf=0, neginf=0)
    power = float(np.square(heard, dtype=np.float64).sum())
    if not power:
        return "silent"
    rest = float(np.square(sum(stems.values()) - heard, dtype=np.float64).sum())
    return f"{10 * np.log10(max(rest / power, 1e-20)):.1f} dB"


def _describe(name, info) -> str:
    """One line about model and device."""
    import jax

    licence = f", licence: {info['licence']}" if info.get("licence") else ""
    devices = jax.local_devices()
    count = f"{len(devices)} x " if len(devices) > 1 else ""
    return f"model {name or info['path']}{licence}; device {count}{devices[0].device_kind}"


def keep_compiled_code():
    """Let XLA keep compiled code between runs, unless the user has said where or not to."""
    import jax

    from xumx_jax.zoo import cache_folder

    if (
        jax.config.jax_compilation_cache_dir is None
        and "JAX_ENABLE_COMPILATION_CACHE" not in os.environ
    ):
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def convert(options) -> int:
    """`xumx convert`."""
    from xumx_jax.loading import convert

    loaded = convert(options.source, options.target, options.kind)
    sources = ", ".join(loaded.args.get("sources", ()))
    print(f"{options.target}: {loaded.name}" + (f" ({sources})" if sources else ""))
    return 0


def _say(kind, message):
    print(f"xumx: {kind}: {' '.join(str(message).split())}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
