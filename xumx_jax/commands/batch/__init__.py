"""`xumx separate` for any number of tracks: finding them, planning, running, reporting.

input_files   from the command line to tracks and the folders for their stems
planning      expected time and disk space
threads       several tracks at once
track_job     what is done with each, wherever it is separated
run           through one Separator
remote        on a server
report        progress bars, and the JSON report

How one file is separated is not here but in `xumx_jax.separation.file`.
"""
