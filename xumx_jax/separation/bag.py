"""Several models used as one: the weighted average of their stems, source by source."""

import logging
from itertools import tee

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.interface import optional
from xumx_jax.postfilters import POST_FILTERS
from xumx_jax.separation import streams
from xumx_jax.separation.engine import CALLBACK, USUAL, Progress
from xumx_jax.separation.inputs import InputBlocks
from xumx_jax.separation.recommended import recommended
from xumx_jax.separation.residual import RESIDUAL, residual_name
from xumx_jax.separation.separator import Separator
from xumx_jax.weights import combinations
from xumx_jax.weights.bag import Bag, average

LOG = logging.getLogger(__name__)
OF_FILTERS = (*USUAL, "wiener_frames")  # options that only members with a post filter get


class BagSeparator:
    """Separators with weights; called and streamed like a single `Separator`.

    separators  of any models: sample rates and sources may differ
    weights     one per separator, a number or {source: number}; None: all equal. For every source
                they are divided by their sum over the separators that have it
    dropped     names of stems that are left out, though separators have them

    `sources` are those of the first separator, then those that others add; all are in the stems.
    Raises UserError on weights that make no sense, and on a source without any weight.
    """

    def __init__(self, separators, weights=None, dropped=()):
        self.separators = tuple(separators)
        found = [
            [name for name in separator.sources if name not in dropped]
            for separator in self.separators
        ]
        self.sources, self.weights = average(found, weights)

    @property
    def rate(self) -> int:
        """The sample rate of the first model, in hertz."""
        return self.separators[0].rate

    @property
    def residual_gain(self) -> float:
        """That of its models, if they agree on it; else 1."""
        gains = {separator.residual_gain for separator in self.separators}
        return gains.pop() if len(gains) == 1 else 1.0

    @property
    def model(self):
        """The modules of all separators."""
        return tuple(separator.model for separator in self.separators)

    @property
    def engine(self):
        """The engines of all separators."""
        return tuple(separator.engine for separator in self.separators)

    def __call__(self, mix, rate: int, callback: CALLBACK | None = None) -> dict[str, np.ndarray]:
        """Separate an array: like `Separator.__call__`."""
        return streams.at_once(self, mix, rate, callback)

    def stream(self, blocks, rate: int, length: int | None = None, callback=None):
        """Separate a stream: like `Separator.stream`."""
        count = len(self.separators)
        shares = streams.shares(Progress(callback, length and 1), count)

        def progress(share):
            return callback and (lambda fraction, eta: share(fraction or 0.0))

        inputs = InputBlocks(blocks, 1)  # shared, so that each warning is given once
        running = [
            _stacked(separator.stream(copy, rate, length, progress(share)))
            for separator, copy, share in zip(
                self.separators, tee(inputs, count), shares, strict=True
            )
        ]
        try:
            for parts in streams.aligned(running):
                yield dict(zip(self.sources, self._average(parts), strict=True))
        finally:
            for one in running:
                one.close()
        if inputs.samples:  # an empty input: the members warn
            inputs.warn()

    def _average(self, parts):
        """Average [source, channel, time] of every separator -> [source, channel, time]."""
        mean = np.zeros((len(self.sources), *parts[0].shape[1:]), np.float32)
        for separator, part, weights in zip(self.separators, parts, self.weights, strict=True):
            for name, stem in zip(separator.sources, part, strict=True):
                if name in self.sources:
                    at = self.sources.index(name)
                    mean[at] += stem * np.float32(weights[at])
        return mean


def _stacked(stream):
    for block in stream:
        yield np.stack(list(block.values()))


def separators_of(bag: Bag, options: dict) -> BagSeparator:
    """Make a `BagSeparator` for a bag of several members.

    `options` are those of `Separator`, for every member; the bag's rule may add others. Those of
    post filters go to the members that have one. A member with one source is separated by its mask
    alone (niter 0), unless `residual` gives the Wiener filter a second source. Raises UserError on
    options of a filter that no member can have.
    """
    if options.get("residual") and not np.allclose(bag.weights, bag.weights[:, :1]):
        raise UserError(
            "a residual is what remains after all sources of one model are removed; use models "
            "with the same sources and one weight each"
        )
    separators, alone = [], []
    modules = [build(member.name, **member.args) for member in bag.members]
    asked = options.get("post_filter")
    if asked and all(module.transform is None for module in modules):
        raise UserError(
            f"post filter {asked!r}: all models of the bag work on waveforms, and post filters on "
            "spectra; use none"
        )
    shares = combinations.shares(bag.combine, modules)
    chosen = {name: value for name, value in options.items() if value}
    all_own = [{**options, **share, **chosen} for share in shares]
    for module, own in zip(modules, all_own, strict=True):
        if module.transform is None:  # others of the bag may use the filter
            own.pop("post_filter", None)
    filters = [
        own.get("post_filter") or optional(module, "post_filter")
        for module, own in zip(modules, all_own, strict=True)
    ]
    for member, module, own, name in zip(bag.members, modules, all_own, filters, strict=True):
        if any(filters) and name is None:  # without any, each member refuses them
            own = {option: value for option, value in own.items() if option not in OF_FILTERS}
        single = len(module.sources) == 1 and not own.get("residual")
        if single and name and not POST_FILTERS[name].alone and own.get("niter", 1):
            own["niter"] = 0
            alone += module.sources
        own = recommended(own, member.info, module)
        separators.append(Separator(module, member.variables, **own))
    if alone:
        LOG.info(
            "%s: each comes from a separate model, so it is separated by its mask alone: the "
            "Wiener filter weighs the sources of one model against each other",
            ", ".join(dict.fromkeys(alone)),
        )
    residual = options.get("residual")
    weights = [
        {name: weight for name, weight in zip(bag.sources, row, strict=True) if weight}
        | ({residual_name(bag.sources, residual): row[0]} if residual else {})
        for row in bag.weights.tolist()
    ]
    helps = not residual and any(share.get("residual") for share in shares)
    return BagSeparator(separators, weights, (RESIDUAL,) if helps else ())
