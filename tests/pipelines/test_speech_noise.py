"""Speech in noise: where it lies, how loud noise is, splits, conversion, and what is refused."""

import itertools
import math
import shutil

import numpy as np
import pytest
import soundfile

import train
from pipelines.datasets import open_data, open_tracks, speech_noise
from pipelines.datasets.speech_noise import SpeechInNoise
from pipelines.evaluation import command
from pipelines.evaluation.data import open_dataset
from pipelines.loader import Loader
from pipelines.mixing.recipe import Recipe
from pipelines.tracks.random_access import fill
from xumx_jax.audio import resample
from xumx_jax.errors import UserError

RATE, SAMPLES, SEED = 8000, 1600, 3
AS_IT_IS = Recipe(gain=(1.0, 1.0), swap=0.0)
SCENE = SpeechInNoise(0.5, (0.0, 20.0))


def write(path, seconds, rate=RATE, channels=1, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    soundfile.write(path, wave, rate)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Ten utterances, from shorter than half an example to longer than one; eight noises."""
    root = tmp_path_factory.mktemp("talk")
    for number in range(10):
        write(root / "speech" / f"reader {number % 3}" / f"{number}.flac", 0.05 + number / 20)
    for number, rate in enumerate((8000, 11_025, 16_000, 44_100) * 2):
        write(root / "noise" / f"{number}.wav", 0.3 + number / 10, rate, 1 + number % 2, number)
    return root


def opened(root, targets=("speech",), valid_seconds=0.2, **options):
    options = {"valid_examples": 4} | options
    return open_data("speech_noise", root, targets, RATE, 2, options, valid_seconds)


def examples(tracks, count=20, recipe=AS_IT_IS, samples=SAMPLES):
    loader = Loader(tracks, recipe, SEED, count, samples, engine="threads")
    return loader.examples(range(count)).stems


def energy(wave):
    return np.square(wave, dtype=float).sum((-2, -1))


@pytest.mark.parametrize("least", [0.1, 0.5, 0.77, 1.0])
def test_speech_covers_its_share_or_lies_within(least):
    scene, samples = SpeechInNoise(least, (0, 0)), 50
    for length in (1, 4, 5, 24, 25, 26, 49, 50, 51, 300):
        starts = {scene.start("speech", length, samples, n / 997) for n in range(997)}
        covered = [min(length - start, samples) - max(0, -start) for start in starts]
        assert min(covered) == min(length, math.ceil(least * samples))
        if length < math.ceil(least * samples):
            assert starts == set(range(length - samples, 1)), "at every place"
        else:
            assert starts == set(range(math.ceil(least * samples) - samples, 1)) | set(
                range(length - math.ceil(least * samples) + 1)
            ), "from its end to its beginning"


def test_noise_is_an_excerpt():
    for length in (10, 50, 60):
        starts = {SCENE.start("noise", length, 50, n / 97) for n in range(97)}
        assert starts == set(range(max(1, length - 49)))


@pytest.mark.parametrize("sources", [("speech", "noise"), ("noise", "speech")])
def test_noise_is_below_speech_by_decibels(sources):
    """By -20 log10: at level 0.25 of 0..20 dB the ratio of energies is 5 dB."""
    rng = np.random.default_rng(0)
    waves = [scale * rng.standard_normal((100, 2)).astype(np.float32) for scale in (0.1, 0.7)]
    gains = dict(zip(sources, SCENE.gains(sources, waves, 0.25), strict=True))
    powers = dict(zip(sources, map(energy, waves), strict=True))
    assert gains["speech"] == 1
    ratio = powers["speech"] / (powers["noise"] * gains["noise"] ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(5.0)
    for silent in range(2):
        quiet = [wave * (row != silent) for row, wave in enumerate(waves)]
        assert SCENE.gains(sources, quiet, 0.25) == [1.0, 1.0]


def test_ratios_of_examples_are_uniform_between_their_ends(root):
    for targets in (("speech",), ("noise", "speech")):
        train, _ = opened(root, targets)
        assert train.sources == tuple(dict.fromkeys([*targets, "noise"]))
        stems = dict(zip(train.sources, examples(train, 60).swapaxes(0, 1), strict=True))
        snr = 10 * np.log10(energy(stems["speech"]) / energy(stems["noise"]))
        assert -1e-3 <= snr.min() < 4 and 16 < snr.max() <= 20 + 1e-3
        assert abs(snr.mean() - 10) < 4 * 20 / math.sqrt(12 * 60)
    train, _ = opened(root, lowest_snr_db=2.0, highest_snr_db=8.0)
    waves = np.empty((3, 900, 2), np.float32)
    train.mixture_into(1, 0, waves[2])
    for row in range(2):
        train.read_into(row, 1, 0, waves[row])
    noise = waves[2] - waves[0]
    assert 10 * np.log10(energy(waves[0]) / energy(noise)) == pytest.approx(5, abs=1e-3)
    train, _ = opened(root, lowest_snr_db=5.0, highest_snr_db=5.0)
    speech, noise = examples(train).swapaxes(0, 1)
    np.testing.assert_allclose(10 * np.log10(energy(speech) / energy(noise)), 5, atol=1e-4)


def test_speech_of_examples_covers_its_share_or_is_whole(root):
    train, _ = opened(root, least_overlap_ratio=0.8)
    speech = examples(train, 40)[:, 0, :, 0]
    covered = (speech != 0).sum(1)
    share = covered >= 0.8 * SAMPLES - 2  # a sample may be 0 by chance
    assert share.any() and not share.all()
    lengths = [train.length(0, track) for track in range(train.counts[0])]
    assert all(min(abs(count - length) for length in lengths) <= 2 for count in covered[~share])
    assert (speech[:, 0] == 0).any() and (speech[:, 0] != 0).any()


def test_examples_do_not_depend_on_engine_or_workers(root):
    train, _ = opened(root)
    wanted = examples(train, 12)
    assert wanted.dtype == np.float32
    for engine, workers in itertools.product(("threads", "tf"), (1, 3)):
        with Loader(
            train, AS_IT_IS, SEED, 4, SAMPLES, first=4, last=12, workers=workers, engine=engine
        ) as batches:
            found = np.concatenate([batch.stems.copy() for batch in batches])
        np.testing.assert_array_equal(found, wanted[4:])


def test_effects_come_after_the_levels(root):
    """Resampling reads more or less; what is dropped is silent, and the noise keeps its level."""
    train, _ = opened(root)
    wanted = examples(train)
    recipe = Recipe(gain=(1.0, 1.0), swap=0.0, drop=1.0)
    found = examples(train, recipe=recipe)
    dropped = ~found.any((2, 3))
    assert (dropped.sum(1) == 1).all()
    np.testing.assert_array_equal(found[~dropped], wanted[~dropped])
    resampled = examples(train, recipe=Recipe(gain=(1.0, 1.0), swap=0.0, resample=1.0))
    assert resampled.shape == wanted.shape and np.isfinite(resampled).all()
    ratio = energy(resampled[:, 0]) / energy(resampled[:, 1])
    assert (ratio > 10**-0.3).all()
    loader = Loader(train, AS_IT_IS, SEED, 4, SAMPLES, engine="threads")
    np.testing.assert_array_equal(loader.excerpts(range(20))[-1], wanted)


def test_other_data_have_no_scene(root, tmp_path):
    """The numbers for scenes are drawn last, so the examples of other data are what they were."""
    from pipelines.mixing.plan import ROWS

    assert ROWS[-1] == "level"
    write(tmp_path / "song" / "a.wav", 0.1)
    train, _ = open_data("folder", tmp_path, ("a",), RATE, 2, {})
    assert train.scene is None and train.integer


def test_validation_and_test_never_change(root):
    """The same mixes in every run: of their own files, as long as pieces, real sums."""
    _, valid = opened(root)
    again = opened(root, ("noise", "speech"))[1]
    assert valid.names == ("mix0000", "mix0001", "mix0002", "mix0003")
    assert valid.track_lengths == [SAMPLES] * 4 and valid.aligned
    waves = np.empty((4, 2, SAMPLES, 2), np.float32)
    for track in range(4):
        for source in range(2):
            valid.read_into(source, track, 0, waves[track, source])
            part, same = np.empty((100, 2), np.float32), np.empty((100, 2), np.float32)
            valid.read_into(source, track, 700, part)
            np.testing.assert_allclose(part, waves[track, source, 700:800], atol=1e-6)
            again.read_into(1 - source, track, 700, same)
            np.testing.assert_array_equal(part, same)
        mix = np.empty((SAMPLES, 2), np.float32)
        valid.mixture_into(track, 0, mix)
        np.testing.assert_allclose(mix, waves[track].sum(0), atol=1e-6)
    snr = 10 * np.log10(energy(waves[:, 0]) / energy(waves[:, 1]))
    assert snr.min() >= -1e-3 and snr.max() <= 20.001 and np.ptp(snr) > 1
    assert opened(root)[1].fingerprint() == valid.fingerprint()
    assert opened(root, highest_snr_db=9.0)[1].fingerprint() != valid.fingerprint()
    assert opened(root, valid_examples=0)[1] is None

    def digests(**options):
        options = {"valid_examples": 4} | options
        return [t.digest for t in open_dataset("speech_noise", root, "test", (), options).tracks]

    assert digests() == digests() and len(set(digests())) == 4
    assert not set(digests()) & set(digests(lowest_snr_db=1.0))


def of_split(root, split, **options):
    (tracks,) = open_tracks("speech_noise", [split], root, ("speech",), RATE, 2, options)
    if tracks is None:
        return None
    if not tracks.aligned:
        clips = tracks.clips
    else:
        clips = [[part.file.clip for (part,) in row] for row in tracks.clips]
    return {part.file.path.name for row in clips for clip in row for part in clip}


def test_splits_share_no_files(root):
    found = [of_split(root, split) for split in ("train", "valid", "test")]
    assert all(found) and not found[0] & (found[1] | found[2]) - {"0.wav"}
    assert of_split(root, "other") is None


def test_splits_may_be_folders(root, tmp_path):
    for number, split in enumerate(("train", "valid", "test")):
        write(tmp_path / "speech" / split / "deep" / f"{split}.wav", 1, seed=number)
    shutil.copytree(root / "noise", tmp_path / "noise")
    for split in ("train", "valid", "test"):
        assert f"{split}.wav" in of_split(tmp_path, split, valid_examples=9)
    shutil.rmtree(tmp_path / "speech" / "test")
    assert of_split(tmp_path, "test") is None
    # trains make noise as well
    write(tmp_path / "noise" / "train" / "freight.wav", 1)
    assert "freight.wav" in set().union(*(of_split(tmp_path, s) for s in ("train", "valid")))


def test_folders_may_lie_anywhere(root, tmp_path):
    options = {"speech": str(root / "speech"), "noise": str(root / "noise")}
    found, _ = opened("", **options)
    assert found.fingerprint() == opened(root)[0].fingerprint()
    with pytest.raises(UserError, match="x: no such folder; wanted ROOT/speech and ROOT/noise"):
        opened("", **options | {"noise": str(tmp_path / "x")})


def test_noise_may_be_music_without_vocals(root, tmp_path):
    for split, name in (("train", "A"), ("train", "Leaf - Summerghost"), ("test", "C")):
        for seed, file in enumerate(("mixture", "vocals", "drums", "bass", "other")):
            write(tmp_path / split / name / f"{file}.wav", 0.5, 16_000, 2, seed)
    found, valid = opened(root, noise=str(tmp_path))
    assert found.counts[1] == 1 and valid.names
    (clip,) = found.clips[1]
    assert sorted(part.file.path.stem for part in clip) == ["bass", "drums", "other"]
    out = np.empty((300, 2), np.float32)
    fill(clip, 50, out)
    waves = [soundfile.read(part.file.path, dtype="float32")[0].T for part in clip]
    wanted = resample(sum(waves), 16_000, RATE)[:, 50:350]
    np.testing.assert_allclose(out.T, wanted, atol=1e-5)


def test_files_that_cannot_be_used_are_named_and_left_out(root, tmp_path, capsys):
    shutil.copytree(root, tmp_path / "talk")
    bad = tmp_path / "talk" / "speech" / "bad.wav"
    bad.write_bytes(b"RIFF")
    soundfile.write(bad.with_name("empty.wav"), np.zeros((0, 1)), RATE)
    for split in ("train", "valid", "test"):
        of_split(tmp_path / "talk", split, max_skipped=0.9)
    told = capsys.readouterr().err
    assert "bad.wav: cannot be read as audio" in told and "empty.wav: holds no samples" in told
    with pytest.raises(UserError, match="more than the share max_skipped=0 allows"):
        for split in ("train", "valid", "test"):
            of_split(tmp_path / "talk", split, max_skipped=0.0)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"least_overlap_ratio": 0.0}, "least_overlap_ratio is 0.0; wanted more than 0, up to 1"),
        ({"least_overlap_ratio": 1.5}, "least_overlap_ratio is 1.5; wanted more than 0, up to 1"),
        ({"highest_snr_db": -1.0}, "highest_snr_db is -1.0; wanted at least lowest_snr_db, 0"),
        ({"lowest_snr_db": float("nan")}, "highest_snr_db is 20.0; wanted at least"),
        ({"valid_examples": -1}, "valid_examples is -1; wanted 0 or more"),
    ],
)
def test_options_that_make_no_sense_are_one_line(root, options, says):
    with pytest.raises(UserError, match=says):
        opened(root, **options)


def test_folders_without_audio_are_one_line_at_every_door(root, tmp_path, capsys):
    shutil.copytree(root / "speech", tmp_path / "speech")
    (tmp_path / "noise" / "mp3s").mkdir(parents=True)
    (tmp_path / "noise" / "mp3s" / "x.mp3").touch()
    says = f"{tmp_path}/noise: no *.wav or *.flac at any depth; found mp3s"
    with pytest.raises(UserError) as error:
        opened(tmp_path)
    assert says in str(error.value)
    words = ["--config=xumx", f"--workdir={tmp_path / 'run'}", f"--config.data.root={tmp_path}"]
    words += ["--config.data.name=speech_noise", "--config.model.args.sources=('speech',)"]
    assert train.main(words) == 2
    assert says in (line := capsys.readouterr().err) and line.count("\n") == 1
    words = ["--model", "mixture", "--dataset", "speech_noise", "--root", str(tmp_path)]
    assert command.main([*words, "--evaldir", str(tmp_path / "scores")]) == 2
    assert says in (line := capsys.readouterr().err) and line.count("\n") == 1


def test_an_epoch_has_a_thousand_examples_at_the_levels_of_the_scene(root):
    words = ["--config=xumx", "--config.data.name=speech_noise", f"--config.data.root={root}"]
    config, _, _ = train.parse(words)
    assert config.train.steps_per_epoch == 1000 // 16
    assert train.mixing_of(config, "speech_noise") == AS_IT_IS
    assert speech_noise.SHARES == {"train": 0.8, "valid": 0.1, "test": 0.1}
