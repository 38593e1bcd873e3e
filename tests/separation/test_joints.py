"""What other programs' chunks do to the stems, and ours do not: faults of theirs that are kept."""

import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import ClosedForm
from flax import linen as nn
from tiny_models import stack

from xumx_jax.models.interface import Segment
from xumx_jax.separation.separator import Separator
from xumx_jax.stems import Stems

pytestmark = pytest.mark.usefixtures("quick_compile")
RATE, LENGTH = 100, 1700


class Whole(nn.Module):
    """The mixture as it is, except near the ends of a call, where a network has no context."""

    sources: tuple[str, ...] = ("a",)
    sample_rate: int = RATE
    channels: int = 2
    transform = None
    segment = Segment(usual=300)

    def __call__(self, mix, train=False):
        place = jnp.arange(mix.shape[-1])
        near = jnp.minimum(place, mix.shape[-1] - 1 - place)
        return Stems((mix * jnp.minimum(1, (near + 10) / 20))[:, None])


def tone():
    """A low tone without a sample of silence."""
    wave = 0.2 * np.cos(2 * np.pi * np.arange(LENGTH) / LENGTH * 3 + 0.1) + 0.5
    return np.stack([wave, wave]).astype(np.float32)


def separate(model=None, **options):
    return stack(Separator(model or Whole(), {}, **options)(tone(), RATE))[0, 0]


def test_stems_do_not_depend_on_how_many_chunks_run_at_once():
    theirs, ours = (
        [separate(ClosedForm(fixed=False), batch=batch, **way) for batch in (1, 5)]
        for way in ({"protocol": "msst"}, {})
    )
    assert np.abs(theirs[0] - theirs[1]).max() > 1e-3
    np.testing.assert_allclose(ours[0], ours[1], atol=1e-6)


def test_no_sample_is_lost_where_weights_are_0():
    """Of a short track in a batch, which they do not continue, and of chunks without overlap."""
    short = {"chunk_seconds": 17, "overlap": 0.5}
    assert separate(protocol="msst", batch=2, **short)[0] == 0
    assert (separate(protocol="msst", overlap=0.0)[[300, 600, 900]] == 0).all()
    for options in ({"batch": 2, **short}, {"overlap": 0.0}, {}):
        assert np.abs(separate(**options)).min() > 0.01


def test_joints_are_faded():
    """Where chunks meet, theirs fall to silence within a tenth; ours go on as if uncut."""
    middle = slice(40, -40)
    theirs, ours = separate(protocol="msst", overlap=0.0)[middle], separate()[middle]
    wanted = tone()[0, middle]
    assert np.abs(theirs - wanted).max() > 0.3
    assert np.abs(ours - wanted).max() < 0.02
