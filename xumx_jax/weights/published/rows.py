"""The form of a row that describes a published model."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

HQ = "MUSDB18-HQ"
MUSDB = "trained on MUSDB18, which is for non-commercial use"
# {whose: how they measure}: numbers of different ones cannot be compared
PROTOCOLS = {
    "museval": "MUSDB18's 50 test songs, BSSEval v4, median over frames and songs",
    "whole songs": "MUSDB18's 50 test songs, SDR of whole songs, mean over songs",
    "Multisong": "MVSep's quality checker, whose songs are not public; as ZFTurbo lists it",
    "audio-separator": "11 to 41 songs of MUSDB18, training songs among them, median over songs of "
    "museval's SDR; as audio-separator lists it",
    "DrumSep": "as its makers report it, by a measure that they do not describe",
}


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
    work      how much more there is to compute than for a network of the default size, whose
              `usual_speed` is known
    chunk     samples at once as in its training, where they are not the network's usual ones
    """

    files: dict[str, File]
    kind: str
    sources: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    weight: float | dict[str, float] = 1.0
    work: float = 1.0
    chunk: int | None = None


@dataclass(frozen=True)
class Published:
    """What others publish under a name: one model, or several whose stems are averaged.

    licence   what is stated for the weights, or that nothing is
    licensed  whether those who made the weights state a licence, and it allows any use: only then
              `tasks` may choose them unasked
    scores    by source, SDR in dB as `reported`
    overall   the mean over the sources, where it is reported
    protocol  how these were measured, of PROTOCOLS
    songs     the data set of these songs: MUSDB18, or MUSDB18-HQ
    reported  where they are reported
    elsewhere SDR in dB by other protocols: {of PROTOCOLS: {source, or "mean": dB}}
    megabytes of the download, where that is known
    task      of `tasks.TASKS`, where the sources do not tell
    combine   how several are used together, of `combinations.COMBINATIONS`; None: their average
    """

    what: str
    members: tuple[PublishedMember, ...]
    licence: str
    licensed: bool = False
    scores: dict[str, float] = field(default_factory=dict)
    overall: float | None = None
    protocol: str = "museval"
    songs: str = "MUSDB18"
    reported: str = ""
    elsewhere: dict[str, dict[str, float]] = field(default_factory=dict)
    megabytes: float | None = None
    task: str = ""
    combine: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of all members, in the first one's order."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.sources))

    @property
    def mean(self) -> float | None:
        """The mean SDR on MUSDB18's test songs, by `protocol`; None if there is none."""
        if self.overall is None and self.scores:
            return sum(self.scores.values()) / len(self.scores)
        return self.overall

    @property
    def score(self) -> str:
        """All that is reported, and by whose measure."""
        parts = []
        if self.mean is not None:
            each = _listed({**self.scores, "mean": self.mean})
            measure = "" if self.protocol == "museval" else f", {self.protocol}"
            parts.append(f"{each} dB ({self.reported}{measure})")
        parts += [f"{_listed(each)} dB ({whose})" for whose, each in self.elsewhere.items()]
        return "; ".join(parts) or "none published for music"


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())


FOUR = ("vocals", "drums", "bass", "other")
