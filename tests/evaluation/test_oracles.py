"""Oracles and baselines: known answers, SiSEC's definitions in plain float64, odd signals."""

import numpy as np
import pytest
from scipy.signal import istft, stft

from xumx_jax.errors import UserError
from xumx_jax.evaluation import oracles
from xumx_jax.evaluation.oracles import ORACLES
from xumx_jax.metrics import sdr_frames

RATE = 44100
NAMES = ("vocals", "drums", "bass", "other")
SEEING = ("IRM1", "IRM2", "IBM1", "IBM2", "MWF")

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture(scope="module", autouse=True)
def short_blocks():
    """Blocks of 8 hops, so that short signals have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracles, "BLOCK", 1 << 13)
        yield


def noises(sources=4, samples=30000, seed=0):
    """Coloured noise that comes and goes, each source from a direction of its own; float32."""
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.uniform(0, 0.3, (sources, 1, samples // 1000 + 1)), 1000, axis=-1)
    mono = rng.standard_normal((sources, 1, samples)) * envelope[..., :samples]
    angle = np.linspace(0.1, 1.4, sources)
    panned = mono * np.stack([np.cos(angle), np.sin(angle)], axis=1)[..., None]
    spread = 0.1 * rng.standard_normal((sources, 2, samples)) * envelope[..., :samples]
    return (panned + spread).astype(np.float32)


def separate(name, references, mix=None):
    mix = references.sum(0) if mix is None else mix
    return ORACLES[name](mix, references, RATE, NAMES[: references.shape[0]])


def mean_sdr(estimates, references):
    return sdr_frames(references, estimates, RATE).mean()


def spectra(wave):
    return stft(wave.astype(float), nperseg=2048)[-1]


def waves(spec, samples):
    return istft(spec)[1][..., :samples]


@pytest.mark.parametrize("alpha", [1, 2])
def test_ratio_mask_is_sisecs(alpha):
    references = noises()
    mix = references.sum(0)
    power = np.abs(spectra(references)) ** alpha
    wanted = waves(power / (power.sum(0) + 1e-16) * spectra(mix), mix.shape[-1])
    np.testing.assert_allclose(separate(f"IRM{alpha}", references), wanted, atol=1e-5)


@pytest.mark.parametrize("alpha", [1, 2])
def test_binary_mask_is_sisecs(alpha):
    references = noises()
    mix = references.sum(0)
    mask = np.abs(spectra(references)) ** alpha >= 0.5 * np.abs(spectra(mix)) ** alpha
    wanted = waves(mask * spectra(mix), mix.shape[-1])
    # a bin on the threshold may fall to either side
    assert mean_sdr(separate(f"IBM{alpha}", references), wanted.astype(np.float32)) > 40


def plain_wiener(mix, references):
    """The filter that `wiener_filter` describes, by matrices in float64."""
    x, y = spectra(mix), spectra(references)
    outer = np.einsum("jaft,jbft->jftab", y, y.conj())
    quiet, small = oracles.QUIET / 1024**2, oracles.REGULARISER * np.eye(2)
    v = (np.abs(y) ** 2).mean(1)
    cov = (outer / (v + quiet)[..., None, None]).sum(2)
    trace = np.trace(cov, axis1=2, axis2=3).real
    cov = 2 * cov / np.where(trace > 0, trace, 1)[..., None, None]
    inverse = np.linalg.inv(cov + small)
    rank = np.einsum("jfab,jfba->jf", inverse, cov).real
    v = np.einsum("jfab,jftba->jft", inverse, outer).real / np.where(rank > 0, rank, 1)[..., None]
    v = v / (v.sum(0) + 1e-30)
    images = v[..., None, None] * cov[:, :, None]
    gain = images @ np.linalg.inv(images.sum(0) + small)
    return waves(np.einsum("jftab,bft->jaft", gain, x), mix.shape[-1])


def test_wiener_filter_is_that_of_plain_matrices():
    references = noises()
    wanted = plain_wiener(references.sum(0), references)
    np.testing.assert_allclose(separate("MWF", references), wanted, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["one mono source", "all mono", "all panned", "one side each"])
def test_wiener_filter_carries_singular_covariances(case):
    references = noises(3)
    mono = references.mean(1, keepdims=True)
    if case == "one mono source":
        references[1] = mono[1]
    elif case == "all mono":
        references = np.broadcast_to(mono, references.shape)
    else:
        left = {"all panned": [0.9, 0.6, 0.2], "one side each": [1, 0, 0.5]}[case]
        pan = np.array([left, np.subtract(1, left)], np.float32).T
        references = mono * pan[..., None]
    estimates = separate("MWF", references)
    wanted = plain_wiener(references.sum(0), references)
    assert mean_sdr(estimates, wanted.astype(np.float32)) > 40
    np.testing.assert_allclose(estimates.sum(0), references.sum(0), atol=1e-4)


@pytest.mark.parametrize("name", ["IRM1", "IRM2", "MWF"])
@pytest.mark.parametrize("channels", [1, 2])
def test_shares_add_up_to_the_mixture(name, channels):
    references = noises()[:, :channels]
    estimates = separate(name, references)
    assert estimates.dtype == np.float32
    np.testing.assert_allclose(estimates.sum(0), references.sum(0), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEING)
def test_tones_that_do_not_meet_come_back(name):
    time = np.arange(20000) / RATE
    tones = np.sin(2 * np.pi * time * np.array([[[500]], [[2000]], [[8000]]]))
    references = (tones * np.hanning(20000) * np.array([[1], [0.5]])).astype(np.float32)
    assert sdr_frames(references, separate(name, references), RATE).min() > 40


@pytest.mark.slow
def test_order_of_the_rows():
    references = noises(2)
    sdr = {name: mean_sdr(separate(name, references), references) for name in ORACLES}
    assert sdr["mixture"] < sdr["mixture-share"] < sdr["IRM1"] < sdr["IRM2"] < sdr["MWF"]
    assert sdr["IRM2"] > sdr["IBM2"]


def test_mono_wiener_filter_is_the_ratio_mask_of_powers():
    references = noises()[:, :1]
    np.testing.assert_array_equal(separate("MWF", references), separate("IRM2", references))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["IRM2", "IBM1", "MWF", "hand-set"])
def test_blocks_do_not_show(name, monkeypatch):
    references = noises()
    blocks = separate(name, references)
    oracles.jax.clear_caches()
    monkeypatch.setattr(oracles, "BLOCK", 1 << 16)
    whole = separate(name, references)
    oracles.jax.clear_caches()
    np.testing.assert_allclose(blocks, whole, atol=1e-3 if name == "IBM1" else 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("samples", [0, 1, 100, 2047, 8192])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_length(name, samples, channels):
    references = noises()[:, :channels, :samples]
    estimates = separate(name, references)
    assert estimates.shape == references.shape
    assert np.isfinite(estimates).all()


@pytest.mark.parametrize("name", ORACLES)
def test_silence_stays_silence(name):
    silent = np.zeros((4, 2, 5000), np.float32)
    np.testing.assert_array_equal(separate(name, silent), silent)


@pytest.mark.parametrize("name", SEEING)
def test_silent_source_gets_nothing(name):
    references = noises()
    references[2] = 0
    estimates = separate(name, references)
    assert np.isfinite(estimates).all()
    np.testing.assert_array_equal(estimates[2], 0)


def test_mixture_that_has_more_than_the_sources():
    references = noises()
    mix = references.sum(0) + 1
    for name in ORACLES:
        assert np.isfinite(separate(name, references, mix)).all(), name


def test_readers_of_files_will_do():
    class Reader:
        def __init__(self, wave):
            self.shape, self.wave, self.most = wave.shape, wave, 0

        def __getitem__(self, place):
            cut = self.wave[place]
            self.most = max(self.most, cut.shape[-1])
            return cut

    references = noises(samples=100000)
    reader = Reader(references)
    estimates = separate("MWF", reader, Reader(references.sum(0)))
    np.testing.assert_array_equal(estimates, separate("MWF", references))
    assert reader.most < 20000


def test_hand_set_names_its_sources():
    references = noises(2)
    swapped = ORACLES["hand-set"](references.sum(0), references, RATE, ("drums", "vocals"))
    np.testing.assert_array_equal(swapped[::-1], separate("hand-set", references))
    with pytest.raises(UserError, match="no rule for piano; wanted vocals, drums, bass, other"):
        ORACLES["hand-set"](references.sum(0), references, RATE, ("drums", "piano"))


def test_wiener_filter_refuses_three_channels():
    with pytest.raises(ValueError, match="3 channels"):
        separate("MWF", np.zeros((2, 3, 10), np.float32))
