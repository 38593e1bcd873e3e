"""`xumx separate`: one model, any number of tracks; a bad one does not stop the others.

Options are checked before anything heavy is imported, so mistakes and `--help` answer at once.
"""

import sys
from contextlib import ExitStack
from pathlib import Path

from xumx_jax.commands import inputs, separation
from xumx_jax.commands.console import (
    INTERRUPTED,
    SOME_FAILED,
    USER_ERROR,
    keep_compiled_code,
    say_error,
)
from xumx_jax.commands.stems import check_choice
from xumx_jax.errors import UserError

STDOUT = "-"


def add(commands):
    command = commands.add_parser(
        "separate",
        help="split tracks into stems",
        description="Split tracks into stems: OUT/<track>/<stem>.wav, with the track's length, "
        "sample rate and channels.",
    )
    option = command.add_argument
    option("inputs", nargs="+", metavar="INPUT", help="audio or video files, folders, patterns; -")
    option(
        "--model",
        help="a name of `xumx models` (downloaded once), demo (bundled), or a path: .safetensors, "
        ".h5, .pth or a folder; default: x-umx, or demo where that cannot be had",
    )
    option("--out", default="separated", metavar="DIR", help="default: %(default)s; - is stdout")
    option("--recursive", action="store_true", help="look into the folders of folders too")
    option("--start", type=float, default=0.0, metavar="S", help="leave out the first seconds")
    option("--duration", type=float, metavar="S", help="separate so many seconds; default: all")
    option("--allow-truncated", action="store_true", help="take what there is of files cut short")
    option(
        "--skip-existing", action="store_true", help="pass over tracks that have all their stems"
    )
    option("--stems", metavar="A,B", help="write only these stems; default: all")
    option("--two-stems", metavar="A", help="write this stem, and the rest of the mixture")
    option("--mix", metavar="A+B", help="write the sum of these stems, one file")
    option(
        "--format",
        default="wav",
        metavar="F",
        help="wav, flac, mp3, ogg, m4a or opus; default: %(default)s",
    )
    option("--bits", metavar="16|24|32f", help="of wav and flac (not 32f); default: 16")
    option("--bitrate", type=int, metavar="K", help="of the others, kbit/s; default: 256, opus 192")
    option(
        "--rate",
        default="original",
        choices=("original", "model"),
        help="sample rate of the stems; default: %(default)s",
    )
    separation.add(command)
    option("--json", metavar="FILE", help="write a report of every track")
    command.set_defaults(run=run)


def run(options) -> int:
    """Separate what the options name; 0, or 1 if some tracks failed."""
    from xumx_jax import audio
    from xumx_jax.commands.report import Report

    post = separation.given(options)
    audio.check_format(options.format, options.bits, options.bitrate)
    audio.check_range(options.start, options.duration)
    check_choice(options.stems, options.two_stems, options.mix)
    to_stdout = options.out == STDOUT
    if to_stdout:
        _check_stdout(options)
    with ExitStack() as stack:
        stdin = None
        if "-" in options.inputs:
            stdin = inputs.spool_stdin(stack.enter_context(inputs.temporary_folder()))
        tracks, errors = inputs.find(options.inputs, Path(options.out), options.recursive, stdin)
        if to_stdout and len(tracks) > 1:
            raise UserError(f"--out - takes one track; wanted a folder for {len(tracks)}")
        report = Report(options.json, _given(options))
        status = INTERRUPTED
        try:
            status = _separate_all(options, post, tracks, errors, report)
        except UserError:
            status = USER_ERROR
            raise
        finally:
            report.write(status)
    return status


def _separate_all(options, post, tracks, errors, report) -> int:
    from xumx_jax import audio

    for error in errors:
        _failed({"input": None}, error, options, report)
    readable = []
    for track in tracks:
        try:
            audio.check_file(track.path)
            readable.append(track)
        except UserError as error:
            _failed({"input": track.label}, _relabelled(error, track), options, report)
    if readable:
        keep_compiled_code()
        from tqdm import tqdm

        from xumx_jax.commands.batch import Batch, describe
        from xumx_jax.loading import load_module
        from xumx_jax.separation.separator import Separator

        out = sys.stderr if options.out == STDOUT else sys.stdout
        module, variables, info = load_module(options.model)
        batch = Batch(Separator(module, variables, **post), options)
        line, device = describe(options.model, info)
        report.model(options.model, info, device)
        print(line, file=out)
        hidden = None if len(readable) > 1 else True  # None: where stderr is no terminal
        with tqdm(
            total=len(readable), unit="track", disable=hidden, leave=False, file=sys.stderr
        ) as total:
            for track in readable:
                entry = {"input": track.label}
                try:
                    tqdm.write(batch.run(track, entry), file=out)
                    report.tracks.append(entry)
                except KeyboardInterrupt:
                    report.tracks.append({**entry, "status": "interrupted"})
                    raise
                except Exception as error:
                    _failed(entry, _relabelled(error, track), options, report)
                total.update()
    return SOME_FAILED if any(entry["status"] == "failed" for entry in report.tracks) else 0


def _failed(entry, error, options, report):
    entry |= {"status": "failed", "error": " ".join(str(error).split())}
    report.tracks.append(entry)
    label = entry["input"]
    say_error(error, options.debug, f"{label}: " if label else "")


def _relabelled(error, track):
    """The same error, with what the user called the file in place of a temporary name."""
    if isinstance(error, UserError):
        text = str(error).replace(str(track.path), track.label)
        return UserError(text).with_traceback(error.__traceback__)
    return error


def _given(options) -> dict:
    """All options, for the report."""
    return {name: value for name, value in vars(options).items() if name != "run"}


def _check_stdout(options):
    one = options.mix is not None or (options.stems is not None and "," not in options.stems)
    if not one or options.format != "wav":
        raise UserError("--out - gives one stem as wav; wanted --stems A or --mix A+B with it")
    if options.skip_existing:
        raise UserError("--out - writes no files that --skip-existing could find")
