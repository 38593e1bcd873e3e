"""RoFormers, SCNet, MDX23C and MDX-Net: weights for UVR's and ZFTurbo's programs, by their users.

Addresses and digests are those of the projects that list them. Weights for which no licence is
stated say so. An asset of a repository under the MIT licence counts as `licensed` if whoever
published it there trained it, and not if it is another's or nobody says whose it is.
"""

from typing import Any

from xumx_jax.weights.published.rows import HQ, MUSDB, File, Published, PublishedMember

FOUR = ("drums", "bass", "other", "vocals")
GITHUB = "https://github.com"
HUGGING_FACE = "https://huggingface.co"
UVR = f"{GITHUB}/TRvlvr/model_repo/releases/download/all_public_uvr_models"
POLITREES = f"{HUGGING_FACE}/Politrees/UVR_resources/resolve/main/models/Roformer/MelBand"
MSST = f"{GITHUB}/ZFTurbo/Music-Source-Separation-Training/releases/download"
ASSET = "release asset of a repository under the MIT licence"
UNSTATED = "none stated"
UNREVIEWED = "not reviewed; see the page that offers it"
OWN = f"{ASSET}; {MUSDB}"
LISTED: dict[str, Any] = {
    "protocol": "whole songs",
    "songs": HQ,
    "reported": "ZFTurbo's list of models",
}
# Of SCNet's variants: the level of the waveform, shares of the bins, and strides of the bands.
SMALL = {"shares": (0.175, 0.392, 0.433), "standardized_track": True}
LARGE = {**SMALL, "shares": (0.225, 0.372, 0.403)}
XL = {"shares": (0.23, 0.37, 0.4)}
IHF = {**XL, "strides": (1, 4, 4)}
LONG = 485_100  # samples of the chunks of some that were trained on 11 s


def row(
    what, url, kind, sources, licence, digest="", settings=None, work=1.0, chunk=None, **more
) -> Published:
    """A row of one file; `settings` are what its tensors leave open."""
    files = {"": File(url, digest)}
    settings = {"sources": sources, **(settings or {})}
    member = PublishedMember(files, kind, sources, settings, work=work, chunk=chunk)
    return Published(what, (member,), licence, **more)


def heard(**scores: float) -> dict[str, dict[str, float]]:
    """What audio-separator lists."""
    return {"audio-separator": scores}


def mdxnet(what: str, name: str, source: str, digest: str, score: float, megabytes: float):
    """An .onnx file of UVR; its parameters are those of `converters.mdxnet_files`."""
    files = {"": File(f"{UVR}/{name}.onnx", f"md5-tail:{digest}")}
    member = PublishedMember(files, "mdxnet-onnx", (source,))
    licence = "MIT according to those who converted it"
    known = {"elsewhere": heard(**{source: score}), "megabytes": megabytes}
    return Published(what, (member,), licence, **known)


ROWS = {
    "bs_roformer_musdb": row(
        "BS-RoFormer, trained on MUSDB18-HQ alone",
        f"{MSST}/v1.0.12/model_bs_roformer_ep_17_sdr_9.6568.ckpt",
        "bs_roformer", FOUR, OWN, settings={"hop": 441}, licensed=True, work=0.5, chunk=LONG,
        **LISTED,
        scores={"vocals": 11.08, "drums": 11.61, "bass": 8.48, "other": 7.44}, overall=9.65,
        elsewhere={"Multisong": {"vocals": 9.19, "drums": 11.29, "bass": 11.08, "other": 5.96}},
        megabytes=526.8,
    ),
    "bs_roformer_vocals": row(
        "BS-RoFormer for vocals, by viperx (ep_317)",
        f"{UVR}/model_bs_roformer_ep_317_sdr_12.9755.ckpt",
        "bs_roformer", ("vocals",), UNSTATED,
        "sha256:5b84f37e8d444c8cb30c79d77f613a41c05868ff9c9ac6c7049c00aefae115aa", {"hop": 441},
        elsewhere={"Multisong": {"vocals": 10.87}, **heard(vocals=11.77, instrumental=16.45)},
        megabytes=639.3,
    ),
    "bs_roformer_vocals_368": row(
        "BS-RoFormer for vocals, by viperx (ep_368)",
        f"{UVR}/model_bs_roformer_ep_368_sdr_12.9628.ckpt",
        "bs_roformer", ("vocals",), UNSTATED, "md5-tail:d789065adfd747d6f585b27b495bcdae",
        {"hop": 441}, elsewhere=heard(vocals=12.10, instrumental=16.31),
    ),
    "bs_roformer_other": row(
        "BS-RoFormer for all but vocals, drums and bass, by viperx (ep_937)",
        f"{UVR}/model_bs_roformer_ep_937_sdr_10.5309.ckpt",
        "bs_roformer", ("other",), UNSTATED, "md5-tail:e733736763234047587931fc35322fd9",
        {"hop": 512}, elsewhere={"Multisong": {"other": 6.85}}, task="other",
    ),
    "bs_polarformer": row(
        "BS-RoFormer with polar positions, for vocals",
        f"{MSST}/v1.0.20/model_bs_polarformer_float16.ckpt", "bs_roformer", ("vocals",), ASSET,
        settings={"hop": 512}, elsewhere={"Multisong": {"vocals": 11.00}}, work=0.4,
        megabytes=102.4,
    ),
    "mel_band_roformer_kim": row(
        "Mel-Band RoFormer for vocals, by Kimberley Jensen",
        f"{HUGGING_FACE}/KimberleyJSN/melbandroformer/resolve/"
        "ac9b0614ab3cd7f77219e18ba494dfd93956c348/MelBandRoformer.ckpt",
        "mel_band_roformer", ("vocals",),
        "MIT according to three catalogues, CC-BY-NC-SA-4.0 according to one",
        "sha256:87201f4d31afb5bc79993230fc49446918425574db48c01c405e44f365c7559e",
        elsewhere={"Multisong": {"vocals": 10.98}, **heard(vocals=12.60)}, megabytes=913.1,
    ),
    "mel_band_roformer_viperx": row(
        "Mel-Band RoFormer for vocals, by viperx (ep_3005)",
        f"{GITHUB}/nomadkaraoke/python-audio-separator/releases/download/model-configs/"
        "model_mel_band_roformer_ep_3005_sdr_11.4360.ckpt",
        "mel_band_roformer", ("vocals",), UNSTATED,
        "sha256:21b9d0958e35b8ebfbe2afe69bbd5444e5ffe2f5d80ae0d583b833d2f3c0d139",
        elsewhere={"Multisong": {"vocals": 9.67}, **heard(vocals=10.54)},
        work=1.9, megabytes=1007.8,
    ),
    "mel_band_roformer_karaoke": row(
        "Mel-Band RoFormer for lead vocals, by aufr33 and viperx",
        f"{UVR}/mel_band_roformer_karaoke_aufr33_viperx_sdr_10.1956.ckpt",
        "mel_band_roformer", ("vocals",), UNSTATED, "md5-tail:8d306349be961bd1de6b02ee598920b3",
        elsewhere=heard(vocals=8.45, instrumental=14.65), task="karaoke",
    ),
    "mel_band_roformer_karaoke_becruily": row(
        "Mel-Band RoFormer for lead vocals and all the rest, by becruily",
        f"{POLITREES}/melband_roformer_karaoke_becruily.ckpt",
        "mel_band_roformer", ("vocals", "instrumental"), UNREVIEWED,
        "sha256:d3aa262ac01df870b9fc033e9c7b6cad33fe04fc9c148b6c40841326a515a0e0",
        megabytes=1719.1, task="karaoke",
    ),
    "mel_band_roformer_inst_v1e": row(
        "Mel-Band RoFormer for the instrumental, by unwa (Inst V1e)",
        f"{POLITREES}/melband_roformer_inst_v1e.ckpt",
        "mel_band_roformer", ("instrumental",), UNREVIEWED,
        "sha256:df2bcdb8838b88264f5381dbb0ccd84a9926c9775cf548c34d8846f5cd20fe96",
        elsewhere=heard(instrumental=15.82), megabytes=913.1,
    ),
    "mel_band_roformer_inst_v2": row(
        "Mel-Band RoFormer for the instrumental, by unwa (Inst V2)",
        f"{HUGGING_FACE}/pcunwa/Mel-Band-Roformer-Inst/resolve/main/melband_roformer_inst_v2.ckpt",
        "mel_band_roformer", ("instrumental",), UNREVIEWED,
        "sha256:bd19766620f7d6f58fdf7aaada7e89907fe41bc64490ce3faa9a6dab15d6e1f2",
        elsewhere=heard(instrumental=16.06), work=2.1, chunk=LONG, megabytes=1574.5,
    ),
    "mel_band_roformer_bleedless": row(
        "Mel-Band RoFormer for vocals with little else in them, by unwa",
        f"{HUGGING_FACE}/pcunwa/Kim-Mel-Band-Roformer-FT/resolve/main/"
        "kimmel_unwa_ft2_bleedless.ckpt",
        "mel_band_roformer", ("vocals",), UNREVIEWED,
        "sha256:3c450bd66a98b49dd03231fc5ebb84121eef8418236b179423c2b171d62b04d9",
        megabytes=913.1,
    ),
    "mdx23c_instvoc_hq": row(
        "MDX23C for vocals and the instrumental", f"{UVR}/MDX23C-8KFFT-InstVoc_HQ.ckpt",
        "mdx23c", ("vocals", "instrumental"), UNSTATED,
        "sha256:49d51472769e34a2501cd1da782346a3212555c3a5619fc2c53507445528d816",
        {"n_fft": 8192, "hop": 1024, "frames": 256},
        elsewhere=heard(vocals=10.56, instrumental=15.83), megabytes=448.1,
    ),
    "mdx23c_drumsep": row(
        "MDX23C for the parts of a drum kit, by aufr33 and jarredou",
        f"{GITHUB}/jarredou/models/releases/download/aufr33-jarredou_MDX23C_DrumSep_model_v0.1/"
        "aufr33-jarredou_DrumSep_model_mdx23c_ep_141_sdr_10.8059.ckpt",
        "mdx23c", ("kick", "snare", "toms", "hh", "ride", "crash"), UNSTATED,
        "md5-tail:b1e6014529f71b38dae30aec978c8eb4", {"n_fft": 2048, "hop": 512, "frames": 256},
        elsewhere={"DrumSep": {"kick": 14.54, "snare": 9.79, "toms": 10.63}},
        work=0.5, megabytes=437.5, task="drums",
    ),
    "scnet": row(
        "SCNet, its authors', trained on MUSDB18-HQ alone",
        f"{MSST}/v.1.0.6/scnet_checkpoint_musdb18.ckpt", "scnet", FOUR, OWN,
        "md5-tail:6e749f5803b8baa7988a10393bb96df1", SMALL, overall=9.03, **LISTED, megabytes=42.3,
        elsewhere={"Multisong": {"vocals": 8.27, "drums": 10.79, "bass": 11.07, "other": 5.34}},
    ),
    "scnet_large": row(
        "SCNet at twice the width, its authors'",
        f"{MSST}/v1.0.9/SCNet-large_starrytong_fixed.ckpt", "scnet", FOUR, OWN,
        "md5-tail:bb845b04a3cb0d7a32cdb1f2ce1e007c", LARGE, work=3.6, megabytes=168.7, **LISTED,
        scores={"vocals": 10.94, "drums": 11.15, "bass": 9.38, "other": 7.31}, overall=9.70,
        elsewhere={"Multisong": {"vocals": 9.05, "drums": 11.23, "bass": 11.27, "other": 5.57}},
    ),
    "scnet_xl": row(
        "SCNet with eight pairs of LSTMs, by ZFTurbo",
        f"{MSST}/v1.0.13/model_scnet_ep_54_sdr_9.8051.ckpt", "scnet", FOUR, OWN,
        "md5-tail:85b1955d57c0719e94e832eaaeceb0a8", XL, licensed=True, overall=9.80, **LISTED,
        elsewhere={"Multisong": {"mean": 9.72}}, work=4.6, megabytes=216.0,
    ),
    "scnet_xl_ihf": row(
        "SCNet whose high bands are thinned out less, by ZFTurbo",
        f"{MSST}/v1.0.15/model_scnet_ep_36_sdr_10.0891.ckpt", "scnet", FOUR, OWN,
        "sha256:ac25975f0f5704f3d1a3c3c251505b7a0f417a22eafe82773440ee4f7e14b74f", IHF,
        licensed=True, work=8.0, megabytes=214.1, **LISTED,
        scores={"vocals": 11.42, "drums": 11.81, "bass": 9.23, "other": 7.88}, overall=10.08,
        elsewhere={"Multisong": {"mean": 9.92}},
    ),
    "mdxnet_inst_hq_3": mdxnet(
        "MDX-Net for the instrumental (Inst_HQ_3)", "UVR-MDX-NET-Inst_HQ_3", "instrumental",
        "55657dd70583b0fedfba5f67df11d711", 15.42, 66.7,
    ),
    "mdxnet_inst_hq_5": mdxnet(
        "MDX-Net for the instrumental (Inst_HQ_5)", "UVR-MDX-NET-Inst_HQ_5", "instrumental",
        "cb790d0c913647ced70fc6b38f5bea1a", 15.30, 59.1,
    ),
    "mdxnet_kim_vocal_2": mdxnet(
        "MDX-Net for vocals, by Kimberley Jensen", "Kim_Vocal_2", "vocals",
        "970b3f9492014d18fefeedfe4773cb42", 10.18, 66.7,
    ),
    "mdxnet_voc_ft": mdxnet(
        "MDX-Net for vocals (Voc_FT)", "UVR-MDX-NET-Voc_FT", "vocals",
        "77d07b2667ddf05b9e3175941b4454a0", 10.15, 66.7,
    ),
}  # fmt: skip
