"""Rows of the zoo for Demucs: addresses, weights by source, lengths of chunks; from local files."""

import hashlib
import io
import json
from dataclasses import replace
from urllib.error import URLError

import numpy as np
import pytest
from foreign import write_th
from golden_files import golden
from toy_models import ToyWave

from xumx_jax import models
from xumx_jax.errors import UserError
from xumx_jax.weights import converters, load, zoo
from xumx_jax.weights.converters.kinds import Kind
from xumx_jax.weights.converters.rules import Rule
from xumx_jax.weights.published import demucs

QUANTISED = ("mdx_q", "mdx_extra_q")
HYBRID_TRANSFORMERS = ("htdemucs", "htdemucs_ft", "htdemucs_6s")
KINDS = ("demucs", "hdemucs", "hdemucs-torchaudio")


class Toy(ToyWave):
    seconds: float = 1.0


@pytest.fixture
def toys(monkeypatch):
    """Kinds of these names for a model of one convolution."""

    def arguments(tensors, info):
        return {**info["kwargs"], **info.get("settings", {})}

    rules = [Rule("params/conv/kernel", "conv.weight"), Rule("params/conv/bias", "conv.bias")]
    monkeypatch.setitem(models.MODELS, "toy", Toy)
    for name in KINDS:
        kind = Kind("toy", r"(.*?)conv\.weight", arguments, lambda model: rules)
        monkeypatch.setitem(converters.KINDS, name, kind)


@pytest.fixture
def offered(tmp_path, monkeypatch, toys):
    """An opener that serves a file for every address of a row, each with its own number."""
    bodies = {}

    def offer(name):
        members = []
        for number, member in enumerate(demucs.ROWS[name].members, 1):
            state = {
                "conv.weight": np.zeros((1, 1, 4), np.float32),
                "conv.bias": np.full(4, number, np.float32),
            }
            kwargs = {"width": 1, "sources": demucs.SOURCES}
            body = write_th(tmp_path / "it.th", state, **kwargs).read_bytes()
            (file,) = member.files.values()
            bodies[file.url] = body
            digits = hashlib.sha256(body).hexdigest()[:8] if file.digest else ""
            file = replace(file, digest=f"sha256:{digits}" if digits else "")
            members.append(replace(member, files={"": file}))
        row = replace(demucs.ROWS[name], members=tuple(members))
        monkeypatch.setitem(zoo.PUBLISHED, name, row)
        return opener

    def opener(request, timeout=None):
        url = getattr(request, "full_url", request)
        if url not in bodies:
            raise URLError(f"nothing at {url}")
        answer = io.BytesIO(bodies[url])
        answer.status, answer.headers = 200, {"Content-Length": str(len(bodies[url]))}
        return answer

    opener.bodies = bodies
    return offer


@pytest.mark.parametrize("name", demucs.ROWS)
def test_a_row_becomes_a_model_or_a_bag(offered, tmp_path, name):
    found = load.load_weights(zoo.fetch(name, tmp_path / "cache", offered(name)))
    row = zoo.PUBLISHED[name]
    assert found.sources == demucs.SOURCES == row.sources
    assert len(found.members) == len(row.members)
    for number, (member, said) in enumerate(zip(found.members, row.members, strict=True), 1):
        assert (member.variables["params"]["conv"]["bias"] == number).all()
        assert member.args.get("seconds") == said.settings.get("seconds")
        assert member.info["kind"] == said.kind and member.info["licence"] == row.licence
        assert member.info["score"] == row.score
    np.testing.assert_allclose(found.weights.sum(0), 1)
    if name == "mdx":
        np.testing.assert_allclose(found.weights[:, 1], [0.5, 0.5, 0, 0])
        np.testing.assert_allclose(found.weights[:, 0], [1 / 3, 0, 1 / 3, 1 / 3])
        np.testing.assert_allclose(found.weights[:, 3], [0, 0, 0.5, 0.5])


def test_another_file_under_a_name_with_a_digest(offered, tmp_path):
    opener = offered("hdemucs_mmi")
    (url,) = opener.bodies
    opener.bodies[url] += b"x"
    with pytest.raises(UserError, match="75fc33f5-1941ce65.th: SHA-256 is .*, wanted one that"):
        zoo.fetch("hdemucs_mmi", tmp_path / "cache", opener)


@golden("torch/layouts/urls.json")
def test_addresses_and_weights_are_those_on_record(path):
    wanted = json.loads(path.read_text())
    for name in ("HDEMUCS_HIGH_MUSDB", "HDEMUCS_HIGH_MUSDB_PLUS"):
        (member,) = demucs.ROWS[name.lower()].members
        assert member.files[""].url == wanted["torchaudio"][name]["url"]
    files, bags = wanted["demucs"]["files"], wanted["demucs"]["bags"]
    assert set(bags) - set(QUANTISED + HYBRID_TRANSFORMERS) <= set(demucs.ROWS)
    for name in set(bags) & set(demucs.ROWS):
        bag, row = bags[name], demucs.ROWS[name]
        ones = [[1.0] * len(demucs.SOURCES)] * len(bag["models"])
        sums, made = {}, {}
        for model, row_of in zip(bag["models"], bag.get("weights", ones), strict=True):
            sums[model] = np.add(row_of, sums.get(model, 0))
        for member in row.members:
            file = member.files[""]
            model = file.name.split("-")[0]
            assert file.url == files[model]["url"]
            assert file.digest == f"sha256:{files[model]['sha256_prefix']}"
            assert member.settings == {"seconds": bag["segment"]}
            one = member.weight
            by_source = one if isinstance(one, dict) else dict.fromkeys(demucs.SOURCES, one)
            made[model] = [by_source.get(source, 0.0) for source in demucs.SOURCES]
        assert set(made) == set(sums)
        for table in (made, sums):
            total = np.sum(list(table.values()), 0)
            table.update({model: table[model] / total for model in table})
        for model in made:
            np.testing.assert_allclose(made[model], sums[model])


def test_a_mean_alone_is_a_score():
    assert demucs.ROWS["repro_mdx_a"].score == "mean 7.64 dB (Demucs's docs/training.md)"
    assert demucs.ROWS["mdx"].score.endswith("other 5.59, mean 7.68 dB (arXiv 2111.03600v3)")
    assert demucs.ROWS["mdx_extra"].score == "none published for music"
