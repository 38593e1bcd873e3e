"""Hybrid Transformer Demucs, as published by its authors."""

from xumx_jax.weights.published.rows import HQ, File, Published, PublishedMember

FOUR = ("drums", "bass", "other", "vocals")
ROOT = "https://huggingface.co/adefossez"
# As their author tagged them on Hugging Face.
LICENCE = "MIT; trained on MUSDB18-HQ, which is for non-commercial use, and on 800 other songs"
FINE_TUNED = {
    "drums": ("f7e0c4bc", "2c85ab3c62dd6edd8e0b965e38b16fd1cdde357cc25de6b6bc9ce7c83f60925f"),
    "bass": ("d12395a8", "5b01a97567ae9a3178a6236fb520251045c03eb8834bc8c24a4eec11d6c8fb56"),
    "other": ("92cfc3b6", "a241863551f30d01c42bd7b97da40839922ead3acb0f1fcab25682f55b4eeb59"),
    "vocals": ("04573f0d", "68854b0d7c2b3274723b5761f6fd9f5aec5f1bcd3f0de7c1669546fdb7871b7c"),
}


def member(
    place: str,
    digest: str,
    sources=FOUR,
    weight: float | dict[str, float] = 1.0,
    work: float = 1.0,
) -> PublishedMember:
    """A file at a commit of a repository, which says all that tensors do not."""
    files = {"": File(f"{ROOT}/{place}.safetensors", f"sha256:{digest}")}
    return PublishedMember(files, "htdemucs", sources, weight=weight, work=work)


ROWS = {
    "htdemucs": Published(
        what="Hybrid Transformer Demucs, trained on MUSDB18-HQ and 800 more songs",
        members=(
            member(
                "HTDemucs/resolve/bf35a81b663819a8255c8fefee17f9d812b786b5/955717e8",
                "d9fa14133cfcc034a6758923bb3a8ca9f8dfd0b582134643bbf83f72c17576dd",
            ),
        ),
        licence=LICENCE,
        licensed=True,
        overall=9.00,
        songs=HQ,
        reported="Demucs's README",
        elsewhere={
            "Multisong": {"vocals": 8.24, "drums": 10.88, "bass": 11.76, "other": 5.74},
            "audio-separator": {"vocals": 9.87, "drums": 9.45, "bass": 11.64},
        },
        megabytes=84.0,
    ),
    "htdemucs_ft": Published(
        what="four of htdemucs, each fine-tuned for one stem: four times the time",
        members=tuple(
            member(
                f"HTDemucs-ft/resolve/478be8a68f85418addd6f7baefd4be76522a4034/{name}",
                digest,
                weight={source: 1.0},
            )
            for source, (name, digest) in FINE_TUNED.items()
        ),
        licence=LICENCE,
        licensed=True,
        overall=9.00,
        songs=HQ,
        reported="Demucs's README",
        elsewhere={
            "Multisong": {"vocals": 8.38, "drums": 11.13, "bass": 11.96, "other": 5.85},
            "audio-separator": {"vocals": 10.79, "drums": 10.02, "bass": 12.02},
        },
        megabytes=336.1,
    ),
    "htdemucs_6s": Published(
        what="htdemucs with guitar and piano as well; its author finds the piano not good",
        members=(
            member(
                "HTDemucs-6s/resolve/053e1404489b3dc58bf718224fac4b7316de8c93/5c90dfd2",
                "d2a1745f0744721f6b8ca5bf469b67c651ea5ed1b52998cab033b2158609d411",
                (*FOUR, "guitar", "piano"),
                work=0.9,
            ),
        ),
        licence=LICENCE,
        licensed=True,
        elsewhere={
            "Multisong": {"vocals": 8.05, "drums": 10.22, "bass": 11.22},
            "audio-separator": {"vocals": 9.57, "drums": 8.47, "bass": 10.10},
        },
        megabytes=55.0,
    ),
}
