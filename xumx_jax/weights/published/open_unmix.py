"""Open-Unmix, as published by its authors and by Sony."""

from xumx_jax.weights.published.rows import FOUR, MUSDB, File, Published, PublishedMember

USUAL = {"sample_rate": 44100, "n_fft": 4096, "hop": 1024}
THEIR_SCORES = "Open-Unmix's README"
SONY_SCORES = "umx.md in Sony's ai-research-code"
# Where umx.md offers the weights, it says MIT. Both licences allow any use.
SONY_LICENCE = f"MIT according to umx.md, their program's LICENSE is Apache-2.0; {MUSDB}"


def zenodo(record: int, targets: dict[str, str], between: str = "-") -> dict[str, File]:
    """List files that Open-Unmix's authors named after the first digits of their SHA-256."""
    base = f"https://zenodo.org/records/{record}/files"
    return {
        target: File(f"{base}/{target}{between}{digits}.pth", f"sha256:{digits}")
        for target, digits in targets.items()
    }


def sony(name: str) -> dict[str, File]:
    """One .zip with an `.h5` per target."""
    base = "https://nnabla.org/pretrained-models/open-unmix-nnabla"
    return {"": File(f"{base}/{name}.zip")}


ROWS = {
    "umx": Published(
        what="Open-Unmix, trained on MUSDB18",
        members=(
            PublishedMember(
                files=zenodo(
                    3370486,
                    {
                        "vocals": "c8df74a5",
                        "drums": "5a48008b",
                        "bass": "646024d3",
                        "other": "f8e132cc",
                    },
                ),
                kind="openunmix",
                sources=FOUR,
                settings=USUAL,
            ),
        ),
        licence=f"see zenodo.org/records/3370486; their program is MIT; {MUSDB}",
        megabytes=142.7,
        scores={"vocals": 6.32, "drums": 5.73, "bass": 5.23, "other": 4.02},
        reported=THEIR_SCORES,
    ),
    "umxhq": Published(
        what="Open-Unmix, trained on MUSDB18-HQ (full bandwidth)",
        members=(
            PublishedMember(
                files=zenodo(
                    3370489,
                    {
                        "vocals": "b62c91ce",
                        "drums": "9619578f",
                        "bass": "8d85a5bd",
                        "other": "b52fbbf7",
                    },
                ),
                kind="openunmix",
                sources=FOUR,
                settings=USUAL,
            ),
        ),
        licence=f"see zenodo.org/records/3370489; their program is MIT; {MUSDB}",
        megabytes=142.7,
        scores={"vocals": 6.25, "drums": 6.04, "bass": 5.07, "other": 4.28},
        reported=THEIR_SCORES,
    ),
    "umxl": Published(
        what="Open-Unmix, twice as wide, trained on more songs",
        members=(
            PublishedMember(
                files=zenodo(
                    5069601,
                    {
                        "vocals": "bccbd9aa",
                        "drums": "69e0ebd4",
                        "bass": "2ca1ce51",
                        "other": "c8c5b3e6",
                    },
                ),
                kind="openunmix",
                sources=FOUR,
                settings=USUAL,
                work=3.2,
            ),
        ),
        licence="CC BY-NC-SA 4.0: no commercial use, share alike",
        megabytes=452.2,
        scores={"vocals": 7.21, "drums": 7.15, "bass": 6.02, "other": 4.89},
        reported=THEIR_SCORES,
    ),
    "umx-nnabla": Published(
        what="Open-Unmix, trained on MUSDB18 with NNabla by Sony",
        members=(
            PublishedMember(
                files=sony("umx"),
                kind="openunmix-nnabla",
                sources=FOUR,
            ),
        ),
        licence=SONY_LICENCE,
        licensed=True,
        megabytes=142.7,
        scores={"vocals": 6.41, "drums": 5.58, "bass": 5.30, "other": 4.24},
        reported=SONY_SCORES,
    ),
    "umxhq-nnabla": Published(
        what="Open-Unmix, trained on MUSDB18-HQ with NNabla by Sony",
        members=(
            PublishedMember(
                files=sony("umxhq"),
                kind="openunmix-nnabla",
                sources=FOUR,
            ),
        ),
        licence=SONY_LICENCE,
        licensed=True,
        megabytes=142.7,
        scores={"vocals": 6.30, "drums": 5.78, "bass": 5.21, "other": 4.17},
        reported=SONY_SCORES,
    ),
    "umxse": Published(
        what="Open-Unmix for speech and noise, 16 kHz, mono",
        members=(
            PublishedMember(
                files=zenodo(3786908, {"speech": "f5e0d9f9", "noise": "04a6fc2d"}, "_"),
                kind="openunmix",
                sources=("speech", "noise"),
                settings={"sample_rate": 16000, "n_fft": 1024, "hop": 512},
            ),
        ),
        licence="see zenodo.org/records/3786908; trained on Voicebank+DEMAND",
        megabytes=12.7,
    ),
}
