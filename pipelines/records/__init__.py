"""Writes a data set as sharded records: `python -m pipelines.records`, a builder of tfds.

Reading them is not here: see the data set `records`, in `pipelines.datasets.records`.
"""
