"""Training: the step, the loop around it, its checkpoints, its logs.

step, state, optimizer, schedule      what is compiled, and what it updates
loop, initialization, statistics      a run from its first weights to its last epoch
checkpointing, identity, config_checks   which runs may resume, and from what
batches                               the data that the loop gets, whoever reads them
distributed, launch                   several processes that train as one
monitor/                              tables, metrics and pictures of a run

Reading data sets is not here but in `pipelines`; losses are in `xumx_jax.losses`, recipes in
`configs`.
"""
