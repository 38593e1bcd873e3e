"""What `--stems`, `--two-stems`, `--mix` and `--aggregate` write."""

import numpy as np
import pytest

from xumx_jax import build, convert, load
from xumx_jax.errors import UserError
from xumx_jax.separation.selection import NullError, choose, make
from xumx_jax.weights.bag import save_model

SOURCES = ("bass", "drums", "vocals")
MIX = np.float32([[7, 0], [0, 7]])
SEPARATED = {name: np.full((2, 2), level, np.float32) for level, name in enumerate(SOURCES, 1)}


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ({}, {"bass": 1, "drums": 2, "vocals": 3}),
        ({"stems": "vocals, bass,vocals"}, {"vocals": 3, "bass": 1}),
        ({"mix": "drums+bass"}, {"drums+bass": 3}),
        ({"mix": "drums"}, {"drums": 2}),
        ({"two_stems": "drums"}, {"drums": 2, "rest": MIX - 2}),
        ({"aggregate": "karaoke=drums + bass, voice=vocals"}, {"karaoke": 3, "voice": 3}),
        (
            {"aggregate": '{"karaoke": ["drums", "bass"], "voice": "vocals"}'},
            {"karaoke": 3, "voice": 3},
        ),
        ({"aggregate": "vocals=bass"}, {"vocals": 1}),
    ],
)
def test_choices(options, levels):
    made = make(choose(SOURCES, **options), SEPARATED, MIX)
    assert list(made) == list(levels)
    for name, level in levels.items():
        np.testing.assert_array_equal(made[name], np.broadcast_to(level, (2, 2)))
        assert made[name].dtype == np.float32


@pytest.mark.parametrize("name", ["vocals", "instrumental", " instrumental "])
def test_two_stems_of_a_model_of_one_source_have_their_usual_names(name):
    made = make(choose(("vocals",), two_stems=name, gain=2.0), SEPARATED, MIX)
    assert list(made) == ["vocals", "instrumental"]
    np.testing.assert_array_equal(made["instrumental"], MIX - 6)
    made = make(choose(("drums",), two_stems="drums", gain=2.0), SEPARATED, MIX)
    np.testing.assert_array_equal(made["rest"], MIX - 2)  # nobody's residual: what is left


@pytest.mark.parametrize(
    "options",
    [{"stems": "a"}, {"mix": "bass+a"}, {"two_stems": "a"}, {"aggregate": "x=a"}],
)
def test_unknown_stems(options):
    with pytest.raises(UserError, match="unknown stem 'a'; the model has bass, drums, vocals"):
        choose(SOURCES, **options)


def test_two_choices_are_one_too_many():
    with pytest.raises(UserError, match="only one of"):
        choose(SOURCES, stems="bass", mix="bass")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("karaoke", "wanted NAME=A"),
        ('{"karaoke": []}', "wanted NAME=A"),
        ('{"karaoke": {"drums": 1}}', "wanted NAME=A"),
        ('{"karaoke"', "is not JSON"),
        ("{}", "names no stem"),
        ("=drums", "'' cannot be the name of a file"),
        ("../x=drums", "'../x' cannot be the name of a file"),
        ("x=bass,x=drums", "two stems are called 'x'"),
    ],
)
def test_aggregates_that_cannot_be_read(text, says):
    with pytest.raises(UserError, match=says):
        choose(SOURCES, aggregate=text)


BAD = ("", ".", "..", "a/b", "../../x", "/x", "a\\b", "a\0b")


@pytest.mark.parametrize("name", BAD)
def test_names_of_stems_are_names_of_files_and_not_paths(name):
    with pytest.raises(UserError, match="source .* cannot be the name of a file"):
        choose(("bass", name))
    with pytest.raises(UserError, match="cannot be the name of a file"):
        choose(SOURCES, aggregate={name: ["bass"]})
    with pytest.raises(UserError, match="model 'xumx': source .* cannot be the name of a file"):
        build("xumx", sources=("bass", name))


@pytest.mark.parametrize("kind", ["load", "convert"])
def test_a_file_of_weights_may_not_name_a_path(tmp_path, kind):
    path = tmp_path / "x.safetensors"
    arguments = {"sources": ["bass", "../../x"], "n_fft": 128, "hop": 32}
    save_model(path, "xumx", arguments, {"params": {"a": np.ones(3, np.float32)}})
    with pytest.raises(UserError, match="'../../x' cannot be the name of a file") as caught:
        load(path) if kind == "load" else convert(path, tmp_path / "y.safetensors")
    assert "\n" not in str(caught.value) and not (tmp_path / "y.safetensors").exists()


@pytest.mark.parametrize("name", ["Title:Sub", "a b", "...", "-x", "ü🎸", "~", "%d", "con+tre"])
def test_other_names_are_names(name):
    assert choose(("bass", name))[name] == {name: 1}


def test_null_error():
    mix = np.float32([[1, 0], [1, 0]])
    for scale, wanted in ((0.9, -20), (1, -200)):
        null = NullError()
        for at in (0, 1):
            null.add(mix[:, at : at + 1], {"a": mix[:, at : at + 1] * np.float32(scale)})
        assert null.db() == pytest.approx(wanted, abs=1e-3)
    null = NullError()
    null.add(mix * 0, {"a": mix})
    assert null.db() is None
