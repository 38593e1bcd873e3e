"""What the names of files say: which source it is, or whether it is a sum of sources."""

import re
from collections.abc import Iterable
from pathlib import Path

MIXTURE, VOCALS, ACCOMPANIMENT = "mixture", "vocals", "accompaniment"
ORDER = ("vocals", "drums", "bass", "other")  # of columns; other sources come after these
# What a file of everything is called, and one of everything but vocals. Such a file beside the
# stems is no stem: it holds them a second time.
WHOLE = {"mix", MIXTURE, "mixdown", "master", "mastered", "full", "original", "preview"}
REST = {ACCOMPANIMENT, "instrumental", "instrumentals", "karaoke"}
REST |= {"no vocals", "novocals", "minus vocals", "without vocals"}
# What else such names may contain.
FILLERS = {"linear", "stereo", "final", "the", "song", "track", "version", "rough"}
# Words of the names of vocals; the latter only alone, since a guitar may lead too.
VOICES = {"vocal", VOCALS, "voc", "vox", "voice", "voices", "choir", "singer", "singing"}
SINGERS = {"lead", "leads", "backing", "backings", "harmony", "harmonies"}
WITHOUT = {"no", "minus", "without"}


def source_of(path: Path) -> str:
    """The source that a file is named after; of the usual sources in any case: "Vocals.wav"."""
    name = path.stem
    return name.lower() if name.lower() in (MIXTURE, *ORDER, ACCOMPANIMENT) else name


def whole(names: Iterable[str], title: str = "") -> list[str]:
    """Those of the names that a file of everything has: "MIX", "<title>_full_mix"; sorted."""
    return sorted(name for name in names if not _core(name, title) and _says_whole(name, title))


def is_rest(name: str, title: str = "") -> bool:
    """Whether a name is that of everything but vocals."""
    return " ".join(_core(name, title)) in REST


def is_vocal(name: str, title: str = "") -> bool:
    """Whether a name is that of vocals, or of some of them: "vocals_dry", "Backing Vocals"."""
    words = set(_words(name, title))
    if not WITHOUT.isdisjoint(words):
        return False
    return not VOICES.isdisjoint(words) or bool(words) and words <= SINGERS


def sums(names: Iterable[str], title: str = "") -> tuple[str, ...]:
    """Those of a track's stems that are called like sums of others, and so are no sources.

    One with everything but vocals is a source where there is nothing else but vocals, whatever
    these are called.
    """
    names = set(names)
    rest = {name for name in names if is_rest(name, title)}
    aside = set(whole(names, title))
    if all(is_vocal(name, title) for name in names - aside - rest):
        rest -= set([ACCOMPANIMENT] if ACCOMPANIMENT in rest else sorted(rest)[:1])
    return tuple(sorted(aside | rest))


def _words(name: str, title: str) -> list[str]:
    """The words of a name in lower case, without the track's title and without numbers."""
    name, title = name.lower(), title.lower()
    if title and name != title:
        name = name.removeprefix(title)
    return re.findall(r"[^\W\d_]+", name)


def _core(name: str, title: str) -> list[str]:
    return [word for word in _words(name, title) if word not in WHOLE | FILLERS]


def _says_whole(name: str, title: str) -> bool:
    return not WHOLE.isdisjoint(_words(name, title))
