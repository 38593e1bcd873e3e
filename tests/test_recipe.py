"""Draws: reproducible, within their limits, as often as asked."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.recipe import RECIPES, Recipe, draw
from xumx_jax.errors import UserError


def draws(recipe, count=400, seed=3, tracks=7):
    return [draw(recipe, seed, index, 4, tracks) for index in range(count)]


def column(plans, name):
    return np.array([getattr(plan, name) for plan in plans])


def test_equal_seed_and_index_give_equal_draws_and_others_do_not():
    one, same = draw(RECIPES["demo"], 3, 8, 4, 7), draw(RECIPES["demo"], 3, 8, 4, 7)
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.start, draw(RECIPES["demo"], 3, 9, 4, 7).start)
    assert not np.array_equal(one.start, draw(RECIPES["demo"], 4, 8, 4, 7).start)


def test_draws_are_the_same_as_when_this_was_written():
    plan = draw(Recipe(), 0, 0, 4, 100)
    np.testing.assert_array_equal(plan.track, RECORDED_TRACKS)
    np.testing.assert_allclose(plan.gain, RECORDED_GAINS, rtol=1e-12)


def test_defaults_are_the_published_recipe():
    plans = draws(Recipe())
    gain, track = column(plans, "gain"), column(plans, "track")
    assert gain.min() >= 0.25 and gain.max() < 1.25
    assert abs(gain.mean() - 0.75) < 0.03 and gain.min() < 0.27 and gain.max() > 1.23
    assert set(track.ravel()) == set(range(7))
    same_track = (track[:, 1:] == track[:, :1]).all(1).mean()
    assert same_track < 0.02, "sources are independent: 1 / 343 by chance"
    assert abs(column(plans, "swap").mean() - 0.5) < 0.05
    assert (column(plans, "ratio") == 1).all() and (column(plans, "shelves") == 0).all()


def test_same_song_shares_track_start_and_ratio_but_not_gain():
    plans = draws(replace(RECIPES["demo"], same_song=1.0))
    for name in ("track", "start", "ratio"):
        values = column(plans, name)
        assert (values == values[:, :1]).all(), name
    gain = column(plans, "gain")
    assert (gain[:, 0] != gain[:, 1]).mean() > 0.9


def test_demo_recipe_does_everything_as_often_as_it_says():
    plans = draws(RECIPES["demo"], count=2000)
    start, gain = column(plans, "start"), column(plans, "gain")
    assert abs((start[:, 0] == start[:, 1]).mean() - 0.7) < 0.04
    assert abs((gain == 0).mean() - 0.08) < 0.02
    ratio = column(plans, "ratio")
    assert abs((ratio[:, 0] != 1).mean() - 0.4) < 0.04
    assert 0.88 <= ratio.min() < 0.9 and 1.1 < ratio.max() <= 1.12
    decibels = 20 * np.log10(gain[gain > 0])
    assert decibels.min() >= -14 and decibels.max() <= 9


def test_one_source_always_stays():
    gain = column(draws(Recipe(drop=1.0)), "gain")
    assert ((gain > 0).sum(1) == 1).all()


def test_opening_examples_are_songs_as_they_were_mixed():
    plans = draws(replace(RECIPES["demo"], coherent_examples=100), count=200)
    assert (column(plans[:100], "gain") == 1).all()
    assert (column(plans[:100], "ratio") == 1).all()
    start = column(plans[:100], "start")
    assert (start == start[:, :1]).all()
    assert (column(plans[100:], "gain") != 1).all()
    late = draw(RECIPES["demo"], 3, 150, 4, 7)
    np.testing.assert_array_equal(plans[150].gain, late.gain)


def test_opening_examples_keep_effects_when_asked_to():
    recipe = replace(RECIPES["demo"], coherent_examples=100, coherent_effects=True)
    plans = draws(recipe, count=100)
    start = column(plans, "start")
    assert (start == start[:, :1]).all()
    assert (column(plans, "gain") != 1).all()


@pytest.mark.parametrize("field", ["same_song", "swap", "drop", "resample", "shelf"])
def test_impossible_probability_is_named(field):
    with pytest.raises(UserError, match=f"recipe.{field} is 1.5"):
        Recipe(**{field: 1.5})


RECORDED_TRACKS = [71, 13, 57, 25]
RECORDED_GAINS = [0.41487074883029074, 0.3006596508702779, 0.7211104218217442, 1.2301661435257851]
