"""Which excerpts make one training example, and what is done to them: pure numpy, no files.

recipe     the options, and named sets of them
plan       from (seed, example index) to everything that is random about an example
ranges     options that are ranges, and numbers drawn from them
pedals     effects of the package pedalboard
effects/   what happens to an excerpt between its file and the batch

The loader reads the excerpts; a recipe's own gain, channel swap and polarity are applied on the
device.
"""
