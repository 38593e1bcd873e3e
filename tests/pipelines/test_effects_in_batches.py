"""Effects of sources and of mixtures on their way into a batch."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from track_folders import RATE, opened, write

from pipelines.loader import Loader
from pipelines.mixing import effects
from pipelines.mixing.plan import draw
from pipelines.mixing.recipe import Recipe
from pipelines.tracks.random_access import Tracks
from xumx_jax.errors import UserError
from xumx_jax.training.batches import render

SAMPLES = 4000
PLAIN = Recipe(gain=(1.0, 1.0), swap=0.0)
EARLY = (("gain", {}), ("resample", {"probability": 0.5}), ("reverb", {}))
MIXED = ("limit_aug", {"probability": 1.0})
LATE = (("parametric_eq", {"probability": 0.5}), ("swap", {}))


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    write(root, (9000, 7000, 6000))
    return opened(root)


def stems_of(tracks, recipe, indices):
    return np.asarray(render(Loader(tracks, recipe, 5, 1, SAMPLES).examples(indices)))


def test_effects_of_mixtures_come_in_their_turn(tracks):
    listed = (*EARLY, MIXED, *LATE)
    before = stems_of(tracks, replace(PLAIN, effects=EARLY), range(4))
    after = stems_of(tracks, replace(PLAIN, effects=listed), range(4))
    for index in range(4):
        plan = draw(replace(PLAIN, effects=listed), 5, index, tracks.counts)
        chosen = dict(plan.effects)
        waves = effects.EFFECTS["limit_aug"].apply_all(before[index], chosen["limit_aug"][0], RATE)
        for source, wave in enumerate(waves):
            for name, _ in LATE:
                if effects.EFFECTS[name].changes(chosen[name][source]):
                    effect = effects.EFFECTS[name]
                    wave = effect.apply(wave, chosen[name][source], RATE, SAMPLES)
            np.testing.assert_array_equal(after[index, source], wave)


def test_what_the_device_does_comes_after_all_effects(tracks):
    listed = (MIXED,)
    plain = stems_of(tracks, replace(PLAIN, effects=listed), range(3))
    for index, example in enumerate(
        stems_of(tracks, Recipe(effects=listed, polarity=0.5), range(3))
    ):
        plan = draw(Recipe(effects=listed, polarity=0.5), 5, index, tracks.counts)
        for source in range(3):
            wave = plain[index, source][:: -1 if plan.swap[source] else 1]
            np.testing.assert_array_equal(example[source], wave * np.float32(plan.gain[source]))


def test_a_source_that_is_left_out_stays_silent(tracks):
    example = stems_of(tracks, replace(PLAIN, effects=(MIXED, *LATE), drop=1.0), [0])[0]
    assert sorted(bool(np.abs(wave).max() > 1e-6) for wave in example) == [False, False, True]


def test_all_sources_have_the_numbers_of_a_mixture_and_others_their_own():
    recipe = Recipe(effects=(MIXED, ("gain", {})))
    for index in range(5):
        (_, limited), (_, gain) = draw(recipe, 3, index, [7] * 4).effects
        assert (limited == limited[0]).all() and len(set(gain[:, 1])) == 4
    alone = draw(Recipe(effects=(("gain", {}),)), 3, 4, [7] * 4)
    np.testing.assert_array_equal(alone.effects[0][1], gain)


def test_probability_is_kept_by_each_effect():
    names = [name for name in effects.EFFECTS if name != "resample"]
    recipe = Recipe(effects=tuple((name, {"probability": 0.3}) for name in names))
    used = {name: [] for name in names}
    for index in range(300):
        for name, values in draw(recipe, 3, index, [7] * 4).effects:
            used[name] += [effects.EFFECTS[name].changes(one) for one in values]
    for name, found in used.items():
        assert abs(np.mean(found) - 0.3) < 0.09, name


def test_batches_do_not_depend_on_who_makes_them(tracks):
    names = [name for name in effects.EFFECTS if name != "resample"]
    recipe = Recipe(effects=tuple((name, {}) for name in ("resample", *names)))
    found = []
    for workers in (1, 3):  # at once, in other threads
        with Loader(tracks, recipe, 5, 2, SAMPLES, engine="threads", workers=workers) as batches:
            found.append([batch.stems.copy() for batch in itertools.islice(batches, 3)])
    np.testing.assert_array_equal(found[0], found[1])
    assert np.isfinite(found).all()


def test_lengths_must_agree_where_sources_are_mixed():
    with pytest.raises(UserError, match="resample has to come before limit_aug"):
        Recipe(effects=(MIXED, ("resample", {})))
    Recipe(effects=(("resample", {}), MIXED))


def test_channels_that_do_not_fit_are_refused(tracks):
    fields = {name: getattr(tracks, name) for name in Tracks.__dataclass_fields__}
    mono = Tracks(**fields | {"channels": 1})
    with pytest.raises(UserError, match="stereo_widener wants 2 channels, the data has 1"):
        Loader(mono, Recipe(effects=(("stereo_widener", {}),)), 5, 1, SAMPLES)
