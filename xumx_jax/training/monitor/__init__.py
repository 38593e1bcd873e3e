"""What can be seen of a training run.

monitor    the table, the progress bar, and which values go where
logs       `metrics.jsonl` and TensorBoard's files
pictures   spectrograms, and the bytes of PNG and WAV files

A log that cannot be written never stops a run. Checkpoints are not here.
"""
