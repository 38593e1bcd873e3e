"""`xumx separate` for a catalogue: any number of files, by one machine, one of many, or a cluster.

manifest   which files, the folder of each one's stems, and which of them are a shard's
outputs    the places of stems, on a disk or in a store: what is there, and how it gets there
rows       what is told of each file: JSON beside its stems, and Parquet of all
worker     one file after the other through one Separator
on_ray     the same in many workers of a Ray cluster
run        a catalogue from the command line to the exit status

Every file is separated at least once, and appears as a whole or not at all: a worker, a machine or
the program itself may be killed at any time, and the same command goes on where it stopped.
"""
