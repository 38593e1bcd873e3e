"""`xumx plot`: pictures of what is in a file, because people would rather look."""

from pathlib import Path

from xumx_jax import files
from xumx_jax.errors import UserError

SUFFIX = ".png"
MOST = 16  # stems in a picture
# Rows of a folder: the mixture, the usual stems, then the rest by name.
ORDER = ("mixture", "mix", "vocals", "drums", "bass", "other")
TRANSFORMS = ("both", "stft", "slicq")
HEIGHT, ROW = 120, 240  # of a picture in pixels, unless its size is given


def add(commands) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "plot",
        help="draw spectrograms of a track, and of its stems",
        description="Draw the spectrograms of a track: a short-time Fourier transform beside a "
        "sliced constant-Q transform (sliCQ), on the same axes and in the same colours. A folder "
        "of stems has one row for each.",
    )
    option = command.add_argument
    option("input", metavar="INPUT", help="an audio or video file, or a folder of stems")
    option("--stems", metavar="FOLDER", help="draw the stems in this folder below INPUT")
    option("--out", metavar="FILE", help="default: INPUT's name, with -spectrogram.png, here")
    option("--start", type=float, default=0.0, metavar="S", help="skip the first S seconds")
    option("--duration", type=float, metavar="S", help="draw S seconds; default: all")
    option(
        "--transform",
        default=TRANSFORMS[0],
        choices=TRANSFORMS,
        help="default: %(default)s, side by side",
    )
    option("--scale", default="bark", metavar="S", help="of the sliCQ, and of both pictures")
    option("--bins", type=int, default=262, metavar="N", help="of the scale; default: %(default)s")
    option(
        "--low-hz", type=float, default=32.9, metavar="HZ", help="the lowest; default: %(default)s"
    )
    option("--n-fft", type=int, default=4096, metavar="N", help="of the STFT; default: %(default)s")
    option(
        "--size",
        nargs=2,
        type=int,
        metavar=("W", "H"),
        help=f"of the picture in pixels; default: 1200, and {ROW} for each row",
    )
    command.set_defaults(run=run)


def run(options) -> int:
    """Draw, and print what was written."""
    from xumx_jax import audio, runtime

    audio.check_range(options.start, options.duration)
    paths = _inputs(options)
    out = _out(options)
    width, height = options.size or (1200, HEIGHT + ROW * len(paths))
    if not (200 <= width <= 20000 and 200 <= height <= 20000):
        raise UserError(f"--size {width} {height}: wanted 200 to 20000 pixels")
    if options.n_fft < 16 or options.n_fft % 4:
        raise UserError(f"--n-fft {options.n_fft}: wanted a multiple of 4, at least 16")
    check_matplotlib()
    runtime.cache_compiled_code()
    content = picture(paths, options, (width, height))
    files.write(out, content)
    print(f"{out}: {width} x {height}, {len(content) / 1000:.0f} kB")
    return 0


def check_matplotlib() -> None:
    """Raise UserError without matplotlib, before anything is computed."""
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise UserError(
            "pictures need matplotlib, which is not installed: pip install 'xumx_jax[eval]'"
        )


def _inputs(options) -> dict[str, Path]:
    """{title: file} of the rows, the first on top. Raises UserError."""
    from xumx_jax import audio

    given = files.expanded(options.input)
    found = stems(given) if given.is_dir() else {given.name: given}
    if options.stems is not None:
        below = files.expanded(options.stems)
        if not below.is_dir():
            raise UserError(f"--stems {below}: no such folder")
        if given.is_dir():
            raise UserError(f"--stems {below}: {given} is a folder of stems already")
        found |= stems(below)
    for path in found.values():
        audio.check_file(path)
    return found


def stems(folder: Path) -> dict[str, Path]:
    """{name: file} of the audio files in a folder, the usual stems first. Raises UserError."""
    from xumx_jax.commands.batch.input_files import SUFFIXES

    try:
        paths = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror}") from error
    paths = [path for path in paths if path.is_file() and not files.hidden(path.name)]
    if not 1 <= len(paths) <= MOST:
        raise UserError(
            f"{folder}: has {len(paths)} audio files; wanted a folder of stems, 1 to {MOST} files"
        )

    def rank(path: Path):
        name = path.stem.lower()
        return (ORDER.index(name) if name in ORDER else len(ORDER), path.name)

    names = [path.stem for path in paths]
    return {
        path.stem if names.count(path.stem) == 1 else path.name: path
        for path in sorted(paths, key=rank)
    }


def _out(options) -> Path:
    """The file to write. Raises UserError if that is impossible."""
    name = files.expanded(options.input).resolve()
    stem = name.name if name.is_dir() else name.stem
    out = files.expanded(options.out) if options.out else Path(f"{stem}-spectrogram{SUFFIX}")
    if out.suffix.lower() != SUFFIX:
        raise UserError(f"--out {out}: wanted a name that ends in {SUFFIX}")
    files.check_name(out)
    files.check_place(out.parent, [out])
    return out


def picture(paths: dict[str, Path], options, size: tuple[int, int]) -> bytes:
    """Read the files and draw them -> PNG. Raises UserError naming what cannot be drawn."""
    import numpy as np

    from xumx_jax import audio
    from xumx_jax.evaluation import spectrograms
    from xumx_jax.transforms.slicq import SliCQ

    waves, rate = {}, None
    for title, path in paths.items():
        wave, own = audio.decode(path, options.start, options.duration)
        rate = rate or own
        waves[title] = audio.resample(wave, own, rate)
    samples = max(wave.shape[1] for wave in waves.values())
    if not samples or rate is None:
        raise UserError(f"{options.input}: holds no samples to draw")
    try:
        transform = SliCQ(options.scale, options.bins, options.low_hz, sample_rate=rate)
    except ValueError as error:
        raise UserError(f"no such sliCQ at {rate} Hz: {error}") from None
    kinds = TRANSFORMS[1:] if options.transform == "both" else (options.transform,)
    edges = np.linspace(0, samples, size[0] // len(kinds) + 1)
    rows_hz = spectrograms.edges_hz(transform)
    rows = {}
    for title, wave in waves.items():
        rows[title] = {}
        if "stft" in kinds:
            power = spectrograms.stft_power(wave, rate, options.n_fft, rows_hz, edges)
            rows[title][f"STFT {options.n_fft}"] = power
        if "slicq" in kinds:
            power = spectrograms.slicq_power(wave, transform, edges)
            rows[title][f"sliCQ {options.scale} {options.bins}"] = power
    begin = options.start
    return spectrograms.draw(rows, transform, (begin, begin + samples / rate), size)
