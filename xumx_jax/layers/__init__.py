"""Layers that models share: matrix products, LSTM, batch normalisation, dropout.

Layers know nothing of sources by name, of spectra or of audio: those are in `models` and
`transforms`.
"""
