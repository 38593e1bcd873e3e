"""Which files beside a track's stems are sums of others: a mixture, an accompaniment, a submix."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.tracks import names, wav
from pipelines.tracks.folders import is_coded
from pipelines.tracks.names import ACCOMPANIMENT, ORDER
from pipelines.tracks.opening import say
from pipelines.tracks.random_access import fill
from pipelines.tracks.track import Clip, Track, in_order, whole
from xumx_jax.errors import UserError

LOOKED_AT = 3  # tracks of a split
EXCERPTS, SECONDS = 4, 0.5  # of each
CLOSE = 1e-4  # energy of the difference, as a share of the sum's: rounding of 16 bits is less


def set_aside(
    folder: Path, tracks: Sequence[Track], targets: Sequence[str] = (), option: str = ""
) -> tuple[Track, ...]:
    """Take stems that hold others out of the sources of tracks, and print which.

    They would be twice in a mixture. Such a stem is called like one (`names.sums`), or equals a sum
    of others in all of a few tracks that are looked at. If such a sum is one of `targets` and its
    parts are not, these are taken out instead; so they are if it is one of the usual sources and
    they are neither. `option` says how the user names sources.
    """
    called = [_by_name(track, targets) for track in tracks]
    by_name = {name: why for reasons in called for name, why in reasons.items()}
    tracks = [
        replace(track, aside=tuple(sorted(reasons)))
        for track, reasons in zip(tracks, called, strict=True)
    ]
    by_samples, wanted = {}, {*ORDER, *targets}
    for name, parts in _sums_of(tracks).items():
        rivals = set(targets) if name in targets else wanted
        if name in wanted and rivals.isdisjoint(parts):
            by_samples |= dict.fromkeys(parts, f"part of {name}")
        else:
            by_samples[name] = " + ".join(parts)
    reasons = by_name | by_samples
    marked = tuple(
        replace(track, aside=tuple(sorted({*track.aside, *by_samples.keys() & set(track.stems)})))
        for track in tracks
    )
    if reasons.keys() - {ACCOMPANIMENT}:
        counts = Counter(source for track in marked for source in track.sources)
        sources = [name for name in in_order(counts) if 2 * counts[name] > len(tracks)]
        listed = ", ".join(f"{name} ({why})" for name, why in sorted(reasons.items()))
        others = f"; {option} chooses others" if option else ""
        say(f"{folder}: mixtures are {' + '.join(sources)}, without {listed}{others}")
    return marked


def _by_name(track: Track, targets: Sequence[str]) -> dict[str, str]:
    """{stem: why it is no source} by names: what is called like a sum, or a target's parts."""
    reasons = dict.fromkeys(track.aside, "by its name")
    title = track.path.name
    for target in set(targets).intersection(track.aside):
        others = set(track.stems) - {target, *track.aside}
        if names.is_rest(target, title):
            others = {name for name in others if not names.is_vocal(name, title)}
        if others.isdisjoint(targets):
            del reasons[target]
            reasons |= dict.fromkeys(others, f"part of {target}")
    return reasons


def _sums_of(tracks: Sequence[Track]) -> dict[str, tuple[str, ...]]:
    """{stem: the stems that add up to it}, the same in every track that is looked at."""
    usable = [track for track in tracks if not track.packed and len(track.sources) > 2]
    places = np.linspace(0, len(usable) - 1, LOOKED_AT).round().astype(int) if usable else []
    seen: dict[str, set[tuple[str, ...]]] = {}
    for place in dict.fromkeys(int(place) for place in places):
        for name, parts in _sums_in(usable[place]).items():
            seen.setdefault(name, set()).add(parts)
    return {name: max(parts, key=len) for name, parts in seen.items() if all(parts)}


def _sums_in(track: Track) -> dict[str, tuple[str, ...]]:
    """{stem: the stems that add up to it, or none} of a track's stems that are not silent."""
    stems, waves = _excerpts(track)
    if not stems:
        return {}
    products = waves @ waves.T
    energy = products.diagonal()
    found, kept = {}, []
    for row in energy.argsort(kind="stable"):  # a sum is louder than its parts
        if not energy[row]:
            continue
        gains = np.zeros(0)
        if kept:
            gains = np.linalg.lstsq(products[np.ix_(kept, kept)], products[kept, row])[0].round()
        parts = [other for other, gain in zip(kept, gains, strict=True) if gain]
        rest = waves[row] - waves[parts].sum(0)
        same = rest @ rest < CLOSE * energy[row]
        found[stems[row]] = tuple(sorted(stems[p] for p in parts)) if same and parts[1:] else ()
        if not same:
            kept.append(row)
    return found


def _excerpts(track: Track) -> tuple[list[str], np.ndarray]:
    """The names of a track's stems, without coded ones, and excerpts [stem, value] of them.

    Both are empty if there is nothing to compare, or if a file is damaged: a sum that lacks a part
    here may still be one.
    """
    nothing = [], np.zeros((0, 0))
    clips: dict[str, Clip] = {}
    for name in track.sources:
        clip = track.stems[name]
        if any(is_coded(part.file) for part in clip):  # not decoded yet
            continue
        try:
            clips[name] = tuple(whole(wav.probe(part.file)) for part in clip)
        except UserError:  # said when the track is opened
            return nothing
    files = [part.file for clip in clips.values() for part in clip]
    if (
        len(clips) < 3
        or len({file.rate for file in files}) > 1
        or max(f.channels for f in files) > 2
    ):
        return nothing
    samples, size = max(file.samples for file in files), round(SECONDS * files[0].rate)
    out = np.zeros((len(clips), EXCERPTS, size, 2), np.float32)
    try:
        for wave, clip in zip(out, clips.values(), strict=True):
            for number, excerpt in enumerate(wave):
                fill(clip, max(0, (samples - size) * (number + 1) // (EXCERPTS + 1)), excerpt)
    except UserError:  # said when it is read
        return nothing
    return list(clips), out.reshape(len(clips), -1).astype(np.float64)
