"""Models for mono that separate mid and side as well, with answers known by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from tiny_models import RATE, noise, stack, tiny
from toy_models import ToyMask, drawn

from xumx_jax.errors import UserError
from xumx_jax.models.interface import Segment
from xumx_jax.separation import multichannel
from xumx_jax.separation.chunk_runner import separate_mid_side
from xumx_jax.separation.separator import Separator
from xumx_jax.stems import Stems

pytestmark = pytest.mark.usefixtures("quick_compile")


class Mono(nn.Module):
    """The mixture as it is, and its square, which is not linear."""

    sources: tuple[str, ...] = ("same", "square")
    sample_rate: int = RATE
    channels: int = 1
    transform = None
    segment = Segment(usual=1000)

    def __call__(self, mix, train=False):
        assert mix.shape[1] == 1
        return Stems(jnp.stack([mix, mix**2], axis=1))


def test_what_is_left_alone_comes_back_and_what_is_not_is_the_mean():
    mix = noise(2500)
    stems = Separator(Mono(), {}, mid_side=True)(mix, RATE)
    np.testing.assert_allclose(stems["same"], mix, atol=1e-6)
    left, right = mix
    mid, side = (left + right) / 2, (left - right) / 2
    wanted = [left**2 + mid**2 + side**2, right**2 + mid**2 - side**2]
    np.testing.assert_allclose(stems["square"], np.stack(wanted) / 2, atol=1e-6)


def test_the_network_runs_once_over_four_rows():
    module, variables = drawn("toy_wave")
    function = jax.jit(lambda mix: separate_mid_side(module.clone(channels=1), variables, mix))
    text = function.lower(noise(1024)).as_text()
    assert text.count("stablehlo.convolution") == 1 and "tensor<4x" in text


@pytest.mark.slow
@pytest.mark.parametrize("rate", [RATE, 11025])
def test_mono_is_separated_once_and_more_channels_in_pairs(rate):
    module, variables = drawn("toy_wave")
    module = module.clone(channels=1)
    plain, both = Separator(module, variables), Separator(module, variables, mid_side=True)
    mix = noise(1500, channels=5)
    one = stack(plain(mix[:1], rate))
    np.testing.assert_allclose(stack(both(mix[:1], rate)), one, atol=1e-6)
    blocks = list(multichannel.stream(both, 5, iter([mix]), rate, 1500, None))
    found = np.concatenate([stack(block) for block in blocks], axis=-1)
    pairs = [stack(both(mix[at : at + 2], rate)) for at in (0, 2, 4)]
    np.testing.assert_allclose(found, np.concatenate(pairs, axis=1), atol=1e-6)
    # a model that adds a constant to everything: mid and side are no left and right
    assert np.abs(pairs[0] - stack(plain(mix[:2], rate))).max() > 1e-3


@pytest.mark.slow
def test_filters_and_the_residual_apply_to_both_pairs():
    mix = noise(3000)
    options = {"post_filter": "norbert", "residual": True, "chunk_seconds": 1, "overlap": 0}
    separator = Separator(ToyMask(channels=1), {}, mid_side=True, **options)
    found = separator(mix, RATE)
    np.testing.assert_allclose(sum(found.values()), mix, atol=1e-4)
    turned = np.stack([mix[0] + mix[1], mix[0] - mix[1]]) / 2
    plain = Separator(ToyMask(channels=1), {}, **options)
    direct, (mid, side) = stack(plain(mix, RATE)), stack(plain(turned, RATE)).swapaxes(0, 1)
    wanted = (direct + np.stack([mid + side, mid - side], axis=1)) / 2
    np.testing.assert_allclose(stack(found), wanted, atol=1e-5)


@pytest.mark.slow
def test_models_for_stereo_have_no_use_for_it():
    with pytest.raises(UserError, match="mid-side is for models for mono, and this one takes 2"):
        Separator(*drawn("toy_wave"), mid_side=True)
    with pytest.raises(UserError, match="cannot do; leave out .*mid_side"):
        Separator(*tiny("umx", channels=1), mid_side=True).live(RATE)
