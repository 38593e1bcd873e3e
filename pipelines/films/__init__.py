"""Sound of films from three folders, music, effects and speech: `python -m pipelines.films`.

The result has the layout of Divide and Remaster v2 and is read by the data set `dnr`.

command   the command line
events    which clips a mixture has, where they lie and how loud they are: pure numbers
mixture   from files to the stems of one mixture, its mix and its table
work      all mixtures, in one or several processes, those that are there already left alone

Petermann, Wichern, Wang and Le Roux, "The Cocktail Fork Problem" (ICASSP 2022), describe the
procedure, and AIMLESS' program for the Sound Demixing Challenge 2023 gives the numbers.
"""
