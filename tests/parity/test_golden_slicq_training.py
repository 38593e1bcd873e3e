"""xumx-sliCQ's losses and Wiener filters against recorded outputs of its programs.

The networks that these belong to are not needed: what they gave is recorded.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import golden
from golden_slicq import arrays, decibels, meta, transform

from xumx_jax import losses, postfilters
from xumx_jax.losses.waveform import scale_invariant_sdr
from xumx_jax.postfilters.band_frames import BandFrames
from xumx_jax.postfilters.wiener_blocks import ORIGINAL_VALUES, filter_blocks
from xumx_jax.stems import Stems
from xumx_jax.transforms.slicq.blocks import joined, shapes_of, split

pytestmark = pytest.mark.usefixtures("quick_compile")


def true_sources(path) -> np.ndarray:
    """[batch, source, channel, time], in the order of the network."""
    file = arrays(path)
    return np.stack([file[f"src_{name}"] for name in meta(path)["target_order"]], axis=1)


@golden("slicq/loss_*.npz")
def test_si_sdr(path):
    """Of each combination of the estimates, and the loss."""
    file, about = arrays(path), meta(path)
    groups = np.zeros((len(about["combos"]), 4), np.float32)
    for row, combination in zip(groups, about["combos"], strict=True):
        row[combination] = 1
    est, ref = file["pred_waves"], true_sources(path)
    ratios = scale_invariant_sdr(est, ref, groups).mean((1, 2))
    np.testing.assert_allclose(-ratios, about["sisdr_loss_14"], rtol=1e-5, atol=1e-5)
    value, _ = losses.build("negative_si_sdr")(Stems(est), Stems(ref), None)
    assert float(value) == pytest.approx(about["sisdr_loss_mean14"], rel=1e-5)


@golden("slicq/loss_*.npz")
def test_loss_as_coded(path):
    """Magnitudes were not recorded, but their errors: any that miss the truth by as much serve."""
    file, about = arrays(path), meta(path)
    plan, ref = transform(about), true_sources(path)
    miss = np.sqrt(file["block_mse"]).astype(np.float32)  # [source, block]
    by_block = np.repeat(miss, [bands * size for bands, size in plan.shapes], axis=1)
    loss = losses.build("si_sdr_multi_domain", plan, original=True)

    @partial(jax.value_and_grad, has_aux=True)
    def run(wave):
        spec = plan.analyse(jnp.asarray(ref))
        sizes = jnp.abs(spec) + by_block[:, None, None]
        est = Stems(wave, (), (), plan.split(sizes))
        return loss(est, Stems(ref, plan.split(spec)), None)

    (value, parts), gradient = jax.jit(run)(file["pred_waves"])
    assert float(parts["mse"]) == pytest.approx(about["mse_as_coded"], rel=1e-5)
    assert float(value) == pytest.approx(about["loss"], rel=1e-5)
    assert not np.any(gradient)


def ragged(path, matrix: np.ndarray) -> tuple[np.ndarray, ...]:
    """[..., band, slice, longest] -> blocks; what is behind a band's coefficients has to be 0."""
    found = []
    for first, _, _, bands, _, size, _ in arrays(path)["blk"].tolist():
        rows = matrix[..., first : first + bands, :, :]
        assert not rows[..., size:].any()
        found.append(rows[..., :size])
    return tuple(found)


@pytest.mark.slow
@golden("slicq/wiener_*.npz")
def test_wiener_filter(path):
    """In one piece, as v1 has it: spectra, energies of bands, statistics of one iteration."""
    file, about = arrays(path), meta(path)
    mix = ragged(path, file["X_matrix"][0])
    ours = jax.jit(transform(about).forward)(file["x"][0])
    assert decibels(joined_flat(ours), joined_flat(mix)) < -120
    sizes = ragged(path, np.moveaxis(file["spectrograms"][0], -1, 0))
    estimate = Stems(jnp.zeros(()), sizes, (), sizes)
    cases = [("it1", 1, False), ("it2", 2, False), ("it1_softmask", 1, True), ("it0", 0, False)]
    for name, niter, softmask in cases:
        run = partial(postfilters.apply, "xumx_slicq", niter=niter, softmask=softmask)
        found = jax.jit(partial(run, **postfilters.POST_FILTERS["xumx_slicq"].options))(
            estimate, mix
        )
        if f"Y_{name}" in file:
            wanted = ragged(path, np.moveaxis(file[f"Y_{name}"], -1, 0))
            assert decibels(joined_flat(found), joined_flat(wanted)) < -100
        energy = np.concatenate([np.square(np.abs(y)).sum((1, 3, 4)).T for y in found])
        np.testing.assert_allclose(energy, file[f"Yenergy_{name}"], rtol=1e-4)

    over = BandFrames(shapes_of(mix), mix[0].shape[-2])
    x, size = np.asarray(joined(mix)), np.asarray(joined(sizes))
    gain = max(1.0, np.abs(x).max() / 10)
    y = size * np.exp(1j * np.angle(x)) / gain
    v = over.total(np.square(size / gain).mean(1))
    np.testing.assert_allclose(v.T, file["v_sum"], rtol=1e-5)
    pairs = np.einsum("jcsk,jdsk->cdjsk", y, y.conj())
    r = over.total(pairs.real) + 1j * over.total(pairs.imag)
    r = jnp.moveaxis(r / (about["eps"] + v), -1, 0)
    np.testing.assert_allclose(r, file["R"], rtol=1e-4, atol=1e-5)


def joined_flat(blocks) -> np.ndarray:
    return np.concatenate([np.ravel(block) for block in blocks])


@pytest.mark.slow
@golden("slicq/v2_*.npz")
def test_wiener_filter_of_v2(path):
    """From the recorded masks of some blocks, alone and with the windows of the original."""
    file, about = arrays(path), meta(path)
    spec = jax.jit(transform(about).forward)(file["x"])
    stored = about["blocks_stored"]
    mix = tuple(spec[block] for block in stored)
    for variant, niter in (("offline", 1), ("realtime", 0)):
        # [source, batch, ...] -> [batch, source, ...]
        masks = [np.swapaxes(file[f"mask_{variant}_{block}"], 0, 1) for block in stored]
        shapes = shapes_of(mix)
        for values in (None, ORIGINAL_VALUES)[: niter + 1]:

            @jax.jit
            def run(masks, mix, shapes=shapes, niter=niter, values=values):
                mix = joined(mix)
                size = joined(masks) * jnp.abs(mix)[:, None]
                return split(shapes, filter_blocks(size, mix, shapes, niter, values=values))

            found = run(masks, mix)
            for block, y in zip(stored, found, strict=True):
                wanted = np.swapaxes(file[f"Y_{variant}_{block}"], 0, 1)
                assert decibels(y, wanted) < -100
