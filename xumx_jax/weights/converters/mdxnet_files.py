"""What UVR's .onnx files of MDX-Net leave open, by their digest.

The parameters are those of UVR's model_data_new.json, and so is the digest, that of a file's end
(`files.digest`).
"""

from pathlib import Path

from xumx_jax import files

# {digest: (name, bins, frames, n_fft, gain of the residual, what it separates)}; "nocrowd" is music
# without its audience, "reverb" what a room adds
INST, CALM = "instrumental", "nocrowd"
KNOWN = {
    "b6bccda408a436db8500083ef3491e8b": ("Kim_Inst", 3072, 256, 7680, 1.02, INST),
    "73492b58195c3b52d34590d5474452f6": ("Kim_Vocal_1", 3072, 256, 7680, 1.043, "vocals"),
    "970b3f9492014d18fefeedfe4773cb42": ("Kim_Vocal_2", 3072, 256, 7680, 1.009, "vocals"),
    "6703e39f36f18aa7855ee1047765621d": ("kuielab_a_bass", 2048, 512, 16384, 1.035, "bass"),
    "dc41ede5961d50f277eb846db17f5319": ("kuielab_a_drums", 2048, 512, 4096, 1.035, "drums"),
    "26d308f91f3423a67dc69a6d12a8793d": ("kuielab_a_other", 2048, 512, 8192, 1.035, "other"),
    "5f6483271e1efb9bfb59e4a3e6d4d098": ("kuielab_a_vocals", 2048, 512, 6144, 1.035, "vocals"),
    "c3b29bdce8c4fa17ec609e16220330ab": ("kuielab_b_bass", 2048, 256, 16384, 1.035, "bass"),
    "4910e7827f335048bdac11fa967772f9": ("kuielab_b_drums", 2048, 128, 4096, 1.035, "drums"),
    "65ab5919372a128e4167f5e01a8fda85": ("kuielab_b_other", 2048, 256, 8192, 1.035, "other"),
    "6b31de20e84392859a3d09d43f089515": ("kuielab_b_vocals", 2048, 256, 6144, 1.035, "vocals"),
    "cd5b2989ad863f116c855db1dfe24e39": ("Reverb_HQ_By_FoxJoy", 3072, 512, 6144, 1.035, "reverb"),
    "2cdd429caac38f0194b133884160f2c6": ("UVR-MDX-NET-Inst_1", 3072, 256, 7680, 1.045, INST),
    "ceed671467c1f64ebdfac8a2490d0d52": ("UVR-MDX-NET-Inst_2", 3072, 256, 7680, 1.035, INST),
    "e5572e58abf111f80d8241d2e44e7fa4": ("UVR-MDX-NET-Inst_3", 3072, 256, 7680, 1.028, INST),
    "b06327a00d5e5fbc7d96e1781bbdb596": ("UVR-MDX-NET-Inst_full_292", 3072, 256, 6144, 1.035, INST),
    "291c2049608edb52648b96e27eb80e95": ("UVR-MDX-NET-Inst_HQ_1", 3072, 256, 6144, 1.035, INST),
    "cc63408db3d80b4d85b0287d1d7c9632": ("UVR-MDX-NET-Inst_HQ_2", 3072, 256, 6144, 1.033, INST),
    "55657dd70583b0fedfba5f67df11d711": ("UVR-MDX-NET-Inst_HQ_3", 3072, 256, 6144, 1.022, INST),
    "0f2a6bc5b49d87d64728ee40e23bceb1": ("UVR-MDX-NET-Inst_HQ_4", 2560, 256, 5120, 1.019, INST),
    "cb790d0c913647ced70fc6b38f5bea1a": ("UVR-MDX-NET-Inst_HQ_5", 2560, 256, 5120, 1.01, INST),
    "1c56ec0224f1d559c42fd6fd2a67b154": ("UVR-MDX-NET-Inst_Main", 2048, 256, 5120, 1.025, INST),
    "77d07b2667ddf05b9e3175941b4454a0": ("UVR-MDX-NET-Voc_FT", 3072, 256, 7680, 1.021, "vocals"),
    "b02be2d198d4968a121030cf8950b492": ("UVR-MDX-NET_Crowd_HQ_1", 2560, 256, 5120, 1.02, CALM),
    "d2a1376f310e4f7fa37fb9b5774eb701": ("UVR-MDX-NET_Inst_187_beta", 3072, 256, 7680, 1.035, INST),
    "f2df6d6863d8f435436d8b561594ff49": ("UVR-MDX-NET_Inst_82_beta", 3072, 256, 7680, 1.035, INST),
    "488b3e6f8bd3717d9d7c428476be2d75": ("UVR-MDX-NET_Inst_90_beta", 3072, 256, 7680, 1.035, INST),
    "867595e9de46f6ab699008295df62798": ("UVR-MDX-NET_Main_340", 3072, 256, 7680, 1.03, "vocals"),
    "398580b6d5d973af3120df54cee6759d": ("UVR-MDX-NET_Main_390", 3072, 256, 7680, 1.75, "vocals"),
    "5d343409ef0df48c7d78cce9f0106781": ("UVR-MDX-NET_Main_406", 3072, 256, 7680, 1.075, "vocals"),
    "b33d9b3950b6cbf5fe90a32608924700": ("UVR-MDX-NET_Main_427", 3072, 256, 7680, 1.03, "vocals"),
    "e7324c873b1f615c35c1967f912db92a": ("UVR-MDX-NET_Main_438", 3072, 256, 7680, 1.03, "vocals"),
    "a3cd63058945e777505c01d2507daf37": ("UVR_MDXNET_1_9703", 2048, 256, 6144, 1.03, "vocals"),
    "d94058f8c7f1fae4164868ae8ae66b20": ("UVR_MDXNET_2_9682", 2048, 256, 6144, 1.035, "vocals"),
    "d7bff498db9324db933d913388cba6be": ("UVR_MDXNET_3_9662", 2048, 256, 6144, 1.035, "vocals"),
    "0ddfc0eb5792638ad5dc27850236c246": ("UVR_MDXNET_9482", 2048, 256, 6144, 1.035, "vocals"),
    "2f5501189a2f6db6349916fabe8c90de": ("UVR_MDXNET_KARA", 2048, 256, 6144, 1.035, "vocals"),
    "1d64a6d2c30f709b8c9b4ce1366d96ee": ("UVR_MDXNET_KARA_2", 2048, 256, 5120, 1.065, INST),
    "53c4baf4d12c3e6c3831bb8f5b532b93": ("UVR_MDXNET_Main", 3072, 256, 7680, 1.043, "vocals"),
}  # fmt: skip


def settings(path: Path) -> dict:
    """Our arguments for a file that UVR knows; nothing for others."""
    known = (
        KNOWN.get(files.digest(path, files.TAIL_DIGEST)) if path.suffix.lower() == ".onnx" else None
    )
    if known is None:
        return {}
    _, bins, frames, n_fft, gain, source = known
    sizes = {"bins": bins, "frames": frames, "n_fft": n_fft}
    return {"sources": (source,), **sizes, "residual_gain": gain}
