"""From a model to stems: arrays, streams and files in, stems out.

separator, bag             what `load` returns: one model, or several whose stems are averaged
file, record               `separate_file`: from a file to files of its stems, with a record
engine, chunked, umx/      what runs a model over a track of any length, in bounded memory
slices, stft_filter        the engine for networks on a sliCQ, and a filter behind it
chunk_plan, chunk_runner, overlap_add   the parts of the engine for chunks
protocols, audio_separator   other programs' chunks
inputs, multichannel, streams, stream_buffer   the signal on its way in and out
selection, residual        which stems are written, and what the rest is called
recommended                options that the file of a model recommends
normalization              statistics of a whole track
export                     a model as StableHLO
out_of_memory              what these share

Networks are in `models`, post filters in `postfilters`, reading and writing of audio in `audio`,
reading of weights in `weights`, and the command line in `commands`.
"""
