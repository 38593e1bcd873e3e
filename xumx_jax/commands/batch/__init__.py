"""`xumx separate` for any number of tracks: finding them, planning, running, reporting.

input_files   from the command line to tracks and the folders for their stems
planning      expected time and disk space
job           what is done with one track
run           several tracks at once through one Separator
remote        the same on a server
report        progress bars, and the JSON report

How one file is separated is not here but in `xumx_jax.separation.file`.
"""
