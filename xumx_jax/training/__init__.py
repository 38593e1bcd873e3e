"""Training: the step, the loop around it, its checkpoints, its logs.

step, state, optimizer, schedule      what is compiled, and what it updates
recompute, micro_batches, lora        gradient checkpointing in it, parts of a batch, adapters
phases, step_of_config                options that change within a run, and the step they ask for
loop, initialization, statistics      a run from its first weights to its last epoch
example                               what it separates now and then, to be looked at
checkpointing, identity, config_checks   which runs may resume, and from what
mirror                                checkpoints in an object store
batches                               the data that the loop gets, whoever reads them
distributed, launch                   several processes that train as one
lost_process                          one line when one of them is lost, and JAX's report in a file
monitor/                              tables, metrics and pictures of a run

Reading data sets is not here but in `pipelines`; losses are in `xumx_jax.losses`, recipes in
`configs`.
"""
