"""Tiny weights of today's networks as their programs name them, without the programs."""

import yaml
from foreign import draw, write_pth

from xumx_jax.transforms.bands import mel_bands

WIDTHS = (2, 3, 4, 8, 16)  # bands of 33 bins
BINS = sum(WIDTHS)
MEL = (8000, 128, 6)  # rate, n_fft, number of bands


def roformer(mel=None, dim=8, layers=2, heads=2, size=4, stems=1, hidden=1, wide=2, channels=2):
    """A RoFormer with `hidden` layers of `wide * dim` in its masks; n_fft is 64, or as in `mel`."""
    bands = mel_bands(*mel) if mel else [(0, width) for width in WIDTHS]
    shapes, inner = {}, heads * size
    for layer in range(layers):
        for axis in range(2):
            place = f"layers.{layer}.{axis}.layers.0."
            shapes |= {
                f"{place}0.rotary_embed.freqs": (size // 2,), f"{place}0.norm.gamma": (dim,),
                f"{place}0.to_qkv.weight": (3 * inner, dim),
                f"{place}0.to_gates.weight": (heads, dim), f"{place}0.to_gates.bias": (heads,),
                f"{place}0.to_out.0.weight": (dim, inner), f"{place}1.net.0.gamma": (dim,),
                f"{place}1.net.1.weight": (4 * dim, dim), f"{place}1.net.1.bias": (4 * dim,),
                f"{place}1.net.4.weight": (dim, 4 * dim), f"{place}1.net.4.bias": (dim,),
            }  # fmt: skip
            if mel:
                shapes[f"layers.{layer}.{axis}.norm.gamma"] = (dim,)
    if not mel:
        shapes["final_norm.gamma"] = (dim,)
    for band, (low, high) in enumerate(bands):
        values = 2 * channels * (high - low)
        place = f"band_split.to_features.{band}."
        shapes |= {f"{place}0.gamma": (values,), f"{place}1.weight": (dim, values)}
        shapes[f"{place}1.bias"] = (dim,)
        for stem in range(stems):
            across = (dim, *[wide * dim] * hidden, 2 * values)
            for number, (inputs, outputs) in enumerate(zip(across, across[1:], strict=False)):
                place = f"mask_estimators.{stem}.to_freqs.{band}.0.{2 * number}."
                shapes |= {f"{place}weight": (outputs, inputs), f"{place}bias": (outputs,)}
    drawn = draw(shapes)
    turns = [name for name in drawn if name.endswith("freqs")]  # the same in all layers
    return drawn | {name: drawn[turns[0]] for name in turns}


def mdx23c(stems=2, features=4, growth=2, bins=8, blocks=1):
    """MDX23C with one scale and two subbands of `bins` bins each."""
    shapes = {"first_conv.weight": (features, 8, 1, 1)}

    def block(place, inputs, outputs, bins):
        for number in range(blocks):
            at, given = f"{place}.blocks.{number}.", inputs if number == 0 else outputs
            for name, channels in (("tfc1.0", given), ("tfc2.0", outputs)):
                shapes.update({f"{at}{name}.{one}": (channels,) for one in ("weight", "bias")})
            for name in ("tdf.0", "tdf.3"):
                shapes.update({f"{at}{name}.{one}": (outputs,) for one in ("weight", "bias")})
            shapes[f"{at}tfc1.2.weight"] = (outputs, given, 3, 3)
            shapes[f"{at}tfc2.2.weight"] = (outputs, outputs, 3, 3)
            shapes[f"{at}tdf.2.weight"] = (bins // 2, bins)
            shapes[f"{at}tdf.5.weight"] = (bins, bins // 2)
            shapes[f"{at}shortcut.weight"] = (outputs, given, 1, 1)

    wide = features + growth
    block("encoder_blocks.0.tfc_tdf", features, features, bins)
    block("bottleneck_block", wide, wide, bins // 2)
    block("decoder_blocks.0.tfc_tdf", 2 * features, features, bins)
    for place, inputs, kernel in (
        ("encoder_blocks.0.downscale.conv", features, (wide, features, 2, 2)),
        ("decoder_blocks.0.upscale.conv", wide, (wide, features, 2, 2)),
    ):
        shapes |= {f"{place}.0.weight": (inputs,), f"{place}.0.bias": (inputs,)}
        shapes[f"{place}.2.weight"] = kernel
    shapes["final_conv.0.weight"] = (features, features + 8, 1, 1)
    shapes["final_conv.2.weight"] = (8 * stems, features, 1, 1)
    return draw(shapes)


def scnet(stems=2, features=4, taps=(3, 4, 16)):
    """SCNet with one layer and two pairs of LSTMs."""
    shapes = {}

    def layer(place, *weight):
        shapes.update({f"{place}.weight": weight, f"{place}.bias": weight[:1]})

    for band, size in enumerate(taps):
        layer(f"encoder.0.SDlayer.convs.{band}", features, 4, size, 1)
        place = f"encoder.0.conv_modules.{band}.layers.0."
        layer(f"{place}0", features)
        layer(f"{place}1", features // 2, features, 3)
        layer(f"{place}3", features // 4, 1, 3)
        layer(f"{place}4", features // 4)
        layer(f"{place}6", features, features // 4, 1)
        shapes[f"decoder.0.1.convtrs.{band}.weight"] = (features, 4 * stems, size, 1)
        shapes[f"decoder.0.1.convtrs.{band}.bias"] = (4 * stems,)
    layer("encoder.0.globalconv", features, features, 3, 3)
    layer("decoder.0.0.conv", 2 * features, 2 * features, 3, 3)
    for number in range(2):
        width = features * (1 + number % 2)
        for axis in range(2):
            place = f"separation_net.dp_modules.{number}."
            layer(f"{place}norm_layers.{axis}", width)
            layer(f"{place}linear_layers.{axis}", width, 2 * width)
            for end in ("_l0", "_l0_reverse"):
                for part in ("ih", "hh"):
                    lstm = f"{place}lstm_layers.{axis}."
                    shapes[f"{lstm}weight_{part}{end}"] = (4 * width, width)
                    shapes[f"{lstm}bias_{part}{end}"] = (4 * width,)
    return draw(shapes)


STATES = {"bs": roformer, "mel": lambda: roformer(MEL), "mdx": mdx23c, "scnet": scnet}
# Sections of their configurations.
BS = {"dim": 8, "depth": 2, "stft_n_fft": 64, "stft_hop_length": 16, "stft_win_length": 64}
BS |= {"freqs_per_bands": WIDTHS, "heads": 2, "dim_head": 4, "mask_estimator_depth": 2}
BS |= {"mlp_expansion_factor": 2, "num_stems": 1, "stereo": True, "flash_attn": True}
VOCALS = {"instruments": ["Vocals", "Other"], "target_instrument": "Vocals"}
AUDIO = {"n_fft": 64, "hop_length": 16, "dim_f": 16, "sample_rate": 8000, "chunk_size": 496}
MDX = {"act": "relu", "norm": "InstanceNorm", "num_channels": 4, "growth": 2, "num_scales": 1}
MDX |= {"num_blocks_per_scale": 1, "bottleneck_factor": 2, "num_subbands": 2, "scale": (2, 2)}
SC = {"nfft": 128, "hop_size": 32, "band_SR": [0.2, 0.4, 0.4], "dims": [4, 4], "num_dplayer": 2}
SC |= {"band_stride": [1, 4, 16], "band_kernel": [3, 4, 16], "compress": 4, "conv_depths": [1] * 3}


def checkpoint(folder, state, config=None, name="model.ckpt"):
    """A checkpoint, and a configuration of its name beside it."""
    if config is not None:
        text = config if isinstance(config, str) else yaml.dump(config)  # with !!python/tuple
        (folder / name).with_suffix(".yaml").write_text(text)
    return write_pth(folder / name, {"state_dict": state})
