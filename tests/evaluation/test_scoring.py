"""Scores of one track against museval itself, and what it has no scores for."""

import types

import museval_oracle
import numpy as np
import pytest
import scored_songs
from scored_songs import RATE

from pipelines.evaluation import scoring
from pipelines.evaluation.waves import Waves
from pipelines.tracks import wav
from pipelines.tracks.track import whole
from xumx_jax.errors import UserError

SAMPLES = 2 * RATE + 100
TARGETS = ("vocals", "drums", "bass", "accompaniment")


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """Mono (references, estimates) of all targets, as readers."""
    folder = tmp_path_factory.mktemp("song")
    rng = np.random.default_rng(0)
    truth = {name: 0.1 * rng.normal(size=SAMPLES) for name in TARGETS[:3]}
    found = {
        "vocals": truth["vocals"] + 0.3 * truth["bass"],
        "drums": 0.8 * truth["drums"] + 0.05 * truth["vocals"],
        "bass": np.roll(truth["bass"], 3) + 0.02 * rng.normal(size=SAMPLES),
    }
    sides = []
    for kind, waves in (("true", truth), ("found", found)):
        waves["accompaniment"] = waves["drums"] + waves["bass"]
        for name, wave in waves.items():
            scored_songs.write(folder / kind / f"{name}.wav", wave[:, None], subtype="FLOAT")
        files = [[whole(wav.probe(folder / kind / f"{name}.wav"))] for name in TARGETS]
        sides.append(Waves(files, 1, SAMPLES))
    return sides


def wanted(*choices):
    return scoring.settings(choices, 1, 1, "float64")


def test_metrics_by_their_words():
    assert wanted("v4", "sdr").metrics == ("SDR", "ISR", "SIR", "SAR") and wanted("v4").full
    assert wanted("si-sdr", "usdr", "sdr").metrics == ("SDR", "uSDR", "SI-SDR")
    assert not wanted("sdr").full


@pytest.mark.slow
def test_scenarios_are_musevals(quick_compile, song):
    museval = museval_oracle.load()
    true, found = (waves[:, :, :].astype(float).swapaxes(1, 2) for waves in song)
    track = types.SimpleNamespace(
        rate=RATE,
        name="song",
        targets={
            name: types.SimpleNamespace(audio=wave)
            for name, wave in zip(TARGETS, true, strict=True)
        },
    )
    theirs = museval.eval_mus_track(track, dict(zip(TARGETS, found, strict=True))).scores
    ours = scoring.score("song", TARGETS, *song, RATE, wanted("v4"), {})
    assert list(ours.frames) == list(TARGETS) and not ours.singular
    for target in theirs["targets"]:
        for metric in ("SDR", "ISR", "SIR", "SAR"):
            values = [float(frame["metrics"][metric]) for frame in target["frames"]]
            tolerance = 2e-5 if metric == "SDR" else 1e-3
            np.testing.assert_allclose(
                ours.frames[target["name"]][metric], values, atol=tolerance, err_msg=metric
            )


def test_accompaniment_without_vocals_is_a_target_like_any_other():
    assert list(scoring.scenarios(["drums", "accompaniment"])) == [
        (["drums", "accompaniment"], ["drums", "accompaniment"])
    ]
    assert list(scoring.scenarios(["vocals", "accompaniment"])) == [
        (["vocals", "accompaniment"], ["vocals", "accompaniment"])
    ]
    assert list(scoring.scenarios(["accompaniment", "bass", "vocals"]))[1] == (
        ["bass", "vocals"],
        ["bass"],
    )


@pytest.fixture
def silent(song, tmp_path):
    """`silent(rows) -> references` of which these are silent."""
    scored_songs.write(tmp_path / "silence.wav", np.zeros((SAMPLES, 1)))
    nothing = [whole(wav.probe(tmp_path / "silence.wav"))]

    def make(*rows):
        sums = [nothing if row in rows else files for row, files in enumerate(song[0].sums)]
        return Waves(sums, 1, SAMPLES)

    return make


def test_a_silent_target_is_left_out_but_counts_in_usdr(song, silent):
    found = scoring.score(
        "song", TARGETS, silent(1), song[1], RATE, wanted("sdr", "usdr"), {"a": 1}, ["odd"]
    )
    assert list(found.frames) == ["vocals", "bass", "accompaniment"]
    assert not np.isnan(found.frames["bass"]["SDR"]).any()
    assert found.notes == [
        "odd",
        "the reference of drums is silent throughout: drums was left out",
    ]
    assert found.protocol == {"a": 1} and set(found.whole) == set(TARGETS)
    assert found.whole["drums"].keys() == {"uSDR"} and found.whole["drums"]["uSDR"] < -50


def test_a_single_target_that_is_left_has_sdr_alone(song, silent):
    found = scoring.score("song", TARGETS, silent(0, 1, 2), song[1], RATE, wanted("v4"), {})
    assert {m: len(v) for m, v in found.frames["accompaniment"].items()} == {"SDR": 2}
    assert found.notes[-1].startswith("a single target is left: SDR alone")


def test_nothing_but_silence(song, silent):
    with pytest.raises(UserError, match="silent throughout: vocals, drums, bass, accompaniment"):
        scoring.score("song", TARGETS, silent(0, 1, 2, 3), song[1], RATE, wanted("v4"), {})


def test_whole_tracks_alone_have_no_frames(song):
    found = scoring.score("song", TARGETS, *song, RATE, wanted("usdr", "si-sdr"), {})
    assert found.frames == {name: {} for name in TARGETS} and found.count("bass") == 0
    # three parts in ten of the bass, which is as loud, beside the vocals
    assert found.whole["vocals"]["uSDR"] == pytest.approx(-20 * np.log10(0.3), abs=0.2)
    assert found.whole["drums"]["SI-SDR"] == pytest.approx(20 * np.log10(0.8 / 0.05), abs=0.3)
