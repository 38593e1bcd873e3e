"""Score separations of a whole test set: what `evaluate.py` does, one concern a file.

command     the command line, checked before anything heavy is imported
data        which tracks are evaluated
song        one track opened: its mixture and its true sources, read as asked for
waves       samples read from files in blocks, so that memory does not grow with a track
systems     what is evaluated: models, oracles, another program's estimates
estimates   estimates on disk, with a note of where they come from
scoring     from references and estimates to a track's scores, by museval's rules
protocol    what scores were made by, and whether those of an earlier run may stay
work        the loop over tracks and systems
plan        from the command line to the work, and from the work to the report
messages    lines on stderr

What a track is lives in `pipelines.tracks`, which tracks a data set has in `pipelines.datasets`;
how scores are computed and reported in `xumx_jax.metrics` and `xumx_jax.evaluation`.
"""
