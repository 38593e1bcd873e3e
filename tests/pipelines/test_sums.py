"""Files beside the stems that hold others are no sources, in training and in evaluation."""

import numpy as np
import pytest
import soundfile

from pipelines.datasets import open_data, open_tracks
from pipelines.evaluation.data import find, open_dataset
from pipelines.evaluation.song import opened
from pipelines.tracks import names
from xumx_jax.errors import UserError

RATE, SAMPLES = 8000, 400
FOUR = ("vocals", "drums", "bass", "other")


def waves(number, sources=FOUR):
    rng = np.random.default_rng(number)
    return {source: rng.uniform(-0.1, 0.1, (SAMPLES, 2)) for source in sources}


def write(root, more, tracks=4, sources=FOUR):
    """ROOT/{train,test}/<track>/: the sources, and what `more(waves)` makes of them."""
    for split in ("train", "test"):
        for number in range(tracks):
            stems = waves(number, sources)
            folder = root / split / f"song{number}"
            folder.mkdir(parents=True)
            for name, wave in (stems | more(stems, number)).items():
                file = name if "." in name else f"{name}.wav"
                soundfile.write(folder / file, wave, RATE, subtype="PCM_16")
    return root


def total(stems, *left_out):
    return sum(wave for name, wave in stems.items() if name not in left_out)


def both(root, targets=FOUR):
    """The sources that training and evaluation find, which have to be the same."""
    tracks, _ = open_data("folder", root, targets, RATE, 2, {})
    assert set(tracks.sources) == set(find(root, "test").sources)
    return tracks


NAMES = [
    "MIX", "Mixdown", "full", "full_mix", "linear_mixture", "master", "song0_MIX", "Mix 02",
    "original", "Original_mix", "instrumental", "Karaoke", "no_vocals", "instrumental_mix",
    "accompaniment", "mixture2",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_files_called_like_sums_are_no_sources(name):
    """Whatever they hold: a master is louder than the sum of the stems."""
    assert names.sums([*FOUR, name], "song0") == (name,)


@pytest.mark.parametrize("name", ["fuller", "drum_mix", "vocals_full", "song", "other"])
def test_files_called_otherwise_are_sources(name):
    assert names.sums([*FOUR, name], "song0") == ()


@pytest.mark.parametrize("rest", ["accompaniment", "instrumental", "no_vocals"])
def test_everything_but_vocals_is_a_source_beside_vocals_alone(rest):
    assert names.sums(["vocals", rest]) == ()
    assert names.sums(["vocals", rest, "mix"]) == ("mix",)
    assert names.sums(["vocals", rest, "drums"]) == (rest,)
    assert names.sums(["vocals", "accompaniment", "karaoke"]) == ("karaoke",)


@pytest.mark.parametrize(
    "vocals",
    [
        ("lead_vocals", "backing_vocals"), ("lead", "backing"), ("Vocals_1",),
        ("vocals", "vocals_dry"), ("Voice",), ("Lead Vox", "song0_choir"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rest", ["instrumental", "minus_vocals"])
def test_vocals_beside_everything_else_may_have_any_name(vocals, rest):
    assert names.sums([*vocals, rest], "song0") == ()
    assert names.sums([*vocals, rest, "drums"], "song0") == (rest,)


@pytest.mark.parametrize("name", ["lead_guitar", "backing_track", "without_vocals_2b", "bass"])
def test_what_is_not_vocals(name):
    assert names.sums(["vocals", name, "instrumental"])[-1:] == ("instrumental",)


def test_sums_are_found_by_their_names_and_by_their_samples(tmp_path, capsys):
    def more(stems, number):
        everything = {"MIX": 1.5 * total(stems), "song": total(stems)}
        return everything | {"band": total(stems, "vocals"), "low.flac": stems["bass"]}

    write(tmp_path, more)
    tracks = both(tmp_path)
    said = capsys.readouterr().err.splitlines()
    assert tracks.sources == (*FOUR, "low"), "a copy of one stem is not told from it"
    assert said[0].startswith(
        f"data: {tmp_path}/train: mixtures are vocals + drums + bass + other + low, "
        "without MIX (by its name), band ("
    )
    assert "song (" in said[0] and said[0].endswith(
        "config.data.folder.sources=NAME,... chooses others"
    )
    assert len(said) == 3 and said[2].startswith(f"data: {tmp_path}/test: mixtures are ")


def test_mixtures_are_the_sums_of_sources_alone(tmp_path):
    write(
        tmp_path,
        lambda stems, number: {"total": total(stems), "beat": stems["drums"] + stems["bass"]},
    )
    tracks = both(tmp_path)
    assert tracks.sources == FOUR
    out = np.empty((SAMPLES, 2), np.float32)
    tracks.mixture_into(1, 0, out)
    np.testing.assert_allclose(out, total(waves(1)), atol=1e-3)
    data = find(tmp_path, "test")
    with opened(data.tracks[1], data) as song:
        np.testing.assert_allclose(song.mix().T, total(waves(1)), atol=1e-3)


def test_what_equals_a_sum_in_one_track_alone_is_a_source(tmp_path):
    def more(stems, number):
        rng = np.random.default_rng(100 + number)
        return {"piano": rng.uniform(-0.1, 0.1, (SAMPLES, 2)) if number else total(stems)}

    assert both(write(tmp_path, more)).sources == (*FOUR, "piano")


def test_a_silent_stem_does_not_hide_a_sum(tmp_path):
    def more(stems, number):
        stems["bass"] = np.zeros_like(stems["bass"])
        return {"bass": stems["bass"], "sum": total(stems)}

    assert both(write(tmp_path, more)).sources == FOUR


def test_parts_of_a_target_are_taken_out_instead_of_it(tmp_path):
    def more(stems, number):
        return {"vocals": stems["lead"] + stems["choir"]}

    write(tmp_path, more, sources=("lead", "choir", "drums", "bass"))
    assert both(tmp_path, ("vocals",)).sources == ("vocals", "bass", "drums")
    tracks, _ = open_data("folder", tmp_path, ("lead", "drums"), RATE, 2, {})
    assert tracks.sources == ("lead", "drums", "bass", "choir"), "lead is asked for"


def test_named_sources_decide(tmp_path, capsys):
    write(tmp_path, lambda stems, number: {"instrumental": total(stems, "vocals")})
    options = {"sources": "vocals,instrumental"}
    tracks, _ = open_data("folder", tmp_path, ("vocals",), RATE, 2, options)
    assert tracks.sources == ("vocals", "instrumental")
    data = open_dataset("folder", tmp_path, "test", (), options)
    assert set(data.sources) == set(tracks.sources)
    assert capsys.readouterr().err == ""


def test_accompaniment_beside_its_parts_is_a_target_and_no_source(tmp_path, capsys):
    write(tmp_path, lambda stems, number: {"accompaniment": 2 * total(stems, "vocals")})
    tracks = both(tmp_path, ("vocals", "accompaniment"))
    assert tracks.sources == ("vocals", "bass", "drums", "other")
    np.testing.assert_array_equal(tracks.mixing, [[1, 0, 0, 0], [0, 1, 1, 1]])
    assert find(tmp_path, "test").targets == (*FOUR, "accompaniment")
    assert capsys.readouterr().err == "", "a rule of its own, which everybody knows"


def test_a_single_stem_is_taken_from_the_file_of_everything(tmp_path):
    write(tmp_path, lambda stems, number: {"mix": 2 * total(stems)}, sources=("vocals",))
    data = find(tmp_path, "test")
    with opened(data.tracks[0], data) as song:
        np.testing.assert_allclose(song.mix().T, 2 * waves(0, ("vocals",))["vocals"], atol=1e-3)


def test_the_rest_of_a_target_holds_nothing_twice(tmp_path):
    write(tmp_path, lambda stems, number: {"MIX": total(stems), "band": total(stems, "vocals")})
    options = {"target_file": "vocals.wav"}
    (tracks,) = open_tracks("trackfolder_var", ["train"], tmp_path, ("vocals",), RATE, 2, options)
    out = np.empty((SAMPLES, 2), np.float32)
    tracks.read_into(1, 2, 0, out)
    np.testing.assert_allclose(out, total(waves(2), "vocals"), atol=1e-3)


SUMS = {  # a stem that is asked for: what is in it
    "instrumental": FOUR[1:],
    "accompaniment": FOUR[1:],
    "no_vocals": FOUR[1:],
    "band": FOUR[1:],  # told by its samples
    "beat": ("drums", "bass"),
}


def summed(root, target, suffix=".wav"):
    """Tracks with the four and a sum of some of them, which may be a little louder than that."""
    gain = 1 if target in ("band", "beat") else 1.05
    parts = SUMS[target]
    return write(
        root,
        lambda stems, number: {f"{target}{suffix}": gain * sum(stems[name] for name in parts)},
    ), gain


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("target", SUMS)
def test_the_rest_of_a_sum_holds_none_of_its_parts(tmp_path, target, suffix):
    root, gain = summed(tmp_path, target, suffix)
    options = {"target_file": f"{target.upper()}{suffix}"}
    (tracks,) = open_tracks("trackfolder_var", ["train"], root, (target,), RATE, 2, options)
    assert tracks.sources == (target, "rest")
    out = np.empty((SAMPLES, 2), np.float32)
    tracks.read_into(0, 2, 0, out)
    np.testing.assert_allclose(out, gain * sum(waves(2)[name] for name in SUMS[target]), atol=1e-3)
    tracks.read_into(1, 2, 0, out)
    np.testing.assert_allclose(out, total(waves(2), *SUMS[target]), atol=1e-3)


@pytest.mark.parametrize("target", [name for name in SUMS if name != "accompaniment"])
def test_a_sum_that_is_a_target_replaces_its_parts(tmp_path, capsys, target):
    root, _ = summed(tmp_path, target)
    tracks, _ = open_data("folder", root, ("vocals", target), RATE, 2, {})
    others = [name for name in FOUR[1:] if name not in SUMS[target]]
    assert tracks.sources == ("vocals", target, *others)
    assert f"drums (part of {target})" in capsys.readouterr().err
    assert open_data("folder", root, ("vocals",), RATE, 2, {})[0].sources == (
        "vocals", "bass", "drums", "other",
    )  # fmt: skip


def test_a_sum_and_its_part_cannot_both_be_targets(tmp_path):
    root, _ = summed(tmp_path, "instrumental")
    with pytest.raises(UserError, match="no source 'instrumental'; known: .*accompaniment"):
        open_data("folder", root, ("drums", "instrumental"), RATE, 2, {})


@pytest.mark.parametrize("damage", ["nan", "cut"])
def test_a_damaged_stem_does_not_end_the_search(tmp_path, damage):
    """Nor does it hide the sum, which the other tracks show."""
    write(tmp_path, lambda stems, number: {"band": total(stems, "vocals")}, tracks=3)
    folder = tmp_path / "test/song1"
    if damage == "nan":
        wave = waves(1)["drums"]
        wave[200] = np.nan
        soundfile.write(folder / "drums.wav", wave, RATE, subtype="FLOAT")
    else:
        (folder / "drums.wav").unlink()
        soundfile.write(folder / "drums.flac", waves(1)["drums"], RATE)
        data = bytearray((folder / "drums.flac").read_bytes())
        data[-200:] = bytes(200)
        (folder / "drums.flac").write_bytes(data)
    data = find(tmp_path, "test")
    assert data.sources == FOUR
    with opened(data.tracks[0], data) as song:
        np.testing.assert_allclose(song.mix().T, total(waves(0)), atol=1e-3)
    with pytest.raises(UserError, match="song1"), opened(data.tracks[1], data) as song:
        song.mix()
