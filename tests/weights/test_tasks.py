"""Wishes: which model a task and a quality name, and what is known of every model."""

import json
import re

import pytest
from golden_files import golden

from xumx_jax import assets
from xumx_jax.errors import UserError
from xumx_jax.separation.residual import residual_name
from xumx_jax.separation.selection import choose
from xumx_jax.weights import catalogue, tasks
from xumx_jax.weights.published import FOUR, PROTOCOLS, PUBLISHED, htdemucs, msst

# what a licence that is stated by others, for others' work or for some uses alone sounds like
DOUBTFUL = r"none stated|see zenodo|according to (those|three|one)|NC|no commercial|not reviewed"
WANTED = {"4stems": set(FOUR), "vocals": {"vocals"}, "6stems": {*FOUR, "guitar", "piano"}}


@pytest.mark.parametrize("quality", tasks.QUALITIES)
@pytest.mark.parametrize("task", tasks.TASKS)
def test_a_wish_names_licensed_weights_that_have_the_stems(task, quality):
    if task not in WANTED:
        with pytest.raises(UserError, match=f"--task {task}: there are no weights") as caught:
            tasks.model_for(task, quality)
        named = [name for name, row in PUBLISHED.items() if catalogue.task_of(row) == task]
        assert named and "\n" not in str(caught.value)
        for name in named:
            assert f"{name} (licence: {PUBLISHED[name].licence})" in str(caught.value)
        return
    row = PUBLISHED[tasks.model_for(task, quality)]
    assert row.licensed and WANTED[task] <= set(row.sources)


def test_better_is_slower():
    for task in WANTED:
        took = [catalogue.about(tasks.model_for(task, q), "cpu").seconds for q in tasks.QUALITIES]
        assert took == sorted(took)


def test_the_rest_is_called_as_for_models_of_vocals_alone():
    assert tasks.REST == residual_name([tasks.VOCALS])
    factors = tasks.TASKS["vocals"].stems
    assert factors == choose(["vocals"], two_stems="vocals")


def test_without_words_it_is_four_stems_and_good():
    assert tasks.model_for() == tasks.TASKS["4stems"].models["good"] == "htdemucs"
    with pytest.raises(UserError, match="unknown task 'song'; wanted 4stems, vocals, "):
        tasks.model_for("song")
    with pytest.raises(UserError, match="unknown quality 'great'; wanted fast, good, best"):
        tasks.model_for("vocals", "great")


@pytest.mark.parametrize("name", PUBLISHED)
def test_licensed_weights_have_a_licence_beyond_doubt(name):
    row = PUBLISHED[name]
    # of weights in somebody's release, those count that whoever published them made
    own = name in ("bs_roformer_musdb", "scnet_xl", "scnet_xl_ihf")
    sure = row.licence.startswith("MIT") or (own and row.licence.startswith("release asset"))
    assert row.licensed == (sure and not re.search(DOUBTFUL, row.licence))


def test_the_default_is_what_it_was():
    from xumx_jax.weights import zoo

    assert zoo.DEFAULT == "x-umx" and not PUBLISHED["x-umx"].licensed


@pytest.mark.parametrize("name", PUBLISHED)
def test_scores_say_whose_they_are(name):
    row = PUBLISHED[name]
    assert (row.mean is None) == (not row.reported) and row.protocol in PROTOCOLS
    assert set(row.elsewhere) <= set(PROTOCOLS) - {"museval", "whole songs"}
    for whose in row.elsewhere:
        assert f"({whose})" in row.score
    if row.protocol == "whole songs":
        assert f"{row.mean:.2f} dB (ZFTurbo's list of models, whole songs)" in row.score
    if row.scores and row.overall is not None:
        assert sum(row.scores.values()) / len(row.scores) == pytest.approx(row.overall, abs=0.01)


def test_what_came_out_of_a_product_has_no_name():
    """BS-RoFormer SW and what derives from it: the network reads a file that a user brings."""
    files = [f for row in PUBLISHED.values() for m in row.members for f in m.files.values()]
    assert len(files) > 60
    for file in files:
        assert not re.search(r"\bSW\b|rofo-?sw|resurrection|revive", file.url, re.I), file.url
        assert "24e7d35ee9c64415" not in file.digest


def test_every_model_has_a_place():
    found = catalogue.by_task("cpu")
    assert list(found) == [*tasks.TASKS, tasks.OTHER] and all(found.values())
    names = [one.name for models in found.values() for one in models]
    assert sorted(names) == sorted([*PUBLISHED, assets.DEMO])
    first = [one.name for one in found["4stems"][:3]]
    assert first == list(tasks.TASKS["4stems"].models.values())
    licensed = [one.licensed for one in found["4stems"]]
    assert licensed == sorted(licensed, reverse=True)
    lead = "mel_band_roformer_karaoke"
    assert [one.name for one in found["karaoke"]] == [lead, f"{lead}_becruily"]


def test_times_are_those_of_the_device_where_they_are_known():
    slow, quick = (catalogue.about("htdemucs", backend) for backend in ("cpu", "gpu"))
    assert slow.seconds == quick.seconds == 30 and quick.measured == "cpu"
    slow, quick = (catalogue.about("x-umx", backend) for backend in ("cpu", "gpu"))
    assert slow.seconds > quick.seconds and (slow.measured, quick.measured) == ("cpu", "gpu")
    one, four = (catalogue.about(name, "cpu").seconds for name in ("htdemucs", "htdemucs_ft"))
    assert four == 4 * one
    assert (
        catalogue.about("scnet_xl_ihf", "cpu").seconds > 5 * catalogue.about("scnet", "cpu").seconds
    )


def test_what_is_known_of_the_bundled_model(tmp_path, monkeypatch):
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path))
    demo, other = catalogue.about(assets.DEMO, "cpu"), catalogue.about("x-umx", "cpu")
    assert demo.cached and demo.licensed and demo.megabytes == pytest.approx(3.5, abs=1)
    assert not other.cached and other.megabytes == 142.5 and not other.wishes


def recorded(addresses) -> dict[str, dict]:
    """{address: what is on record of the file}."""
    found = {}
    for name, entry in addresses.items():
        if name.startswith("_"):
            continue
        for one in [entry, *entry.get("files", ()), *entry.values()]:
            if isinstance(one, dict) and one.get("url"):
                found[one["url"]] = one
    return found


@golden("torch/layouts/modern_urls.json")
def test_addresses_digests_sizes_and_stems_are_those_on_record(path):
    known = recorded(json.loads(path.read_text()))
    # some of the same files are on record at other addresses
    known |= {entry["sha256"]: entry for entry in known.values() if "sha256" in entry}
    for name, row in {**htdemucs.ROWS, **msst.ROWS}.items():
        total = 0
        for member in row.members:
            (file,) = member.files.values()
            entry = known.get(file.url) or known[file.digest.removeprefix("sha256:")]
            total += entry.get("size") or 0
            tails = (entry.get("uvr_md5"), entry.get("uvr_md5_of_last_10240000_bytes"))
            algorithm, _, digits = file.digest.partition(":")
            if "sha256" in entry:
                assert (algorithm, digits) == ("sha256", entry["sha256"]), name
            elif any(tails):
                assert (algorithm, digits) in [("md5-tail", tail) for tail in tails], name
            else:
                assert not file.digest, name
            named = entry.get("stems") or [entry.get("primary_stem", "").lower()]
            stems = [word for stem in named if (word := re.sub(r" \(.*", "", stem))]
            assert set(stems or member.sources) == set(member.sources), name
        if total:
            assert row.megabytes == pytest.approx(total / 1e6, abs=0.1), name
