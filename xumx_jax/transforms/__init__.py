"""Transforms of waveforms with an inverse, and frequency scales.

stft     the short-time Fourier transform
scales   from hertz to bins, and from bins to bands
bands    pooling of bins into bands

What a transform has to offer is in `models.interface`; filters of spectra are in `postfilters`.
"""
