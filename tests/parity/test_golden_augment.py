"""Augmentations against recorded outputs of AIMLESS, as the step uses them: one file, one test.

The recordings have whole outputs of a transform; ours are cut or filled with silence to the length
of the input, as the recorded selection rule does with them.
"""

import re
from functools import partial

import jax
import numpy as np
import pytest
from golden_files import golden
from golden_torch import arrays, meta, under

from xumx_jax.augment import selection
from xumx_jax.augment.impulse import impulse
from xumx_jax.augment.pitch import frequency_percent, pitch, tempo
from xumx_jax.augment.speed import speed
from xumx_jax.transforms.phase_vocoder import time_grid

pytestmark = pytest.mark.usefixtures("quick_compile")
FACTOR, FLOOR = 10, 1e-6  # of the oracle's own rounding, of its largest value


def check(path, name: str, ours):
    """Compare with `out/<name>`, whose end may be cut off or missing."""
    wanted = arrays(path)[f"out/{name}"]
    rounding = meta(path).get("f32_vs_f64", {}).get(name, {"max_abs": 0.0})["max_abs"]
    tolerance = max(FACTOR * rounding, FLOOR * np.abs(wanted).max())
    both = min(wanted.shape[-1], ours.shape[-1])
    np.testing.assert_allclose(ours[..., :both], wanted[..., :both], rtol=0, atol=tolerance)
    assert not np.any(ours[..., both:])


def augmented(path, function, *arguments, **options):
    """All items of the recorded input, as the sources of one example that are all chosen."""
    every = partial(function, probability=1.0, **options)
    ours = jax.jit(every)(arrays(path)["in/x"], jax.random.key(0), *arguments)
    assert ours.shape == arrays(path)["in/x"].shape
    return np.asarray(ours)


@golden("torch/aug_speed_perturb*.npz")
def test_speed(path):
    speeds = meta(path)["kwargs"]["speeds"]
    assert speeds
    for index, percent in enumerate(speeds):
        check(path, f"idx{index}", augmented(path, speed, length_percent=(percent,)))


@pytest.mark.slow
@golden("torch/aug_random_pitch*.npz")
def test_pitch(path):
    options = meta(path)["kwargs"]
    frames = arrays(path)["in/x"].shape[-1] // options["hop_length"] + 1
    rates = arrays(path)["w/rates"]
    assert len(rates) == len(options["semitones"]) > 0
    for index, (semitone, rate) in enumerate(zip(options["semitones"], rates, strict=True)):
        ratio = meta(path)["configs"][f"idx{index}"]["resample"]
        assert ratio == [frequency_percent(semitone), 100]
        assert rate == tempo(ratio[0])
        grid = time_grid(frames, tempo(ratio[0]))
        assert grid.dtype == np.float32
        np.testing.assert_array_equal(grid, arrays(path)[f"out/idx{index}/time_steps"])
        stft = {"n_fft": options["n_fft"], "hop": options["hop_length"]}
        check(path, f"idx{index}", augmented(path, pitch, semitones=(semitone,), **stft))


@golden("torch/aug_random_convolutions*.npz")
def test_impulse(path):
    responses = under(path, "in/ir/")
    assert responses
    for name, response in responses.items():
        check(path, name, augmented(path, impulse, response[None]))


@golden("torch/aug_cudabase*.npz")
def test_selection(path):
    """Two transforms that the recording's note spells out: one shortens, one lengthens."""
    note = meta(path)["note"]
    (cut, first), (left, right, second) = (
        [float(number) for number in re.search(pattern, note).groups()]
        for pattern in (r"0: x\[\.\.\., :-(\d+)\]\*(\d+)", r"1: pad\((\d+),(\d+)\)\*(\d+)")
    )
    change = selection.one_of(
        [
            lambda wave: wave[..., : -int(cut)] * first,
            lambda wave: jax.numpy.pad(wave, ((0, 0), (int(left), int(right)))) * second,
        ]
    )
    x = arrays(path)["in/x"]
    ways = np.full(x.shape[0] * x.shape[1], -1, np.int32)
    ways[arrays(path)["in/select"]] = arrays(path)["in/rand_idx"]
    assert {-1, 0, 1} == set(ways.tolist())
    batch = x, ways.reshape(x.shape[:2])
    ours = jax.lax.map(lambda example: selection.changed(*example, change), batch)
    check(path, "y", np.asarray(ours))
