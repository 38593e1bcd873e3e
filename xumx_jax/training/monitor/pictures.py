"""Draw spectrograms, and encode PNG and WAV files. Pictures are uint8 [row, column, RGB].

Frequency runs upwards on the mel scale, so that bass and voice get as much room as cymbals; time
runs to the right. Pictures that belong together share one range of loudness.
"""

import io

import numpy as np

WINDOW = 2048  # samples per frame
RANGE_DB = 80.0
WIDTH, HEIGHT = 480, 160  # of one spectrogram
LEFT, TITLE, BELOW, RIGHT = 34, 18, 18, 10  # margins, for the labels
TICKS_HZ = (100, 300, 1000, 3000, 10000)
PAPER, INK = (24, 24, 28), (220, 220, 220)
# from silence to the loudest, evenly spaced; each lighter than the one before
COLOURS = ((4, 4, 16), (44, 20, 92), (126, 32, 120), (210, 66, 84), (248, 148, 58), (254, 246, 190))


def middle(length: int, wanted: int) -> slice:
    """The middle `wanted` samples of `length`, or all if there are fewer."""
    first = max(length - wanted, 0) // 2
    return slice(first, min(first + wanted, length))


def mel(hz):
    """Hz -> mel (O'Shaughnessy, Speech Communication, 1987)."""
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def spectrogram(wave: np.ndarray, rate: int) -> np.ndarray:
    """Measure the mean power of mel bands, [channel, time] -> [HEIGHT, WIDTH], lowest band first.

    Frames are spread evenly over the wave, however long it is; NaN counts as silence.
    """
    wave = np.nan_to_num(wave, posinf=0, neginf=0)
    wave = np.pad(wave, ((0, 0), (0, max(WINDOW - wave.shape[-1], 0))))
    starts = np.linspace(0, wave.shape[-1] - WINDOW, WIDTH).astype(int)
    frames = wave[:, starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    spectra = np.fft.rfft(frames) * (2 / WINDOW)
    power = (np.abs(spectra) ** 2).mean(0, dtype=np.float64)  # [frame, bin]
    # the integral over frequency, read off at the edges of the bands: exact for any width of band
    integral = np.cumsum(np.pad(power, ((0, 0), (1, 0))), axis=1)
    hz = 700 * (10 ** (np.linspace(0, mel(rate / 2), HEIGHT + 1) / 2595) - 1)
    edges = np.clip(hz * WINDOW / rate + 0.5, 0, power.shape[1])
    bins = np.arange(integral.shape[1])
    at_edges = np.stack([np.interp(edges, bins, frame) for frame in integral], axis=1)
    return np.diff(at_edges, axis=0) / np.diff(edges)[:, None]


def coloured(power: np.ndarray, top: float) -> np.ndarray:
    """Colour the RANGE_DB below the power `top`, [band, frame] -> picture, lowest band last."""
    floor = top * 10 ** (-RANGE_DB / 10)
    level = 10 * np.log10(np.maximum(power, floor) / floor) / RANGE_DB
    places = np.linspace(0, 1, len(COLOURS))
    rgb = np.stack([np.interp(level, places, c) for c in np.transpose(COLOURS)], axis=-1)
    return np.round(rgb[::-1]).astype(np.uint8)


def panel(power: np.ndarray, top: float, title: str, seconds: float, rate: int) -> np.ndarray:
    """Draw one spectrogram with its title, its Hz on the left and its seconds below."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (LEFT + WIDTH + RIGHT, TITLE + HEIGHT + BELOW), PAPER)
    image.paste(Image.fromarray(coloured(power, top)), (LEFT, TITLE))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    draw.text((LEFT, 3), title, INK, font)
    for hz in (hz for hz in TICKS_HZ if hz < rate / 2):
        y = TITLE + HEIGHT - round(float(mel(hz) / mel(rate / 2)) * HEIGHT)
        draw.line((LEFT - 4, y, LEFT - 1, y), INK)
        text = f"{hz // 1000}k" if hz >= 1000 else str(hz)
        draw.text((LEFT - 7, y), text, INK, font, anchor="rm")
    step = max(round(seconds / 8), 1)
    for second in range(0, int(seconds) + 1, step):
        x = LEFT + min(round(second / seconds * WIDTH), WIDTH - 1)
        draw.line((x, TITLE + HEIGHT, x, TITLE + HEIGHT + 3), INK)
        draw.text((x, TITLE + HEIGHT + 5), f"{second} s", INK, font, anchor="mt")
    return np.asarray(image)


def compare(truth: np.ndarray, estimate: np.ndarray, top: float, name: str, rate: int):
    """Draw [channel, time] twice, the truth above the estimate -> picture."""
    seconds = max(truth.shape[-1], 1) / rate
    rows = {"truth": truth, "estimate": estimate}
    return np.concatenate(
        [
            panel(spectrogram(wave, rate), top, f"{name}: {what}", seconds, rate)
            for what, wave in rows.items()
        ]
    )


def loudest(mix: np.ndarray, rate: int) -> float:
    """The power of [channel, time] that a picture shows brightest; never 0."""
    return max(float(spectrogram(mix, rate).max()), 1e-10)


def beside(pictures: list[np.ndarray], columns: int = 2) -> np.ndarray:
    """Arrange pictures of equal size in rows of `columns`."""
    columns = min(columns, len(pictures))
    blank = np.empty_like(pictures[0])
    blank[:] = PAPER
    pictures = pictures + [blank] * (-len(pictures) % columns)
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def png(picture: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def wav(wave: np.ndarray, rate: int) -> bytes:
    """[channel, time] -> a 16-bit WAV file; what exceeds full scale is clipped."""
    import soundfile

    file = io.BytesIO()
    wave = np.clip(np.nan_to_num(wave), -1, 1)
    soundfile.write(file, wave.T, rate, "PCM_16", format="WAV")
    return file.getvalue()
