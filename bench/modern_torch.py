"""PyTorch's models of `make bench-modern`: those of the packages demucs and msst, and MDX-Net.

msst's RoFormers want librosa for mel bands alone, which here come from the formula.
"""

import sys
import types
import warnings
from fractions import Fraction

import numpy as np
from demucs.htdemucs import HTDemucs
from mdxnet_torch import MdxNet
from ml_collections import ConfigDict

warnings.filterwarnings("ignore", "A window was not provided")  # SCNet means it
SOURCES = ["drums", "bass", "other", "vocals"]


def mel(sr: float, n_fft: int, n_mels: int) -> np.ndarray:
    """Slaney's mel filters [band, bin], as `librosa.filters.mel` has them by default."""

    def to_hz(mels):
        return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))

    top = 15 + 27 * np.log(sr / 2 / 1000) / np.log(6.4)
    edges = to_hz(np.linspace(0, top, n_mels + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.linspace(0, sr / 2, n_fft // 2 + 1)[None]
    slopes = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    return (np.maximum(0, slopes) * 2 / (high - low)).astype(np.float32)


stand_in = types.ModuleType("librosa")
stand_in.filters = types.SimpleNamespace(mel=mel)
sys.modules.setdefault("librosa", stand_in)

from msst.models.bs_roformer import BSRoformer, MelBandRoformer  # noqa: E402
from msst.models.mdx23c_tfc_tdf_v3 import TFC_TDF_net  # noqa: E402
from msst.models.scnet.scnet import SCNet  # noqa: E402


def htdemucs(segment: float, **args):
    return HTDemucs(SOURCES, segment=Fraction(segment).limit_denominator(100), **args)


MODELS = {
    "htdemucs": htdemucs,
    "scnet": lambda **args: SCNet(sources=SOURCES, **args),
    "mel_band_roformer": MelBandRoformer,
    "bs_roformer": BSRoformer,
    "roformer_small": BSRoformer,
    "mdx23c": lambda **args: TFC_TDF_net(ConfigDict(args)),
    "mdxnet": MdxNet,
}
