"""xumx-sliCQ, as published by its author."""

from xumx_jax.weights.published.rows import FOUR, HQ, MUSDB, File, Published, PublishedMember

ROOT = "https://media.githubusercontent.com/media/sevagh/xumx-sliCQ/main"
LICENCE = f"none stated for the weights; their program is MIT; {MUSDB}"
TINY = {"scale": "mel", "bins": 32, "low_hz": 115.5, "mix_phase": True}


def member(folder: str, digest: str, name: str, **settings) -> tuple[PublishedMember]:
    """All files have the same name there."""
    file = File(f"{ROOT}/{folder}/xumx_slicq_v2.pth", f"sha256:{digest}", f"{name}.pth")
    return (PublishedMember({"": file}, "xumx-slicq-v2", FOUR, settings),)


ROWS = {
    "xumx-slicq": Published(
        what="xumx-sliCQ, the first version",
        members=(
            PublishedMember(
                {
                    "": File(
                        "https://media.githubusercontent.com/media/sevagh/xumx-sliCQ/"
                        "5d0e2ae/pretrained-model/xumx_slicq.pth"
                    )
                },
                "xumx-slicq",
                FOUR,
            ),
        ),
        licence=LICENCE,
        overall=3.6,
        songs=HQ,
        reported="xumx-sliCQ's README",
    ),
    "xumx-slicq-v2": Published(
        what="xumx-sliCQ-V2, with its Wiener filter",
        members=member(
            "pretrained_model",
            "48c86f90083c8417c47e236b12a848518c3e29d46b1a34d7e275d27b1e3203f8",
            "xumx_slicq_v2",
        ),
        licence=LICENCE,
        scores={"vocals": 4.791, "drums": 4.846, "bass": 4.690, "other": 3.273},
        songs=HQ,
        reported="xumx-sliCQ-V2's README",
    ),
    "xumx-slicq-v2-realtime": Published(
        what="xumx-sliCQ-V2 without Wiener filter, called realtime; it looks two slices ahead",
        members=member(
            "pretrained_model_realtime",
            "12e25e8b7289117a1edc95fa898d40c074a56bfa9057f0b36b2d4c7c3bafe5c1",
            "xumx_slicq_v2_realtime",
            mix_phase=True,
        ),
        licence=LICENCE,
        scores={"vocals": 4.526, "drums": 4.749, "bass": 3.837, "other": 3.168},
        songs=HQ,
        reported="xumx-sliCQ-V2's .github/results.txt",
    ),
    "xumx-slicq-v2-tiny": Published(
        what="the same with 32 mel bands",
        members=member(
            ".github/pretrained_models_other/pretrained_model_tiny_rt",
            "fefd98596e37f0596b1f7612671712525833ab48466388c8e9110f7b962a5068",
            "xumx_slicq_v2_tiny",
            **TINY,
        ),
        licence=LICENCE,
    ),
    "xumx-slicq-v2-metal": Published(
        what="the same with 32 mel bands, for metal",
        members=member(
            ".github/pretrained_models_other/pretrained_model_tiny_metal",
            "812c92bc7af9a06d6278fbbae8c230b19017c8fced9606ab68744b1e220451d0",
            "xumx_slicq_v2_metal",
            **TINY,
        ),
        licence="none stated for the weights; their program is MIT; trained on the Periphery stems",
    ),
}
