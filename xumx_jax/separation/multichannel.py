"""Separate more than two channels: pairs of channels run side by side through the track."""

from itertools import tee

import numpy as np

from xumx_jax.audio.formats import CHANNELS
from xumx_jax.errors import UserError
from xumx_jax.separation.streams import aligned


def check_channels(label, channels, format):
    """Raise UserError if files of `format` cannot hold that many channels."""
    most = CHANNELS[format]
    if channels > most:
        raise UserError(
            f"{label}: has {channels} channels, and {format} files hold {most}; use "
            "--format wav, or --channels front"
        )


def stream(separator, channels, blocks, rate, length, callback):
    """Separate [channel, time] blocks of more than two channels -> iterator of {name: block}.

    Channels 1 and 2 are separated as one track, 3 and 4 as another, and so on; the last of an odd
    number as mono. The last pair reports to the callback.
    """
    firsts = range(0, channels, 2)
    # All are at about the same position, so `tee` has to keep little.
    streams = [
        separator.stream(_cut(share, at), rate, length, callback if at == firsts[-1] else None)
        for at, share in zip(firsts, tee(blocks, len(firsts)), strict=True)
    ]
    try:
        yield from _side_by_side(streams)
    finally:
        for one in streams:
            if hasattr(one, "close"):
                one.close()


def _side_by_side(streams):
    """Join the channels of several streams, whose blocks need not be of one length."""
    names: list[str] = []

    def stacked(stream):
        nonlocal names
        for stems in stream:
            names = list(stems)
            yield np.stack(list(stems.values()))

    for blocks in aligned(map(stacked, streams)):
        yield dict(zip(names, np.concatenate(blocks, axis=1), strict=True))


def _cut(blocks, at):
    for block in blocks:
        yield block[at : at + 2]
