"""What each level of a hybrid U-Net is: sizes, and where its two branches merge."""

from dataclasses import dataclass, replace

from xumx_jax.layers.multi_frequency import bands
from xumx_jax.layers.unet import LayerOptions, options_of


@dataclass(frozen=True)
class Level:
    """One layer of the encoder with the one of the decoder opposite, in both branches.

    options          of the branch of spectra, which goes on behind the merger
    padding          of its strided convolution
    features, back   channels behind its encoder and behind its decoder
    multi            whether bands have weights of their own
    has_wave         whether there is a waveform branch here
    wave             its options
    wave_features, wave_back  its channels
    merges           one bin is left: the waveform branch has only its strided convolutions here
    """

    options: LayerOptions
    padding: int
    features: int
    back: int
    multi: bool
    has_wave: bool
    wave: LayerOptions
    wave_features: int
    wave_back: int
    merges: bool


def levels_of(model) -> list[Level]:
    """The levels of a model with the fields of `HDemucs`, from the outermost inwards.

    Raises ValueError if sizes do not fit together.
    """
    # else a layer of the decoder would not give what the one opposite takes
    wanted = model.kernel_size - 2 * (model.kernel_size // 4)
    if model.stride != wanted:
        raise ValueError(
            f"stride {model.stride}: wanted {wanted} beside kernel_size {model.kernel_size}"
        )
    if model.time_stride < 2 or model.time_stride % 2:
        raise ValueError(f"time_stride {model.time_stride}: wanted an even number")
    bins, levels = model.n_fft // 2, []
    width, wave_width = model.width, model.width_time or model.width
    back = wave_back = model.channels * len(model.sources)
    back *= 2 if model.complex_channels else 1
    for number in range(model.depth):
        spectral = bins > 1
        merges = spectral and bins <= model.kernel_size
        # the waveform branch merges with an even stride, of half the bins that are left
        multiple = 4 if merges and model.hybrid else 1 if merges else model.stride
        if spectral and bins % multiple:
            raise ValueError(
                f"n_fft {model.n_fft}: layer {number} has {bins} bins, wanted a multiple of "
                f"{multiple}"
            )
        if merges:
            wave_width = width = max(width, wave_width)
        wave = options_of(model, number)
        options = replace(wave, spectral=True)
        if merges:
            options = replace(options, taps=bins)
            # all strides of the waveform branch together are a hop: 4, or 2 if n_fft is 2048
            stride = model.n_fft // 4 // model.stride**number
            wave = replace(wave, taps=2 * stride, stride=stride)
        elif not spectral:
            step = model.time_stride
            options = replace(options, taps=2 * step, stride=step, spectral=False)
        padding = 0 if merges else options.taps // 4
        multi = bool(model.multi_freqs) and number < model.multi_freqs_depth
        options.check(width, back, bool(model.dconv_mode))
        if model.hybrid and spectral:
            wave.check(wave_width, wave_back, bool(model.dconv_mode))
        if multi:
            bands(model.multi_freqs, bins, options.taps, options.stride, padding)
        levels.append(
            Level(
                options,
                padding,
                width,
                back,
                multi,
                model.hybrid and spectral,
                wave,
                wave_width,
                wave_back,
                merges,
            )
        )
        back, wave_back = width, wave_width
        width, wave_width = int(model.growth * width), int(model.growth * wave_width)
        bins = 1 if bins <= model.kernel_size else bins // model.stride
    return levels
