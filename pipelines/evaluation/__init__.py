"""Score the separations of a whole test set: the program behind `evaluate.py`.

command     the command line, checked before anything heavy is imported
data        which tracks are evaluated
song        one open track: its mixture and its true sources, read on demand
waves       samples read from files in blocks, so that memory does not grow with a track
systems     what is evaluated: models, oracles, another program's estimates
estimates   estimates on disk, with a note of where they come from
scoring     from references and estimates to a track's scores, by museval's rules
protocol    how scores were made, and whether those of an earlier run may be kept
work        the loop over tracks and systems
on_ray      the same loop on a Ray cluster
plan        from the command line to the work, and from the work to the report
messages    lines on stderr

What a track is, is defined in `pipelines.tracks`, and which tracks a data set has in
`pipelines.datasets`; scores are computed in `xumx_jax.metrics` and reported by
`xumx_jax.evaluation`.
"""
