"""What the numbers of a config may be, beyond their types."""

from ml_collections import ConfigDict

from xumx_jax.errors import UserError

LOWEST = {
    "train.epochs": 1, "train.patience": 1, "train.batch_size": 1, "train.examples_per_track": 1,
    "train.steps_per_epoch": 1, "train.save_steps": 1, "train.keep": 1, "train.max_bad_steps": 1,
    "optimizer.accumulate": 1, "optimizer.warmup_steps": 0, "optimizer.per_batch": 1,
    "optimizer.plateau.patience": 0, "optimizer.plateau.cooldown": 0, "log.scalars_every": 1,
    "log.pictures_every": 0,
}  # fmt: skip
COMPUTE = ("float32", "bfloat16")


def check(config: ConfigDict) -> None:
    """Raise UserError naming the first value that makes no sense."""
    for key, lowest in LOWEST.items():
        value = config
        for name in key.split("."):
            value = value[name]
        if value is not None and value < lowest:
            raise UserError(f"config.{key} is {value}, wanted {lowest} or more")
    if not 0 <= config.train.average < 1:
        raise UserError(f"config.train.average is {config.train.average}, wanted 0 to below 1")
    if config.train.compute not in COMPUTE:
        known = " or ".join(COMPUTE)
        raise UserError(f"config.train.compute is {config.train.compute!r}, wanted {known}")
