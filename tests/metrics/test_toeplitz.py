"""Block Toeplitz systems: against dense solutions, and where there is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.metrics.toeplitz import solve

RIDGE = 1e-10


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def system(waves, lag, right=2):
    """Correlations of waves [p, time] with themselves and other signals, and the dense matrix."""
    p, length = waves.shape
    others = np.random.default_rng(9).standard_normal((right, length)) + waves[:1]
    blocks = np.stack([waves[:, : length - k] @ waves[:, k:].T for k in range(lag)])
    rhs = np.stack([waves[:, : length - k] @ others[:, k:].T for k in range(lag)])
    rows = [[blocks[k - m] if k >= m else blocks[m - k].T for m in range(lag)] for k in range(lag)]
    return blocks, rhs, np.block(rows)


def noise(p, length, seed=0):
    return np.random.default_rng(seed).standard_normal((p, length)) / length**0.5


def missed(taps, rhs, dense):
    """Energy by which the filtered signals differ from the best ones', of theirs."""
    best = np.linalg.lstsq(dense, rhs.reshape(len(dense), -1), rcond=1e-13)[0]
    difference = np.asarray(taps).reshape(best.shape) - best
    of = np.einsum("ij,ij->j", best, dense @ best)
    return np.abs(np.einsum("ij,ij->j", difference, dense @ difference) / of).max()


@pytest.mark.slow
@pytest.mark.parametrize("p, lag", [(1, 1), (1, 7), (2, 1), (3, 16), (8, 5)])
def test_equals_the_dense_solution(p, lag):
    blocks, rhs, dense = system(noise(p, 200), lag)
    found = solve(jnp.asarray(blocks), jnp.asarray(rhs), RIDGE)
    wanted = np.linalg.solve(dense, rhs.reshape(lag * p, -1))
    np.testing.assert_allclose(found.taps.reshape(wanted.shape), wanted, rtol=1e-9, atol=1e-12)
    assert found.residual < 1e-12


@pytest.mark.slow
def test_coloured_signals_of_a_large_condition():
    waves = np.cumsum(noise(4, 400), axis=1) + 1e-4 * noise(4, 400, 1)
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    blocks, rhs, dense = system(waves, 32)
    assert np.linalg.cond(dense) > 1e4
    found = solve(jnp.asarray(blocks), jnp.asarray(rhs), RIDGE)
    assert missed(found.taps, rhs, dense) < 1e-12


def tones(length=300):
    time = np.arange(length)
    waves = np.stack([np.sin(0.3 * time), np.sin(0.5 * time)])
    return waves / np.linalg.norm(waves, axis=1, keepdims=True)


@pytest.mark.parametrize("waves", [np.tile(noise(1, 300), (2, 1)), tones(), np.eye(2, 300)])
def test_where_many_filters_fit_one_of_them_is_found(waves):
    blocks, rhs, dense = system(waves, 24)
    found = solve(jnp.asarray(blocks), jnp.asarray(rhs), RIDGE)
    assert missed(found.taps, rhs, dense) < 1e-6
    assert np.isfinite(found.taps).all()


@pytest.mark.slow
def test_smallest_eigenvalue():
    blocks, rhs, dense = system(noise(2, 300), 8)
    wanted = np.linalg.eigvalsh(dense)[0]
    found = solve(jnp.asarray(blocks), jnp.asarray(rhs), RIDGE).smallest
    assert wanted * 0.99 < found < wanted * 1.5
    blocks, rhs, _ = system(np.tile(noise(1, 300), (2, 1)), 8)
    assert solve(jnp.asarray(blocks), jnp.asarray(rhs), RIDGE).smallest < 1e-9


@pytest.mark.slow
def test_several_systems_at_once():
    systems = [system(noise(2, 100, seed), 6) for seed in range(3)]
    blocks, rhs = (np.stack([s[i] for s in systems]) for i in range(2))
    together = jax.vmap(solve, (0, 0, None))(blocks, rhs, RIDGE)
    alone = [solve(jnp.asarray(b), jnp.asarray(r), RIDGE).taps for b, r, _ in systems]
    np.testing.assert_allclose(together.taps, np.stack(alone), rtol=1e-8, atol=1e-12)
