"""What the values of a config may be, beyond their types, and the names of its keys."""

from ml_collections import ConfigDict

from xumx_jax.errors import UserError

LOWEST = {
    "model.args.sample_rate": 1, "model.args.hidden_size": 1, "model.args.layers": 1,
    "train.epochs": 1, "train.patience": 1, "train.batch_size": 1, "train.seconds": 0,
    "train.examples_per_track": 1, "train.steps_per_epoch": 1, "train.valid_seconds": 0,
    "train.save_minutes": 0, "train.save_steps": 1, "train.keep": 1, "train.max_bad_steps": 1,
    "optimizer.learning_rate": 0, "optimizer.weight_decay": 0, "optimizer.accumulate": 1,
    "optimizer.warmup_steps": 0, "optimizer.per_batch": 1, "optimizer.plateau.patience": 0,
    "optimizer.plateau.cooldown": 0, "log.scalars_every": 1, "log.pictures_every": 0,
}  # fmt: skip
ABOVE_ZERO = ("model.args.bandwidth_hz", "optimizer.clip")
BELOW_ONE = ("model.args.dropout", "train.average")
COMPUTE = ("float32", "bfloat16")


def check(config: ConfigDict) -> None:
    """Raise UserError naming the first value that makes no sense."""
    for key, lowest in LOWEST.items():
        value = value_of(config, key)
        # a learning rate that is not a number passes: it ends the run, as the data's NaN would
        if value is not None and value < lowest:
            raise wrong(config, key, f"{lowest} or more")
    for key in ABOVE_ZERO:
        value = value_of(config, key)
        if value is not None and not value > 0:
            raise wrong(config, key, "more than 0")
    for key in BELOW_ONE:
        if not 0 <= value_of(config, key) < 1:
            raise wrong(config, key, "0 to below 1")
    if not 0 <= config.train.seed < 2**63:
        raise wrong(config, "train.seed", "0 to below 2**63")
    if config.train.compute not in COMPUTE:
        raise wrong(config, "train.compute", " or ".join(COMPUTE))
    check_model(config)


def check_model(config: ConfigDict) -> None:
    """The same for what the network is made of, where one value depends on another."""
    args = config.model.args
    named = all(isinstance(source, str) and source for source in args.sources)
    if not args.sources or not named or len(set(args.sources)) < len(args.sources):
        raise wrong(config, "model.args.sources", "at least one name, each once")
    if args.channels not in (1, 2):
        raise wrong(config, "model.args.channels", "1 or 2")
    if args.hidden_size % 2 and not args.unidirectional:
        raise wrong(config, "model.args.hidden_size", "an even number, half for each direction")
    if args.n_fft < 2 or args.n_fft % 2:
        raise wrong(config, "model.args.n_fft", "an even number, 2 or more")
    if not 1 <= args.hop <= args.n_fft // 2:
        raise wrong(config, "model.args.hop", f"1 to {args.n_fft // 2}, half of n_fft")


def value_of(config: ConfigDict, key: str):
    for name in key.split("."):
        config = config[name]
    return config


def wrong(config: ConfigDict, key: str, wanted: str) -> UserError:
    return UserError(f"config.{key} is {value_of(config, key)!r}, wanted {wanted}")


def flatten(tree: dict, above: str = "") -> dict:
    """Nested dicts -> {"a.b": value}."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat
