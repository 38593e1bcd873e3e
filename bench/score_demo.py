"""Score a model beside baselines that anyone can check.

    python bench/score_demo.py --model demo --clip SONG.stem.mp4 --songs FOLDER/valid

SDR in 1 s frames, median over the frames of a song; for a folder of songs the mean over its songs.
The last line is the same as JSON.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import istft, stft

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import xumx_jax  # noqa: E402
from pipelines import wav  # noqa: E402
from pipelines.datasets import index, stems_folder  # noqa: E402
from pipelines.musdb_stems import read_stems  # noqa: E402
from xumx_jax.errors import UserError  # noqa: E402
from xumx_jax.metrics import score  # noqa: E402

SOURCES = ("vocals", "drums", "bass", "other")
BASS_HZ, VOCALS_HZ = 200, 4000  # the hand-set bands
MEDIAN = 31  # frames or bins, at 93 ms windows and 23 ms hops


def mixture(mix, rate, truth):
    return dict.fromkeys(SOURCES, mix)


def quarter(mix, rate, truth):
    return dict.fromkeys(SOURCES, mix / 4)


def silence(mix, rate, truth):
    return dict.fromkeys(SOURCES, np.zeros_like(mix))


def hand_set(mix, rate, truth):
    """Separate by fixed rules: what stands out in time is drums, the rest goes by frequency.

    Between bass and treble, what both channels share is vocals. D. FitzGerald, "Harmonic/percussive
    separation using median filtering", DAFx 2010.
    """
    hz, spectrum = _spectrum(mix, rate)
    magnitude = np.abs(spectrum)
    level = magnitude.mean(0)
    steady = median_filter(level, (1, MEDIAN)) ** 2
    sudden = median_filter(level, (MEDIAN, 1)) ** 2
    drums = sudden / (steady + sudden + 1e-12)
    energy = (magnitude**2).sum(0)
    difference = np.abs(spectrum[0] - spectrum[-1]) ** 2
    centre = np.clip(1 - difference / (energy + 1e-12), 0, 1)
    low = hz[:, None] < BASS_HZ
    middle = (hz[:, None] < VOCALS_HZ) & ~low
    bass, vocals = (1 - drums) * low, (1 - drums) * middle * centre
    masks = {"vocals": vocals, "drums": drums, "bass": bass, "other": 1 - vocals - drums - bass}
    return {name: _wave(masks[name] * spectrum, rate, mix.shape[1]) for name in SOURCES}


def oracle(mix, rate, truth):
    """Split by the true magnitudes' shares, the bound for masks of this kind."""
    _, spectrum = _spectrum(mix, rate)
    magnitudes = {name: np.abs(_spectrum(truth[name], rate)[1]) for name in SOURCES}
    total = sum(magnitudes.values()) + 1e-12
    return {
        name: _wave(magnitudes[name] / total * spectrum, rate, mix.shape[1]) for name in SOURCES
    }


BASELINES = {
    "mixture": mixture,
    "mixture / 4": quarter,
    "silence": silence,
    "hand-set bands + median filter": hand_set,
    "oracle ratio mask": oracle,
}


def separate(separator, mix, rate, truth):
    stems = separator(mix, rate)
    missing = [name for name in SOURCES if name not in stems]
    if missing:
        raise UserError(f"the model has no {', '.join(missing)}; wanted {', '.join(SOURCES)}")
    return stems


def _window(rate):
    return 2 ** round(np.log2(0.093 * rate))


def _spectrum(wave, rate):
    n_fft = _window(rate)
    hz, _, spectrum = stft(wave, rate, nperseg=n_fft, noverlap=n_fft * 3 // 4)
    return hz, spectrum


def _wave(spectrum, rate, length):
    n_fft = _window(rate)
    return istft(spectrum, rate, nperseg=n_fft, noverlap=n_fft * 3 // 4)[1][:, :length]


def clip_songs(path):
    stems, rate = read_stems(path)
    yield Path(path).name, stems.pop("mixture"), stems, rate


def folder_songs(root, limit):
    """Each song of a folder data set; the mixture is the plain sum of its stems."""
    root = Path(root)
    names = index.subfolders(root) if root.is_dir() else []
    first = next((p for s in SOURCES for p in sorted(root.glob(f"*/{s}.*"))), None)
    if first is None:
        raise UserError(f"{root}: no tracks; wanted folders with {', '.join(SOURCES)} in them")
    rate = wav.probe(first).rate
    songs = stems_folder.open_tracks(root, names, SOURCES, rate, 2, sources=SOURCES)
    for track, samples in enumerate(songs.track_lengths[:limit]):
        frames = np.zeros((len(SOURCES), samples, 2), np.float32)
        for source, wave in enumerate(frames):
            songs.read_into(source, track, 0, wave)
        stems = {source: wave.T for source, wave in zip(SOURCES, frames, strict=True)}
        yield songs.names[track], sum(stems.values()), stems, rate


def tabulate(title, songs, rows):
    """Score every row's function on every song, print the means; {row: {source: dB}}."""
    results = {row: [] for row in rows}
    for name, mix, truth, rate in songs:
        for row, estimate in rows.items():
            results[row].append(score(estimate(mix, rate, truth), truth, rate))
        print(f"scored {name}", file=sys.stderr)
    columns = {row: np.array([[s[n] for n in SOURCES] for s in results[row]]) for row in rows}
    table = {
        row: [_mean(values[:, i]) for i in range(len(SOURCES))] for row, values in columns.items()
    }
    table = {row: values + [float(np.mean(values))] for row, values in table.items()}
    width = max(map(len, rows))
    print(f"\n{title}, dB\n{'':{width}}" + "".join(f"{n:>9}" for n in (*SOURCES, "mean")))
    for row, values in table.items():
        print(f"{row:{width}}" + "".join(f"{value:9.2f}" for value in values))
    if "model" in rows:
        below = [
            n
            for n, a, b in zip(SOURCES, table["model"], table["mixture / 4"], strict=False)
            if a < b
        ]
        print(f"stems below mixture / 4: {', '.join(below) or 'none'}")
    # JSON knows neither NaN nor infinity
    finite = {row: [v if np.isfinite(v) else None for v in vs] for row, vs in table.items()}
    return {row: dict(zip((*SOURCES, "mean"), vs, strict=True)) for row, vs in finite.items()}


def _mean(values):
    values = values[~np.isnan(values)]  # a song without that source
    return float(values.mean()) if values.size else float("nan")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo", help="name or path; 'none': baselines alone")
    parser.add_argument("--clip", help="a .stem.mp4 of MUSDB18")
    parser.add_argument("--songs", help="a folder of tracks with one file per source")
    parser.add_argument("--limit", type=int, help="so many songs of the folder at most")
    parser.add_argument("--niter", type=int, help="Wiener iterations (default: the model's)")
    options = parser.parse_args(arguments)
    if not (options.clip or options.songs):
        parser.error("nothing to score on; wanted --clip or --songs")
    rows = dict(BASELINES)
    if options.model != "none":
        given = {} if options.niter is None else {"niter": options.niter}
        rows = {"model": partial(separate, xumx_jax.load(options.model, **given)), **rows}
    report = {"bench": "score_demo", "model": options.model, "niter": options.niter}
    if options.clip:
        report["clip"] = tabulate(Path(options.clip).name, clip_songs(options.clip), rows)
    if options.songs:
        title = f"mean over the songs of {options.songs}"
        report["songs"] = tabulate(title, folder_songs(options.songs, options.limit), rows)
    print(json.dumps(report, allow_nan=False))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"score_demo: error: {error}", file=sys.stderr)
        sys.exit(2)
