"""Batches: a pure function of (seed, example index), whoever makes them."""

import gc
import itertools
import os
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from track_folders import LENGTHS, RATE, SOURCES, excerpt, opened, write

from pipelines.engines import ENGINES
from pipelines.loader import Loader
from pipelines.mixing.effects import resample, shelving_filter
from pipelines.mixing.plan import draw
from pipelines.mixing.recipe import RECIPES, Recipe
from pipelines.tracks.random_access import Tracks
from xumx_jax.errors import UserError
from xumx_jax.training.batches import render

ROOT = Path(__file__).parents[2]
SAMPLES = 32


@pytest.fixture(scope="module")
def pools(tracks):
    """Sources that do not belong together: 3, 2 and 1 clips."""
    clips = tuple(tracks.clips[source][: 3 - source] for source in range(3))
    return replace_set(tracks, clips=clips, aligned=False)


def replace_set(tracks, **changes):
    fields = {name: getattr(tracks, name) for name in Tracks.__dataclass_fields__}
    return Tracks(**{**fields, **changes})


def batches(tracks, count=None, recipe=RECIPES["demo"], batch=4, samples=SAMPLES, **options):
    with Loader(tracks, recipe, 5, batch, samples, **options) as loader:
        return list(itertools.islice(loader, count))


def assert_equal(one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        for name in left._fields:
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name), name)
            assert getattr(left, name).dtype == getattr(right, name).dtype


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_published_recipe_is_gain_swap_and_nothing_else(tracks):
    examples = Loader(tracks, Recipe(), 5, 1, SAMPLES).examples([9, 10])
    assert examples.stems.dtype == np.int16 and examples.stems.shape == (2, 3, SAMPLES, 2)
    rendered = np.asarray(render(examples))
    for row, index in enumerate([9, 10]):
        plan = draw(Recipe(), 5, index, [3] * 3)
        for source in range(3):
            track = plan.track[source]
            start = int(plan.start[source] * (max(0, LENGTHS[track] - SAMPLES) + 1))
            wave = excerpt(tracks, source, track, start, SAMPLES)
            wave = wave[:: -1 if plan.swap[source] else 1] * np.float32(plan.gain[source])
            np.testing.assert_array_equal(rendered[row, source], wave)


def test_effects_of_the_host_are_what_the_recipe_says(tracks):
    recipe = Recipe(resample=1.0, shelf=1.0, polarity=0.5)
    examples = Loader(tracks, recipe, 5, 1, SAMPLES).examples([3])
    assert examples.stems.dtype == np.float32
    rendered, plan = np.asarray(render(examples))[0], draw(recipe, 5, 3, [3] * 3)
    ratios, shelves = dict(plan.effects)["resample"], dict(plan.effects)["shelving_filter"]
    for source in range(3):
        needed = resample.input_samples(SAMPLES, ratios[source])
        start = int(plan.start[source] * (max(0, LENGTHS[plan.track[source]] - needed) + 1))
        wave = excerpt(tracks, source, plan.track[source], start, needed)
        wave = resample.apply(wave, ratios[source], RATE, SAMPLES)
        wave = shelving_filter.apply(wave, shelves[source], RATE, SAMPLES)
        wave = wave[:: -1 if plan.swap[source] else 1] * np.float32(plan.gain[source])
        np.testing.assert_array_equal(rendered[source], wave)


def test_effects_of_a_list_are_applied_in_their_order(tracks):
    listed = (("shelving_filter", {"probability": 1.0}), ("resample", {"probability": 1.0}))
    recipe = Recipe(effects=listed, gain=(1.0, 1.0), swap=0.0)
    example = Loader(tracks, recipe, 5, 1, SAMPLES).examples([3]).stems[0]
    plan = draw(recipe, 5, 3, [3] * 3)
    (_, shelves), (_, ratios) = plan.effects
    for source in range(3):
        needed = resample.input_samples(SAMPLES, ratios[source])
        start = int(plan.start[source] * (max(0, LENGTHS[plan.track[source]] - needed) + 1))
        wave = excerpt(tracks, source, plan.track[source], start, needed)
        wave = shelving_filter.apply(wave, shelves[source], RATE, needed)
        wave = resample.apply(wave, ratios[source], RATE, SAMPLES)
        np.testing.assert_array_equal(example[source], wave.T)


@pytest.mark.slow
def test_files_that_are_not_16_bit_come_as_float32(tracks, tmp_path):
    write(tmp_path, subtype="FLOAT")
    examples = batches(opened(tmp_path), 1, Recipe())[0]
    integers = batches(tracks, 1, Recipe())[0]
    assert examples.stems.dtype == np.float32
    np.testing.assert_allclose(render(examples), render(integers), atol=1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_batches_do_not_depend_on_engine_workers_or_prefetch(tracks, name):
    one = batches(tracks, 6, RECIPES[name], engine="threads", workers=1, prefetch=1)
    assert one[0].stems.shape == (4, 3, SAMPLES, 2) and one[0].stems.std() > 0.01
    for engine, workers in itertools.product(ENGINES, (1, 3)):
        options = {"engine": engine, "workers": workers, "prefetch": 4}
        assert_equal(batches(tracks, 6, RECIPES[name], **options), one)


@pytest.mark.parametrize("engine", ENGINES)
def test_resume_continues_where_it_would_have_gone_on(tracks, engine):
    whole = batches(tracks, 5, engine=engine)
    assert_equal(batches(tracks, 2, first=12, engine=engine), whole[3:])


@pytest.mark.parametrize("engine", ENGINES)
def test_last_ends_and_the_remainder_is_dropped(tracks, engine):
    assert len(batches(tracks, last=11, engine=engine)) == 2
    assert len(batches(tracks, first=8, last=12, engine=engine)) == 1
    assert batches(tracks, last=3, engine=engine) == []


@pytest.mark.parametrize("samples", [SAMPLES, 0])
def test_hosts_slices_make_up_the_global_batch(tracks, samples):
    whole = batches(tracks, 3, samples=samples)
    parts = [batches(tracks, 3, samples=samples, process_index=p, process_count=2) for p in (0, 1)]
    joined = [
        type(left)(*(np.concatenate(pair) for pair in zip(left, right, strict=True)))
        for left, right in zip(*parts, strict=True)
    ]
    assert_equal(joined, whole)


def test_batch_that_does_not_divide_is_refused(tracks):
    with pytest.raises(UserError, match="batch 4 is not divisible by 3 hosts"):
        batches(tracks, 1, process_count=3)


def test_same_song_sources_come_from_one_place(tracks):
    recipe = Recipe(same_song=1.0, gain=(1.0, 1.0), swap=0.0)
    examples = np.asarray(render(Loader(tracks, recipe, 5, 1, 16).examples(range(3))))
    plans = [draw(recipe, 5, index, [3] * 3) for index in range(3)]
    assert {plan.track[0] for plan in plans} == {0, 1, 2}
    for example, plan in zip(examples, plans, strict=True):
        track = plan.track[0]
        start = int(plan.start[0] * (LENGTHS[track] - 16 + 1))
        for source in range(3):
            wave = excerpt(tracks, source, track, start, 16)
            np.testing.assert_array_equal(example[source], wave)


def test_starts_that_are_not_random_are_in_the_middle(tracks):
    recipe = Recipe(same_song=1.0, gain=(1.0, 1.0), swap=0.0, random_start=False)
    example = np.asarray(render(Loader(tracks, recipe, 5, 1, 10).examples([0])))[0]
    track = draw(recipe, 5, 0, [3] * 3).track[0]
    wave = excerpt(tracks, 1, track, int((LENGTHS[track] - 10 + 1) / 2), 10)
    np.testing.assert_array_equal(example[1], wave)


def test_whole_tracks_start_at_the_beginning_and_fill_up_buckets(tracks):
    recipe = Recipe(gain=(1.0, 1.0), swap=0.0)
    (found,) = batches(tracks, 1, recipe, batch=3, samples=0)
    assert found.stems.shape == (3, 3, 10 * RATE, 2) and found.stems.dtype == np.int16
    rendered = np.asarray(render(found))
    turns = [draw(replace(recipe, same_song=1.0), 5, index, [3] * 3).track[0] for index in range(3)]
    assert set(turns) == {0, 1, 2}
    for row, track in enumerate(turns):
        wave = excerpt(tracks, 2, track, 0, 10 * RATE)
        np.testing.assert_array_equal(rendered[row, 2], wave)


def test_length_of_whole_tracks_is_rounded_up(tmp_path):
    write(tmp_path, (10 * RATE, 10 * RATE + 1))
    found = batches(opened(tmp_path), 2, Recipe(), batch=1, samples=-1)
    assert {examples.stems.shape[2] for examples in found} == {10 * RATE, 20 * RATE}


def test_sources_of_their_own_length_and_number_are_mixed(pools):
    found = np.asarray(render(Loader(pools, Recipe(), 5, 1, 16).examples(range(20))))
    for index, example in enumerate(found):
        plan = draw(Recipe(), 5, index, [3, 2, 1])
        for source in range(3):
            start = int(plan.start[source] * (LENGTHS[plan.track[source]] - 16 + 1))
            wave = excerpt(pools, source, plan.track[source], start, 16)
            wave = wave[:: -1 if plan.swap[source] else 1] * np.float32(plan.gain[source])
            np.testing.assert_array_equal(example[source], wave)


@pytest.mark.parametrize(
    "recipe, samples",
    [(Recipe(same_song=0.5), 16), (Recipe(coherent_examples=1), 16), (Recipe(), 0)],
)
def test_songs_of_sources_that_have_none_are_refused(pools, recipe, samples):
    with pytest.raises(UserError, match="do not make up songs"):
        Loader(pools, recipe, 5, 1, samples)


def test_dropped_sources_are_silent_and_their_files_left_alone(tracks):
    for recipe in (Recipe(drop=1.0), Recipe(drop=1.0, shelf=1.0)):
        example = Loader(tracks, recipe, 5, 1, 16).examples([0]).stems[0]
        assert sorted(bool(wave.any()) for wave in example) == [False, False, True]


@pytest.mark.parametrize("engine", ENGINES)
def test_leaving_early_stops_the_work(tracks, engine):
    with Loader(tracks, RECIPES["demo"], 5, 4, SAMPLES, workers=3, engine=engine) as loader:
        next(iter(loader))
    assert not threads()
    with pytest.raises(RuntimeError, match="context manager"):
        next(iter(loader))


@pytest.mark.parametrize("engine", ENGINES)
def test_leaving_through_an_error_stops_the_work(tracks, engine):
    with pytest.raises(KeyError), Loader(tracks, Recipe(), 5, 4, SAMPLES, engine=engine) as loader:
        next(iter(loader))
        raise KeyError
    assert not threads()


def test_forgotten_loader_stops_its_work(tracks):
    loader = Loader(tracks, Recipe(), 5, 4, SAMPLES, engine="threads").__enter__()
    next(iter(loader))
    assert threads()
    del loader
    gc.collect()
    assert not threads()


@pytest.mark.parametrize("engine", ENGINES)
def test_memory_of_a_loader_is_free_when_it_is_left(tracks, engine):
    with Loader(tracks, Recipe(), 5, 4, SAMPLES, engine=engine) as loader:
        next(iter(loader))
        recycler = weakref.ref(loader.make.args[4].__self__)
    del loader
    assert recycler() is None


@pytest.mark.parametrize("engine", ENGINES)
def test_what_fails_in_the_background_names_the_file(tmp_path, engine):
    write(tmp_path, (100, 100, 100))
    data = opened(tmp_path)
    with Loader(data, Recipe(), 5, 4, SAMPLES, engine=engine) as loader:
        found = iter(loader)
        next(found)
        for source in SOURCES:
            (tmp_path / "1" / f"{source}.wav").unlink()
        began = time.monotonic()
        with pytest.raises(UserError, match=r"1.(bass|drums|other)\.wav: "):
            list(itertools.islice(found, 50))
        assert time.monotonic() - began < 5
    assert not threads()


def test_data_without_a_sample_is_refused(tracks):
    clips = tuple(((),) for _ in SOURCES)
    with pytest.raises(UserError, match="all tracks are empty"):
        Loader(replace_set(tracks, clips=clips), Recipe(), 0, 1, 8)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"engine": "tfx"}, "unknown engine 'tfx'; known: tf, threads"),
        ({"workers": 0}, "0 workers"),
    ],
)
def test_impossible_options_are_named(tracks, options, message):
    with pytest.raises(UserError, match=message):
        Loader(tracks, Recipe(), 0, 1, 8, **options)


SCRIPT = """
import sys, time
import numpy as np
from pipelines.loader import Loader
from pipelines.mixing.recipe import Recipe

class Slow:
    root, sources, aligned, integer, scene = "slow", ("one",) * 4, True, True, None
    rate, channels = 8000, 2
    counts, track_lengths = [3] * 4, [1000] * 3
    def length(self, source, track):
        return 1000
    def read_into(self, source, track, start, out):
        time.sleep(0.05)
        out[:] = 1

loader = Loader(Slow(), Recipe(), 0, 8, 100, engine=sys.argv[1])
if sys.argv[2] == "forgets":
    entered = loader.__enter__()
    batches = iter(entered)
    print(next(batches).stems.sum(), flush=True)
else:
    with loader as batches:
        for examples in batches:
            print(examples.stems.sum(), flush=True)
            if sys.argv[2] == "exits":
                sys.exit(3)
            raise KeyError("on purpose")
print("end", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way, status", [("exits", 3), ("raises", 1), ("forgets", 0)])
@pytest.mark.parametrize("engine", ENGINES)
def test_script_that_ends_amid_batches_ends_promptly(engine, way, status):
    command = [sys.executable, "-c", SCRIPT, engine, way]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout.readline() == f"{8 * 4 * 100 * 2}\n"
    try:
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == status, errors
    assert ("on purpose" in errors) == (way == "raises")
