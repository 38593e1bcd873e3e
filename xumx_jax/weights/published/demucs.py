"""Demucs and Hybrid Demucs, as published by their author and by Torchaudio."""

from xumx_jax.weights.published.rows import HQ, MUSDB, File, Published, PublishedMember

SOURCES = ("drums", "bass", "other", "vocals")
ROOT = "https://dl.fbaipublicfiles.com/demucs"
TORCHAUDIO = "https://download.pytorch.org/torchaudio/models"
UNSTATED = "none stated for the weights; their program is MIT"
TORCHAUDIO_UNSTATED = "none stated for the weights; their program is BSD-2-Clause"
WITH_TEST_SONGS = "trained on all of MUSDB18, which is for non-commercial use, and on other songs"


def member(file: str, kind: str, weights: tuple[float, ...] = ()) -> PublishedMember:
    """A file called after the first digits of its SHA-256; its bag has chunks of 44 s.

    `weights` are those of SOURCES; all are 1 without any.
    """
    digits = file.removesuffix(".th").rpartition("-")[2]
    by_source = {source: w for source, w in zip(SOURCES, weights, strict=False) if w}
    return PublishedMember(
        files={"": File(f"{ROOT}/{file}", f"sha256:{digits}")},
        kind=kind,
        sources=SOURCES,
        settings={"seconds": 44},
        weight=by_source or 1.0,
    )


def torchaudio(file: str) -> tuple[PublishedMember]:
    """A file that names no sources, and whose digest nobody published."""
    files = {"": File(f"{TORCHAUDIO}/{file}")}
    return (PublishedMember(files, "hdemucs-torchaudio", SOURCES, {"sources": SOURCES}),)


REPRO_TIME = (
    member("mdx_final/9a6b4851-03af0aa6.th", "demucs"),
    member("mdx_final/1ef250f1-592467ce.th", "demucs"),
)
REPRO_HYBRID = (
    member("mdx_final/fa0cb7f9-100d8bf4.th", "hdemucs"),
    member("mdx_final/902315c2-b39ce9c9.th", "hdemucs"),
)

ROWS = {
    "mdx": Published(
        what="two Demucs and two Hybrid Demucs, trained on MUSDB18-HQ for a challenge of 2021",
        members=(
            member("mdx_final/0d19c1c6-0f06f20e.th", "demucs", (1, 1, 0, 0)),
            member("mdx_final/7ecf8ec1-70f50cc9.th", "demucs", (0, 1, 0, 0)),
            member("mdx_final/c511e2ab-fe698775.th", "hdemucs", (1, 0, 1, 1)),
            member("mdx_final/7d865c68-3d5dd56b.th", "hdemucs", (1, 0, 1, 1)),
        ),
        licence=f"{UNSTATED}; {MUSDB}",
        scores={"vocals": 8.13, "drums": 8.24, "bass": 8.76, "other": 5.59},
        songs=HQ,
        reported="arXiv 2111.03600v3",
    ),
    "mdx_extra": Published(
        what="four Hybrid Demucs, trained on more songs and on MUSDB18's test songs",
        members=(
            member("mdx_final/e51eebcc-c1b80bdd.th", "hdemucs"),
            member("mdx_final/a1d90b5c-ae9d2452.th", "hdemucs"),
            member("mdx_final/5d2d6c55-db83574e.th", "hdemucs"),
            member("mdx_final/cfa93e08-61801ae1.th", "hdemucs"),
        ),
        licence=f"{UNSTATED}; {WITH_TEST_SONGS}",
    ),
    "repro_mdx_a": Published(
        what="as mdx, trained again in a simpler way",
        members=(*REPRO_TIME, *REPRO_HYBRID),
        licence=f"{UNSTATED}; {MUSDB}",
        overall=7.64,
        songs=HQ,
        reported="Demucs's docs/training.md",
    ),
    "repro_mdx_a_hybrid_only": Published(
        what="the two Hybrid Demucs of repro_mdx_a",
        members=REPRO_HYBRID,
        licence=f"{UNSTATED}; {MUSDB}",
    ),
    "repro_mdx_a_time_only": Published(
        what="the two Demucs of repro_mdx_a, which work on waveforms alone",
        members=REPRO_TIME,
        licence=f"{UNSTATED}; {MUSDB}",
    ),
    "hdemucs_mmi": Published(
        what="Hybrid Demucs, trained on MUSDB18-HQ and 800 more songs",
        members=(member("hybrid_transformer/75fc33f5-1941ce65.th", "hdemucs"),),
        licence=f"{UNSTATED}; {MUSDB}",
        elsewhere={"Multisong": {"vocals": 8.22, "drums": 10.70, "bass": 11.17, "other": 5.42}},
    ),
    "hdemucs_high_musdb": Published(
        what="Hybrid Demucs, Torchaudio's, trained on MUSDB18-HQ",
        members=torchaudio("hdemucs_high_musdbhq_only.pt"),
        licence=f"{TORCHAUDIO_UNSTATED}; {MUSDB}",
        megabytes=334.6,
    ),
    "hdemucs_high_musdb_plus": Published(
        what="Hybrid Demucs, Torchaudio's, trained on 150 more songs and MUSDB18's test songs",
        members=torchaudio("hdemucs_high_trained.pt"),
        licence=f"{TORCHAUDIO_UNSTATED}; {WITH_TEST_SONGS}",
        megabytes=334.6,
    ),
}
