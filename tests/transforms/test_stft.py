import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.transforms.stft import Stft

SHAPES = [(4096, 1024), (64, 16), (64, 32), (60, 16), (64, 24)]


def noise(*shape) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("n_fft", "hop"), SHAPES)
@pytest.mark.parametrize("length", [1, 2, 15, 64, 1000])
def test_inverse_gives_back_every_sample(n_fft, hop, length):
    wave = noise(2, length)
    transform = Stft(n_fft, hop)
    spec = transform.stft(wave)
    assert spec.shape == (2, n_fft // 2 + 1, transform.frames(length))
    whole = length // hop * hop if hop == n_fft // 2 else length  # there the last tail is silent
    rebuilt = transform.istft(spec, length)
    assert rebuilt.shape == wave.shape
    np.testing.assert_allclose(rebuilt[:, :whole], wave[:, :whole], atol=2e-6)


def test_a_cosine_between_its_edges():
    """A cosine on bin 8 has n_fft / 4 there, half of that beside it, nothing elsewhere."""
    wave = np.cos(2 * np.pi * 8 * np.arange(640) / 64).astype(np.float32)
    spec = np.abs(Stft(64, 16).stft(wave))[:, 10]
    np.testing.assert_allclose(spec[7:10], [8, 16, 8], atol=1e-4)
    assert np.delete(spec, [7, 8, 9]).max() < 1e-4


def test_length_none_gives_whole_hops():
    spec = Stft(64, 16).stft(noise(100))
    assert Stft(64, 16).istft(spec).shape == (96,)


def test_more_length_than_there_is_ends_in_silence():
    wave = Stft(64, 16).istft(Stft(64, 16).stft(noise(64)), 200)
    assert wave.shape == (200,) and not np.asarray(wave[120:]).any()


def test_no_samples_give_a_silent_frame():
    assert not np.asarray(Stft(64, 16).stft(np.zeros((2, 0), np.float32))).any()


def test_window_sum_is_the_same_for_few_and_many_frames():
    """Past 2 * n_fft / hop frames the inside is repeated instead of summed."""
    transform = Stft(64, 16)
    for frames in (7, 8, 9, 30):
        total = np.zeros((frames - 1) * 16 + 64)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
        for frame in range(frames):
            total[frame * 16 : frame * 16 + 64] += window**2
        wanted = np.where(total > 1e-11, 1 / np.maximum(total, 1e-11), 0)
        np.testing.assert_allclose(transform.weight(frames), wanted, rtol=1e-5)


def test_is_differentiable():
    transform = Stft(64, 16)
    grad = jax.grad(lambda x: jnp.sum(transform.istft(transform.stft(x), 90)))(noise(90))
    np.testing.assert_allclose(grad, 1, atol=1e-5)  # the identity's


@pytest.mark.parametrize(("n_fft", "hop"), [(63, 16), (64, 33), (64, 0)])
def test_impossible_sizes(n_fft, hop):
    with pytest.raises(ValueError, match=f"n_fft {n_fft}, hop {hop}"):
        Stft(n_fft, hop)
