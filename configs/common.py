"""What all recipes share; each config file changes what its model needs."""

from ml_collections import ConfigDict, config_dict


def base() -> ConfigDict:
    """The defaults of the published X-UMX, for four sources of any folder data set."""
    config = ConfigDict()
    config.model = ConfigDict({"name": "xumx", "args": {}})
    config.loss = ConfigDict({"name": "multi_domain", "options": {}})
    config.optimizer = ConfigDict(
        {
            "name": "adam_nnabla",
            "learning_rate": 1e-3,
            "weight_decay": 1e-5,  # L2, added to the gradient ("adamw": decoupled)
            "clip": config_dict.placeholder(float),  # of the gradient's global norm
            "schedule": "constant",
            "warmup_steps": 0,
        }
    )
    config.train = ConfigDict(
        {
            "epochs": 1000,
            "batch_size": 16,  # over all devices
            "seconds": 6.0,  # per example
            "examples_per_track": 64,  # per epoch
            "steps_per_epoch": config_dict.placeholder(int),  # instead of the above
            "valid_seconds": 10.0,
            "seed": 42,
            "average": 0.0,  # decay of the running average of the weights; 0: none
            "keep": 2,  # checkpoints
        }
    )
    config.data = ConfigDict(
        {
            "root": "",  # holds train/ and valid/, each with track/{vocals,drums,bass,other}.wav
            "recipe": "xumx",
            "options": ConfigDict({}, convert_dict=False),  # fields of the recipe to replace
            "workers": 2,
        }
    )
    config.data.options.unlock()
    config.export = ConfigDict(
        {}
    )  # model arguments to replace when the weights are loaded to separate
    return config
