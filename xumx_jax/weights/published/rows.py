"""The form of a row that describes a published model."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

MUSDB = "trained on MUSDB18, which is for non-commercial use"


@dataclass(frozen=True)
class File:
    """One file: `digest` is "sha1:..." or "sha256:...", in full or in part, "" if unknown.

    "md5-tail:..." is UVR's: the MD5 of the last 10,240,000 bytes. It shows which file it is, not
    that nobody has changed it.

    `kept` is the name that it gets here, where its own is that of other files as well.
    """

    url: str
    digest: str = ""
    kept: str = ""

    @property
    def name(self) -> str:
        return self.kept or urlsplit(self.url).path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class PublishedMember:
    """One model of a row.

    files     by target if each has its own, else one called "" (weights, or a .zip of them)
    kind      of `converters.KINDS`; it says how files by target are joined
    sources   in the order of the model's outputs
    settings  what no tensor shows, such as sample_rate and hop, as the kind's `arguments` take it
    weight    in the average over the row's members, a number or {source: number}
    """

    files: dict[str, File]
    kind: str
    sources: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    weight: float | dict[str, float] = 1.0


@dataclass(frozen=True)
class Published:
    """What others publish under a name: one model, or several whose stems are averaged.

    scores    by source, as its authors report: BSSEval v4 SDR in dB on the 50 test songs of
              MUSDB18, median over frames, median over songs
    overall   the mean of these over the sources, where that alone is reported
    reported  where they report them
    combine   how several are used together, of `combinations.COMBINATIONS`; None: their average
    """

    what: str
    members: tuple[PublishedMember, ...]
    licence: str
    scores: dict[str, float] = field(default_factory=dict)
    overall: float | None = None
    reported: str = ""
    combine: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of all members, in the first one's order."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.sources))

    @property
    def mean(self) -> float | None:
        return sum(self.scores.values()) / len(self.scores) if self.scores else self.overall

    @property
    def score(self) -> str:
        if self.mean is None:
            return "none published for music"
        each = "".join(f"{source} {value:.2f}, " for source, value in self.scores.items())
        return f"{each}mean {self.mean:.2f} dB ({self.reported})"


FOUR = ("vocals", "drums", "bass", "other")
