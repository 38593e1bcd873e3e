"""What a track is, and how its samples are read: the same for training and for evaluation.

track           one piece of music: which parts of which files add up to each source
scene           how the excerpts of an example lie, and how loud they are, where that is drawn
fixed_mixes     examples of a scene that never change, as tracks
split           the tracks of one split of a data set, and what a split is opened for
folders         what folders contain: subsets, tracks, stems
names           what the names of files say: a source, or a sum of sources
sums            which files beside the stems are sums of others
opening         from a split to random access: what fits together, what is left out and why
shares          tracks divided among splits by their names
random_access   excerpts of all tracks, at any position and from many threads
wav             headers of audio files, and excerpts of them
musdb_stems     .stem.mp4, which can only be decoded from its beginning
converted       files of any rate and number of channels
coded           AIFF, MP3 and others, decoded into 16-bit WAV first

Which tracks a data set has is defined in `pipelines.datasets`; how they are used, in `mixing`,
`loader`, `validation` and `evaluation`.
"""
