"""The preview of a config: its files hold what the run of that config trains on."""

import contextlib
import io
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import songs
import soundfile
from track_folders import RATE

import train
from pipelines import preview
from pipelines.mixing.plan import draw
from xumx_jax import augment
from xumx_jax.training.batches import render

SAMPLES = 1600
EFFECTS = "(('resample', {}), ('gain', {}), ('delay', {'seconds': (0.01, 0.05)}))"
CHANGES = [
    f"--config.recipe.effects={EFFECTS}",
    "--config.recipe.drop=0.2",
    "--config.augment=(('mono', {'probability': 0.5}),)",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return songs.make(tmp_path_factory.mktemp("preview") / "set")


def words(root, *more):
    given = ["--config", "configs/xumx.py:tiny", f"--config.data.root={root}"]
    return [*given, *songs.SMALL, "--config.data.engine=threads", *more]


def preview_of(root, out, *more):
    return preview.main([*words(root, *more), "--out", str(out)])


def read(path):
    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == RATE
    return wave.T


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "new"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert preview_of(root, out, *CHANGES, "--examples", "2") == 0
    (out.parent / "printed").write_text(printed.getvalue())
    return out


@pytest.mark.slow
def test_after_is_what_the_step_gets(root, made):
    config, _, _ = train.parse(words(root, *CHANGES))
    chosen = augment.build(config.augment)
    with train.open_data(config).train(0) as batches:  # of 4, as the run takes them
        stems = augment.apply(chosen, render(next(iter(batches))), config.train.seed, jnp.arange(4))
    sources = batches.tracks.sources
    stems = np.asarray(stems)
    assert stems.shape == (4, 4, 2, SAMPLES) and len(list(made.glob("example*"))) == 2
    for index in range(2):
        folder = made / f"example{index}" / "after"
        for source, name in enumerate(sources):
            found = read(folder / f"{name}.wav")
            np.testing.assert_allclose(found, stems[index, source], atol=1e-6)
        mix = read(folder / "mixture.wav")
        np.testing.assert_allclose(mix, stems[index].sum(0), atol=1e-6)
        assert len(list(folder.iterdir())) == 5


@pytest.mark.slow
def test_before_is_what_is_in_the_files_where_the_excerpt_begins(root, made):
    config, _, _ = train.parse(words(root, *CHANGES))
    loader = train.open_data(config).train(0)
    tracks = loader.tracks
    for index in range(2):
        plan = draw(train.mixing_of(config, "folder"), config.train.seed, index, tracks.counts)
        (_, ratios), *_ = plan.effects
        for source, name in enumerate(tracks.sources):
            track = plan.track[source]
            needed = SAMPLES if ratios[source] == 1 else int(np.ceil(SAMPLES * ratios[source])) + 8
            start = int(plan.start[source] * (tracks.track_lengths[track] - needed + 1))
            wave = read(root / "train" / tracks.names[track] / f"{name}.wav")
            found = read(made / f"example{index}" / "before" / f"{name}.wav")
            np.testing.assert_array_equal(found, wave[:, start : start + SAMPLES])


@pytest.mark.slow
def test_lines_say_what_was_drawn(root, made):
    *lines, last = (made.parent / "printed").read_text().splitlines()
    assert len(lines) == 8 and last.endswith("2 examples, preview.png")
    config, _, _ = train.parse(words(root, *CHANGES))
    plans, *_ = train.open_data(config).train(0).excerpts(range(2))
    for number, line in enumerate(lines):
        plan, source = plans[number // 4], number % 4
        assert f": track{plan.track[source]} at 0." in line
        assert ("left out" in line) == (plan.gain[source] == 0)
        if plan.gain[source]:
            assert "; delay " in line and ("swapped" in line) == bool(plan.swap[source])
            assert ("resample" in line) == (dict(plan.effects)["resample"][source] != 1)
    assert "; mono" in "".join(lines)


@pytest.mark.slow
def test_sheet_has_a_row_for_each_wave(made):
    image = made / "preview.png"
    assert image.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = np.frombuffer(image.read_bytes()[16:24], ">u4")
    assert (width, height) == (preview.WIDTH, 80 + preview.ROW * 10)


@pytest.mark.slow
def test_an_earlier_preview_is_replaced_and_nothing_else(root, made, tmp_path, capsys):
    assert preview_of(root, made, "--examples", "1") == 0
    assert sorted(path.name for path in made.iterdir()) == ["example0", "preview.png"]
    plain = capsys.readouterr().out
    assert " dB" in plain and "mono" not in plain
    names = {"kept.txt", "preview.png"}
    for name in names:
        (tmp_path / name).write_text("mine")
    for place in (tmp_path, tmp_path / "kept.txt"):
        assert preview_of(root, place) == 2
        assert "exists and is no preview" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize(
    "more, says",
    [
        (["--examples", "0"], "--examples 0: wanted 1 to 16"),
        (["--config.train.secs=3"], "unknown key config.train.secs"),
        (["--config.recipe.effects=(('echo', {}),)"], "unknown effect 'echo'"),
        (["--config.data.root=/nowhere"], "/nowhere"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(root, tmp_path, capsys, more, says):
    out = tmp_path / "new"
    assert preview_of(root, out, *more) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_without_matplotlib_one_line_says_what_to_install(root, tmp_path, monkeypatch, capsys):
    from importlib import util

    monkeypatch.setattr(util, "find_spec", lambda name, *_: None)
    assert preview_of(root, tmp_path / "new") == 2
    assert "pip install 'xumx_jax[eval]'" in capsys.readouterr().err
    assert "matplotlib" not in sys.modules or not list(tmp_path.iterdir())


@pytest.mark.slow
def test_impulse_responses_are_read_at_the_rate_of_the_config(root, tmp_path):
    soundfile.write(tmp_path / "room.wav", np.array([0.0, 0.5], np.float32), RATE, subtype="FLOAT")
    options = f"(('impulse', {{'probability': 1.0, 'folder': {str(tmp_path)!r}}}),)"
    (plain,), _ = preview.make(train.parse(words(root))[0], 1)
    (found,), rate = preview.make(train.parse(words(root, f"--config.augment={options}"))[0], 1)
    assert rate == RATE and all("impulse" in changes for changes in found.changes.values())
    for name, wave in found.after.items():
        assert np.any(wave)
        np.testing.assert_allclose(wave[:, 1:], 0.5 * plain.after[name][:, :-1], atol=1e-5)
