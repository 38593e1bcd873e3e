"""What training and evaluation read: from files on disk to batches and to opened tracks.

mixing/        what one training example is made of, and what is done to it on the host
tracks/        what a track is, and how its samples are read at any position
datasets/      data sets by name: which tracks their splits have
loader, engines, batch_memory   training batches, made in the background
validation     the same pieces of the same tracks every time
preview        what a config trains on, as sound and pictures
loudness       a meter, for effects and for making data
biquads        filters of equalisers
evaluation/    the program behind `evaluate.py`
slicq_search/  searches the parameters of a transform
records/       writes a data set as sharded records
songs/         generates songs to train on
films/         mixes music, effects and speech as the sound of films
processes      others that share the work

What happens on a device (unpacking, gain and channel swap, augmentations, losses, scores) is in
`xumx_jax`, which never imports this package.
"""
