"""The mixture with its sign turned, to be rid of what a network adds by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from tiny_models import MODEL, RATE, noise, stack
from toy_models import ToyMask, drawn

from xumx_jax.errors import UserError
from xumx_jax.models.interface import Segment
from xumx_jax.separation import chunk_runner
from xumx_jax.separation.chunked import Chunked
from xumx_jax.separation.normalization import NORMALIZATIONS, normalization
from xumx_jax.separation.separator import Separator
from xumx_jax.stems import Stems

pytestmark = pytest.mark.usefixtures("quick_compile")


class Hum(nn.Module):
    """The mixture at its level in the track, with a hum and a square that are no part of it."""

    sources: tuple[str, ...] = ("a",)
    sample_rate: int = RATE
    channels: int = 2
    normalization: str | None = None
    transform = None
    segment = Segment(usual=1000)

    def __call__(self, mix, train=False, statistics=None):
        level, size = (0, 1) if statistics is None else jnp.broadcast_to(statistics, 2)
        level = level if self.normalization != "peak" else 0
        x = (mix - level) / size
        return Stems(((x + 0.2 + x**2) * size + level)[:, None])


@pytest.mark.parametrize(
    "normalization", [None, "mean and deviation", "mean and population deviation", "peak"]
)
def test_what_does_not_turn_with_the_mixture_is_gone(normalization):
    mix = noise(2500) + np.float32(0.3)
    model = Hum(normalization=normalization)
    found = Separator(model, {}, denoise=True)(mix, RATE)["a"]
    np.testing.assert_allclose(found, mix, atol=1e-5)
    assert np.abs(Separator(model, {})(mix, RATE)["a"] - mix).max() > 0.1


def test_a_residual_and_mono_go_with_it():
    mix = noise(1500)
    stems = Separator(Hum(channels=1), {}, denoise=True, mid_side=True, residual=True)(mix, RATE)
    np.testing.assert_allclose(stems["a"], mix, atol=1e-5)
    np.testing.assert_allclose(stems["residual"], 0, atol=1e-5)


def test_masks_of_magnitudes_turn_with_the_mixture():
    """They have nothing to lose."""
    mix = noise(3000)
    plain, both = (Separator(ToyMask(), {}, denoise=way) for way in (False, True))
    np.testing.assert_allclose(stack(both(mix, RATE)), stack(plain(mix, RATE)), atol=1e-6)


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_every_level_of_a_track_is_known_for_the_turned_one(name):
    turned = np.asarray(normalization(name).turned(np.float32([0.5, 2])))
    np.testing.assert_array_equal(np.abs(turned), [0.5, 2])


def test_it_is_done_in_chunks():
    assert isinstance(Separator(*MODEL, niter=0, denoise=True).engine, Chunked)


def test_the_network_is_compiled_once_and_runs_alone():
    module, variables = drawn("toy_wave")
    run, *_ = chunk_runner.compile_chunks(module, (jax.devices()[0],), (("denoise", True),))
    text = run.function.lower(variables, noise(1024)[None], None).as_text()
    assert text.count("stablehlo.convolution") == 1 and "stablehlo.while" in text


def test_it_is_none_of_what_can_run_live():
    with pytest.raises(UserError, match="leave out .* and denoise"):
        Separator(*MODEL, denoise=True).live(RATE)
