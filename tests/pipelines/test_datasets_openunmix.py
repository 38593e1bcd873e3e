"""Open-Unmix's folder data sets: what is the target, what is the rest, what is left out."""

import numpy as np
import pytest
import soundfile

import train
from pipelines.datasets import open_data
from xumx_jax.errors import UserError

RATE = 8000


def noise(seed, samples=60):
    return np.random.default_rng(seed).uniform(-0.2, 0.2, (samples, 2))


def write(folder, *names, samples=60):
    """Files of noise, each different; {name: what is read from it}."""
    folder.mkdir(parents=True, exist_ok=True)
    waves = {}
    for name in names:
        seed = sum(f"{folder.name}/{name}".encode())
        soundfile.write(folder / name, noise(seed, samples), RATE)
        waves[name] = soundfile.read(folder / name, dtype="float32")[0]
    return waves


def opened(name, root, targets=("vocals",), valid_seconds=10.0, **options):
    return open_data(name, root, targets, RATE, 2, options, valid_seconds)


def read(data, source, track=0, start=0, samples=60):
    out = np.empty((samples, 2), np.float32)
    data.read_into(source, track, start, out)
    return out


def mixture(data, track=0):
    out = np.empty((60, 2), np.float32)
    data.mixture_into(track, 0, out)
    return out


def test_aligned(tmp_path):
    waves = write(tmp_path / "train" / "a", "noisy.wav", "clean.flac")
    write(tmp_path / "valid" / "b", "noisy.wav", "clean.flac")
    files = {"input_file": "noisy.wav", "output_file": "clean.flac"}
    train, valid = opened("aligned", tmp_path, **files)
    assert train.sources == ("vocals", "rest") and valid.names == ("b",)
    np.testing.assert_array_equal(train.mixing, [[1, 0]])
    assert train.aligned and not train.integer
    np.testing.assert_array_equal(read(train, 0), waves["clean.flac"])
    np.testing.assert_array_equal(read(train, 1), waves["noisy.wav"] - waves["clean.flac"])
    np.testing.assert_array_equal(mixture(train), waves["noisy.wav"])
    both, _ = opened("aligned", tmp_path, ("vocals", "rest"), **files)
    np.testing.assert_array_equal(both.mixing, np.eye(2))


def test_trackfolder_fix(tmp_path):
    waves = write(tmp_path / "train" / "a", "lead.wav", "bass.wav", "drums.wav")
    files = {"target_file": "lead.wav", "interferer_files": "bass.wav,drums.wav"}
    train, none = opened("trackfolder_fix", tmp_path, **files)
    assert none is None and train.integer
    assert train.sources == ("vocals", "bass", "drums")
    np.testing.assert_array_equal(train.mixing, [[1, 0, 0]])
    for source, name in enumerate(waves):
        np.testing.assert_array_equal(read(train, source), waves[name])
    np.testing.assert_allclose(mixture(train), sum(waves.values()), atol=1e-7)
    several, _ = opened("trackfolder_fix", tmp_path, ("drums", "lead"), **files)
    assert several.sources == ("drums", "lead", "bass")
    np.testing.assert_array_equal(read(several, 1), waves["lead.wav"])


def test_trackfolder_fix_leaves_out_tracks_that_lack_a_file(tmp_path, capsys):
    for name in "abcdefghij":
        write(tmp_path / name, "lead.wav", "bass.wav")
    (tmp_path / "c" / "bass.wav").unlink()
    files = {"target_file": "lead.wav", "interferer_files": ["bass.wav"]}
    data, _ = opened("trackfolder_fix", tmp_path, **files)
    assert data.names == tuple("abdefghij")
    assert "1 of 10 tracks left out: c (" in (told := capsys.readouterr().err)
    assert "bass.wav: no such" in told


def test_trackfolder_var(tmp_path):
    waves = write(tmp_path / "train" / "a", "vox.wav", "x.wav", "y.wav", "z.wav")
    write(tmp_path / "train" / "a", "mixture.wav", "other.flac")
    train, _ = opened("trackfolder_var", tmp_path, target_file="vox.wav")
    assert train.sources == ("vocals", "rest") and not train.integer
    np.testing.assert_array_equal(read(train, 0), waves["vox.wav"])
    rest = waves["x.wav"] + waves["y.wav"] + waves["z.wav"]
    np.testing.assert_allclose(read(train, 1), rest, atol=1e-7)
    np.testing.assert_allclose(mixture(train), rest + waves["vox.wav"], atol=1e-7)


def test_trackfolder_var_without_its_target(tmp_path):
    write(tmp_path / "a", "vox.wav", "x.wav")
    write(tmp_path / "b", "x.wav")
    write(tmp_path / "c", "vox.wav")
    with pytest.raises(UserError, match="b .*b/vox.wav: no such file.*; c .*no .*beside vox.wav"):
        opened("trackfolder_var", tmp_path, target_file="vox.wav")
    found = {"target_file": "vox.wav", "max_skipped": 0.7}
    data, _ = opened("trackfolder_var", tmp_path, **found)
    assert data.names == ("a",)
    data, _ = opened("trackfolder_var", tmp_path, silence_missing=True, **found)
    assert data.names == ("a", "b")
    assert not read(data, 0, 1).any() and read(data, 1, 1).any()
    assert data.length(0, 1) == 60


@pytest.mark.parametrize(
    "name, options",
    [
        ("aligned", {"input_file": "a.wav", "output_file": "b.wav"}),
        ("trackfolder_var", {"target_file": "a.wav"}),
    ],
)
def test_data_of_one_target_do_not_suit_models_of_several(tmp_path, name, options):
    with pytest.raises(UserError, match=f"'{name}' has one target and the rest.*bass, drums"):
        opened(name, tmp_path, ("bass", "drums"), **options)


@pytest.mark.parametrize(
    "name, options, lacking",
    [
        ("aligned", {"input_file": "a.wav"}, "output_file"),
        ("trackfolder_fix", {"target_file": "a.wav"}, "interferer_files"),
        ("trackfolder_var", {}, "target_file"),
    ],
)
def test_options_that_are_needed(tmp_path, name, options, lacking):
    with pytest.raises(UserError, match=f"'{name}' needs the option {lacking}"):
        opened(name, tmp_path, **options)


def sourcefolder(root, seconds=60):
    return {
        split: {
            source: write(root / split / source, *names, samples=seconds)
            for source, names in {
                "vocals": ("v1.wav", "v2.flac"),
                "noise": ("n1.wav", "n2.wav", "n3.wav"),
                "hum": ("h1.wav",),
            }.items()
        }
        for split in ("train", "valid")
    }


def test_sourcefolder(tmp_path):
    waves = sourcefolder(tmp_path)
    (tmp_path / "train" / "vocals" / "notes.txt").write_text("x")
    train, valid = opened("sourcefolder", tmp_path, valid_seconds=20 / RATE)
    assert not train.aligned and not train.integer, "one file is FLAC"
    assert train.sources == ("vocals", "hum", "noise") and train.counts == [2, 1, 3]
    assert train.names == ("v1", "v2") and train.length(0, 1) == 60
    np.testing.assert_array_equal(read(train, 2, 1), waves["train"]["noise"]["n2.wav"])

    assert valid.aligned and valid.counts == [100] * 3 and set(valid.track_lengths) == {20}
    again = opened("sourcefolder", tmp_path, valid_seconds=20 / RATE)[1]
    assert again.fingerprint() == valid.fingerprint() != train.fingerprint()
    mixes = [read(valid, source, track, samples=20) for source in range(3) for track in range(100)]
    assert len({mix.tobytes() for mix in mixes}) > 100
    windows = np.lib.stride_tricks.sliding_window_view(waves["valid"]["hum"]["h1.wav"], 20, axis=0)
    assert (windows.swapaxes(1, 2) == read(valid, 1, 7, samples=20)).all(axis=(1, 2)).any()


def test_sourcefolder_in_a_config(tmp_path):
    """An epoch has 1000 examples, unless it is told otherwise; pieces are what validates."""
    sourcefolder(tmp_path, 6000)
    words = [
        "--config=configs/xumx.py", "--config.data.name=sourcefolder",
        f"--config.data.root={tmp_path}", f"--config.model.args.sample_rate={RATE}",
        "--config.model.args.sources=('vocals',)", "--config.train.seconds=0.25",
    ]  # fmt: skip
    config, _, _ = train.parse(words)
    assert config.train.steps_per_epoch == 62, "batches of 16"
    assert "valid_seconds" not in config.data.sourcefolder
    assert train.parse([*words, "--config.train.steps_per_epoch=9"])[0].train.steps_per_epoch == 9
    assert train.parse([*words, "--config.train.batch_size=2000"])[0].train.steps_per_epoch == 1
    assert train.parse(words[:1])[0].train.steps_per_epoch is None
    for given, samples in ((0.5, 4000), (0.0, 2000)):
        config.train.valid_seconds = given
        pieces = list(train.open_data(config).valid())
        assert sum((piece.weight > 0).sum() for piece in pieces) == 100
        assert {piece.stems.shape[-1] for piece in pieces} == {samples}


def test_sourcefolder_by_options(tmp_path):
    sourcefolder(tmp_path)
    options = {"target_dir": "noise", "interferer_dirs": ("hum",), "ext": ".wav"}
    train, valid = opened("sourcefolder", tmp_path, valid_examples=3, **options)
    assert train.sources == ("vocals", "hum") and train.names == ("n1", "n2", "n3")
    assert train.integer and valid.names == ("mix0000", "mix0001", "mix0002")
    assert valid.track_lengths == [60] * 3, "a file shorter than the excerpt is taken whole"
    assert opened("sourcefolder", tmp_path, valid_examples=0, **options)[1] is None
    several, _ = opened("sourcefolder", tmp_path, ("hum", "noise"))
    assert several.sources == ("hum", "noise", "vocals")


def test_sourcefolder_names_what_is_wrong(tmp_path, capsys):
    sourcefolder(tmp_path)
    with pytest.raises(UserError, match="no source 'piano'; known: hum, noise, vocals, rest"):
        opened("sourcefolder", tmp_path, ("piano", "hum"))
    with pytest.raises(UserError, match="train/brass: no such folder"):
        opened("sourcefolder", tmp_path, interferer_dirs="brass")
    (tmp_path / "train" / "noise" / "n2.wav").write_bytes(b"words")
    data, _ = opened("sourcefolder", tmp_path, max_skipped=0.2)
    assert (
        data.counts == [2, 1, 2]
        and "1 of 6 tracks left out: noise/n2.wav" in capsys.readouterr().err
    )
    with pytest.raises(UserError, match="1 of 6 tracks cannot be used.*noise/n2.wav"):
        opened("sourcefolder", tmp_path)
    with pytest.raises(UserError, match=r"hum: no usable \*.flac"):
        opened("sourcefolder", tmp_path, ext=".flac")
    (tmp_path / "train" / "hum" / "h1.wav").write_bytes(b"words")
    with pytest.raises(UserError, match="hum: no usable .*h1.wav: cannot be read"):
        opened("sourcefolder", tmp_path)
