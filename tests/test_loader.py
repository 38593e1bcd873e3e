"""Batches: a pure function of (seed, example index), whoever renders them."""

import itertools
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from pipelines.folder import Folder
from pipelines.loader import Loader, excerpts
from pipelines.recipe import RECIPES, Recipe, draw
from xumx_jax.errors import UserError

SOURCES = ("bass", "drums", "other")
RATE = 8000
LENGTHS = (100, 64, 30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(0)
    for track, length in enumerate(LENGTHS):
        (root / f"{track}").mkdir()
        for source in SOURCES:
            wave = rng.uniform(-0.5, 0.5, (length, 2))
            soundfile.write(root / f"{track}" / f"{source}.wav", wave, RATE, subtype="PCM_16")
    return Folder(root, SOURCES, RATE)


def batches(folder, count=None, recipe=RECIPES["demo"], batch=4, **options):
    with Loader(folder, recipe, 5, batch, 32, **options) as loader:
        return list(itertools.islice(loader, count))


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_published_recipe_is_gain_swap_and_nothing_else(folder):
    example = Loader(folder, Recipe(), 5, 1, 32).examples([9])[0]
    plan = draw(Recipe(), 5, 9, 3, 3)
    for source in range(3):
        track = plan.track[source]
        start = int(plan.start[source] * (max(0, LENGTHS[track] - 32) + 1))
        wave = folder.read(track, source, start, 32)[:: -1 if plan.swap[source] else 1]
        np.testing.assert_array_equal(example[source], wave * np.float32(plan.gain[source]))


@pytest.mark.parametrize("name", RECIPES)
def test_batches_do_not_depend_on_threads_or_prefetch(folder, name):
    one = batches(folder, 6, RECIPES[name], workers=1, prefetch=1)
    many = batches(folder, 6, RECIPES[name], workers=4, prefetch=5)
    np.testing.assert_array_equal(one, many)
    assert one[0].shape == (4, 3, 2, 32) and one[0].dtype == np.float32
    assert np.isfinite(one).all() and np.std(one) > 0.01


def test_resume_continues_where_it_would_have_gone_on(folder):
    np.testing.assert_array_equal(batches(folder, 5)[3:], batches(folder, 2, first=12))


def test_last_ends_and_the_remainder_is_dropped(folder):
    assert len(batches(folder, last=11)) == 2
    assert len(batches(folder, first=8, last=12)) == 1
    assert batches(folder, last=3) == []


def test_hosts_slices_make_up_the_global_batch(folder):
    whole = batches(folder, 3)
    parts = [batches(folder, 3, process_index=p, process_count=2) for p in range(2)]
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))
    with pytest.raises(UserError, match="batch 4 does not divide among 3 hosts"):
        batches(folder, 1, process_count=3)


def test_same_song_sources_come_from_one_place(folder):
    recipe = Recipe(same_song=1.0, gain=(1.0, 1.0), swap=0.0)
    example = Loader(folder, recipe, 5, 1, 16).examples([2])[0]
    plan = draw(recipe, 5, 2, 3, 3)
    track = plan.track[0]
    start = int(plan.start[0] * (LENGTHS[track] - 16 + 1))
    for source in range(3):
        np.testing.assert_array_equal(example[source], folder.read(track, source, start, 16))


def test_dropped_sources_are_silent(folder):
    example = Loader(folder, Recipe(drop=1.0), 5, 1, 16).examples([0])[0]
    assert sorted(wave.any() for wave in example) == [False, False, True]


def test_leaving_early_stops_all_threads(folder):
    with Loader(folder, RECIPES["demo"], 5, 4, 32, workers=3) as loader:
        next(iter(loader))
        assert threads()
    assert not threads()


def test_leaving_through_an_error_stops_all_threads(folder):
    with pytest.raises(KeyError), Loader(folder, RECIPES["demo"], 5, 4, 32) as loader:
        next(iter(loader))
        raise KeyError
    assert not threads()


def test_iterating_outside_the_context_is_refused(folder):
    with pytest.raises(RuntimeError, match="context manager"):
        next(iter(Loader(folder, RECIPES["demo"], 5, 4, 32)))


def test_what_fails_in_a_thread_names_the_file(tmp_path):
    (tmp_path / "song").mkdir()
    path = tmp_path / "song" / "bass.wav"
    soundfile.write(path, np.full((100, 2), 0.5), RATE)
    data = Folder(tmp_path, ("bass",), RATE)
    path.unlink()
    with pytest.raises(UserError, match="bass.wav"):
        batches(data, 1, replace(RECIPES["demo"], drop=0.0))
    assert not threads()


def test_data_without_a_sample_is_refused(tmp_path):
    (tmp_path / "song").mkdir()
    soundfile.write(tmp_path / "song" / "bass.wav", np.zeros((0, 2)), RATE)
    with pytest.raises(UserError, match="all tracks are empty"):
        Loader(Folder(tmp_path, ("bass",), RATE), Recipe(), 0, 1, 8)


def test_excerpts_cover_each_track_in_order_with_equal_weight_per_track(folder):
    waves, weights = zip(*excerpts(folder, 32, batch=4), strict=True)
    waves, weights = np.concatenate(waves), np.concatenate(weights)
    # 100 samples: three pieces, 64: two, 30: one with silence behind, then two of padding
    np.testing.assert_allclose(weights, [1 / 3] * 3 + [1 / 2] * 2 + [1, 0, 0], rtol=1e-6)
    for row, (track, start) in enumerate([(0, 0), (0, 32), (0, 64), (1, 0), (1, 32), (2, 0)]):
        for source in range(3):
            np.testing.assert_array_equal(waves[row, source], folder.read(track, source, start, 32))
    assert not waves[5, :, :, 30:].any() and not waves[6:].any()


def test_excerpts_of_hosts_make_up_the_global_batches(folder):
    whole = list(excerpts(folder, 32, batch=4))
    hosts = [excerpts(folder, 32, batch=4, process_index=p, process_count=2) for p in range(2)]
    for (waves, weights), *parts in zip(whole, *hosts, strict=True):
        np.testing.assert_array_equal(waves, np.concatenate([part[0] for part in parts]))
        np.testing.assert_array_equal(weights, np.concatenate([part[1] for part in parts]))
