"""Transforms of waveforms with an inverse, and frequency scales.

stft           the short-time Fourier transform
hybrid_stft    those of Demucs: normalised, without the Nyquist bin
bands          bands of bins: their edges on frequency scales, and pooling
phase_vocoder  another duration at the same pitch, from the frames of an STFT
slicq/         the sliced constant-Q transform: bands of any widths

What a transform has to offer is in `models.interface`; filters of spectra are in `postfilters`.
"""
