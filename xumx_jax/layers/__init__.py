"""Layers that models share: matrix products, LSTMs, normalisation, dropout, convolutions, bands.

Layers know nothing of sources by name, of spectra or of audio: those are in `models` and
`transforms`.
"""
