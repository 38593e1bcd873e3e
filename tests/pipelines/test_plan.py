"""Draws: reproducible, within their limits, as often as asked."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.mixing.effects import EFFECTS
from pipelines.mixing.plan import draw, effect_numbers, turn
from pipelines.mixing.recipe import RECIPES, Recipe
from xumx_jax.errors import UserError

# Effects with fields of their own in a recipe; those named `gain` and `swap` are others.
OF_RECIPES = ("resample", "shelving_filter")


def draws(recipe, count=400, seed=3, tracks=7):
    return [draw(recipe, seed, index, [tracks] * 4) for index in range(count)]


def column(plans, name):
    """Values of all plans [plan, source, ...]; of an effect not in use, those of no change."""
    if name in OF_RECIPES:
        none = np.ones(4) if name == "resample" else np.zeros((4, 4))
        return np.array([dict(plan.effects).get(name, none) for plan in plans])
    return np.array([getattr(plan, name) for plan in plans])


def test_equal_seed_and_index_give_equal_draws_and_others_do_not():
    one, same = draw(RECIPES["demo"], 3, 8, [7] * 4), draw(RECIPES["demo"], 3, 8, [7] * 4)
    for name in ("track", "start", "gain", "swap", *OF_RECIPES):
        np.testing.assert_array_equal(column([one], name), column([same], name))
    assert not np.array_equal(one.start, draw(RECIPES["demo"], 3, 9, [7] * 4).start)
    assert not np.array_equal(one.start, draw(RECIPES["demo"], 4, 8, [7] * 4).start)


def test_draws_are_the_same_as_when_this_was_written():
    plan = draw(Recipe(), 0, 0, [100] * 4)
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
    assert (column(plans, "resample") == 1).all() and (column(plans, "shelving_filter") == 0).all()


def test_same_song_shares_track_start_and_ratio_but_not_gain():
    plans = draws(replace(RECIPES["demo"], same_song=1.0))
    for name in ("track", "start", "resample"):
        values = column(plans, name)
        assert (values == values[:, :1]).all(), name
    gain = column(plans, "gain")
    assert (gain[:, 0] != gain[:, 1]).mean() > 0.9


def test_demo_recipe_does_everything_as_often_as_it_says():
    plans = draws(RECIPES["demo"], count=2000)
    start, gain = column(plans, "start"), column(plans, "gain")
    assert abs((start[:, 0] == start[:, 1]).mean() - 0.7) < 0.04
    assert abs((gain == 0).mean() - 0.08) < 0.02
    ratio = column(plans, "resample")
    assert abs((ratio[:, 0] != 1).mean() - 0.4) < 0.04
    assert 0.88 <= ratio.min() < 0.9 and 1.1 < ratio.max() <= 1.12
    decibels = 20 * np.log10(gain[gain > 0])
    assert decibels.min() >= -14 and decibels.max() <= 9


def test_draws_of_the_demo_are_those_it_was_trained_with():
    plan = draw(RECIPES["demo"], 3, 8, [288] * 4)
    np.testing.assert_array_equal(plan.track, DEMO_TRACKS)
    np.testing.assert_allclose(plan.gain, DEMO_GAINS, rtol=1e-12)
    np.testing.assert_allclose(dict(plan.effects)["shelving_filter"], DEMO_SHELVES, rtol=1e-8)
    late = draw(RECIPES["demo"], 3, 17, [288] * 4)
    np.testing.assert_allclose(dict(late.effects)["resample"], DEMO_RATIOS, rtol=1e-8)


@pytest.mark.parametrize("tracks", [1, 7])
def test_songs_take_turns(tracks):
    order = [turn(3, index, tracks) for index in range(5 * tracks)]
    passes = np.array(order).reshape(5, tracks)
    assert (np.sort(passes, axis=1) == np.arange(tracks)).all()
    if tracks > 1:
        assert len({tuple(row) for row in passes}) > 1, "each pass has its own order"
    songs = column(draws(Recipe(same_song=1.0), 5 * tracks, tracks=tracks), "track")
    np.testing.assert_array_equal(songs, np.repeat(np.array(order)[:, None], 4, axis=1))


def test_anchored_source_takes_turns_and_the_others_come_from_anywhere():
    track = column(draws(Recipe(anchor=True), 70), "track")
    assert (np.sort(track[:, 0].reshape(10, 7), axis=1) == np.arange(7)).all()
    assert (track[:, 1:] != track[:, :1]).mean() > 0.7
    free = column(draws(Recipe(), 70), "track")
    np.testing.assert_array_equal(track[:, 1:], free[:, 1:])


def test_sources_with_pools_of_different_sizes_use_all_of_each():
    tracks = np.array([draw(Recipe(), 3, index, [2, 5, 3]).track for index in range(200)])
    assert [set(column) for column in tracks.T] == [{0, 1}, set(range(5)), {0, 1, 2}]


def test_polarity_turns_over_as_often_as_asked_and_changes_nothing_else():
    plain, turned = draws(Recipe()), draws(Recipe(polarity=0.3))
    np.testing.assert_array_equal(np.abs(column(turned, "gain")), column(plain, "gain"))
    assert abs((column(turned, "gain") < 0).mean() - 0.3) < 0.04


def test_each_augmentation_can_be_switched_off():
    still = draws(Recipe(gain=(1.0, 1.0), swap=0.0, random_start=False))
    assert (column(still, "gain") == 1).all() and not column(still, "swap").any()
    assert (column(still, "start") == 0.5).all()


def test_recipe_knows_what_a_device_cannot_do_and_what_needs_songs():
    assert Recipe(polarity=0.5).as_filed
    assert not Recipe(resample=0.1).as_filed and not Recipe(shelf=0.1).as_filed
    assert not Recipe(effects=(("resample", {}),)).as_filed
    assert not Recipe().needs_songs
    assert Recipe(same_song=0.1).needs_songs and Recipe(coherent_examples=1).needs_songs


def test_one_source_always_stays():
    gain = column(draws(Recipe(drop=1.0)), "gain")
    assert ((gain > 0).sum(1) == 1).all()


def test_opening_examples_are_songs_as_they_were_mixed():
    plans = draws(replace(RECIPES["demo"], coherent_examples=100), count=200)
    assert (column(plans[:100], "gain") == 1).all()
    assert (column(plans[:100], "resample") == 1).all()
    start = column(plans[:100], "start")
    assert (start == start[:, :1]).all()
    assert (column(plans[100:], "gain") != 1).all()
    late = draw(RECIPES["demo"], 3, 150, [7] * 4)
    np.testing.assert_array_equal(plans[150].gain, late.gain)


def test_opening_examples_keep_effects_when_asked_to():
    recipe = replace(RECIPES["demo"], coherent_examples=100, coherent_effects=True)
    plans = draws(recipe, count=100)
    start = column(plans, "start")
    assert (start == start[:, :1]).all()
    assert (column(plans, "gain") != 1).all()


def test_an_effect_of_a_list_moves_nobodys_numbers():
    more = (("shelving_filter", {"probability": 1.0}), ("resample", {}))
    plain, listed = draws(RECIPES["demo"], 50), draws(replace(RECIPES["demo"], effects=more), 50)
    other = draws(replace(RECIPES["demo"], effects=more[::-1]), 50)
    for one, two, three in zip(plain, listed, other, strict=True):
        for name in ("track", "start", "gain", "swap"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        own, turned = two.effects[2:], three.effects[2:]
        names = ["resample", "shelving_filter", "shelving_filter", "resample"]
        assert [name for name, _ in two.effects] == names
        for (name, values), (_, before) in zip(two.effects[:2], one.effects, strict=True):
            np.testing.assert_array_equal(values, before, name)
        for (name, values), (same, again) in zip(own, turned[::-1], strict=True):
            assert name == same
            np.testing.assert_array_equal(values, again, "the order of the list does not matter")
        assert not np.array_equal(own[0][1], one.effects[1][1])


def test_numbers_of_an_effect_depend_on_seed_example_and_name_alone():
    def numbers(seed, index, name):
        return effect_numbers(seed, index, name, 4)[EFFECTS[name].ROWS[0]]

    first = numbers(3, 8, "resample")
    np.testing.assert_array_equal(first, numbers(3, 8, "resample"))
    np.testing.assert_allclose(first, RECORDED_NUMBERS, rtol=1e-12)
    for other in ((4, 8, "resample"), (3, 9, "resample"), (3, 8, "shelving_filter")):
        assert not np.isin(numbers(*other), first).any()


def test_effects_of_a_list_are_shared_by_a_song_where_they_have_to_be():
    more = (("shelving_filter", {"probability": 1.0}), ("resample", {"probability": 1.0}))
    for plan in draws(Recipe(same_song=1.0, effects=more), 20):
        (_, shelves), (_, ratio) = plan.effects
        assert (ratio == ratio[0]).all() and ratio[0] != 1
        assert len(np.unique(shelves[:, 0])) == 4
    opening = draw(Recipe(coherent_examples=1, effects=more), 3, 0, [7] * 4)
    assert opening.effects == ()


@pytest.mark.parametrize(
    "effects, says",
    [
        ((("resampl", {}),), "unknown effect 'resampl'; did you mean 'resample'?; known: resample"),
        ((("resample", {"limits": 1}),), "resample has no option 'limits'; did you mean 'limit'?"),
        ((("resample", {"limit": 0.5}),), "resample: limit is 0.5, wanted 0 to 0.5"),
        ((("resample", {"probability": 2}),), "resample: probability is 2, wanted 0 to 1"),
        ((("shelving_filter", {"low_hz": (0, 1)}),), "low_hz is (0, 1), wanted two numbers above"),
        ((("shelving_filter", {"gain_db": "x"}),), "gain_db is x, wanted two numbers, (low, high)"),
        ((("resample", {"limit": "x"}),), "config.recipe.effects: resample: "),
        (("resample",), "wanted ((name, {option: value}), ...), each name once"),
        ((("resample", {}), ("resample", {})), "each name once"),
    ],
)
def test_impossible_effects_are_one_line(effects, says):
    with pytest.raises(UserError) as error:
        Recipe(effects=effects)
    assert says in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("field", ["same_song", "swap", "polarity", "drop", "resample", "shelf"])
def test_impossible_probability_is_named(field):
    with pytest.raises(UserError, match=f"recipe.{field} is 1.5"):
        Recipe(**{field: 1.5})


@pytest.mark.parametrize(
    "field, value, wanted",
    [
        ("gain", (1.0,), "two numbers, (low, high)"),
        ("gain", (1.25, 0.25), "two numbers, (low, high)"),
        ("gain_db", (1, 2, 3), "two numbers, (low, high)"),
        ("mix_gain_db", (), "two numbers, (low, high)"),
        ("shelf_db", ("low", "high"), "two numbers, (low, high)"),
        ("shelf_low_hz", (0, 5), "two numbers above 0, (low, high)"),
        ("shelf_high_hz", (1000.0, float("inf")), "two numbers above 0, (low, high)"),
        ("coherent_examples", -1, "0 or more"),
        ("resample_range", 0.5, "0 to 0.5"),
    ],
)
def test_impossible_range_is_named(field, value, wanted):
    with pytest.raises(UserError) as error:
        Recipe(**{field: value})
    assert str(error.value) == f"config.recipe.{field} is {value}, wanted {wanted}"


RECORDED_TRACKS = [71, 13, 57, 25]
RECORDED_GAINS = [0.41487074883029074, 0.3006596508702779, 0.7211104218217442, 1.2301661435257851]
DEMO_TRACKS = [68, 68, 68, 68]
DEMO_GAINS = [2.49676852015463, 0.6426968495036655, 1.6725025206685273, 0.5256175553016033]
DEMO_RATIOS = [1.0, 0.9589519157574287, 0.9159115398025832, 1.074789482230266]
RECORDED_NUMBERS = [
    0.7135807488840281, 0.9161551158000638, 0.23241924289737592, 0.8815456300156206,
    0.24508734127233212,
]  # fmt: skip
DEMO_SHELVES = [
    [3.60489028e02, 1.05036736e-01, 3.35120646e03, 4.14056187e00],
    [3.41082857e02, -5.77069353e00, 3.06623232e03, 2.16023449e00],
    [0.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 0.0],
]
