"""Speech in noise: two folders of files of any length and rate, composed anew in each example."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.datasets.musdb_voiceless import open_musdb_voiceless
from pipelines.tracks import folders
from pipelines.tracks.converted import converted
from pipelines.tracks.fixed_mixes import fixed_mixes
from pipelines.tracks.opening import check_skipped
from pipelines.tracks.shares import divide
from pipelines.tracks.split import Request, Split
from pipelines.tracks.track import Clip, Part, Track, whole
from pipelines.tracks.wav import probe
from xumx_jax import files
from xumx_jax.errors import UserError

SPEECH, NOISE = SOURCES = ("speech", "noise")
RATE = 44_100  # where nobody asks for another
SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}
LAYOUT = (
    "ROOT/speech and ROOT/noise with WAV or FLAC files in them, or the options speech and noise"
)


@dataclass(frozen=True)
class SpeechInNoise:
    """Where speech lies in an example, and how loud the noise is.

    An utterance covers at least the share `least_overlap` of the example, and may begin before it
    or end after it; one too short for that lies within. Noise is an excerpt. Its level is below
    that of speech by `snr_db`, drawn uniformly: 10 log10 of the ratio of energies in the example.
    """

    least_overlap: float
    snr_db: tuple[float, float]

    def start(self, source: str, length: int, samples: int, place: float) -> int:
        """See `pipelines.tracks.scene.Scene`."""
        if source == NOISE:
            return _nth(place, max(0, length - samples))
        covered = math.ceil(self.least_overlap * samples)
        if length < covered:
            return -_nth(place, samples - length)
        # from where the last `covered` samples of speech are at the beginning of the example to
        # where its first ones are at the end
        return length - covered - _nth(place, length - covered + samples - covered)

    def gains(
        self, sources: Sequence[str], waves: Sequence[np.ndarray], level: float
    ) -> list[float]:
        """See `pipelines.tracks.scene.Scene`. Where one is silent, both stay as they are."""
        energy = {
            source: float(np.square(wave, dtype=np.float64).sum())
            for source, wave in zip(sources, waves, strict=True)
        }
        low, high = self.snr_db
        # AIMLESS divides by 10 here rather than 20, which makes twice as many dB of amplitude
        factor = 10 ** (-(low + (high - low) * level) / 20)
        if energy[SPEECH] and energy[NOISE]:
            factor *= math.sqrt(energy[SPEECH] / energy[NOISE])
        else:
            factor = 1.0
        return [factor if source == NOISE else 1.0 for source in sources]


def _nth(number: float, last: int) -> int:
    """A whole number from 0 to `last` by one from 0 to 1."""
    return int(number * (last + 1))


def open_speech_noise(
    root, request: Request, *,
    speech: str = "", noise: str = "", least_overlap_ratio: float = 0.5,
    lowest_snr_db: float = 0.0, highest_snr_db: float = 20.0, valid_examples: int = 100,
    max_skipped: float = 0.1,
) -> Split | None:  # fmt: skip
    """Open ROOT/speech and ROOT/noise, or the folders in these options: WAV and FLAC at any depth.

    Files may have any rate and number of channels. An example is an excerpt of noise with a random
    utterance in it that covers at least `least_overlap_ratio` of it (shorter ones lie in it whole);
    noise is scaled to a signal-to-noise ratio between the two in dB. Splits are the subfolders
    train, valid and test of either folder, or else 80, 10 and 10 % of its files, chosen by their
    names; `valid_examples` mixes that never change are validated and evaluated on. Noise may also
    be MUSDB18-HQ: its tracks without vocals.
    """
    if request.split not in SHARES:
        return None
    if not 0 < least_overlap_ratio <= 1:
        raise _wrong("least_overlap_ratio", least_overlap_ratio, "more than 0, up to 1")
    if not -math.inf < lowest_snr_db <= highest_snr_db < math.inf:
        wanted = f"at least lowest_snr_db, {lowest_snr_db:g}"
        raise _wrong("highest_snr_db", highest_snr_db, wanted)
    if valid_examples < 0:
        raise _wrong("valid_examples", valid_examples, "0 or more")
    drawn = request.training and request.split == "train"
    if not (drawn or valid_examples):
        return None
    root = request.root(root) if root or not (speech and noise) else Path()
    places = {SPEECH: _place(root, speech, SPEECH), NOISE: _place(root, noise, NOISE)}
    rate = request.rate or RATE
    clips: dict[str, tuple[Clip, ...]] = {}
    skipped = []
    for source, place in places.items():
        tracks = _tracks(source, place, request)
        if tracks is None:
            return None
        clips[source], lost = _converted(source, place, tracks, rate, request.channels, max_skipped)
        skipped += lost
    scene = SpeechInNoise(float(least_overlap_ratio), (float(lowest_snr_db), float(highest_snr_db)))
    made = {"known": SOURCES, "max_skipped": max_skipped, "skipped": tuple(skipped)}
    if drawn:
        made |= {"clips": clips, "scene": scene}
        made["names"] = tuple(clip[0].file.path.stem for clip in clips[SPEECH])
    else:
        samples = round(request.seconds * rate)
        made["tracks"] = fixed_mixes(places[SPEECH], scene, clips, valid_examples, samples)
    folder = places[SPEECH].parent
    return Split(folder, folder, request.split, "speech_noise", hint=LAYOUT, **made)


def _place(root: Path, given: str, name: str) -> Path:
    place = files.expanded(given) if given else root / name
    if not place.is_dir():
        found = "" if given else f"; {folders.described(root)}"
        raise UserError(f"{place}: no such folder; wanted {LAYOUT}{found}")
    return place


def _tracks(source: str, place: Path, request: Request) -> list[Track] | None:
    """The files of one source in this split, not probed; None if there is no such split."""
    if source == NOISE and _has_vocals(place):
        found = open_musdb_voiceless(place, request)
        return found and [
            replace(
                track, stems={NOISE: tuple(part for clip in track.stems.values() for part in clip)}
            )
            for track in found.tracks
        ]
    folder = place
    # two of them, since noise of trains may lie in a folder train
    if (place / "train").is_dir() and any((place / name).is_dir() for name in ("valid", "test")):
        folder = place / request.split
        if not folder.is_dir():
            return None
    named = folders.named_below(folder)
    chosen = sorted(named) if folder != place else divide(named, SHARES)[request.split]
    return [Track(name, named[name], {source: (Part(named[name]),)}) for name in chosen] or None


def _has_vocals(place: Path) -> bool:
    """Whether these are songs in the form of MUSDB18-HQ, rather than files of noise."""
    return any(folders.find_stem(song, "drums") for song in folders.track_folders(place / "train"))


def _converted(
    source: str, place: Path, tracks: Sequence[Track], rate: int, channels: int, most: float
):
    """Probe files, as if they had this rate -> (clips, (name, reason) of what cannot be used)."""
    kept, skipped = [], []
    for track in tracks:
        try:
            if track.fault:
                raise UserError(track.fault)
            kept.append(tuple(_part(part, rate, channels) for part in track.stems[source]))
        except UserError as error:
            skipped.append((track.name, str(error)))
    check_skipped(place, skipped, len(tracks), most)
    return tuple(kept), skipped


def _part(part: Part, rate: int, channels: int) -> Part:
    file = probe(part.file)
    if not file.samples:
        raise UserError(f"{part.file}: holds no samples")
    return whole(converted(file, rate, channels))


def _wrong(option: str, value, wanted: str) -> UserError:
    return UserError(f"data set 'speech_noise': {option} is {value}; wanted {wanted}")
