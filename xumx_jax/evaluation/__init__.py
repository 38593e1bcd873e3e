"""Scores of separated tracks: files as museval's, reports over many tracks, plots, oracles."""
