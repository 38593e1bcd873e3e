"""Check the values of a config beyond their types, and the names of its keys."""

import difflib
import inspect
from collections.abc import Iterable
from typing import Any

from ml_collections import ConfigDict

from xumx_jax import augment, losses, models
from xumx_jax.errors import UserError
from xumx_jax.models import interface
from xumx_jax.postfilters import POST_FILTERS
from xumx_jax.training import lora
from xumx_jax.training.batches import channels_of
from xumx_jax.training.micro_batches import STATISTICS

LOWEST = {
    "train.epochs": 1, "train.patience": 1, "train.batch_size": 1, "train.seconds": 0,
    "train.examples_per_track": 1, "train.steps_per_epoch": 1, "train.valid_seconds": 0,
    "train.save_minutes": 0, "train.save_steps": 1, "train.keep": 1, "train.max_bad_steps": 1,
    "optimizer.learning_rate": 0, "optimizer.weight_decay": 0, "optimizer.accumulate": 1,
    "optimizer.warmup_steps": 0, "optimizer.per_batch": 1, "optimizer.plateau.patience": 0,
    "optimizer.plateau.cooldown": 0, "log.scalars_every": 1, "log.pictures_every": 0,
    "train.lora.rank": 0, "train.micro_batch": 1, "train.heartbeat_seconds": 1,
    "train.stall_minutes": 0,
}  # fmt: skip
COMPUTE = ("float32", "bfloat16")
# Arguments that mean the same in every model that has them.
LOWEST_ARGUMENT = {"sample_rate": 1, "hidden_size": 1, "layers": 1}


def check(config: ConfigDict) -> None:
    """Raise UserError naming the first value that makes no sense."""
    for key, lowest in LOWEST.items():
        value = value_of(config, key)
        # a learning rate that is not a number passes: it ends the run, as a NaN in the data would
        if value is not None and value < lowest:
            raise wrong(config, key, f"{lowest} or more")
    if config.optimizer.clip is not None and not config.optimizer.clip > 0:
        raise wrong(config, "optimizer.clip", "more than 0")
    if not 0 <= config.train.average < 1:
        raise wrong(config, "train.average", "0 to below 1")
    if not 0 <= config.train.seed < 2**63:
        raise wrong(config, "train.seed", "0 to below 2**63")
    if config.train.compute not in COMPUTE:
        raise wrong(config, "train.compute", " or ".join(COMPUTE))
    check_arguments(config)
    model = build(config)
    check_lengths(config, model)
    check_valid_filter(config, model)
    check_recompute(config, model)
    check_micro_batch(config, model)
    check_adapters(config, model)
    samples = samples_of(model, config.train.seconds) or model.segment.usual
    shape = len(model.sources), channels_of(model), samples
    augment.check(augmentations(config, model), shape)


def augmentations(config: ConfigDict, model) -> augment.Chosen:
    """The augmentations that a config names, for stems as the model takes them."""
    return augment.build(config.augment, model.sample_rate, channels_of(model))


def nearest(key: str, known: Iterable[str], before: str = "") -> str:
    """A hint at the option that was perhaps meant, for the end of a message; else nothing."""
    near = difflib.get_close_matches(key, known, 1, 0.5)
    return f"; did you mean {before}{near[0]}?" if near else ""


def check_arguments(config: ConfigDict) -> None:
    """The same for the model's arguments, of those that it has."""
    args = config.model.args
    for name, lowest in LOWEST_ARGUMENT.items():
        value = args.get(name)  # None: the model chooses
        if value is not None and value < lowest:
            raise wrong(config, f"model.args.{name}", f"{lowest} or more")
    if "dropout" in args and not 0 <= args.dropout < 1:
        raise wrong(config, "model.args.dropout", "0 to below 1")
    if "sources" in args:
        named = all(isinstance(source, str) and source for source in args.sources)
        if not args.sources or not named or len(set(args.sources)) < len(args.sources):
            raise wrong(config, "model.args.sources", "at least one name, each once")
    if "channels" in args and args.channels not in (1, 2):
        raise wrong(config, "model.args.channels", "1 or 2")


def build(config: ConfigDict, **more):
    """Build the model that a config names, with `more` arguments besides the config's.

    Raises UserError if its own checks refuse the arguments.
    """
    name = config.model.name
    models.model_class(name)  # an unknown one is no fault of its arguments
    try:
        model = models.build(name, **config.model.args.to_dict(), **more)
        refused = interface.optional(model, "refused")
        if refused is None:
            model.segment.fit(model.segment.least)
            _ = model.transform
    except ValueError as error:
        raise UserError(f"config.model.args: {error}") from error
    if refused is not None:
        argument, wanted = refused
        raise wrong(config, f"model.args.{argument}", wanted)
    return model


def check_lengths(config: ConfigDict, model) -> None:
    """Raise UserError if the model takes no examples of these lengths, or not this precision."""
    largest = model.segment.largest
    for key in ("train.seconds", "train.valid_seconds"):
        seconds = value_of(config, key)
        try:
            if seconds or largest is None:
                samples_of(model, seconds)
                continue
        except ValueError:
            pass
        whole = "" if seconds else " (whole tracks)"
        raise UserError(
            f"config.{key} is {seconds!r}{whole}, wanted more than 0 and at most "
            f"{largest / model.sample_rate:g}: model {config.model.name!r} takes no more than that"
        )
    has_dtype = "dtype" in interface.fields(models.model_class(config.model.name))
    if (
        config.train.compute != "float32"
        and not has_dtype
        and not interface.optional(model, "autocast")
    ):
        raise UserError(
            f"config.train.compute is {config.train.compute!r}, but model {config.model.name!r} "
            f"computes only in float32"
        )


def check_recompute(config: ConfigDict, model) -> None:
    """Raise UserError if `train.recompute` would do nothing."""
    if config.train.recompute and not interface.optional(model, "checkpointed_layers"):
        wanted = f"False: model {config.model.name!r} names no checkpointed_layers"
        raise wrong(config, "train.recompute", wanted)


def check_micro_batch(config: ConfigDict, model) -> None:
    """Raise UserError if a batch can't be computed in parts: its statistics are of all of it."""
    if config.train.micro_batch is not None and STATISTICS in interface.variable_shapes(model):
        wanted = f"None: model {config.model.name!r} normalises over the whole batch"
        less = "train.recompute, more devices or fewer train.seconds take less memory"
        raise wrong(config, "train.micro_batch", f"{wanted}; {less}")


def adapters_of(config: ConfigDict) -> lora.Lora | None:
    """The adapters that a run trains, if it does."""
    options = config.train.lora
    if not options.rank:
        return None
    return lora.Lora(options.rank, options.alpha, tuple(options.targets), tuple(options.full))


def check_adapters(config: ConfigDict, model) -> None:
    """Raise UserError if adapters can't be made, or if their options would do nothing."""
    adapters, options = adapters_of(config), config.train.lora
    if adapters is not None:
        if options.alpha is not None and not options.alpha > 0:
            raise wrong(config, "train.lora.alpha", "more than 0")
        adapters.chosen(interface.variable_shapes(model)["params"])
        return
    for name in ("alpha", "targets", "full"):
        if options[name] not in (None, ()):
            raise wrong(config, f"train.lora.{name}", "None or () without a train.lora.rank")


def check_valid_filter(config: ConfigDict, model) -> None:
    """Raise UserError unless `train.valid_filter` can filter what the model estimates."""
    name = config.train.valid_filter
    if name is None:
        return
    if name not in POST_FILTERS:
        raise wrong(config, "train.valid_filter", f"one of {', '.join(POST_FILTERS)}")
    if model.transform is None:
        raise wrong(config, "train.valid_filter", f"None: {config.model.name!r} has no spectra")
    if len(model.sources) == 1 and not POST_FILTERS[name].alone:
        raise wrong(config, "train.valid_filter", "'aimless' or None: there is only one source")


def samples_of(model, seconds: float) -> int:
    """The nearest length in samples that the model takes for this many seconds; 0: whole tracks.

    Raises ValueError if that is too long for the model.
    """
    samples = round(seconds * model.sample_rate)
    return model.segment.fit(samples) if samples > 0 else 0


def check_loss(config: ConfigDict, model) -> None:
    """Raise UserError unless a config's loss can be computed from what its model returns."""
    name = config.loss.name
    losses.check(name, config.model.name, model, **options_of(config.loss, name))


def options_of(part: ConfigDict, name: str) -> dict:
    """The options of the loss or data set `name`; {} if the config has none for it."""
    return part[name].to_dict() if name in part else {}


def arguments_of(model: str) -> dict[str, inspect.Parameter]:
    """The arguments that a config gives an entry of MODELS, with defaults and annotations.

    Raises UserError for an unknown model.
    """
    make = models.model_class(model)
    apart = (*interface.TRAINING_FIELDS, *interface.SEPARATING_FIELDS)
    names = set(interface.fields(make)) - set(apart)
    found = inspect.signature(make).parameters
    return {name: parameter for name, parameter in found.items() if name in names}


def value_of(config: ConfigDict, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = value[name]
    return value


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
