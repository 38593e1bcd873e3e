"""The options that all recipes share; each config file changes what its model needs.

Every value can be given on the command line: `--config.train.batch_size=8`. None means "not used".
"""

import inspect
from collections.abc import Callable
from dataclasses import asdict

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
    "train.max_bad_steps", "train.weights",
    "data.root", "data.workers", "data.engine",
    *(f"data.{name}.{option}" for name, options in FREE_OPTIONS.items() for option in options),
)  # fmt: skip


def base(model: str = "xumx") -> ConfigDict:
    """The options of every run, with the values of the published X-UMX as defaults."""
    config = ConfigDict()
    config.quiet = False  # print errors only, no table and no progress bar

    config.model = ConfigDict({"name": model})  # a key of xumx_jax.models.MODELS
    config.model.args = arguments(model)  # explained there
    config.export = ConfigDict()  # model arguments to replace when the weights are used to separate

    config.loss = ConfigDict({"name": "multi_domain"})  # a key of xumx_jax.losses.LOSSES
    for name, loss in LOSSES.items():  # explained there
        config.loss[name] = typed(loss.options, loss.function)

    config.optimizer = ConfigDict(
        {
            "name": "adam_nnabla",  # "adam" is PyTorch's, "adamw" decays apart from the gradient
            "learning_rate": 1e-3,
            "weight_decay": 1e-5,  # L2, added to the gradient
            "per_batch": config_dict.placeholder(int),  # learning rate and decay are for this
            # batch size, and scaled in proportion (16: as Sony's last version does)
            "clip": config_dict.placeholder(float),  # of the gradient's global norm
            "accumulate": 1,  # batches per update
            "schedule": "constant",  # or "cosine" over all epochs
            "warmup_steps": 0,  # updates
            "plateau": {"patience": config_dict.placeholder(int), "factor": 0.3, "cooldown": 10},
        }
    )
    config.optimizer.plateau.patience = 80  # epochs without a better loss; None: never lower

    config.train = ConfigDict(
        {
            "epochs": 1000,
            "patience": 1000,  # epochs without a better validation loss that end the run
            "batch_size": 16,  # over all devices and processes
            "seconds": 6.0,  # per example; 0: whole tracks
            "examples_per_track": 64,  # per epoch
            "steps_per_epoch": config_dict.placeholder(int),  # instead of the above
            "valid_seconds": 10.0,  # validation cuts tracks into pieces of this; 0: whole tracks
            "seed": 42,
            "weights": "",  # to begin with: any name or path that separate.py --model takes
            "compute": "float32",  # or "bfloat16" for matrix products; weights stay float32
            "average": 0.0,  # decay of a running average of the weights; 0: none
            "max_bad_steps": 10,  # so many without a finite loss, in a row, end the run
            "save_minutes": 10.0,  # also save within epochs, so often ...
            "save_steps": config_dict.placeholder(int),  # ... or so often
            "keep": 2,  # checkpoints
        }
    )

    config.data = ConfigDict(
        {
            "name": "auto",  # a key of pipelines.datasets.DATASETS; auto: musdb or folder
            "root": "",  # nothing: MUSDB18's 7 s preview is downloaded
            "workers": 2,  # batches in the making at a time
            "engine": "tf",  # tf.data; "threads" does the same without TensorFlow
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
    config.train.update({"epochs": 2, "steps_per_epoch": 4, "batch_size": 4, "seconds": 1.0})
    config.train.valid_seconds = 2.0
    config.optimizer.warmup_steps = 0
    config.log.pictures_every = 1
    return config


def variant_of(config: ConfigDict, variant: str, **args) -> ConfigDict:
    """`configs/x.py:tiny` or `configs/x.py`; `args` are what makes the recipe's model tiny."""
    if variant not in ("", "tiny"):
        raise UserError(f"variant {variant!r} of a config; wanted none or tiny")
    return tiny(config, args) if variant else config
