"""Hybrid Transformer Demucs: between its encoders and decoders, spectra and waveform attend.

Rouard et al. 2023, "Hybrid Transformers for Music Source Separation"; the options of the Demucs
package (4.1.0) that its published models use, and most others. The U-Nets are those of `HDemucs`,
whose branches do not merge here.
"""

import jax.numpy as jnp
from jax import Array

from xumx_jax.layers.convolution import Conv
from xumx_jax.layers.cross_transformer import POSITIONS, CrossLayer, CrossOptions, CrossTransformer
from xumx_jax.layers.hybrid_levels import levels_of
from xumx_jax.layers.multi_frequency import MultiDecoder, MultiEncoder
from xumx_jax.layers.unet import Decoder, Encoder
from xumx_jax.models.hdemucs import HDemucs
from xumx_jax.models.interface import Segment


class HTDemucs(HDemucs):
    """Separate a mixture in frequency and in time at once, and add up both.

    bottom_channels   of the transformer; 0: those of the innermost layers
    whole_segment     except in training, shorter mixtures are followed by silence up to `seconds`,
                      which are also the most that it takes
    t_layers          of the transformer
    t_heads           of its attention
    t_hidden_scale    how much wider its feed-forward layers are
    t_emb             positions of waveforms, of `layers.cross_transformer.POSITIONS`
    t_max_positions   number of learned ones
    t_max_period, t_weight_pos_embed   of positions; see `layers.cross_transformer`
    t_norm_in, t_norm_in_group   normalisation of its inputs, each position, or all in groups
    t_norm_first, t_norm_out, t_group_norm, t_layer_scale, t_gelu   of
                      `layers.cross_transformer.CrossOptions`
    t_cross_first     the first layer attends to the other branch
    The other fields are those of `HDemucs`.
    """

    depth: int = 4
    seconds: float = 7.8
    dconv_comp: float = 8
    dconv_init: float = 1e-3
    dconv_mode: int = 3
    bottom_channels: int = 512
    whole_segment: bool = True
    t_layers: int = 5
    t_heads: int = 8
    t_hidden_scale: float = 4.0
    t_emb: str = "sin"
    t_max_positions: int = 10_000
    t_max_period: float = 10_000.0
    t_weight_pos_embed: float = 1.0
    t_norm_in: bool = True
    t_norm_in_group: int = 0
    t_norm_first: bool = True
    t_norm_out: bool = True
    t_group_norm: int = 0
    t_layer_scale: bool = True
    t_gelu: bool = True
    t_cross_first: bool = False
    checkpointed_layers = (Encoder, Decoder, MultiEncoder, MultiDecoder, CrossLayer)
    autocast = True
    usual_speed = {"cpu": 2.0}

    def __post_init__(self):
        super().__post_init__()
        if not self.hybrid or self.hybrid_old:
            raise ValueError("hybrid, hybrid_old: wanted the first without the second")
        if self.t_emb not in POSITIONS:
            raise ValueError(f"t_emb {self.t_emb!r}: wanted one of {', '.join(POSITIONS)}")
        levels = levels_of(self)
        if any(level.merges or not level.has_wave for level in levels):
            raise ValueError(
                f"depth {self.depth}: wanted more than {self.kernel_size} bins before each layer"
            )
        last = levels[-1]
        if not self.bottom_channels and last.features != last.wave_features:
            raise ValueError("bottom_channels 0: wanted branches of equal width")
        channels = self.bottom_channels or last.features
        if channels % self.t_heads or channels % 4:
            raise ValueError(
                f"the transformer has {channels} channels: wanted a multiple of 4 and of "
                f"{self.t_heads}, t_heads"
            )

    @property
    def _length(self) -> int:
        """Of the excerpts in training, in samples."""
        return int(self.seconds * self.sample_rate + 1e-6)

    @property
    def segment(self) -> Segment:
        hop = self.transform.hop
        if not self.whole_segment:
            return Segment(self._length, grid=hop)
        return Segment(self._length, least=self._length, largest=self._length, grid=hop)

    def _separate(self, mix: Array, train: bool) -> Array:
        missing = self._length - mix.shape[-1]
        if train or not self.whole_segment or missing <= 0:
            return super()._separate(mix, train)
        behind = [(0, 0)] * (mix.ndim - 1) + [(0, missing)]
        return super()._separate(jnp.pad(mix, behind), train)[..., : mix.shape[-1]]

    def _between(self, x: Array, t: Array) -> tuple[Array, Array]:
        features, wave_features = x.shape[-1], t.shape[-1]
        if self.bottom_channels:
            x = Conv(self.bottom_channels, 1, rescale=self.rescale, name="widen")(x)
            t = Conv(self.bottom_channels, 1, rescale=self.rescale, name="widen_wave")(t)
        options = CrossOptions(
            self.t_heads, self.t_hidden_scale, self.t_norm_first, self.t_norm_out,
            self.t_group_norm, self.t_layer_scale, self.t_gelu,
        )  # fmt: skip
        x, y = CrossTransformer(
            self.t_layers, options, self.t_cross_first, self.t_emb, self.t_weight_pos_embed,
            self.t_max_period, self.t_max_positions, self.t_norm_in, self.t_norm_in_group,
            name="transformer",
        )(x, t[:, 0])  # fmt: skip
        t = y[:, None]
        if self.bottom_channels:
            x = Conv(features, 1, rescale=self.rescale, name="narrow")(x)
            t = Conv(wave_features, 1, rescale=self.rescale, name="narrow_wave")(t)
        return x, t
