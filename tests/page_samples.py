"""Samples that a page has sent, as `rig.sent` of tests/browser/rig.js writes them."""

import base64

import numpy as np


def floats(text):
    """Samples, from base64 of float32."""
    return np.frombuffer(base64.b64decode(text), "<f4")


def heard(tapped):
    """What was tapped, without the silence before: [channel, time]."""
    both = np.stack([floats(text) for text in tapped])
    return both[:, np.flatnonzero(both.any(axis=0))[0] :]


def found(part, whole, near, within=500):
    """Where a part begins in the whole, to the frame and the bit."""
    for at in range(near - within, near + within):
        if np.array_equal(part[:, :200], whole[:, at : at + 200]):
            assert np.array_equal(part, whole[:, at : at + part.shape[1]])
            return at
    raise AssertionError("it is not there")


def parts(samples):
    """The stretches between silences, [(first frame, last frame)]."""
    on = np.flatnonzero(samples)
    ends = np.flatnonzero(np.diff(on) > 64)
    return list(zip(on[np.r_[0, ends + 1]], on[np.r_[ends, len(on) - 1]], strict=True))
