"""The autoencoders of xumx-sliCQ-V2 against convolutions of whole blocks, written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from xumx_jax.layers.slice_autoencoder import Autoencoders
from xumx_jax.layers.slicq_groups import Group

pytestmark = pytest.mark.usefixtures("quick_compile")
SOURCES, SLICES = 2, 5
# (sizes, bands) of blocks, taps along the bands; two groups, of which one has several sizes
CASES = {1: ((4, 8, 12), (1, 2, 1)), 3: ((8,), (7,))}


def groups(taps):
    """Bands one behind the other."""
    sizes, bands = CASES[taps]
    rows = [(number, size) for number, size in enumerate(sizes) for _ in range(bands[number])]
    offsets = np.cumsum([0, *(size for _, size in rows)])
    rows = [(band, *row, int(offsets[band])) for band, row in enumerate(rows)]
    parts = [rows] if taps > 1 else [rows[:1], rows[1:]]
    return [Group(*zip(*part, strict=True)) for part in parts]


def made(taps: int, late: bool = False):
    sizes, bands = CASES[taps]
    module = Autoencoders(sizes, bands, taps, SOURCES, 2, (3, 4), late)
    draw, inputs = np.random.default_rng(0), mixes(taps)

    def one(path, leaf):
        if path[-1].key in ("scale", "var"):
            return draw.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        return 0.4 * draw.standard_normal(leaf.shape).astype(np.float32)

    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *call(taps, inputs)))
    return module, jax.tree_util.tree_map_with_path(one, shapes)


def mixes(taps: int, slices: int = SLICES):
    """[band, item, channel, half slice, value], 0 behind the values of a band."""
    draw, found = np.random.default_rng(1), []
    for group in groups(taps):
        shape = (len(group.bands), 2, 2, 2 * slices, group.half)
        mix = draw.standard_normal(shape) + 1j * draw.standard_normal(shape)
        inside = np.arange(group.half) < np.array(group.sizes)[:, None] // 2
        found.append((mix * inside[:, None, None, None]).astype(np.complex64))
    return found


def call(taps, inputs, span=(0, SLICES), train=False):
    more = [np.zeros(mix.shape[:2], np.float32) for mix in inputs]

    def finish(mask, mix, extra):  # [source, band, ...] -> [band, source, ...]
        return jnp.moveaxis(mask, 0, 1)

    return groups(taps), inputs, more, finish, span, train, "float32"


def wanted(module, variables, mix, taps, band, late):
    """Masks of a block's bands [item, channel, band, half slice, value], by convolutions."""
    params, stats = variables["params"], variables["batch_stats"]
    size, block = 2 * mix.shape[-1], band_block(taps, band)
    start = int(np.sum(module.sizes[:block]))
    mean, scale = (params[name][band : band + len(mix)] for name in ("mean", "scale"))
    # [band, item, channel, half, value] -> [item, channel, band, time]
    x = jnp.abs(mix).reshape(*mix.shape[:3], -1).transpose(1, 2, 0, 3)
    x = (x + mean[:, None]) * scale[:, None]
    masks = []
    for source in range(SOURCES):

        def normalised(x, number, source=source):
            own, known = params[f"norm_{number}"], stats[f"norm_{number}"]
            at = block, source
            gain = own["scale"][at] / np.sqrt(known["var"][at] + 1e-5)
            shift = own["bias"][at] - known["mean"][at] * gain
            return jax.nn.relu(x * gain[:, None, None] + shift[:, None, None])

        first = params["first"][:, :, start : start + size, source]  # [tap, channel, value, out]
        y = x if not late else jnp.pad(x, [(0, 0)] * 3 + [(size - 1, 0)])
        y = convolve(y, first.transpose(3, 1, 0, 2), size // 2)
        y = normalised(y, 0)
        y = convolve(y, params["second"][block, source].transpose(3, 1, 0, 2))
        y = normalised(y, 1)
        y = transposed(y, params["third"][block, source].transpose(1, 3, 0, 2))
        y = normalised(y, 2)
        last = params["last"][source, ..., start : start + size]  # [tap, in, channel, value]
        y = transposed(y, last.transpose(1, 2, 0, 3), size // 2)[..., : x.shape[-1]]
        masks.append(jax.nn.sigmoid(y + params["bias"][block, source][:, None, None]))
    return jnp.stack(masks)


def band_block(taps, band):
    return int(np.searchsorted(np.cumsum(CASES[taps][1]), band, side="right"))


def convolve(x, kernel, stride=1):
    """PyTorch's, [out, in, band tap, tap]."""
    return lax.conv_general_dilated(x, kernel, (1, stride), "VALID")


def transposed(x, kernel, stride=1):
    """PyTorch's, [in, out, band tap, tap]."""
    rows, taps = kernel.shape[2:]
    return lax.conv_general_dilated(
        x,
        kernel[:, :, ::-1, ::-1].transpose(1, 0, 2, 3),
        (1, 1),
        [(rows - 1, rows - 1), (taps - 1, taps - 1)],
        lhs_dilation=(1, stride),
    )


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("taps", CASES)
def test_masks_are_those_of_convolutions(taps, late):
    module, variables = made(taps, late)
    inputs = mixes(taps)
    found = jax.jit(lambda v, x: module.apply(v, *call(taps, x)))(variables, inputs)
    for group, mix, masks in zip(groups(taps), inputs, found, strict=True):
        for at, band in enumerate(group.bands if taps == 1 else group.bands[:1]):
            half, count = group.sizes[at] // 2, len(group.bands) if taps > 1 else 1
            own = mix[at : at + count, ..., :half]
            true = wanted(module, variables, own, taps, band, late)
            # [source, item, channel, band, time] -> [band, source, item, half, channel, value]
            true = true.reshape(*true.shape[:-1], -1, half).transpose(3, 0, 1, 4, 2, 5)
            np.testing.assert_allclose(masks[at : at + count, ..., :half], true, atol=1e-5)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("taps", CASES)
def test_a_part_of_a_track_with_slices_of_context_is_the_whole(taps, late):
    """Two on both sides; three before, where frames are late."""
    module, variables = made(taps, late)
    run = jax.jit(lambda x, span: module.apply(variables, *call(taps, x, span)))
    inputs = mixes(taps, 9)
    whole = run(inputs, (0, 9))
    before = 3 if late else 2
    for begin, end in ((0, 5), (3, 8), (4, 9)):
        # what is cut: the context, and whatever lies where there is no track
        places = np.arange(begin - before, end + 2).clip(0, 8)
        halves = (2 * places[:, None] + np.arange(2)).ravel()
        span = before - begin, before - begin + 9
        part = run([mix[..., halves, :] for mix in inputs], span)
        for one, other in zip(part, whole, strict=True):
            other = other[..., 2 * begin : 2 * end, :, :]
            np.testing.assert_allclose(one[..., 2 * before : -4, :, :], other, atol=1e-5)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("taps", CASES)
def test_training_uses_and_follows_the_statistics_of_the_batch(taps, late):
    """With the running statistics that a step leaves, scaled back, the same masks come out."""
    module, variables = made(taps, late)
    inputs = mixes(taps)
    zeros = jax.tree.map(jnp.zeros_like, variables["batch_stats"])
    start = {"params": variables["params"], "batch_stats": zeros}
    run = jax.jit(
        lambda v, x, train: module.apply(v, *call(taps, x, train=train), mutable="batch_stats"),
        static_argnums=2,
    )
    found, moved = run(start, inputs, True)
    frames = 2 * SLICES - (0 if late else 1)
    sizes, bands = CASES[taps]

    def again(path, values):
        values = 10 * values  # a tenth of the way, from 0
        if path[-1].key == "mean":
            return values
        number = int(path[-2].key[-1])
        lost = (taps - 1) * (2 if number == 1 else 1)  # bands that a convolution loses
        rows = np.array(bands) - lost if taps > 1 else np.array(bands)
        rows = rows * 2 * (frames - (3 if number == 1 else 0))
        return values * ((rows - 1) / rows)[:, None, None]

    stats = jax.tree_util.tree_map_with_path(again, moved["batch_stats"])
    later, _ = run({"params": variables["params"], "batch_stats": stats}, inputs, False)
    for one, other in zip(found, later, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_fewer_slices_than_taps_are_no_error():
    module, variables = made(1)
    for slices in (1, 2):
        inputs = mixes(1, slices)
        for train in (False, True):
            given = call(1, inputs, (0, slices), train)
            found, _ = jax.jit(
                lambda variables, given=given: module.apply(
                    variables, *given, mutable="batch_stats"
                )
            )(variables)
            assert all(np.isfinite(mask).all() for mask in found)
