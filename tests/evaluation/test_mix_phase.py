"""The mix-phase oracle: in blocks as of whole tracks, and what can be known of it by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.evaluation import mix_phase
from xumx_jax.transforms.slicq import SliCQ
from xumx_jax.transforms.stft import Stft

pytestmark = pytest.mark.usefixtures("quick_compile")

SMALL = SliCQ("bark", 12, 300.0, sample_rate=8000)
STFT = Stft(256, 64)


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    monkeypatch.setattr(mix_phase, "BLOCK", 1500)


def noise(sources=3, channels=2, samples=4000, seed=0):
    wave = 0.1 * np.random.default_rng(seed).standard_normal((sources, channels, samples))
    return wave.astype(np.float32)


def plain(transform, references):
    """Of the whole track at once, by the transform's own inverse."""

    @jax.jit
    def estimate(wave):
        blocks = transform.forward(wave)
        mixed = [jnp.abs(b) * jnp.exp(1j * jnp.angle(b.sum(0))) for b in blocks]
        return transform.inverse(tuple(mixed), wave.shape[-1])

    error = np.square(references - np.asarray(estimate(references), float)).sum((1, 2))
    signal = np.square(references.astype(float)).sum((1, 2))
    return 10 * np.log10((signal + 1e-10) / (error + 1e-10))


ORACLES = {"sliCQ": (mix_phase.of_slicq, SMALL), "STFT": (mix_phase.of_stft, STFT)}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("samples", [1, 150, 1500, 4000])
def test_blocks_are_the_whole_track(name, samples):
    make, transform = ORACLES[name]
    references = noise(samples=samples)
    oracle = make(transform)
    assert oracle.size < 2000  # several blocks of the longest
    wanted = plain(transform, references)
    np.testing.assert_allclose(mix_phase.sdr(oracle, references), wanted, rtol=2e-4, atol=1e-3)


def test_tracks_of_any_length_share_what_is_compiled():
    oracle = mix_phase.of_slicq(SMALL)
    energies = oracle.compiled(3, 2)
    for samples in (700, 3000):
        references = noise(samples=samples)
        found = mix_phase.sdr(oracle, references, energies)
        np.testing.assert_array_equal(found, mix_phase.sdr(oracle, references))


def test_short_tracks_have_short_blocks():
    assert mix_phase.of_slicq(SMALL, 100).size == SMALL.hop
    assert mix_phase.of_stft(STFT, 100).size == 128


def test_a_source_alone_is_kept():
    """Its phases are the mixture's, so the error is that of the transform; silence scores 0."""
    references = noise(sources=2)
    references[1] = 0
    found = mix_phase.sdr(mix_phase.of_slicq(SMALL), references)
    assert found[0] > 100 and found[1] == 0


def test_the_original_inverse_costs():
    """Where the outermost bands reach over the ends of the spectrum."""
    references = noise(sources=1, channels=1)
    exact, original = (
        mix_phase.sdr(mix_phase.of_slicq(SliCQ("bark", 40, 120.0, rule=rule)),
                      references)[0]
        for rule in ("exact", "original")
    )  # fmt: skip
    assert exact > 100 and original < 40


def test_an_stft_whose_frames_do_not_fit_is_refused():
    with pytest.raises(ValueError, match="wanted half of n_fft a multiple of hop"):
        mix_phase.of_stft(Stft(256, 100))


def test_files_are_read_as_they_are_needed():
    """Anything that can be cut along its last axis, and no more than a block at a time."""
    references = noise(samples=6000)

    class Reader:
        shape = references.shape
        longest = 0

        def __getitem__(self, key):
            found = references[key]
            self.longest = max(self.longest, found.shape[-1])
            return found

    reader, oracle = Reader(), mix_phase.of_slicq(SMALL)
    np.testing.assert_array_equal(mix_phase.sdr(oracle, reader), mix_phase.sdr(oracle, references))
    assert reader.longest <= oracle.size + 2 * oracle.margin
