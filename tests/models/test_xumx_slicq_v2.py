import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_models import ARGUMENTS, drawn

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.interface import variable_shapes
from xumx_jax.models.xumx_slicq_v2 import networks
from xumx_jax.postfilters.wiener import wiener
from xumx_jax.training.statistics import moments

NAME = "xumx_slicq_v2"
pytestmark = pytest.mark.usefixtures("quick_compile")


def mixture(time: int, channels: int = 2) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).normal(size=(2, channels, time)).astype(np.float32)


def flat(block: np.ndarray) -> np.ndarray:
    """[band, slice, coefficient] -> [band, value]."""
    return block.reshape(len(block), -1)


def test_published_size():
    """15,010,446 parameters; three blocks have kernels over several bands."""
    model = build(NAME)
    leaves = jax.tree.leaves(variable_shapes(model)["params"])
    assert sum(leaf.size for leaf in leaves) == 15_010_446
    assert [(name, len(blocks), taps) for name, blocks, taps in networks(model.transform)] == [
        ("narrow", 67, 1), ("wide_0", 1, 5), ("wide_1", 1, 3), ("wide_2", 1, 3),
    ]  # fmt: skip
    assert model.segment.grid == 9030 and model.segment.usual == 49 * 9030


@pytest.mark.slow
@pytest.mark.parametrize(("mix_phase", "channels"), [(False, 2), (False, 1), (True, 2)])
def test_what_is_returned(mix_phase, channels):
    model, variables = drawn(NAME, mix_phase=mix_phase, channels=channels)
    mix = mixture(1500, channels)
    found = jax.jit(model.apply)(variables, mix)
    blocks = model.transform.forward(mix)
    assert found.wave.shape == (2, 2, channels, 1500)
    for spec, mask, block in zip(found.spec, found.mask, blocks, strict=True):
        assert mask.shape == spec.shape == (2, 2, *block.shape[1:])
    mask = np.concatenate([np.ravel(mask) for mask in found.mask])
    assert 0 <= mask.min() and mask.max() <= 1 and mask.std() > 0.01
    wave = model.transform.inverse(found.spec, 1500)
    np.testing.assert_allclose(found.wave, wave, atol=1e-6)
    assert bool(found.magnitude) == mix_phase
    for number, block in enumerate(blocks):
        masked = found.mask[number] * block[:, None]
        if mix_phase:
            np.testing.assert_allclose(found.spec[number], masked, atol=1e-6)
            np.testing.assert_allclose(found.magnitude[number], np.abs(masked), atol=1e-6)
            continue
        if number % 4:
            continue
        for item in range(2):  # bands have statistics of their own
            flat, whole = (x.reshape(*x.shape[:-2], -1) for x in (masked[item], block[item]))
            true = wiener(flat, whole, epsilon=float(np.finfo(np.float32).eps))
            np.testing.assert_allclose(
                found.spec[number][item].reshape(true.shape), true, atol=2e-5
            )


@pytest.mark.slow
@pytest.mark.parametrize("mix_phase", [False, True])
def test_a_part_with_slices_of_context_is_the_whole(mix_phase):
    """The filter takes a part at a time, so its whole is that of the same slices."""
    model, variables = drawn(NAME, mix_phase=mix_phase)
    plan = model.transform
    flat = plan.analyse(mixture(8 * plan.hop))
    slices = flat.shape[-2]

    def run(coefficients, span, own):
        return model.apply(variables, coefficients, span=span, own=own, method="estimates")

    run = jax.jit(run, static_argnums=2)
    before, after = model.context
    assert (before, after) == ((3, 2) if mix_phase else (2, 2))
    for begin in (0, slices - 3):
        spec, mask = run(flat, (0, slices), (begin, begin + 3))
        places = np.arange(begin - before, begin + 3 + after)
        part = flat[..., places.clip(0, slices - 1), :]  # what is not of the track is ignored
        span = np.int32(before - begin), np.int32(before - begin + slices)
        one, other = run(part, span, (before, before + 3))
        assert one.shape == (2, 2, 2, 3, plan.coefficients)
        np.testing.assert_allclose(other, mask, atol=1e-5)
        np.testing.assert_allclose(one, spec, atol=1e-5)


@pytest.mark.slow
def test_windows_of_the_original():
    """One that holds a whole clip is none; the bands with most coefficients have several."""
    model, variables = drawn(NAME)
    mix = mixture(1500)
    whole, long, short = (
        jax.jit(model.clone(window=window).apply)(variables, mix) for window in (None, 5000, 700)
    )
    np.testing.assert_allclose(long.wave, whole.wave, atol=1e-5)
    sizes = [block.shape[-2] * block.shape[-1] for block in whole.spec]
    assert min(sizes) < 700 < max(sizes)
    for size, one, other in zip(sizes, whole.spec, short.spec, strict=True):
        assert (np.abs(one - other).max() < 1e-5) == (size <= 700)


@pytest.mark.slow
def test_gradients_are_finite_and_reach_all_parameters():
    """Also with silence."""
    model, variables = drawn(NAME)

    def objective(params, mix):
        made = {"params": params, "batch_stats": variables["batch_stats"]}
        found, moved = model.apply(made, mix, train=True, mutable="batch_stats")
        return sum(jnp.square(jnp.abs(block)).sum() for block in found.spec), moved

    slope = jax.jit(jax.grad(objective, has_aux=True))
    for mix in (mixture(1500), 0 * mixture(1500)):
        gradient, moved = slope(variables["params"], mix)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((gradient, moved)))
        if mix.any():
            assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_a_clip_of_one_sample():
    """It has fewer slices than kernels have taps."""
    model, variables = drawn(NAME)
    found = jax.jit(model.apply)(variables, mixture(1))
    assert found.wave.shape == (2, 2, 2, 1) and np.isfinite(found.wave).all()


def test_input_statistics_are_those_of_bands():
    """Of all coefficients of a band, however the track is cut."""
    model, variables = drawn(NAME)
    songs = [mixture(time)[0] for time in (900, 40_000)]
    found = moments(model.input_statistics, songs)
    params = model.input_statistics.fill(variables["params"], found)
    plan = model.transform
    blocks = [plan.forward(song) for song in songs]
    for name, numbers, _ in networks(plan):
        sizes = [
            np.concatenate([flat(np.abs(one[number]).mean(0)) for one in blocks], axis=1)
            for number in numbers
        ]
        mean = np.concatenate([-size.mean(1) for size in sizes])
        np.testing.assert_allclose(params[name]["mean"], mean, rtol=1e-4)
        scale = np.concatenate([1 / size.std(1) for size in sizes])
        np.testing.assert_allclose(params[name]["scale"], scale, rtol=1e-3)
        for key in ("first", "last"):
            assert params[name][key] is variables["params"][name][key]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compute": "int8"}, "compute 'int8': wanted one of"),
        ({"channels": 3}, "channels 3: wanted 1 or 2"),
        ({"hidden_size": 0}, "hidden_size 0: wanted 1 or more"),
        ({"window": 0}, "window 0: wanted 1 or more"),
        ({"bins": 1}, "bins 1: wanted 2 or more"),
        ({"low_hz": 5000.0}, "half the sample rate"),
        ({"scale": "chroma"}, "scale 'chroma': wanted one of bark, mel"),
        ({"scale": "cqlog", "low_hz": 1e-4}, "slices of"),
    ],
)
def test_arguments_that_make_no_model_are_one_line(options, message):
    with pytest.raises(UserError, match=f"model '{NAME}': .*{message}") as error:
        build(NAME, **ARGUMENTS[NAME] | options)
    assert "\n" not in str(error.value)
