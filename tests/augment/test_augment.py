"""Augmentations inside the step: their numbers, their names, their options."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from augmenting import all_of_them

from xumx_jax import augment
from xumx_jax.augment import AUGMENTATIONS
from xumx_jax.errors import UserError

ROOT = Path(__file__).parents[2]


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def apply(names, options, stems, indices, seed=3):
    chosen = augment.build([(name, options.get(name, {})) for name in names])
    return np.asarray(augment.apply(chosen, jnp.asarray(stems), seed, jnp.asarray(indices)))


@pytest.mark.slow
@pytest.mark.parametrize("probability, share", [(0.0, 0.0), (None, 0.2), (1.0, 1.0)])
def test_every_augmentation_keeps_the_shape_and_most_stems(
    tmp_path, quick_compile, probability, share
):
    """`None`: with its defaults, apart from what has none."""
    stems = noise(9, 4, 2, 2100)
    options = {} if probability is None else {"probability": probability}
    for name, given in all_of_them(tmp_path, 44_100, **options):
        chosen = augment.build([(name, given)])
        augment.check(chosen, stems.shape[1:])
        found = jax.jit(partial(augment.apply, chosen, seed=5))(stems, indices=np.arange(9))
        assert found.shape == stems.shape and found.dtype == np.float32
        assert np.isfinite(found).all()
        changed = np.any(np.asarray(found) != stems, axis=(2, 3)).mean()
        same = 1 / 3 if name == "speed" else 0  # one of its three lengths is 100 %
        assert abs(changed - share * (1 - same)) <= (0.2 if 0 < share else 0), name


@pytest.mark.slow
def test_mono_takes_so_many_sources():
    stems = noise(200, 4, 2, 3)
    found = apply(["mono"], {"mono": {"probability": 0.25}}, stems, np.arange(200))
    changed = np.any(found != stems, axis=(2, 3))
    assert abs(changed.mean() - 0.25) < 0.05
    np.testing.assert_allclose(
        found[changed],
        np.broadcast_to(stems[changed].mean(1, keepdims=True), (changed.sum(), 2, 3)),
    )
    assert not np.any(apply(["mono"], {"mono": {"probability": 0.0}}, stems, range(200)) != stems)


@pytest.mark.slow
def test_numbers_depend_on_seed_index_and_name_alone(monkeypatch):
    stems = np.repeat(noise(1, 4, 2, 3), 8, axis=0)
    half = {"mono": {"probability": 0.5}}
    whole = apply(["mono"], half, stems, np.arange(8))
    parts = [apply(["mono"], half, stems[:4], np.arange(at, at + 4)) for at in (0, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert np.any(apply(["mono"], half, stems, np.arange(8), seed=4) != whole)
    # another augmentation before it, or after it, draws numbers of its own
    monkeypatch.setitem(AUGMENTATIONS, "double", lambda stems, key, *, by=2.0: by * stems)
    for names in (["mono", "double"], ["double", "mono"]):
        np.testing.assert_allclose(apply(names, half, stems, np.arange(8)), 2 * whole)
    monkeypatch.setitem(AUGMENTATIONS, "other", AUGMENTATIONS["mono"])
    other = apply(["other"], {"other": half["mono"]}, stems, np.arange(8))
    assert np.any(other != whole)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([("reverb", {})], "unknown augmentation 'reverb'; known: mono, speed, "),
        ([("mono", {}), ("mono", {})], "augment names mono, mono; wanted each once"),
        ([("mono", {"share": 1})], "augmentation 'mono' has no option share"),
        (["mono"], r"augment is \['mono'\], wanted \(\(name, {option: value}\), ...\)"),
        ((1,), r"augment is \(1,\), wanted"),
    ],
)
def test_what_makes_no_sense_is_one_line(wanted, message):
    with pytest.raises(UserError, match=message):
        augment.build(wanted)


def shorter(stems, key):
    return stems[..., 1:]


def needs_two(stems, key):
    if stems.shape[0] < 2 or stems.shape[-1] < 100:
        raise ValueError("wanted two sources, of 100 samples")
    return stems


@pytest.mark.parametrize(
    ("wanted", "shape", "message"),
    [
        (("mono", {"probability": 2}), (4, 2, 800), "'mono': probability is 2, wanted 0 to 1"),
        (("mono", {"probability": "x"}), (4, 2, 800), "augmentation 'mono': .*not supported"),
        (("shorter", {}), (4, 2, 800), r"'shorter' makes float32 \(4, 2, 799\) of float32 \(4, 2"),
        (("needs_two", {}), (1, 2, 800), "augmentation 'needs_two': wanted two sources"),
        (("needs_two", {}), (4, 2, 800), ""),
    ],
)
def test_what_does_not_fit_is_one_line(monkeypatch, wanted, shape, message):
    monkeypatch.setitem(AUGMENTATIONS, "shorter", shorter)
    monkeypatch.setitem(AUGMENTATIONS, "needs_two", needs_two)
    chosen = augment.build([wanted])
    if not message:
        augment.check(chosen, shape)
        return
    with pytest.raises(UserError, match=message):
        augment.check(chosen, shape)


@pytest.mark.slow
def test_checking_a_config_starts_no_device(tmp_path):
    """Processes of one run join each other after the config is checked, before JAX starts."""
    wanted = all_of_them(tmp_path, 44_100)
    program = (
        "from configs.xumx import get_config\n"
        "from xumx_jax.training.config_checks import check\n"
        "config = get_config('tiny')\n"
        f"config.augment = {wanted!r}\n"
        "check(config)\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge.backends_are_initialized()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
