"""X-UMX, as published by its authors and by asteroid's."""

from xumx_jax.weights.published.rows import MUSDB, File, Published, PublishedMember

SOURCES = ("bass", "drums", "vocals", "other")

ROWS = {
    "x-umx": Published(
        what="X-UMX, the official weights",
        members=(
            PublishedMember(
                files={
                    "": File(
                        "https://nnabla.org/pretrained-models/ai-research-code/x-umx/x-umx.h5",
                        "sha1:6414e08527d37bd1d08130c4b87255830af819bf",
                    )
                },
                kind="xumx-nnabla",
                sources=SOURCES,
            ),
        ),
        licence=f"none stated for the weights; their program is Apache-2.0; {MUSDB}",
        megabytes=142.5,
        scores={"vocals": 6.61, "drums": 6.47, "bass": 5.43, "other": 4.64},
        reported="arXiv 2010.04228",
    ),
    "xumx-asteroid": Published(
        what="X-UMX, asteroid's",
        members=(
            PublishedMember(
                files={
                    "": File(
                        "https://zenodo.org/record/4704231/files/pretrained_xumx.pth?download=1"
                    )
                },
                kind="xumx-asteroid",
                sources=SOURCES,
            ),
        ),
        licence=f"see zenodo.org/record/4704231; {MUSDB}",
        megabytes=142.5,
        scores={"vocals": 6.612, "drums": 6.471, "bass": 5.426, "other": 4.639},
        reported="asteroid's README",
    ),
    "xumxl-asteroid": Published(
        what="X-UMX trained on more songs, asteroid's",
        members=(
            PublishedMember(
                files={
                    "": File(
                        "https://zenodo.org/record/7128659/files/pretrained_xumxl.pth?download=1"
                    )
                },
                kind="xumx-asteroid",
                sources=SOURCES,
            ),
        ),
        licence="see zenodo.org/record/7128659; trained on songs that are not public",
        scores={"vocals": 7.565, "drums": 7.394, "bass": 6.283, "other": 4.833},
        reported="asteroid's README",
    ),
}
