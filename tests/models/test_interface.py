"""Arguments that make no network are one line, whichever model has them."""

import pytest

from xumx_jax.errors import UserError
from xumx_jax.models import MODELS, build, model_class
from xumx_jax.models.interface import FINITE, LARGEST, POSITIVE, WHOLE, fields

INFINITE = float("inf")


@pytest.mark.parametrize("name", MODELS)
def test_every_field_by_its_name(name):
    """Far too little and far too much of all that a model has, and what is no number."""
    known = fields(model_class(name))
    wrong = [(field, value) for field in (*POSITIVE, *FINITE) for value in (INFINITE, "1")]
    wrong += [(field, value) for field in POSITIVE for value in (0, -1.5)]
    for field, (least, _) in WHOLE.items():
        wrong += [(field, value) for value in (least - 1, 10**9, 2.5, "1", INFINITE)]
    tried = [(field, value) for field, value in wrong if field in known]
    assert tried
    for field, value in tried:
        with pytest.raises(
            UserError, match=rf"^model '{name}': .*{field} {value!r}: wanted"
        ) as error:
            build(name, **{field: value})
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (("a", "b", "a"), "sources a, b, a: wanted each name once"),
        ((), r"sources \(\): wanted a list of at least one name"),
        ("vocals", "sources 'vocals': wanted a list of at least one name"),
        (("a", 5), "source 5 cannot be the name of a file"),
        (5, "."),
    ],
)
def test_sources_are_names_each_once(name, sources, message):
    with pytest.raises(UserError, match=f"^model '{name}': {message}"):
        build(name, sources=sources)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("demucs", {"growth": 1e300, "depth": 2}, r"a layer of 6.4e\+301 channels; wanted 1 to"),
        ("demucs", {"growth": 0.01}, "a layer of 0.64 channels"),
        ("hdemucs", {"depth": 2000}, "depth 2000: wanted at most 32"),
        ("hdemucs", {"width_time": 2, "growth": 0.5, "depth": 3}, "width_time 2, growth 0.5"),
        ("demucs_split", {"depth": 31, "stride": 1}, f"wanted 1 to {LARGEST}"),
        ("rel_tdemucs", {"depth": 13}, "depth 13 with stride 4: wanted fewer"),
        ("rel_tdemucs", {"dropout": 1.0}, "dropout 1.0: wanted 0 to below 1"),
        ("umx", {"dropout": "x"}, "dropout|not supported"),
        ("bsrnn", {"hop": 0}, "hop 0: wanted n_fft even and"),
        ("bsrnn", {"hop": 4096}, "hop 4096: wanted n_fft even and"),
        ("bsrnn", {"groups": 0}, "groups 0: wanted 1 or more"),
        ("bsrnn", {"hidden_size": None}, "hidden_size None: wanted a whole number"),
        ("bsrnn", {"bands": ("a", "b")}, "edges of bands"),
        ("bsrnn", {"bands": ()}, "."),
    ],
)
def test_what_goes_together(name, arguments, message):
    with pytest.raises(UserError, match=f"^model '{name}': .*({message})"):
        build(name, **arguments)


def test_none_is_taken_where_a_field_says_so():
    assert build("rel_tdemucs", hidden_size=None, context_size=None).hidden_size is None
    assert build("demucs", rescale=None).rescale is None
