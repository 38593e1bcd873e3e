"""Channels in pairs through a model, and how many of them formats hold."""

import numpy as np
import pytest

from xumx_jax.errors import UserError
from xumx_jax.separation import multichannel


class Uneven:
    """Stems that are the mixture and its negative, in blocks of other lengths for every stream."""

    def __init__(self):
        self.sizes, self.closed, self.told = iter((70, 300, 1000)), 0, []

    def stream(self, blocks, rate, length, callback):
        try:
            whole, size = np.concatenate(list(blocks), axis=1), next(self.sizes)
            for at in range(0, length, size):
                cut = whole[:, at : at + size]
                if callback:
                    callback(min(1, (at + size) / length), None)
                yield {"a": cut, "b": -cut}
        finally:
            self.closed += 1


def test_pairs_of_channels_are_put_together():
    whole = np.arange(5000, dtype=np.float32).reshape(5, 1000) / 5000
    separator, told = Uneven(), []
    stems = list(
        multichannel.stream(
            separator,
            5,
            iter([whole[:, :400], whole[:, 400:]]),
            8000,
            1000,
            lambda *x: told.append(x),
        )
    )
    for name, sign in (("a", 1), ("b", -1)):
        np.testing.assert_array_equal(
            np.concatenate([s[name] for s in stems], axis=1), sign * whole
        )
    assert separator.closed == 3 and told == [(1, None)]


@pytest.mark.parametrize(
    ("format", "channels", "fits"),
    [
        ("wav", 32, True),
        ("flac", 8, True),
        ("flac", 9, False),
        ("opus", 2, True),
        ("m4a", 3, False),
    ],
)
def test_how_many_channels_formats_hold(format, channels, fits):
    if fits:
        multichannel.check_channels("x", channels, format)
        return
    with pytest.raises(UserError, match=f"x: has {channels} channels, and {format} files hold"):
        multichannel.check_channels("x", channels, format)
