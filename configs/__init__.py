"""Recipes for training, one file each, and how to name and change them on the command line.

common         the options that all recipes share
command_line   `--config FILE[:VARIANT]` and `--config.KEY=VALUE`

What a value may be is checked in `xumx_jax.training.config_checks`.
"""
