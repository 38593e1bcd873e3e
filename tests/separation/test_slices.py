"""The engine of networks on a sliCQ: blocks of slices are as the whole track at once."""

from functools import partial

import jax
import numpy as np
import pytest
from jax.errors import JaxRuntimeError
from toy_models import drawn

from xumx_jax import Separator, postfilters
from xumx_jax.errors import UserError
from xumx_jax.postfilters.band_frames import BandFrames
from xumx_jax.postfilters.wiener_blocks import filter_blocks
from xumx_jax.separation import slices
from xumx_jax.stems import Stems

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]
SECONDS = 0.5  # of a block
TIME = 20_000


def mixture(time: int = TIME, channels: int = 2) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).normal(size=(channels, time)).astype(np.float32)


@pytest.fixture(scope="module", params=[("xumx_slicq", {}), ("xumx_slicq_v2", {"mix_phase": True})])
def network(request):
    name, options = request.param
    model, variables = drawn(name, **options)
    return model, variables, jax.jit(model.apply)


def separated(separator: Separator, mix: np.ndarray) -> np.ndarray:
    return np.stack(list(separator(mix, 8000).values()))


def block_of(model) -> int:
    return round(SECONDS * model.sample_rate / model.transform.hop) * model.transform.hop


def test_blocks_are_as_the_whole(network):
    """Of a track of many blocks, of one of a sample, and of one that ends with a block."""
    model, variables, apply = network
    separator = Separator(model, variables, chunk_seconds=SECONDS, niter=0)
    for time in (TIME, 1, 4 * block_of(model)):
        mix = mixture(time)
        found = separated(separator, mix)
        assert found.shape == (2, 2, time)
        np.testing.assert_allclose(found, apply(variables, mix[None]).wave[0], atol=1e-5)


def test_code_is_compiled_once_and_before_any_block(network, monkeypatch):
    """So that what the compiler takes of memory is back before blocks take theirs."""
    model, variables, _ = network
    events = []

    def listen(event, seconds, **_):
        if event.endswith("backend_compile_duration"):
            events.append("compiled")

    monkeypatch.setattr(slices, "give_memory_back", lambda: events.append("given back"))
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        # a length of blocks that no other test has
        separated(Separator(model, variables, chunk_seconds=0.7 * SECONDS, niter=0), mixture())
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert events == ["compiled", "given back"]


def test_a_filter_takes_windows_of_slices(network):
    """As it would in the whole track."""
    model, variables, apply = network
    mix = mixture()
    given = {"post_filter": "xumx_slicq", "wiener_frames": 5, "niter": 1}
    found = separated(Separator(model, variables, chunk_seconds=SECONDS, **given), mix)
    whole = jax.tree.map(lambda leaf: np.asarray(leaf)[0], apply(variables, mix[None]))
    plan = model.transform
    known = postfilters.POST_FILTERS["xumx_slicq"]
    estimate = Stems(whole.wave, whole.spec)
    filtered = partial(postfilters.apply, "xumx_slicq", frames=5, niter=1, **known.options)
    blocks = jax.jit(filtered)(estimate, plan.forward(mix))
    np.testing.assert_allclose(found, plan.inverse(blocks, TIME), atol=1e-4)
    assert BandFrames(plan.shapes, 12, 5)  # windows that end within a track


def test_a_filter_of_another_transform_is_a_second_stage():
    """In windows of its own frames, whatever the blocks: as over the whole track."""
    model, variables = drawn("xumx_slicq")
    known = postfilters.POST_FILTERS["xumx_slicq_stft"]
    stft = known.transform
    options = {"post_filter": "xumx_slicq_stft", "wiener_frames": 6}
    separator = Separator(model, variables, chunk_seconds=SECONDS, niter=1, **options)
    unfiltered = Separator(model, variables, chunk_seconds=SECONDS, niter=0)
    given = {"frames": 6, "niter": 1, **known.options}
    whole = jax.jit(partial(postfilters.apply, "xumx_slicq_stft", **given))
    for time in (3 * 6 * stft.hop - 1, 1):  # three windows less a sample, and a sample
        mix = mixture(time)
        wave = separated(unfiltered, mix)
        blocks = whole(Stems(wave, stft.forward(wave)), stft.forward(mix))
        found = separated(separator, mix)
        np.testing.assert_allclose(found, stft.inverse(blocks, time), atol=2e-5)
        assert time == 1 or np.abs(found - wave).max() > 1e-3


def test_a_filter_inside_the_network_takes_blocks():
    """Of the second version: as the masks of the whole track, filtered in windows of a block."""
    model, variables = drawn("xumx_slicq_v2")
    separator, mix = Separator(model, variables, chunk_seconds=SECONDS), mixture()
    plan, own = model.transform, separator.engine.slices
    assert 1 < own < plan.slices(TIME)
    masked = model.clone(window=1)  # the same context
    whole = jax.jit(masked.apply)(variables, mix[None])
    flat = plan.analyse(mix)[None]
    spec = filter_blocks(plan.joined(whole.mask) * flat[:, None], flat, plan.shapes, window=own)
    np.testing.assert_allclose(separated(separator, mix), plan.synthesise(spec, TIME)[0], atol=1e-5)


def test_chunks_without_overlap_are_tracks_of_their_own(network):
    """As xumx-sliCQ's program cuts a track, into 2,621,440 samples."""
    model, variables, apply = network
    size = 4 * block_of(model)
    separator = Separator(model, variables, chunk_seconds=size / 8000, overlap=0, niter=0)
    mix = mixture(2 * size)
    found = separated(separator, mix)
    for part in (slice(0, size), slice(size, 2 * size)):
        wanted = apply(variables, mix[None, :, part]).wave[0]
        np.testing.assert_allclose(found[..., part], wanted, atol=1e-5)
    whole = separated(Separator(model, variables, chunk_seconds=SECONDS, niter=0), mix)
    assert np.abs(found - whole).max() > 1e-3  # at the border


def test_a_residual_and_mono(network):
    model, variables, _ = network
    separator = Separator(model, variables, chunk_seconds=SECONDS, residual=True, niter=1)
    mix = mixture(6000)
    found = separated(separator, mix)
    assert found.shape == (3, 2, 6000)
    np.testing.assert_allclose(found.sum(0), mix, atol=1e-5)
    mono = separated(separator, mix[:1])
    assert mono.shape == (3, 1, 6000)
    np.testing.assert_allclose(mono.sum(0), mix[:1], atol=1e-5)


def test_short_memory_means_fewer_and_shorter_blocks(network, monkeypatch):
    model, variables, apply = network
    separator = Separator(model, variables, chunk_seconds=4 * SECONDS, niter=0)
    engine = separator.engine
    run, count = engine._run, engine.slices

    def short(variables, rows, span):
        if rows.shape[-1] > model.transform.hop * (count // 2 + 2 + sum(model.context)):
            raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return run(variables, rows, span)

    monkeypatch.setattr(engine, "_run", short)
    monkeypatch.setattr(slices, "LEAST", 1)
    mix = mixture()
    with pytest.warns(UserWarning, match="too little memory") as said:
        found = separated(separator, mix)
    np.testing.assert_allclose(found, apply(variables, mix[None]).wave[0], atol=1e-5)
    assert engine.slices == round(count / 2)
    assert "blocks of" in str(said[-1].message)


def test_live_is_refused_since_the_networks_look_ahead(network):
    model, variables, _ = network
    with pytest.raises(UserError, match=r"XumxSliCQ.*, which looks [23] slices .* ahead; live"):
        Separator(model, variables).live(8000)
