"""Hybrid Demucs: a U-Net of spectra and one of waveforms that share their innermost layers.

Défossez 2021, "Hybrid Spectrogram and Waveform Source Separation"; all options of the Demucs
package (4.1.0) and of Torchaudio's HDemucs, which is the same network. Inside, spectra are
[batch, frame, bin, channel] and waveforms [batch, 1, time, channel].
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.dconv import gelu
from xumx_jax.layers.hybrid_levels import Level, levels_of
from xumx_jax.layers.multi_frequency import MultiDecoder, MultiEncoder
from xumx_jax.layers.standardize import standardize, with_statistics
from xumx_jax.layers.unet import Decoder, Encoder, cropped, padded, total
from xumx_jax.models.interface import Segment, check
from xumx_jax.postfilters import POST_FILTERS, apply
from xumx_jax.stems import Stems
from xumx_jax.transforms.hybrid_stft import HybridStft

OPENUNMIX = POST_FILTERS["openunmix"]
SILENT = 1e-8  # keeps 0 / 0 at 0 where a bin of the mixture is empty


class HDemucs(nn.Module):
    """Separate a mixture in frequency and in time at once, and add up both.

    sources            names, in the order of the source axis
    sample_rate        of the audio that the weights were trained on, in hertz
    channels           of the mixtures
    width, width_time  channels after the first layer, of spectra and of waveforms (None: the same)
    growth             from one layer to the next
    n_fft              of the spectra, in samples; their hop is a quarter
    depth              number of layers of the encoder and of the decoder
    seconds            usual length of a chunk: that of the excerpts in training
    hybrid             False: no waveform branch, and spectra as of `Stft`
    hybrid_old         the transform of the first hybrid models; see `HybridStft`
    complex_channels   real and imaginary parts in and out; else magnitudes, and the mixture's phase
    wiener_iters       without complex channels: iterations of Open-Unmix's filter; negative: none,
                       only the phase
    end_iters          the same in training
    wiener_residual    whether the filter has a residual
    multi_freqs        where bands of frequencies with weights of their own end, as parts of all
    multi_freqs_depth  number of outer layers that have such bands
    freq_emb           weight of the embedding of frequencies; 0: none
    emb_scale          by which the embedding is multiplied, so that it learns as much faster
    emb_smooth         whether it begins smooth over frequencies
    kernel_size, stride, time_stride      of the strided convolutions; in the layers behind the
                       merger, time_stride and twice that
    context, context_enc  neighbours that the rewriting convolutions of decoder and encoder see
    rewrite            whether there are any
    norm_starts, norm_groups  the first layer with group normalisation, and its groups
    dconv_mode         residual branches (`layers.dconv`) in the encoder (1), decoder (2), both (3)
    dconv_depth, dconv_comp, dconv_init   of these, their number, compression and initial factor
    dconv_attn, dconv_lstm  the first layers whose branches have attention and LSTMs
    rescale            of initial weights; see `layers.convolution.Conv`
    """

    sources: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    channels: int = 2
    width: int = 48
    width_time: int | None = None
    growth: float = 2
    n_fft: int = 4096
    depth: int = 6
    seconds: float = 10.0
    hybrid: bool = True
    hybrid_old: bool = False
    complex_channels: bool = True
    wiener_iters: int = 0
    end_iters: int = 0
    wiener_residual: bool = False
    multi_freqs: tuple[float, ...] = ()
    multi_freqs_depth: int = 2
    freq_emb: float = 0.2
    emb_scale: float = 10
    emb_smooth: bool = True
    kernel_size: int = 8
    stride: int = 4
    time_stride: int = 2
    context: int = 1
    context_enc: int = 0
    rewrite: bool = True
    norm_starts: int = 4
    norm_groups: int = 4
    dconv_mode: int = 1
    dconv_depth: int = 2
    dconv_comp: float = 4
    dconv_init: float = 1e-4
    dconv_attn: int = 4
    dconv_lstm: int = 4
    rescale: float | None = 0.1
    normalization = "mean and deviation"
    checkpointed_layers = (Encoder, Decoder, MultiEncoder, MultiDecoder)
    protocol = "demucs"
    source_outputs = {r"(wave_)?decoder_0/(band_\d+/)?conv/(kernel|bias)": -1}
    usual_speed = {"cpu": 2.5}

    def __post_init__(self):
        check(self)
        if self.hybrid_old and not self.hybrid:
            raise ValueError("hybrid_old: wanted hybrid as well")
        if self.hybrid and self.wiener_iters != self.end_iters:
            raise ValueError("wiener_iters and end_iters of a hybrid model: wanted the same")
        if self.multi_freqs and self.norm_starts < self.multi_freqs_depth:
            raise ValueError("multi_freqs: wanted norm_starts of at least multi_freqs_depth")
        HybridStft(self.n_fft)  # which checks it
        levels_of(self)  # the same
        super().__post_init__()

    @property
    def transform(self) -> HybridStft:
        return HybridStft(self.n_fft, "reflect" if self.hybrid else "centred")

    @property
    def segment(self) -> Segment:
        """Any length."""
        hop = self.transform.hop
        return Segment(round(self.seconds * self.sample_rate), grid=hop)

    def __call__(self, mix: Array, train: bool = False, statistics: Array | None = None) -> Stems:
        """Separate [batch, channel, time] into Stems; `spec` is the transform of `wave`.

        `statistics` are mean and deviation of the whole track's mono mixture, by which the Demucs
        package standardises it; None: the mixture is taken as it is.
        """
        wave = with_statistics(partial(self._separate, train=train), mix, statistics)
        return Stems(wave, self.transform.forward(wave))

    @nn.compact
    def _separate(self, mix: Array, train: bool) -> Array:
        """[batch, channel, time] -> [batch, source, channel, time]."""
        stft = HybridStft(self.n_fft, "zero") if self.hybrid_old else self.transform
        spec = stft.forward_frames(mix, axis=-3)  # [batch, frame, channel, bin]
        x, mean, spread = standardize(self._as_channels(spec))
        levels, skips, lengths = levels_of(self), [], []
        t, wave_mean, wave_spread = standardize(mix.swapaxes(-1, -2)[:, None])
        wave_skips, wave_lengths = [], []
        for number, level in enumerate(levels):
            inject = None
            if level.has_wave:
                wave_lengths.append(t.shape[-2])
                t = self._wave_encoder(number, level)(padded(t, level.wave.stride))
                if level.merges:
                    inject = t.swapaxes(-3, -2)  # time is the second axis of spectra
                else:
                    wave_skips.append(t)
            lengths.append(x.shape[-2])
            x = self._encode(number, level, x, inject)
            if number == 0 and self.freq_emb:
                x = x + self.freq_emb * self._embedding(*x.shape[-2:])
            skips.append(x)
            if level.merges:  # from here on, spectra of one bin are waveforms
                x = x.swapaxes(-3, -2)

        x, t = self._between(x, t)
        for number, level in reversed(list(enumerate(levels))):
            x, before = self._decode(number, level, x, skips.pop(), lengths.pop())
            if level.has_wave:
                if level.merges:
                    t, skip = before.swapaxes(-3, -2), None
                else:
                    skip = wave_skips.pop()
                y, _ = self._wave_decoder(number, level)(t, skip)
                y = cropped(y, level.wave.taps // 4, wave_lengths.pop())
                t = gelu(y) if number else y

        found = self._as_spectra(total(x, None) * spread + mean, spec, train)
        wave = stft.inverse_frames(found, mix.shape[-1], axis=-2)
        if t is not None:
            t = t[:, 0] * wave_spread[:, 0] + wave_mean[:, 0]
            wave = wave + t.swapaxes(-1, -2).reshape(wave.shape)
        return wave

    def _between(self, x: Array, t: Array) -> tuple[Array | None, Array | None]:
        """What the decoders begin with, of what the encoders end with.

        Nothing: everything comes through the skips.
        """
        return None, None

    def _encode(self, number: int, level: Level, x: Array, inject: Array | None) -> Array:
        name, branch = f"encoder_{number}", bool(self.dconv_mode & 1)
        if level.multi:
            return MultiEncoder(
                self.multi_freqs, level.features, level.options, level.padding, self.context_enc,
                branch, name=name,
            )(x)  # fmt: skip
        if not level.options.spectral:
            x = padded(x, level.options.stride)
        layer = Encoder(
            level.features, level.options, level.padding, self.context_enc, branch, name=name
        )
        return layer(x, inject)

    def _decode(self, number: int, level: Level, x: Array | None, skip: Array, length: int):
        """-> (output, what came before the transposed convolution)."""
        name, branch = f"decoder_{number}", bool(self.dconv_mode & 2)
        if level.merges and x is not None:
            x = x.swapaxes(-3, -2)
        if level.multi:
            y, before = MultiDecoder(
                self.multi_freqs, level.back, level.options, self.context, branch, name=name
            )(jnp.zeros_like(skip) if x is None else x, skip), skip  # fmt: skip
        else:
            layer = Decoder(level.back, level.options, self.context, branch=branch, name=name)
            y, before = layer(x, skip)
            if not level.options.spectral:
                y = cropped(y, level.padding, length)
            elif level.padding:
                y = y[..., level.padding : -level.padding, :]
        return gelu(y) if number else y, before

    def _wave_encoder(self, number: int, level: Level) -> Encoder:
        branch = bool(self.dconv_mode & 1)
        return Encoder(
            level.wave_features, level.wave, level.wave.taps // 4, self.context_enc, branch,
            level.merges, name=f"wave_encoder_{number}",
        )  # fmt: skip

    def _wave_decoder(self, number: int, level: Level) -> Decoder:
        branch = bool(self.dconv_mode & 2)
        return Decoder(
            level.wave_back, level.wave, self.context, True, branch, level.merges,
            name=f"wave_decoder_{number}",
        )  # fmt: skip

    def _embedding(self, bins: int, channels: int) -> Array:
        def init(key, shape):
            rows = jax.random.normal(key, shape)
            if self.emb_smooth:  # a sum of n grows as sqrt(n)
                rows = jnp.cumsum(rows, 0) / jnp.sqrt(jnp.arange(1, bins + 1))[:, None]
            return rows / self.emb_scale

        return self.emb_scale * self.param("embedding", init, (bins, channels))

    def _as_channels(self, spec: Array) -> Array:
        """[batch, frame, channel, bin] -> [batch, frame, bin, channel * (real, imaginary)]."""
        if not self.complex_channels:
            return jnp.abs(spec).swapaxes(-1, -2)
        parts = jnp.stack([spec.real, spec.imag], axis=-2)
        return parts.reshape(*spec.shape[:2], -1, spec.shape[-1]).swapaxes(-1, -2)

    def _as_spectra(self, x: Array, spec: Array, train: bool) -> Array:
        """[batch, frame, bin, channel] -> complex64 [batch, source, channel, frame, bin]."""
        count, (batch, frames, channels, bins) = len(self.sources), spec.shape
        # -> [batch, channel, frame, bin]
        x = jnp.moveaxis(x, -1, 1)
        if self.complex_channels:
            x = x.reshape(batch, count, channels, 2, frames, bins)
            return lax.complex(x[:, :, :, 0], x[:, :, :, 1])
        size = x.reshape(batch, count, channels, frames, bins)
        spec = spec.swapaxes(1, 2)
        niter = self.end_iters if train else self.wiener_iters
        if niter < 0:
            return size * (spec / (SILENT + jnp.abs(spec)))[:, None]

        def filtered(size, spec):
            estimate = Stems(size, magnitude=(size.swapaxes(-1, -2),))
            (found,) = apply(
                "openunmix", estimate, (spec.swapaxes(-1, -2),), 1, OPENUNMIX.frames,
                niter=niter, residual=self.wiener_residual, **OPENUNMIX.options,
            )  # fmt: skip
            return found[:count].swapaxes(-1, -2)

        return jax.vmap(filtered)(size, spec)
