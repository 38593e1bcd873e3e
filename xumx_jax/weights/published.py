"""What others offer for download, and what is known of it."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

MUSDB = "trained on MUSDB18, which is for non-commercial use"


@dataclass(frozen=True)
class File:
    """One file: `digest` is "sha1:..." or "sha256:...", whole or its first digits, "" unknown."""

    url: str
    digest: str = ""

    @property
    def name(self) -> str:
        return urlsplit(self.url).path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Published:
    """A model that somebody else offers.

    files     by target where there is one a target, else one called "" (weights, or a .zip of them)
    kind      of `converters.KINDS`
    sources   in the order of the model's outputs
    scores    by source, as its authors report: BSSEval v4 SDR in dB on the 50 test songs of
              MUSDB18, median over frames, median over songs
    reported  where they do
    settings  what no tensor tells: sample_rate, n_fft, hop
    """

    what: str
    files: dict[str, File]
    kind: str
    sources: tuple[str, ...]
    licence: str
    scores: dict[str, float] = field(default_factory=dict)
    reported: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        return sum(self.scores.values()) / len(self.scores) if self.scores else None

    @property
    def score(self) -> str:
        if not self.scores:
            return "none published for music"
        each = ", ".join(f"{source} {value:.2f}" for source, value in self.scores.items())
        return f"{each}, mean {self.mean:.2f} dB ({self.reported})"


def zenodo(record: int, targets: dict[str, str], between: str = "-") -> dict[str, File]:
    """Files that Open-Unmix's authors named after the first digits of their SHA-256."""
    base = f"https://zenodo.org/records/{record}/files"
    return {
        target: File(f"{base}/{target}{between}{digits}.pth", f"sha256:{digits}")
        for target, digits in targets.items()
    }


def sony(name: str) -> dict[str, File]:
    """One .zip of an `.h5` a target."""
    base = "https://nnabla.org/pretrained-models/open-unmix-nnabla"
    return {"": File(f"{base}/{name}.zip")}


FOUR = ("vocals", "drums", "bass", "other")
ASTEROID = ("bass", "drums", "vocals", "other")
USUAL = {"sample_rate": 44100, "n_fft": 4096, "hop": 1024}
OPEN_UNMIX_SCORES = "Open-Unmix's README"
SONY_SCORES = "umx.md in Sony's ai-research-code"
SONY_LICENCE = f"MIT according to umx.md, their program's LICENSE is Apache-2.0; {MUSDB}"

PUBLISHED = {
    "x-umx": Published(
        what="X-UMX, the official weights",
        files={
            "": File(
                "https://nnabla.org/pretrained-models/ai-research-code/x-umx/x-umx.h5",
                "sha1:6414e08527d37bd1d08130c4b87255830af819bf",
            )
        },
        kind="xumx-nnabla",
        sources=ASTEROID,
        licence=f"none stated for the weights; their program is Apache-2.0; {MUSDB}",
        scores={"vocals": 6.61, "drums": 6.47, "bass": 5.43, "other": 4.64},
        reported="arXiv 2010.04228",
    ),
    "xumx-asteroid": Published(
        what="X-UMX, asteroid's",
        files={"": File("https://zenodo.org/record/4704231/files/pretrained_xumx.pth?download=1")},
        kind="xumx-asteroid",
        sources=ASTEROID,
        licence=f"see zenodo.org/record/4704231; {MUSDB}",
        scores={"vocals": 6.612, "drums": 6.471, "bass": 5.426, "other": 4.639},
        reported="asteroid's README",
    ),
    "xumxl-asteroid": Published(
        what="X-UMX trained on more songs, asteroid's",
        files={"": File("https://zenodo.org/record/7128659/files/pretrained_xumxl.pth?download=1")},
        kind="xumx-asteroid",
        sources=ASTEROID,
        licence="see zenodo.org/record/7128659; trained on songs that are not public",
        scores={"vocals": 7.565, "drums": 7.394, "bass": 6.283, "other": 4.833},
        reported="asteroid's README",
    ),
    "umx": Published(
        what="Open-Unmix, trained on MUSDB18",
        files=zenodo(
            3370486,
            {"vocals": "c8df74a5", "drums": "5a48008b", "bass": "646024d3", "other": "f8e132cc"},
        ),
        kind="openunmix",
        sources=FOUR,
        licence=f"see zenodo.org/records/3370486; their program is MIT; {MUSDB}",
        scores={"vocals": 6.32, "drums": 5.73, "bass": 5.23, "other": 4.02},
        reported=OPEN_UNMIX_SCORES,
        settings=USUAL,
    ),
    "umxhq": Published(
        what="Open-Unmix, trained on MUSDB18-HQ (full bandwidth)",
        files=zenodo(
            3370489,
            {"vocals": "b62c91ce", "drums": "9619578f", "bass": "8d85a5bd", "other": "b52fbbf7"},
        ),
        kind="openunmix",
        sources=FOUR,
        licence=f"see zenodo.org/records/3370489; their program is MIT; {MUSDB}",
        scores={"vocals": 6.25, "drums": 6.04, "bass": 5.07, "other": 4.28},
        reported=OPEN_UNMIX_SCORES,
        settings=USUAL,
    ),
    "umxl": Published(
        what="Open-Unmix, twice as wide, trained on more songs",
        files=zenodo(
            5069601,
            {"vocals": "bccbd9aa", "drums": "69e0ebd4", "bass": "2ca1ce51", "other": "c8c5b3e6"},
        ),
        kind="openunmix",
        sources=FOUR,
        licence="CC BY-NC-SA 4.0: no commercial use, share alike",
        scores={"vocals": 7.21, "drums": 7.15, "bass": 6.02, "other": 4.89},
        reported=OPEN_UNMIX_SCORES,
        settings=USUAL,
    ),
    "umx-nnabla": Published(
        what="Open-Unmix, trained on MUSDB18 with NNabla by Sony",
        files=sony("umx"),
        kind="openunmix-nnabla",
        sources=FOUR,
        licence=SONY_LICENCE,
        scores={"vocals": 6.41, "drums": 5.58, "bass": 5.30, "other": 4.24},
        reported=SONY_SCORES,
    ),
    "umxhq-nnabla": Published(
        what="Open-Unmix, trained on MUSDB18-HQ with NNabla by Sony",
        files=sony("umxhq"),
        kind="openunmix-nnabla",
        sources=FOUR,
        licence=SONY_LICENCE,
        scores={"vocals": 6.30, "drums": 5.78, "bass": 5.21, "other": 4.17},
        reported=SONY_SCORES,
    ),
    "umxse": Published(
        what="Open-Unmix for speech and noise, 16 kHz, mono",
        files=zenodo(3786908, {"speech": "f5e0d9f9", "noise": "04a6fc2d"}, "_"),
        kind="openunmix",
        sources=("speech", "noise"),
        licence="see zenodo.org/records/3786908; trained on Voicebank+DEMAND",
        settings={"sample_rate": 16000, "n_fft": 1024, "hop": 512},
    ),
}
