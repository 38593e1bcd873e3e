"""Draw the pictures of docs/slicq.md, and measure the table in it.

    python docs/make_slicq.py            # images/slicq-shape.png and images/slicq-stft.png
    python docs/make_slicq.py --table    # how exactly every scale is inverted, as Markdown

Wanted: the package with what evaluation needs (`pip install '.[eval]'`). The third picture is that
of a search: the page has its commands, and `--shrink FILE` makes it small.
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from xumx_jax import assets, audio  # noqa: E402
from xumx_jax.evaluation import spectrograms  # noqa: E402
from xumx_jax.transforms.slicq import SliCQ  # noqa: E402

IMAGES = ROOT / "docs" / "images"
COLOURS = 64  # in the palette of a file
SECONDS = 3.0  # of the clip that the table is measured on
START, END = 4.0, 8.0  # of what the clip's picture shows
# One of every scale and some whose outermost bands reach over 0 or half the sample rate.
MEASURED = (
    {},
    {"bins": 40, "low_hz": 120.0},
    {"scale": "mel", "bins": 40, "low_hz": 200.0},
    {"scale": "cqlog", "bins": 60, "low_hz": 400.0},
    {"scale": "oct", "bins": 8, "low_hz": 220.0},
    {"scale": "vqlog", "bins": 48, "low_hz": 300.0, "gamma_hz": 25.0},
    {"scale": "linear", "bins": 64, "low_hz": 344.0},
)


def null_error(wave: np.ndarray, transform: SliCQ) -> float:
    """How far what transform and inverse leave of [channel, time] lies below it, in dB."""

    @jax.jit
    def there_and_back(x):
        return transform.synthesise(transform.analyse(x), x.shape[-1])

    back = np.asarray(there_and_back(jnp.asarray(wave)))
    difference = np.linalg.norm(back.astype(float) - wave)
    return float(20 * np.log10(difference / np.linalg.norm(wave.astype(float)) + 1e-30))


def row(wave: np.ndarray, options: dict) -> list[str]:
    """The cells of a transform in the table of null errors."""
    exact, original = SliCQ(**options), SliCQ(**options, rule="original")
    gamma = f", gamma {exact.gamma_hz:g} Hz" if exact.gamma_hz else ""
    with jax.enable_x64(True):
        doubles = [null_error(wave.astype(float), each) for each in (exact, original)]
    singles = [null_error(wave, each) for each in (exact, original)]
    numbers = [singles[0], doubles[0], singles[1], doubles[1]]
    about = [f"{exact.scale} {exact.bins}, {exact.low_hz:g} Hz{gamma}"]
    about += [str(n) for n in (exact.length, exact.bands, len(exact.blocks))]
    about.append(f"{exact.coefficients / exact.hop:.2f}")
    return about + [f"{number:.0f}" for number in numbers]


def clip(seconds: float = SECONDS) -> tuple[np.ndarray, int]:
    """The beginning of the bundled clip, float32 [channel, time]."""
    return audio.decode(assets.DEMO_CLIP, duration=seconds)


def table() -> str:
    """The table of null errors, as Markdown."""
    wave, _ = clip()
    head = ["transform", "slice", "bands", "blocks", "redundancy"]
    head += ["exact, float32", "float64", "original, float32", "float64"]
    rows = [head, ["---"] * len(head), *(row(wave, options) for options in MEASURED)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def shape() -> bytes:
    """Draw what a transform is made of -> PNG."""
    import matplotlib
    from matplotlib.figure import Figure

    small, usual = SliCQ("bark", 16, 300.0), SliCQ()
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "font.size": 8}):
        figure = Figure(figsize=(9, 6), layout="constrained")
        (slices, bands), (cells, sizes) = figure.subplots(2, 2)
        _slices(slices, usual)
        _bands(bands, small)
        _cells(cells, small)
        _sizes(sizes, usual)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    return content.getvalue()


def _slices(axis, plan: SliCQ) -> None:
    time = np.arange(plan.length) / plan.sample_rate
    for number in range(4):
        start = (number - 1) * plan.hop / plan.sample_rate
        axis.plot(1000 * (time + start), plan.window, color=f"C{number}")
        axis.text(1000 * start + 205, 1.04, f"slice {number}", color=f"C{number}", ha="center")
    axis.set_ylim(0, 1.15)
    axis.set_xlabel("ms")
    axis.set_title(f"Slices of {plan.length} samples, every {plan.hop}; they add up to 1")


def _bands(axis, plan: SliCQ) -> None:
    for band in range(plan.bands):
        bins, window = plan.bins_of(band), plan.band_window(band)
        order = np.argsort(bins)
        hertz = bins[order] * plan.sample_rate / plan.length
        axis.plot(hertz / 1000, window[order], color=f"C{band % 10}")
    axis.set_xlim(-0.5, plan.sample_rate / 2000 + 0.5)
    axis.axvspan(-0.5, 0, color="0.9")
    axis.axvspan(plan.sample_rate / 2000, 24, color="0.9")
    axis.set_xlabel("kHz")
    axis.set_title(f"Windows of the bands: {plan.scale} {plan.bins}, 0 Hz and half the sample rate")


def _cells(axis, plan: SliCQ) -> None:
    milliseconds = 1000 * plan.length / plan.sample_rate
    for number, block in enumerate(plan.blocks):
        bottom, top = block.first, block.first + block.bands
        axis.fill_between([0, milliseconds], bottom, top, color=f"C{number % 10}", alpha=0.35)
        places = milliseconds * np.arange(block.size + 1) / block.size
        axis.vlines(places, bottom, top, color="0.3", linewidth=0.5)
    axis.hlines(np.arange(plan.bands + 1), 0, milliseconds, color="0.3", linewidth=0.5)
    axis.set_xlim(0, milliseconds)
    axis.set_ylim(0, plan.bands)
    axis.set_xlabel("ms")
    axis.set_ylabel("band")
    axis.set_title("Coefficients of those bands in one slice; colours: blocks")


def _sizes(axis, plan: SliCQ) -> None:
    sizes = plan.sizes[: plan.bands]
    axis.plot(np.arange(plan.bands), sizes, ".", markersize=3)
    for hertz in (1000, 4000, 16000):
        band = int(np.abs(plan.hertz - hertz).argmin())
        name = f"{hertz / 1000:g} kHz"
        axis.annotate(name, (band, sizes[band]), (-24, 24), textcoords="offset points",
                      arrowprops={"arrowstyle": "-", "color": "0.5"}, ha="center")  # fmt: skip
    axis.set_ylim(0, None)
    axis.set_xlabel("band")
    axis.set_title(
        f"{plan.scale} {plan.bins}, {plan.low_hz:g} Hz: coefficients of a band in a slice; "
        f"{len(plan.blocks)} blocks"
    )


def beside() -> bytes:
    """Draw a part of the bundled clip by STFT and sliCQ, as `xumx plot` does -> PNG."""
    wave, rate = audio.decode(assets.DEMO_CLIP, START, END - START)
    plan, edges = SliCQ(sample_rate=rate), np.linspace(0, wave.shape[1], 451)
    rows_hz = spectrograms.edges_hz(plan)
    powers = {
        "STFT 4096": spectrograms.stft_power(wave, rate, 4096, rows_hz, edges),
        "sliCQ bark 262": spectrograms.slicq_power(wave, plan, edges),
    }
    return spectrograms.draw({"the bundled clip": powers}, plan, (START, END), (1000, 420))


def shrunk(png: bytes) -> bytes:
    """The picture in few colours: pages should be light."""
    from PIL import Image

    image, file = Image.open(io.BytesIO(png)).convert("RGB"), io.BytesIO()
    image.quantize(COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


PICTURES = {"slicq-shape.png": shape, "slicq-stft.png": beside}


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table instead")
    parser.add_argument("--shrink", type=Path, metavar="FILE", help="of this picture, slicq-search")
    parser.add_argument("--out", type=Path, default=IMAGES, help="a folder; default: %(default)s")
    options = parser.parse_args(arguments)
    if options.table:
        print(table())
        return
    made = {name: draw for name, draw in PICTURES.items() if not options.shrink}
    if options.shrink:
        made["slicq-search.png"] = options.shrink.read_bytes
    for name, draw in made.items():
        path = options.out / name
        path.write_bytes(shrunk(draw()))
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
