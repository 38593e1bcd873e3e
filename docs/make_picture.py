"""Draw a mixture and its stems as spectrograms: the picture of the README.

    python docs/make_picture.py                            # the bundled clip, the bundled model
    python docs/make_picture.py track.wav --model x-umx --out track.png

Wanted: the package with what training needs (`pip install '.[train]'`).
"""

import argparse
import io
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import xumx_jax  # noqa: E402
from xumx_jax import assets, audio  # noqa: E402
from xumx_jax.training.monitor import pictures  # noqa: E402

CLIP = assets.DEMO_CLIP
OUT = ROOT / "docs" / "images" / "mixture-and-stems.png"
COLOURS = 64  # in the palette of the file


def draw(mix: np.ndarray, stems: dict[str, np.ndarray], rate: int) -> np.ndarray:
    """Draw [channel, time] in the middle above its stems -> picture [row, column, RGB]."""
    top, seconds = pictures.loudest(mix, rate), mix.shape[1] / rate

    def panel(name, wave):
        return pictures.panel(pictures.spectrogram(wave, rate), top, name, seconds, rate)

    below = pictures.beside([panel(name, wave) for name, wave in stems.items()])
    above = panel("mixture", mix)
    spare = below.shape[1] - above.shape[1]
    head = np.empty((above.shape[0], below.shape[1], 3), np.uint8)
    head[:] = pictures.PAPER
    head[:, spare // 2 : spare // 2 + above.shape[1]] = above
    return np.concatenate([head, below])


def png(picture: np.ndarray) -> bytes:
    """A picture as a PNG file with few colours."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).quantize(COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("track", nargs="?", type=Path, default=CLIP, help="default: the bundled clip")
    add("--model", default="demo", help="as separate.py --model; default: %(default)s")
    add("--out", type=Path, default=OUT, help="a PNG file; default: the README's picture")
    options = parser.parse_args(arguments)
    if find_spec("PIL") is None:
        parser.error("it draws with Pillow, which is not installed; pip install '.[train]'")
    mix, rate = audio.decode(options.track)
    stems = xumx_jax.load(options.model)(mix, rate)
    options.out.write_bytes(png(draw(mix, stems, rate)))
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
