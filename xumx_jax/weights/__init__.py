"""Weights on disk: our formats, other programs' formats, published models, the cache.

load          from a name or a path to a model, and `convert`
store         checkpoints: Orbax folders with digests
safetensors   one model in one file; the format number, and the migration of older files
bag           models as they are stored, and several whose stems are averaged
combinations  rules by which several are used together
adapters      low-rank adapters in a file, added to the weights they were trained for
alignment     arrays where XLA on a CPU takes them as they are
tasks         the model that a wish names
catalogue     what is known of every model by name
pointer       small files that name a checkpoint, such as `best`
converters/   weights of other programs
zoo, download, published/   models by name

Which states of a run are saved, and when, is in `training.checkpointing`.
"""
