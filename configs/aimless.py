"""The models of AIMLESS (Sound Demixing Challenge 2023), each a variant: `configs/aimless.py:NAME`.

    python train.py --config configs/aimless.py:hdemucs --config.data.root=FOLDER

`NAME,tiny` is the same at a size that runs in seconds, to try things out:

    python train.py --config configs/aimless.py:bsrnn,tiny --config.data.root=FOLDER

RECIPES lists them. Their authors published no weights, and scores only of combinations of models.
Values are those of the authors' configs (github.com/aim-qmul/sdx23-aimless, cfg/), less their
further effects: equalisers, compressors, reverbs and other speeds and pitches.
"""

from configs.common import Published, published

# What all of them have in common: PyTorch's Adam and a constant learning rate; runs end by hand,
# after a number of steps if one is given. Inverted polarity is RandomFlipPhase there.
ADAM = {
    "optimizer.name": "adam",
    "optimizer.learning_rate": 3e-4,
    "optimizer.weight_decay": 0.0,
    "optimizer.plateau.patience": None,
    "recipe.polarity": 0.5,
}
# Of cfg/demucs.yaml, in float32 where theirs has 16 bits
WAVEFORMS = {
    **ADAM,
    "loss.name": "l1",
    "train.seconds": 10.0,
    "train.batch_size": 4,
    "train.examples_per_track": 150,
}
# What inner layers alone have begins at the innermost of these, so that tiny ones have it as well.
INNER = {"norm_starts": 2, "dconv_lstm": 2, "dconv_attn": 2, "dconv_depth": 1}
TINY_HDEMUCS = {"width": 8, "n_fft": 256, "depth": 3, **INNER}

RECIPES = {
    # Music with label noise: stems that hold other instruments. Examples are the songs as they are.
    "hdemucs": Published(
        "hdemucs",
        {
            **ADAM,
            "loss.name": "l1",
            "train.seconds": 10.0,
            "train.batch_size": 5,
            "train.examples_per_track": 100,
            "recipe.same_song": 1.0,
            "recipe.gain": (1.0, 1.0),
            "recipe.swap": 0.0,
            "recipe.polarity": 0.0,
        },
        TINY_HDEMUCS,
    ),
    # Films, on Divide and Remaster (cfg/cdx_a/hdemucs.yaml): 30,000 updates of four batches each
    "cdx_hdemucs": Published(
        "hdemucs",
        {
            **ADAM,
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
    # There is no recipe of theirs for Demucs and RelTDemucs: these have DemucsSplit's.
    "demucs": Published("demucs", WAVEFORMS, {"width": 8, "depth": 3, **INNER}),
    "demucs_split": Published(
        "demucs_split",
        {**WAVEFORMS, "model.args.width": 48},
        {"width": 8, "depth": 3, "lstm_layers": 1},
    ),
    "rel_tdemucs": Published(
        "rel_tdemucs", WAVEFORMS, {"width": 8, "depth": 3, "attention_layers": 1, "heads": 2}
    ),
    # The music of films, on Divide and Remaster (cfg/cdx_a/bandsplit_rnn.yaml): 99,000 steps
    "bsrnn": Published(
        "bsrnn",
        {
            **ADAM,
            "loss.name": "complex_multi_domain",
            "train.seconds": 3.0,
            "train.epochs": 99,
            "train.steps_per_epoch": 1000,
        },
        {"hidden_size": 16, "layers": 1, "n_fft": 512, "hop": 128},
    ),
    # cfg/xumx.yaml: losses behind their Wiener filter, which separation has as well
    "xumx": Published(
        "xumx",
        {
            **ADAM,
            "model.args.filter": "aimless",
            "loss.name": "complex_multi_domain",
            "loss.complex_multi_domain.niter": 1,
            "optimizer.learning_rate": 1e-4,
            "optimizer.weight_decay": 1e-5,
            "train.batch_size": 4,
        },
        {"hidden_size": 16, "n_fft": 1024, "hop": 256},
    ),
}


def get_config(variant: str = ""):
    return published(RECIPES, variant)
