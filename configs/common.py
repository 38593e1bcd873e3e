"""The options that all recipes share; each config file changes what its model needs.

Every value can be given on the command line: `--config.train.batch_size=8`. None means "not used".
"""

import inspect
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

from ml_collections import ConfigDict, config_dict

from pipelines.datasets import DATASETS, FREE_OPTIONS, kind_of, options_of
from pipelines.mixing.recipe import Recipe
from xumx_jax.errors import UserError
from xumx_jax.losses import LOSSES
from xumx_jax.models import model_class
from xumx_jax.training.config_checks import arguments_of, flatten
from xumx_jax.training.identity import Defaults

# Options that determine where, how long and how fast a run goes and what it shows, but not its
# weights: they may change between one start and the next. A new option of this kind has to be named
# here; those of data sets are named beside them.
FREE = (
    "quiet", "log",
    "train.epochs", "train.patience", "train.keep", "train.save_steps", "train.save_minutes",
    "train.max_bad_steps", "train.weights", "train.valid_filter", "train.micro_batch",
    "train.store", "train.heartbeat_seconds", "train.stall_minutes",
    "data.root", "data.workers", "data.engine",
    *(f"data.{name}.{option}" for name, options in FREE_OPTIONS.items() for option in options),
)  # fmt: skip


def base(model: str = "xumx") -> ConfigDict:
    """The options of every run, with the values of the published X-UMX as defaults."""
    config = ConfigDict()
    config.quiet = False  # print errors only, no table and no progress bar

    config.model = ConfigDict({"name": model})  # which model; a key of `MODELS`
    config.model.args = arguments(model)  # explained there
    config.export = ConfigDict()  # model arguments to replace when the weights are used to separate

    config.loss = ConfigDict({"name": "multi_domain"})  # which loss; a key of `LOSSES`
    for name, loss in LOSSES.items():  # explained there
        config.loss[name] = typed(loss.options, loss.function)

    # changes on schedule: ((epochs completed, {"option": value, ...}), ...)
    config.phases = ()

    config.augment = ()  # inside the step: ((name in AUGMENTATIONS, {option: value}), ...)

    config.optimizer = ConfigDict(
        {
            "name": "adam_nnabla",  # as NNabla's; or "adam", as PyTorch's, or "adamw"
            "learning_rate": 1e-3,  # its value after the warm-up
            "weight_decay": 1e-5,  # L2, added to the gradient (not with "adamw")
            "per_batch": config_dict.placeholder(int),  # the batch size that learning rate
            # and decay are for; they are scaled in proportion (16: as Sony's last version does)
            "clip": config_dict.placeholder(float),  # largest global norm of the gradient
            "accumulate": 1,  # number of batches per update
            "schedule": "constant",  # of the learning rate, or "cosine" over all epochs
            "warmup_steps": 0,  # number of updates in which the learning rate rises from 0
            "plateau": {
                "patience": config_dict.placeholder(int),  # epochs without a better validation
                # loss before the learning rate is lowered; None: never
                "factor": 0.3,  # of the learning rate, each time it is lowered
                "cooldown": 10,  # epochs after lowering it in which patience does not count
            },
        }
    )
    config.optimizer.plateau.patience = 80

    config.train = ConfigDict(
        {
            "epochs": 1000,  # largest number of epochs
            "patience": 1000,  # end the run after this many epochs without a better validation loss
            "batch_size": 16,  # examples per step, over all devices and processes
            "seconds": 6.0,  # length of an example; 0: whole tracks
            "examples_per_track": 64,  # in each epoch
            "steps_per_epoch": config_dict.placeholder(int),  # instead of `examples_per_track`
            "valid_seconds": 10.0,  # length of the pieces of tracks in validation; 0: whole tracks
            "valid_filter": config_dict.placeholder(str),  # post filter of the estimates (a key of
            # `POST_FILTERS`) before validation measures SDRs; losses are without it
            "seed": 42,  # of initial weights, examples, augmentations and dropout
            "weights": "",  # to start from: any name or path that `separate.py --model` takes
            "compute": "float32",  # of matrix products, or "bfloat16"; weights stay float32
            "recompute": False,  # what layers compute on their way is computed again for their
            # gradients, not kept: less memory, for more work
            "lora": {
                "rank": 0,  # of what is added to matrices and trained in place of them; 0: none
                "alpha": config_dict.placeholder(float),  # alpha / rank is the factor of that;
                # None: 1
                "targets": (),  # layers whose matrices these are; (): attention and dense layers
                "full": (),  # layers whose weights are trained themselves
            },
            "micro_batch": config_dict.placeholder(int),  # the most examples that a device computes
            # at a time; those of its share are computed in equal parts. None: all at once
            "average": 0.0,  # decay of a running average of the weights; 0: none
            "max_bad_steps": 10,  # end the run after this many consecutive steps
            # without a finite loss
            "save_minutes": 10.0,  # minutes between saves within an epoch
            "save_steps": config_dict.placeholder(int),  # steps between saves within an epoch
            "keep": 2,  # number of checkpoints to keep, the newest
            "store": "",  # where checkpoints are copied to, such as s3://bucket/run, and fetched
            # from by a run whose workdir lacks them
            "heartbeat_seconds": 30,  # a process that is not heard of for so long counts as lost,
            # and the others end
            "stall_minutes": 30.0,  # several processes end after so long without a step; 0: never
        }
    )

    config.data = ConfigDict(
        {
            "name": "auto",  # name of the data set; auto: `musdb` or `folder`, as found
            "root": "",  # folder; without one, MUSDB18's 7 s preview is downloaded
            "workers": 2,  # number of batches that are prepared at the same time
            "engine": "tf",  # prepares batches: tf.data, or "threads", without TensorFlow
        }
    )
    for name, opener in DATASETS.items():  # options, explained where the data set is opened
        config.data[name] = typed(options_of(name), opener)
    config.recipe = ConfigDict(asdict(Recipe()))  # how examples are mixed
    config.recipe.gain_db = config_dict.placeholder(tuple)
    for name in ("same_song", "gain", "swap"):  # None: as the data set is meant, or X-UMX's
        config.recipe[name] = config_dict.placeholder(type(config.recipe[name]))

    config.log = ConfigDict(
        {
            "scalars_every": 10,  # steps between points in TensorBoard
            "pictures_every": 10,  # epochs between pictures and sounds there; 0: none
        }
    )
    return config


def typed(values: dict, function: Callable) -> ConfigDict:
    """Options and their defaults; those that are None take values of their type in `function`."""
    made, parameters = ConfigDict(values), inspect.signature(function).parameters
    for name, value in values.items():
        if value is None:
            made[name] = config_dict.placeholder(kind_of(parameters[name]))
    return made


def arguments(model: str) -> ConfigDict:
    """The arguments of a model and their defaults. Raises UserError for an unknown one."""
    found = arguments_of(model).items()
    values = {name: None if one.default is one.empty else one.default for name, one in found}
    return typed(values, model_class(model))


def defaults(model: str) -> Defaults:
    """The default of every option, and which of them may change between starts of a run."""
    return Defaults(flatten(base(model).to_dict()), FREE)


def tiny(config: ConfigDict, args: dict) -> ConfigDict:
    """Shrink a recipe to seconds on a CPU: to check that everything works, not to learn much."""
    config.model.args.update(args)
    # of a run with phases, one epoch in each
    config.phases = tuple((epochs, made) for epochs, (_, made) in enumerate(config.phases, 1))
    epochs = max(2, 1 + len(config.phases))
    config.train.update({"epochs": epochs, "steps_per_epoch": 4, "batch_size": 4, "seconds": 1.0})
    config.train.valid_seconds = 2.0
    config.optimizer.warmup_steps = 0
    config.log.pictures_every = 1
    return config


def variant_of(config: ConfigDict, variant: str, **args) -> ConfigDict:
    """`configs/x.py:tiny` or `configs/x.py`; `args` are what makes the recipe's model tiny."""
    if variant not in ("", "tiny"):
        raise UserError(f"variant {variant!r} of a config; wanted none or tiny")
    return tiny(config, args) if variant else config


class Published(NamedTuple):
    """How one model was trained: an entry of the RECIPES of a file with several.

    model    key of MODELS
    changes  {option: value} where it differs from the defaults of `base`
    tiny     arguments that make the model small, for `NAME,tiny`
    """

    model: str
    changes: dict[str, Any]
    tiny: dict[str, Any]


def published(recipes: dict[str, Published], variant: str) -> ConfigDict:
    """The config of `NAME` or `NAME,tiny`. Raises UserError on any other variant."""
    name, _, size = variant.partition(",")
    if name not in recipes:
        raise UserError(
            f"variant {variant!r} of a config; wanted one of {', '.join(recipes)}, "
            "or one of them and ',tiny'"
        )
    recipe = recipes[name]
    config = base(recipe.model)
    config.update_from_flattened_dict(recipe.changes)
    return variant_of(config, size, **recipe.tiny)
