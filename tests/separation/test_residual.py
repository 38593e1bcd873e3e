"""What the rest of a mixture is called, and how much of a stem is taken from it."""

import numpy as np
import pytest
from closed_form import Planes
from tiny_models import RATE, noise
from toy_models import drawn, toys  # noqa: F401

from xumx_jax import separate_file
from xumx_jax.audio import AudioStream
from xumx_jax.separation.bag import BagSeparator
from xumx_jax.separation.residual import COMPLEMENTS, residual_name
from xumx_jax.separation.separator import Separator, separator_of
from xumx_jax.weights.bag import Member, bag

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize(
    ("sources", "wanted"),
    [
        (("vocals",), "instrumental"),
        (("instrumental",), "vocals"),
        (("bass",), "residual"),
        (("vocals", "drums"), "residual"),
        (("vocals", "instrumental"), "residual"),
    ],
)
def test_names(sources, wanted):
    assert residual_name(sources) == wanted


def test_a_name_of_ones_own_is_kept_by_a_bag_too(toys):  # noqa: F811
    _, variables = drawn("toy_wave")
    for count in (1, 2):
        made = separator_of(bag([Member("toy_wave", {}, variables, {})] * count), residual="hiss")
        assert list(made(noise(600), RATE))[-1] == "hiss"


def test_no_stem_is_its_own_rest():
    assert all(name != rest for name, rest in COMPLEMENTS.items())


def passing(gain):
    """MDX-Net whose one stem is the mixture, without the bins that it never hears."""
    sizes = {"n_fft": 128, "hop": 32, "bins": 65, "frames": 32}
    return Planes(sample_rate=RATE, **sizes, bent=False, residual_gain=gain), {}


def test_stems_are_taken_from_the_mixture_with_a_gain_of_the_models():
    mix = noise(4000)
    made = Separator(*passing(1.5), residual=True)(mix, RATE)
    assert list(made) == ["vocals", "instrumental"]
    np.testing.assert_allclose(made["instrumental"], mix - 1.5 * made["vocals"], atol=1e-6)
    plain = Separator(*passing(1.0))(mix, RATE)  # the stem itself has no gain
    np.testing.assert_allclose(plain["vocals"], made["vocals"], atol=1e-6)


def test_two_stems_have_it_too_and_a_bag_whose_models_agree(tmp_path):
    one, other = (Separator(*passing(gain)) for gain in (1.5, 1.25))
    assert BagSeparator([one, one]).residual_gain == 1.5
    assert BagSeparator([one, other]).residual_gain == 1
    mix, heard = noise(4000), []
    source = AudioStream(RATE, 2, mix.shape[1], iter([mix]))
    separate_file(one, source, tmp_path, two_stems="vocals", on_block=heard.append)
    made = {name: np.concatenate([each[name] for each in heard], axis=1) for name in heard[0]}
    assert list(made) == ["vocals", "instrumental"] == [path.stem for path in one_folder(tmp_path)]
    np.testing.assert_allclose(made["instrumental"], mix - 1.5 * made["vocals"], atol=1e-6)


def one_folder(folder):
    return sorted(folder.glob("*.wav"), reverse=True)
