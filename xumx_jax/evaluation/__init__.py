"""Scores of separated tracks: files, reports, plots, and oracles to compare with.

scores     the scores of one track, and museval's JSON file of them
report     the scores of many tracks and methods in one report
tables     that report as Markdown
plots      box plots
oracles    ideal masks and filters, and baselines
mix_phase  true magnitudes with the mixture's phases, for the search of a transform
spectrograms   pictures of sound

The measures themselves are in `xumx_jax.metrics`; the program that evaluates a whole data set is in
`pipelines.evaluation`.
"""
