"""Separation of arrays: exactness, lengths, channels, rates and what must not break it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_models import MODEL, RATE, noise, stack, tiny

from xumx_jax.errors import Cancelled, UserError
from xumx_jax.postfilters.wiener import wiener
from xumx_jax.separation.chunk_runner import compile_chunks, separate_chunk
from xumx_jax.separation.overlap_add import triangle
from xumx_jax.separation.separator import Separator
from xumx_jax.separation.umx import kernels, offline

pytestmark = pytest.mark.usefixtures("quick_compile")

POST = ("niter", "softmask", "alpha", "residual")
compiled = jax.jit(separate_chunk, static_argnums=0, static_argnames=(*POST, "post_filter"))


def at_once(model, mix, **post):
    return np.asarray(compiled(*model, mix, post_filter="norbert", **post))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("xumx", {}),
        ("umx", {"channels": 1, "sources": ("vocals", "rest")}),
        ("umx", {"unidirectional": True, "activation": "softmax", "power": 2, "max_bin": 33}),
    ],
)
def test_stages_equal_the_whole_track_at_once(name, arguments):
    model = tiny(name, **arguments)
    separator = Separator(*model, niter=0)
    for time in (1, 20000):  # one block, then three
        mix = noise(time)
        stems = separator(mix, RATE)
        assert tuple(stems) == model[0].sources
        wanted = at_once(model, mix, niter=0)
        assert np.abs(stack(stems) - wanted).max() <= 2e-6 * np.abs(wanted).max()


@pytest.mark.slow
def test_short_tracks_run_in_stages_too():
    separator = Separator(*MODEL, niter=0)
    for time in (31, 50, 127):
        mix = noise(time)
        wanted = at_once(MODEL, mix, niter=0)
        np.testing.assert_allclose(stack(separator(mix, RATE)), wanted, atol=1e-6)


@pytest.mark.slow
def test_in_stages_wiener_statistics_are_those_of_a_block():
    module, variables = MODEL
    mix = noise(20000)
    spec = module.transform.stft(mix)
    size = jnp.abs(spec)
    magnitudes = module.apply(variables, size[None], method="masks")[0] * size
    end = spec.shape[-1]
    edges = [*range(0, end, kernels.FRAMES), end]
    edges[-2] = (edges[-3] + end) // 2  # the last two share what is left
    parts = [
        wiener(magnitudes[..., a:b], spec[..., a:b]) for a, b in zip(edges, edges[1:], strict=False)
    ]
    wanted = module.transform.istft(jnp.concatenate(parts, axis=-1), 20000)
    np.testing.assert_allclose(stack(Separator(*MODEL)(mix, RATE)), wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("post", "residual"),
    [({"niter": 0}, False), ({"niter": 2, "softmask": True, "alpha": 2.0}, True)],
)
def test_without_overlap_chunks_are_separate_tracks(post, residual):
    mix, chunk = noise(2500), 1000
    separator = Separator(
        *MODEL, **post, residual=residual, chunk_seconds=chunk / RATE, overlap=0, batch=2
    )
    stems = separator(mix, RATE)
    assert tuple(stems) == MODEL[0].sources + ("residual",) * residual
    wanted = [
        at_once(MODEL, mix[:, at : at + chunk], **post, residual=residual) for at in (0, 1000, 2000)
    ]
    np.testing.assert_allclose(stack(stems), np.concatenate(wanted, axis=-1), atol=2e-5)


def test_overlapping_chunks_are_blended():
    mix, chunk = noise(2500), 1024  # chunks begin with whole hops, of 32
    stems = Separator(*MODEL, niter=0, chunk_seconds=chunk / RATE, overlap=0.5, batch=3)(mix, RATE)
    total, weights = np.zeros((4, 2, 2500)), np.zeros(2500)
    for at in (0, 512, 1024, 1504):  # the last goes on into 28 reflected samples
        here = np.pad(mix, ((0, 0), (0, 28)), mode="reflect")[:, at : at + chunk]
        size = min(chunk, 2500 - at)
        total[..., at : at + size] += (at_once(MODEL, here, niter=0) * triangle(chunk))[..., :size]
        weights[at : at + size] += triangle(chunk)[:size]
    np.testing.assert_allclose(stack(stems), total / weights, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"overlap": 0}, {"overlap": 0.25}])
def test_every_length_comes_back(options):
    separator = Separator(*MODEL, niter=0, chunk_seconds=0.1 if options else None, **options)
    for time in (1, 31, 127, 800, 801):
        stems = stack(separator(noise(time), RATE))
        assert stems.shape == (4, 2, time) and stems.dtype == np.float32
        assert np.isfinite(stems).all()


def test_lengths_and_separators_share_compiled_code():
    model = tiny(hidden_size=4)
    for options in ({"chunk_seconds": 0.1, "batch": 4}, {}):
        sizes = []
        for time in (900, 20000, 799, 9000):
            separator = Separator(*model, niter=0, **options)
            separator(noise(time), RATE)
            if "batch" in options:
                runner = separator.engine.runner
                arguments = tuple(runner.options.items())
                run, *_ = compile_chunks(runner.model, runner.devices, arguments)
                sizes.append(len(run.known))
            else:
                sizes.append(offline._invert_masked._cache_size())
        assert len(set(sizes)) == 1 and sizes[0] > 0


BANDED = tiny(bands=(0, 1, 2, 4, 8, 16, 32, 65), activation="softmax")


@pytest.mark.parametrize("post", [{"niter": 0}, {"niter": 1, "wiener_frames": 4096}])
def test_models_with_bands_run_in_stages_too(post):
    separator = Separator(*BANDED, **post)
    for time in (1, 100, 20000):
        mix = noise(time) * np.geomspace(1e-3, 1, time, dtype=np.float32)
        wanted = at_once(BANDED, mix, niter=post["niter"])
        np.testing.assert_allclose(stack(separator(mix, RATE)), wanted, atol=1e-4 * wanted.max())


def test_chunks_of_a_model_with_bands_hear_the_level_of_the_whole():
    mix = noise(20000) * np.linspace(0.1, 1, 20000, dtype=np.float32)
    whole = stack(Separator(*BANDED, niter=0)(mix, RATE))
    chunks = stack(Separator(*BANDED, niter=0, chunk_seconds=0.5, batch=2)(mix, RATE))
    alone = stack(Separator(*BANDED, niter=0, chunk_seconds=0.5, overlap=0)(mix, RATE))
    assert np.abs(chunks - whole).mean() < 0.1 * np.abs(alone - whole).mean()


@pytest.mark.parametrize("options", [{}, {"chunk_seconds": 0.1, "batch": 4}])
def test_silence_gives_silence(options):
    separator = Separator(*MODEL, **options, residual=True)
    stems = stack(separator(np.zeros((2, 3000), np.float32), RATE))
    assert np.abs(stems).max() < 1e-7
    mix = noise(3000)
    mix[:, :2000] = 0
    mix[1] = 0
    stems = stack(separator(mix, RATE))
    assert np.isfinite(stems).all() and np.abs(stems[..., :1500]).max() < 1e-6


def test_mono_input_gives_mono_stems():
    mono = noise(3000, channels=1)
    separator = Separator(*MODEL)
    stems = stack(separator(mono, RATE))
    assert stems.shape == (4, 1, 3000)
    both = stack(separator(np.repeat(mono, 2, axis=0), RATE))
    np.testing.assert_allclose(stems[:, 0], both.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_mono_model_takes_mono_and_stereo(channels):
    model = tiny(channels=1)
    for options in ({}, {"chunk_seconds": 0.1, "batch": 4}):
        stems = stack(Separator(*model, **options)(noise(1200, channels), RATE))
        assert stems.shape == (4, channels, 1200) and np.isfinite(stems).all()


def test_of_six_channels_the_front_pair_is_separated():
    mix = noise(2000, channels=6)
    separator = Separator(*MODEL, niter=0)
    with pytest.warns(UserWarning, match="6 channels: the front pair"):
        stems = stack(separator(mix, RATE))
    np.testing.assert_array_equal(stems, stack(separator(mix[:2], RATE)))


def test_what_is_not_finite_is_replaced_and_counted():
    mix = noise(2000)
    clean = mix.copy()
    mix[0, 5:8], mix[1, 9] = np.nan, np.inf
    clean[0, 5:8] = clean[1, 9] = 0
    separator = Separator(*MODEL, niter=0)
    with pytest.warns(UserWarning, match="4 samples are NaN, infinite or beyond 1e12"):
        stems = stack(separator(mix, RATE))
    np.testing.assert_array_equal(stems, stack(separator(clean, RATE)))


@pytest.mark.parametrize("channels", [1, 2])
def test_no_samples_give_empty_stems(channels):
    with pytest.warns(UserWarning, match="no samples"):
        stems = Separator(*MODEL)(np.zeros((channels, 0)), RATE)
    assert stack(stems).shape == (4, channels, 0)


def test_every_rate_comes_back():
    separator = Separator(*MODEL, niter=0)
    for rate in (2000, 7999, 16000, 48000):
        stems = stack(separator(noise(3001), rate))
        assert stems.shape == (4, 2, 3001) and np.isfinite(stems).all()


@pytest.mark.parametrize(
    "options",
    [{}, {"chunk_seconds": 0.1, "batch": 4}, {"chunk_seconds": 0.1, "overlap": 0}, {"shifts": 2}],
)
def test_the_callback_is_told_of_progress_and_can_cancel(options):
    separator, seen = Separator(*MODEL, niter=0, **options), []
    separator(noise(20000), RATE, lambda *told: seen.append(told))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1 and len(seen) > 3
    assert seen[-1][1] == 0 and all(eta is None or eta >= 0 for _, eta in seen)

    begun = []

    def cancel(fraction, eta):
        begun.append(fraction)
        return fraction < 0.3

    with pytest.raises(Cancelled, match="cancelled"):
        separator(noise(20000), RATE, cancel)
    assert begun[-1] >= 0.3 > max(begun[:-1], default=0)
    told = []
    list(separator.stream([noise(20000)], RATE, callback=lambda *now: told.append(now)))
    assert set(told) == {(None, None)}  # how much is to come is not known


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"niter": -1}, "niter"),
        ({"alpha": 2.0}, "alpha"),
        ({"alpha": 0.0, "softmask": True}, "alpha"),
        ({"chunk_seconds": 0}, "chunk"),
        ({"chunk_seconds": float("nan")}, "chunk"),
        ({"overlap": 1.0}, "overlap"),
        ({"batch": 0}, "batch"),
    ],
)
def test_options_that_make_no_sense(options, names):
    with pytest.raises(UserError, match=names):
        Separator(*MODEL, **options)


def test_a_mixture_of_another_shape():
    with pytest.raises(UserError, match=r"wanted \[channel, time\]"):
        Separator(*MODEL)(np.zeros(100), RATE)


def test_chunks_are_spread_over_devices():
    assert jax.local_device_count() > 1  # see conftest.py
    spread, alone = (Separator(*MODEL, niter=0, chunk_seconds=0.1, batch=4) for _ in range(2))
    alone.engine.runner.use(alone.engine.runner.devices[:1])
    mix = noise(5000)
    np.testing.assert_allclose(stack(spread(mix, RATE)), stack(alone(mix, RATE)), atol=1e-5)


def test_each_model_has_the_filter_of_its_original():
    for name, epsilon in (("umx", 1e-10), ("xumx", None)):
        post = Separator(*tiny(name)).wiener_options
        assert post.get("epsilon") == epsilon
    other = Separator(*tiny("umx"), post_filter="norbert", wiener_frames=7)
    assert "epsilon" not in other.wiener_options and other.wiener_options["wiener_frames"] == 7


def test_windows_of_the_filter_are_the_same_in_stages_and_in_chunks():
    model, mix = tiny("umx"), noise(1000)
    staged_stems = Separator(*model, wiener_frames=7)(mix, RATE)
    chunk = Separator(*model, wiener_frames=7, chunk_seconds=1000 / RATE, overlap=0)(mix, RATE)
    np.testing.assert_allclose(stack(staged_stems), stack(chunk), atol=1e-4)
    assert np.abs(stack(chunk) - stack(Separator(*model)(mix, RATE))).max() > 1e-3


def test_one_source_alone_cannot_be_filtered():
    model = tiny("umx", sources=("vocals",))
    with pytest.raises(UserError, match="one source, vocals: .* use a residual, or niter 0"):
        Separator(*model)
    assert list(Separator(*model, residual=True).sources) == ["vocals", "instrumental"]
    assert list(Separator(*model, residual="rest").sources) == ["vocals", "rest"]
    assert Separator(*model, niter=0).sources == ("vocals",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"logit": 0.5}, "logit is 0.5 without softmask"),
        ({"logit": 1.0, "softmask": True}, "logit is 1.0; wanted a number between 0 and 1"),
        ({"post_filter": "spleeter"}, "unknown post filter 'spleeter'; known: norbert, openunmix"),
        ({"wiener_frames": 0}, "wiener-frames is 0; wanted at least 1"),
    ],
)
def test_options_of_the_filter_are_checked(options, message):
    with pytest.raises(UserError, match=message):
        Separator(*MODEL, **options)
