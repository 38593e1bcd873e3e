"""AIMLESS's recipes (Sound Demixing Challenge 2023), each a variant: `configs/aimless.py:NAME`.

    python train.py --config configs/aimless.py:hdemucs --config.data.root=FOLDER

`NAME,tiny` is the same at a size that runs in seconds, to try things out:

    python train.py --config configs/aimless.py:demucs_split,tiny --config.data.root=FOLDER

RECIPES lists them; hyphens do as well, as in `cdx-hdemucs`. Their authors published no weights, and
scores only of combinations of models, so "none published" is said of each. Values are those of the
authors' configs (github.com/aim-qmul/sdx23-aimless, cfg/). Most effects need the extra `effects`.
"""

from configs.common import Published, published

# What all of them have in common: PyTorch's Adam and a constant learning rate; runs end by hand,
# after a number of steps if one is given.
ADAM = {
    "optimizer.name": "adam",
    "optimizer.learning_rate": 3e-4,
    "optimizer.weight_decay": 0.0,
    "optimizer.plateau.patience": None,
}
# Gains, polarity and channels on the device, where no other effect comes after them. Inverted
# polarity is RandomFlipPhase there.
ON_DEVICE = {"recipe.gain": (0.25, 1.25), "recipe.polarity": 0.5, "recipe.swap": 0.5}
UNCHANGED = {"recipe.gain": (1.0, 1.0), "recipe.polarity": 0.0, "recipe.swap": 0.0}
# The mixture is limited after the sources have been changed, so all of it is done on the host.
LIMITED = {
    **UNCHANGED,
    "recipe.effects": (("gain", {}), ("polarity", {}), ("swap", {}), ("limit_aug", {})),
}


def speed_and_pitch(probability: float, **options) -> tuple:
    """Both augmentations with one probability; `options` are {augmentation: {option: value}}."""
    return tuple(
        (name, {"probability": probability, **options.get(name, {})}) for name in ("speed", "pitch")
    )


# Of cfg/demucs.yaml, in float32 where theirs has 16 bits
WAVEFORMS = {
    **ADAM,
    **LIMITED,
    "loss.name": "l1",
    "train.seconds": 10.0,
    "train.batch_size": 4,
    "train.examples_per_track": 150,
}
# Music with label noise, stems that hold other instruments: {effect: probability}. The loudness of
# all is made the same.
NOISY_LABELS = {
    "parametric_eq": 0.7, "distortion": 0.01, "delay": 0.02, "chorus": 0.01, "phaser": 0.01,
    "compressor": 0.5, "reverb": 0.2, "stereo_widener": 0.3, "limiter": 0.1,
    "volume_automation": 0.1, "loudness_normalization": 1.0,
}  # fmt: skip


def winning_effects(factor: float) -> dict:
    """Effects and augmentations of the prize-winning recipe, all as much more probable."""
    rare, usual = round(0.03 * factor, 5), round(0.3 * factor, 5)
    seldom = ("distortion", "delay", "chorus", "phaser")
    chain = {name: rare if name in seldom else usual for name in NOISY_LABELS}
    chain |= dict.fromkeys(("gain", "polarity", "swap"), usual)
    return {
        "recipe.effects": tuple((name, {"probability": share}) for name, share in chain.items()),
        "augment": speed_and_pitch(usual),
    }


# What inner layers alone have begins at the innermost of these, so that tiny ones have it as well.
INNER = {"norm_starts": 2, "dconv_lstm": 2, "dconv_attn": 2, "dconv_depth": 1}
TINY_HDEMUCS = {"width": 8, "n_fft": 256, "depth": 3, **INNER}
FILMS = {"data.name": "dnr", "data.dnr.include_val": True, **ON_DEVICE}

RECIPES = {
    # train.py --config configs/aimless.py:xumx (cfg/xumx.yaml). Score: none published.
    # Losses are behind the Wiener filter, which separation has as well.
    "xumx": Published(
        "xumx",
        {
            **ADAM,
            **LIMITED,
            "augment": speed_and_pitch(0.2),
            "model.args.filter": "aimless",
            "loss.name": "complex_multi_domain",
            "loss.complex_multi_domain.niter": 1,
            "optimizer.learning_rate": 1e-4,
            "optimizer.weight_decay": 1e-5,
            "train.batch_size": 4,
            "train.valid_filter": "aimless",
        },
        {"hidden_size": 16, "n_fft": 1024, "hop": 256},
    ),
    # train.py --config configs/aimless.py:demucs_split (cfg/demucs.yaml). Score: none published.
    "demucs_split": Published(
        "demucs_split",
        {**WAVEFORMS, "model.args.width": 48},
        {"width": 8, "depth": 3, "lstm_layers": 1},
    ),
    # There is no recipe of theirs for Demucs and RelTDemucs: these have DemucsSplit's.
    # train.py --config configs/aimless.py:demucs. Score: none published.
    "demucs": Published("demucs", WAVEFORMS, {"width": 8, "depth": 3, **INNER}),
    # train.py --config configs/aimless.py:rel_tdemucs. Score: none published.
    "rel_tdemucs": Published(
        "rel_tdemucs", WAVEFORMS, {"width": 8, "depth": 3, "attention_layers": 1, "heads": 2}
    ),
    # train.py --config configs/aimless.py:hdemucs (cfg/hdemucs.yaml). Score: none published.
    # Examples are the songs as they are, but for the effects.
    "hdemucs": Published(
        "hdemucs",
        {
            **ADAM,
            **UNCHANGED,
            "augment": speed_and_pitch(0.2),
            "data.name": "label_noise",
            "loss.name": "l1",
            "recipe.effects": tuple(
                (name, {"probability": share}) for name, share in NOISY_LABELS.items()
            ),
            "recipe.same_song": 1.0,
            "train.seconds": 10.0,
            "train.batch_size": 5,
            "train.examples_per_track": 100,
        },
        TINY_HDEMUCS,
    ),
    # train.py --config configs/aimless.py:mdx_hdemucs, of the music track of the challenge, with
    # --config.data.label_noise.clean=FILE.csv, the tracks that its user finds clean.
    # Score: none published of this model alone. Theirs were 3 examples on each of 4 GPUs.
    # The last 200 of some 800 epochs have more of everything random, AIMLESS's factor 1.666; that
    # it holds for speed and pitch as well as for the effects is our reading.
    "mdx_hdemucs": Published(
        "hdemucs",
        {
            **ADAM,
            **UNCHANGED,
            **winning_effects(1.0),
            "data.name": "label_noise",
            "model.args.width": 64,
            "loss.name": "negative_sdr",
            "optimizer.accumulate": 4,
            "train.seconds": 10.0,
            "train.batch_size": 12,
            "train.examples_per_track": 144,
            "train.epochs": 800,
            "phases": (
                (
                    600,
                    {
                        "optimizer.learning_rate": 1e-3,
                        "optimizer.accumulate": 64,
                        **winning_effects(1.666),
                    },
                ),
            ),
        },
        TINY_HDEMUCS,
    ),
    # train.py --config configs/aimless.py:cdx_hdemucs (cfg/cdx_a/hdemucs.yaml), of the track of
    # films: 30,000 updates of four batches each. Score: none published of this model alone.
    "cdx_hdemucs": Published(
        "hdemucs",
        {
            **ADAM,
            **FILMS,
            "augment": speed_and_pitch(
                0.3,
                speed={"length_percent": tuple(range(50, 151, 10))},
                pitch={"semitones": tuple(range(-7, 8))},
            ),
            "model.args.sources": ("music", "sfx", "speech"),
            "model.args.channels": 1,
            "model.args.width": 64,
            "model.args.seconds": 6.0,  # the length of the excerpts, of which chunks are made
            "loss.name": "negative_sdr",
            "optimizer.accumulate": 4,
            "train.seconds": 6.0,
            "train.batch_size": 3,
            "train.epochs": 120,
            "train.steps_per_epoch": 1000,
        },
        TINY_HDEMUCS,
    ),
    # train.py --config configs/aimless.py:cdx_bsrnn (cfg/cdx_a/bandsplit_rnn.yaml), the music of
    # films: 99,000 steps. Score: none published of this model alone.
    "cdx_bsrnn": Published(
        "bsrnn",
        {
            **ADAM,
            **FILMS,
            "augment": speed_and_pitch(0.2),
            "loss.name": "complex_multi_domain",
            "train.seconds": 3.0,
            "train.epochs": 99,
            "train.steps_per_epoch": 1000,
            "train.valid_filter": "aimless",
        },
        {"hidden_size": 16, "layers": 1, "n_fft": 512, "hop": 128},
    ),
    # train.py --config configs/aimless.py:speech_hdemucs: speech out of noise.
    # Score: none published.
    "speech_hdemucs": Published(
        "hdemucs",
        {
            **ADAM,
            **UNCHANGED,
            "augment": speed_and_pitch(0.2),
            "data.name": "speech_noise",
            "model.args.sources": ("speech",),
            "model.args.channels": 1,
            "model.args.seconds": 6.0,  # the length of the excerpts, of which chunks are made
            "loss.name": "l1",
            "train.seconds": 6.0,
            "train.batch_size": 8,
        },
        TINY_HDEMUCS,
    ),
}
OTHER_NAMES = {"bsrnn": "cdx_bsrnn"}


def get_config(variant: str = ""):
    name, comma, size = variant.partition(",")
    name = name.replace("-", "_")
    return published(RECIPES, f"{OTHER_NAMES.get(name, name)}{comma}{size}")
