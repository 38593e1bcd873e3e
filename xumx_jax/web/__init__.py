"""The server behind `xumx serve`: jobs over HTTP, for a page, a phone, a script or a program.

settings, jobs       what its owner decides, and what a job is
program, running     the process: listens, and ends when it is asked to
connections          those on which nothing comes
app, guard, shared   the application, who may talk to it, and what all requests share
routes/              the interface
schema, answers      its JSON, and its errors
document, pages      the interface described for programs, and for people
uploads, sending     files on their way in, and out
names, catalogue     what clients call their files, and what is known of the models
metrics              for Prometheus
store, database, places, changes, sweeping   jobs that survive a kill
example              the bundled clip as a job
worker, models, turns                the threads that separate, their models, whose turn it is
decoding, child, decoder             the process that decodes what strangers send
floats, peaks                        what is kept of a job beside its files
mixing, balance, archive, spectrogram   other formats, mixes, zips and pictures, made when they
                     are asked for
errors               why a job is refused

Needs the extra `web`. Nothing is separated in another way than on the command line: a job is one
call of `separate_file`.
"""
