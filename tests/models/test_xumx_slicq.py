import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_models import ARGUMENTS, drawn

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.interface import variable_shapes
from xumx_jax.training.statistics import moments

NAME = "xumx_slicq"
pytestmark = pytest.mark.usefixtures("quick_compile")


def mixture(time: int, batch: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).normal(size=(batch, 2, time)).astype(np.float32)


@pytest.fixture(scope="module")
def run():
    model, variables = drawn(NAME)

    def estimates(coefficients, span):
        return model.apply(variables, coefficients, span=span, method="estimates")

    return model, variables, jax.jit(model.apply), jax.jit(estimates)


def test_published_size():
    """6,671,856 parameters in 51 blocks; 19 above 16 kHz have no network."""
    model = build(NAME)
    leaves = jax.tree.leaves(variable_shapes(model)["params"])
    assert sum(leaf.size for leaf in leaves) == 6_671_856
    assert {group.kernel: len(group.blocks) for group in model.groups} == {
        (1, 7): 20, (1, 13): 28, (3, 7): 2, (5, 7): 1,
    }  # fmt: skip
    assert len(model.transform.blocks) == 70
    for group in model.groups:
        lengths = np.array(group.bands) * group.pairs
        for loop in group.loops():
            assert lengths[loop].min() >= 0.7 * lengths[loop].max()


@pytest.mark.slow
def test_what_is_returned(run):
    """Masks between 0 and 1, and 1 above the bandwidth; short clips as well."""
    model, variables, apply, _ = run
    for time in (1500, 1, 100):
        mix = mixture(time)
        found = apply(variables, mix)
        assert found.wave.shape == (1, 2, 2, time) and np.isfinite(found.wave).all()
    mix = mixture(1500)
    found = apply(variables, mix)
    own = {number for group in model.groups for number in group.blocks}
    assert 0 < len(own) < len(found.mask)
    for number, block in enumerate(model.transform.forward(mix)):
        mask, spec = found.mask[number], found.spec[number]
        np.testing.assert_allclose(spec, mask * block[:, None], atol=1e-6)
        np.testing.assert_allclose(found.magnitude[number], np.abs(spec), atol=1e-6)
        if number in own:
            assert 0 <= mask.min() and mask.max() <= 1 and np.std(mask) > 1e-4
        else:
            assert np.all(mask == 1)


@pytest.mark.slow
def test_a_part_with_its_context_is_the_whole(run):
    """A mask depends on `context` slices before and after it, and on none outside the track."""
    model, _, _, estimates = run
    plan, (before, after) = model.transform, model.context
    flat = plan.analyse(mixture(12 * plan.hop))
    slices = flat.shape[-2]
    spec, mask = estimates(flat, (0, slices))
    for begin in (0, 4, slices - 3):
        places = np.arange(begin - before, begin + 3 + after)
        inside = (places >= 0) & (places < slices)
        part = flat[..., places.clip(0, slices - 1), :] * inside[:, None]
        span = np.int32(before - begin), np.int32(before - begin + slices)
        one, other = (x[..., before : before + 3, :] for x in estimates(part, span))
        np.testing.assert_allclose(other, mask[..., begin : begin + 3, :], atol=1e-5)
        np.testing.assert_allclose(one, spec[..., begin : begin + 3, :], atol=1e-5)


@pytest.mark.slow
def test_gradients_are_finite_and_reach_all_parameters(run):
    model, variables, *_ = run

    def objective(params, mix):
        made = {"params": params, "batch_stats": variables["batch_stats"]}
        found, moved = model.apply(made, mix, train=True, mutable="batch_stats")
        return sum(jnp.square(block).sum() for block in found.magnitude), moved

    slope = jax.jit(jax.grad(objective, has_aux=True))
    for mix in (mixture(1500, 2), 0 * mixture(1500, 2)):
        gradient, moved = slope(variables["params"], mix)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((gradient, moved)))
        if mix.any():
            assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_input_statistics_are_those_of_overlapped_magnitudes():
    """Of a band's frames, however the track is cut; channels are averaged first."""
    model, variables = drawn(NAME)
    songs = [mixture(time)[0] for time in (900, 40_000)]
    found = moments(model.input_statistics, songs)
    params = model.input_statistics.fill(variables["params"], found)
    for number in sorted(number for group in model.groups for number in group.blocks):
        block = model.transform.blocks[number]
        frames = []
        for song in songs:
            size = np.abs(model.transform.forward(song)[number]).mean(0)
            early, late = np.split(size, 2, axis=-1)
            edge = np.zeros_like(early[:, :1])
            rows = np.concatenate([early, edge], 1) + np.concatenate([edge, late], 1)
            frames.append(rows.reshape(len(size), -1))
        frames = np.concatenate(frames, axis=1)
        bands = slice(block.first, block.first + block.bands)
        for source in range(2):
            np.testing.assert_allclose(
                params["input_mean"][source, bands], -frames.mean(1), rtol=1e-4
            )
            np.testing.assert_allclose(
                params["input_scale"][source, bands], 1 / frames.std(1), rtol=1e-3
            )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 3}, "channels 3: wanted 1 or 2"),
        ({"bandwidth_hz": 0.0}, "bandwidth_hz 0.0: wanted more than 0"),
        ({"bins": 1}, "bins 1: wanted 2 or more"),
        ({"low_hz": 5000.0}, "half the sample rate"),
    ],
)
def test_arguments_that_make_no_model_are_one_line(options, message):
    with pytest.raises(UserError, match=f"model '{NAME}': .*{message}") as error:
        build(NAME, **ARGUMENTS[NAME] | options)
    assert "\n" not in str(error.value)
