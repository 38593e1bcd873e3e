"""Several models as one: weights, order of stems, streams."""

import json
import pickle

import numpy as np
import pytest
from tiny_models import MODEL, RATE, TINY, noise, stack, tiny
from toy_models import ARGUMENTS, drawn, toys  # noqa: F401

from xumx_jax.errors import Cancelled, UserError
from xumx_jax.models import build
from xumx_jax.separation.bag import BagSeparator
from xumx_jax.separation.separator import Separator, load, separator_of
from xumx_jax.separation.streams import mean_of
from xumx_jax.weights.bag import Member, save_model
from xumx_jax.weights.bag import bag as bag_of
from xumx_jax.weights.load import convert, load_bag

pytestmark = pytest.mark.usefixtures("quick_compile")


def members():
    one = Separator(*MODEL, niter=0)
    other = Separator(
        *tiny(sources=("other", "vocals", "bass", "drums"), sample_rate=16000), chunk_seconds=0.1
    )
    return one, other


@pytest.mark.slow
def test_stems_are_averaged_by_name_with_weights():
    one, other = members()
    bag = BagSeparator([one, other], [3, 1])
    assert bag.sources == one.sources and bag.rate == RATE
    mix = noise(5000)
    first, second, mean = one(mix, RATE), other(mix, RATE), bag(mix, RATE)
    assert list(mean) == list(first)
    for name in mean:
        np.testing.assert_allclose(mean[name], 0.75 * first[name] + 0.25 * second[name], atol=1e-6)
    streamed = np.concatenate(
        [stack(block) for block in bag.stream([mix[:, :700], mix[:, 700:]], RATE)], axis=-1
    )
    np.testing.assert_allclose(streamed, stack(mean), atol=2e-6)


def test_odd_mixtures_are_told_once():
    bag = BagSeparator(members())
    mix = noise(900, channels=3)
    mix[0, 7] = np.nan
    with pytest.warns(UserWarning) as told:
        stems = bag(mix, RATE)
    assert [str(warning.message).split(":")[0] for warning in told] == [
        "the mixture has 3 channels",
        "1 samples are NaN, infinite or beyond 1e12 and were replaced by 0",
    ]
    assert stack(stems).shape == (4, 2, 900)
    with pytest.warns(UserWarning, match="no samples"):
        assert stack(bag(noise(0), RATE)).shape == (4, 2, 0)


def test_the_callback_sees_all_members():
    bag, seen = BagSeparator(members()), []
    bag(noise(9000), RATE, lambda *told: seen.append(told))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    with pytest.raises(Cancelled):
        bag(noise(9000), RATE, lambda fraction, eta: False)


class Constant:
    """Stems that are each a constant."""

    rate = RATE

    def __init__(self, **stems):
        self.sources, self.stems = tuple(stems), stems

    def stream(self, blocks, rate, length, callback):
        for block in blocks:
            yield {name: np.full_like(block, value) for name, value in self.stems.items()}


def levels(bag):
    return {name: float(stem[1, 7]) for name, stem in bag(noise(10), RATE).items()}


def test_members_may_lack_sources_and_weigh_by_source():
    one, other = Constant(a=1, b=2), Constant(c=5, b=4)
    bag = BagSeparator([one, other])
    assert bag.sources == ("a", "b", "c")
    assert bag.weights.tolist() == [[1, 0.5, 0], [0, 0.5, 1]]
    assert levels(bag) == {"a": 1, "b": 3, "c": 5}
    assert levels(BagSeparator([one, other], [1, 3])) == {"a": 1, "b": 3.5, "c": 5}
    by_source = BagSeparator([one, other], [{"a": 0.1, "b": 0}, 2])
    assert levels(by_source) == {"a": 1, "b": 4, "c": 5}


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([0, 1], "wanted positive"),
        ([-1, 1], "wanted positive"),
        ([float("nan"), 1], "wanted positive"),
        ([{"a": -1}, 1], "wanted positive"),
        ([1], "1 weights for 2 models"),
        ([{"c": 1}, 1], "a weight for 'c'; the model has a, b"),
        ([{"b": 1}, 1], "no model has a weight for a"),
    ],
)
def test_weights_that_make_no_sense(weights, says):
    with pytest.raises(UserError, match=says):
        BagSeparator([Constant(a=1, b=2), Constant(b=4, c=5)], weights)


def test_a_bag_of_none():
    with pytest.raises(UserError, match="wanted positive"):
        BagSeparator([])


def member(**arguments):
    module, variables = tiny(**arguments)
    taken = {**TINY, **arguments}
    name = taken.pop("name", "xumx")
    return Member(name, {**taken, "sources": module.sources}, variables)


@pytest.mark.slow
def test_models_of_one_source_are_separated_with_their_masks(caplog):
    """As Open-Unmix's targets of different sizes are."""
    caplog.set_level("INFO")
    one = member(name="umx", sources=("vocals",))
    other = member(name="umx", sources=("bass",), hidden_size=6)
    found = separator_of(bag_of([one, other]))
    assert found.sources == ("vocals", "bass")
    (line,) = caplog.messages
    assert line.startswith(
        "vocals, bass: each comes from a separate model, so it is separated by its mask alone"
    )
    mix = noise(3000)
    stems = found(mix, RATE)
    for part in (one, other):
        alone = Separator(build(part.name, **part.args), part.variables, niter=0)(mix, RATE)
        for name, stem in alone.items():
            np.testing.assert_allclose(stems[name], stem, atol=1e-6)
    with pytest.raises(UserError, match="a residual is what remains after all sources"):
        separator_of(bag_of([one, other]), residual=True)
    with pytest.raises(UserError, match="the model has one source, vocals"):
        separator_of(bag_of([one]))  # which is what a single one says


@pytest.mark.parametrize("options", [{}, {"post_filter": "norbert"}])
def test_options_of_filters_that_no_member_has(toys, options):  # noqa: F811
    """As of one model of waveforms alone."""
    waves = Member("toy_wave", ARGUMENTS["toy_wave"], drawn("toy_wave")[1])
    masks = Member("toy_ragged", ARGUMENTS["toy_ragged"], drawn("toy_ragged")[1])
    for given in ({"niter": 5}, {"softmask": True}, {"wiener_frames": 9}):
        with pytest.raises(UserError, match="no post filter|works on waveforms"):
            separator_of(bag_of([waves]), **options, **given)
        with pytest.raises(UserError, match="no post filter|models of the bag work on waveforms"):
            separator_of(bag_of([waves, waves]), **options, **given)
    found = separator_of(bag_of([waves, masks]), post_filter="norbert", niter=5).separators
    assert [one.post_filter for one in found] == [None, "norbert"]
    assert found[1].wiener_options["niter"] == 5


def test_a_residual_of_several_models():
    one, other = member(), member(hidden_size=6)
    found = separator_of(bag_of([one, other], [3, 1]), residual=True, niter=0)
    assert found.sources == (*member().args["sources"], "residual")
    np.testing.assert_allclose(found.weights, np.repeat([[0.75], [0.25]], 5, axis=1))


@pytest.mark.slow
def test_loading_one_or_several_and_pickling(tmp_path):
    paths = []
    for number, part in enumerate((member(), member(hidden_size=6))):
        paths.append(str(tmp_path / f"{number}.safetensors"))
        save_model(paths[-1], part.name, part.args, part.variables)
    mix, options = noise(2000), dict(niter=0, chunk_seconds=0.5, overlap=0)
    one, other = load(paths[0], **options), load([paths[1]], **options)
    assert isinstance(one, Separator) and isinstance(other, Separator)
    wanted = 0.25 * stack(one(mix, RATE)) + 0.75 * stack(other(mix, RATE))
    weighed = dict(zip(paths, (1, 3), strict=True))
    for given in (weighed, list(weighed.items())):
        np.testing.assert_allclose(stack(load(given, **options)(mix, RATE)), wanted, atol=1e-6)
    again = pickle.loads(pickle.dumps(load(weighed, **options)))
    np.testing.assert_allclose(stack(again(mix, RATE)), wanted, atol=1e-6)
    # a bag as a folder counts as one
    convert(list(weighed.items()), tmp_path / "both")
    np.testing.assert_allclose(
        stack(load(tmp_path / "both", **options)(mix, RATE)), wanted, atol=1e-6
    )
    nested = load_bag([tmp_path / "both", paths[0]])
    np.testing.assert_allclose(nested.weights[:, 0], [0.125, 0.375, 0.5])
    assert json.loads(json.dumps(nested.description))["members"][1]["args"]["hidden_size"] == 6


def test_streams_of_different_lengths_are_noticed():
    with pytest.raises(ValueError, match="different lengths"):
        list(mean_of([iter([np.ones((1, 3))]), iter([np.ones((1, 2))])], [0.5, 0.5]))
