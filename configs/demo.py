"""The bundled model: a small X-UMX, trained on generated songs (`make demo-model`).

    python -m pipelines.songs songs/demo/train --songs 720 --rate 22050 --material material
    python train.py --config configs/demo.py --workdir runs/demo --config.data.root=songs/demo

It is trained at 22.05 kHz, where a step costs half; its bands have the same bins with twice the
rate and twice the transform, so the same weights are used at 44.1 kHz (`export`).
Scores: MODEL_CARD.md. `:tiny` runs in seconds and learns little.
"""

from dataclasses import asdict, replace

from configs.common import base, variant_of
from pipelines.mixing.recipe import RECIPES
from xumx_jax.transforms.bands import band_edges


def get_config(variant: str = ""):
    config = base()
    bands = band_edges(22050, 2048)
    config.model.args.update(
        {
            "sample_rate": 22050,
            "n_fft": 2048,
            "hop": 512,
            "hidden_size": 128,
            "bands": bands,
            "activation": "softmax",
            "dropout": 0.0,
        }
    )
    config.export = {"sample_rate": 44100, "n_fft": 4096, "hop": 1024}
    config.loss.name = "segment_sdr"
    config.loss.segment_sdr.bands = bands
    config.optimizer.update(
        {
            "name": "adamw",
            "learning_rate": 2e-3,
            "weight_decay": 1e-4,
            "clip": 1.0,
            "schedule": "cosine",
            "warmup_steps": 50,
        }
    )
    config.train.update(
        {
            "epochs": 32,
            "steps_per_epoch": 125,
            "seconds": 4.0,
            "valid_seconds": 10.0,
            "average": 0.995,
        }
    )
    config.optimizer.plateau.patience = None
    config.data.name = "folder"
    config.data.workers = 1
    # A fifth of the run on songs as they are; remixes and effects only help after that.
    opening = 1000 * config.train.batch_size
    config.recipe.update(asdict(replace(RECIPES["demo"], coherent_examples=opening)))
    # the bands are edges of bins, so the transform stays
    return variant_of(config, variant, hidden_size=16)
