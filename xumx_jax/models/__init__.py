"""The models by name; `build` makes one from plain arguments.

interface          what every model offers to the rest of the package, and the check of arguments
umx                Open-Unmix and X-UMX
xumx_slicq, xumx_slicq_v2  xumx-sliCQ, autoencoders of the blocks of a sliCQ, and its second version
bsrnn              BandSplitRNN
demucs, hdemucs    Demucs, of waveforms, and Hybrid Demucs, of spectra and waveforms
htdemucs           Hybrid Transformer Demucs
demucs_split, rel_tdemucs  AIMLESS's Demucs with a decoder per source, and around a transformer
roformer           BS-RoFormer and Mel-Band RoFormer, of attention over time and over bands
mdx23c             MDX23C, a U-Net of convolutions and dense layers along frequency
scnet              SCNet, of bands that are thinned out
mdxnet             MDX-Net, the network of UVR's .onnx files
scales             lengths for MDX23C and MDX-Net
unpadded           what these two have in common
input_statistics, slicq_statistics   how the input of models of spectra is normalised

Models are networks from a batch of mixtures to `Stems`: they know nothing of files, whole tracks or
weights on disk.
"""

from collections.abc import Callable
from importlib import import_module

from flax import linen as nn

from xumx_jax.errors import UserError
from xumx_jax.files import is_name

# What makes each model, as "module:name", imported when first used; or the callable itself.
MODELS: dict[str, str | Callable[..., nn.Module]] = {
    "xumx": "xumx_jax.models.umx:UMX",
    "umx": "xumx_jax.models.umx:OpenUnmix",
    "xumx_slicq": "xumx_jax.models.xumx_slicq:XumxSliCQ",
    "bsrnn": "xumx_jax.models.bsrnn:BandSplitRNN",
    "demucs": "xumx_jax.models.demucs:Demucs",
    "hdemucs": "xumx_jax.models.hdemucs:HDemucs",
    "htdemucs": "xumx_jax.models.htdemucs:HTDemucs",
    "demucs_split": "xumx_jax.models.demucs_split:DemucsSplit",
    "rel_tdemucs": "xumx_jax.models.rel_tdemucs:RelTDemucs",
    "xumx_slicq_v2": "xumx_jax.models.xumx_slicq_v2:XumxSliCQv2",
    "mdx23c": "xumx_jax.models.mdx23c:Mdx23c",
    "scnet": "xumx_jax.models.scnet:SCNet",
    "mdxnet": "xumx_jax.models.mdxnet:MdxNet",
    "bs_roformer": "xumx_jax.models.roformer:BSRoFormer",
    "mel_band_roformer": "xumx_jax.models.roformer:MelBandRoFormer",
}


def model_class(name: str) -> Callable[..., nn.Module]:
    """What makes the model called `name`, a key of MODELS. Raises UserError on an unknown name."""
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}; known: {', '.join(MODELS)}")
    found = MODELS[name]
    if isinstance(found, str):
        module, _, member = found.partition(":")
        found = getattr(import_module(module), member)
    return found


def build(name: str, **arguments) -> nn.Module:
    """Make the linen module called `name`, a key of MODELS.

    Lists (from JSON) become tuples, nested ones as well. Raises UserError, in one line, on an
    unknown name or argument, on arguments that make no network, and unless sources are names, each
    once and fit for a file.
    """
    make = model_class(name)
    try:
        module = make(**frozen(arguments))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"model {name!r}: {' '.join(str(error).split())}") from error
    sources = getattr(module, "sources", None)
    if not isinstance(sources, tuple) or not sources:
        raise UserError(f"model {name!r}: sources {sources!r}: wanted a list of at least one name")
    for source in sources:
        if not is_name(source):  # stems are files called so
            raise UserError(f"model {name!r}: source {source!r} cannot be the name of a file")
    if len(set(sources)) < len(sources):
        raise UserError(f"model {name!r}: sources {', '.join(sources)}: wanted each name once")
    return module


def frozen(arguments: dict) -> dict:
    """Turn lists in arguments into tuples, at any depth, since modules must be hashable."""

    def one(value):
        return tuple(map(one, value)) if isinstance(value, list | tuple) else value

    return {name: one(value) for name, value in arguments.items()}
