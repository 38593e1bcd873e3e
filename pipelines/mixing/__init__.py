"""Which excerpts make one training example, and what is done to them: pure numpy, no files.

recipe     the options, and named sets of them
plan       from (seed, example index) to all that is random about an example
ranges     what options that are ranges may be, and numbers drawn from them
effects/   what happens to an excerpt between its file and the batch

Reading the excerpts is the loader's; gain, channel swap and polarity are done on the device.
"""
