"""Search the parameters of a sliCQ transform: `python -m pipelines.slicq_search`.

command   the command line
space     which transforms there are to choose from, and who chooses
music     the tracks, open for as long as the search runs
work      the trials, in one or several processes
results   what was found so far: a file that a later run goes on with
report    table, CSV and picture
"""
