"""Effects against recordings of AIMLESS's, which ran SciPy, PyTorch, pedalboard and pyloudnorm.

Theirs are in float32, and so are the recordings: ours may differ by 1e-6 of the largest sample,
some ten roundings of float32, unless a test says otherwise.
"""

import inspect
import json
import re

import numpy as np
import pytest
from golden_files import golden
from golden_torch import arrays, close, meta, under

from pipelines import biquads, loudness
from pipelines.mixing.effects import EFFECTS, parametric_eq

RATE = 44_100
FLOOR = 1e-6
# theirs -> ours, where the names of options differ
OPTIONS = {"delay_seconds": "seconds", "wet_level": "wet"}
DRAWN_FROM = {"stereo_widener": "width", "pan": "pan"}


def play(name, wave, **settings):
    """Apply an effect with these settings, through its own `draw`."""
    effect = EFFECTS[name]
    ranges = {option: (value, value) for option, value in settings.items()}
    rows = {row: np.array([0.5]) for row in effect.ROWS}
    (values,) = effect.draw(rows | {"use": np.zeros(1)}, probability=1.0, **ranges)
    assert effect.changes(values) or settings.get("width") == 0.5
    return effect.apply(wave, values, RATE, wave.shape[1])


def strided(path, name, ours, samples):
    """Compare with a recording, of which every few samples were kept."""
    step = -(-samples // under(path, "out/")[name].shape[-1])
    close(path, name, ours[..., ::step], factor=10, floor=FLOOR)


def names(path, prefix):
    found = [name for name in under(path, "out/") if name.startswith(prefix)]
    assert found
    return found


@golden("torch/aug_cpu_dsp*.npz")
def test_biquads(path):
    for name in names(path, "biquad/"):
        settings = meta(path)["configs"][name]
        design = getattr(biquads, re.search(r"low_shelf|high_shelf|peaking", name)[0])
        gain, hz, q, rate = (settings[key] for key in ("gain_db", "cutoff", "q", "fs"))
        wanted = arrays(path)[f"out/{name}"]
        np.testing.assert_allclose(design(rate, hz, q, gain), wanted.ravel(), rtol=0, atol=1e-13)


@golden("torch/aug_cpu_dsp*.npz")
def test_parametric_equaliser(path):
    one = meta(path)["configs"]["parametric_eq"]
    bands = zip(one["band_cutoff_freqs"], one["band_q_factors"], one["band_gains_db"], strict=True)
    filters = [
        [one[f"{side}_shelf_{what}"] for what in ("cutoff_freq", "q_factor", "gain_db")]
        for side in ("low", "high")
    ]
    values = np.concatenate([[1], filters[0], *bands, filters[1]])
    wave = arrays(path)["in/x"]
    close(path, "parametric_eq", parametric_eq.apply(wave, values, RATE, wave.shape[1]), 10, FLOOR)


@golden("torch/aug_cpu_dsp*.npz")
@pytest.mark.parametrize("name", DRAWN_FROM)
def test_stereo(path, name):
    wave = arrays(path)["in/x"]
    for recording in names(path, f"{name}_"):
        value = float(recording.rpartition("_")[2])
        close(path, recording, play(name, wave, **{DRAWN_FROM[name]: value}), 10, FLOOR)


@golden("torch/aug_cpu_dsp*.npz")
def test_swap_and_polarity(path):
    wave = arrays(path)["in/x"]
    for name, recording in (("swap", "swaplr"), ("polarity", "flipphase")):
        np.testing.assert_array_equal(play(name, wave), arrays(path)[f"out/{recording}"])


@golden("torch/aug_cpu_pedalboard*.npz")
@pytest.mark.parametrize(
    "name", ["compressor", "delay", "chorus", "phaser", "distortion", "reverb", "limiter"]
)
def test_pedals(path, name):
    wave = arrays(path)["in/x"]
    settings = {OPTIONS.get(k, k): v for k, v in meta(path)["configs"][name].items()}
    if name == "reverb":  # ours, like theirs, has one number for both
        assert settings.pop("dry_level") == pytest.approx(1 - settings["wet"])
    strided(path, name, play(name, wave, **settings), wave.shape[1])


@golden("torch/aug_cpu_pedalboard*.npz")
def test_gain(path):
    wave = arrays(path)["in/x"]
    factor = 10 ** (meta(path)["configs"]["gain"]["gain_db"] / 20)
    strided(path, "gain", play("gain", wave, gain=factor), wave.shape[1])


@golden("torch/aug_cpu_pedalboard*.npz")
def test_loudness(path):
    wave = arrays(path)["in/xl"]
    found = loudness.integrated(wave, RATE, like_pyloudnorm=True)
    assert abs(found - arrays(path)["out/loudness_lufs"]) < 1e-5


@golden("torch/aug_cpu_pedalboard*.npz")
def test_loudness_normalization(path):
    wave, effect = arrays(path)["in/xl"], EFFECTS["loudness_normalization"]
    for name in names(path, "loudness_normalize_"):
        target = float(name.rpartition("_")[2])
        (values,) = effect.draw({"use": np.zeros(1)}, target_lufs=target)
        strided(path, name, effect.apply(wave, values, RATE, wave.shape[1]), wave.shape[1])


@golden("torch/aug_cpu_pedalboard*.npz")
def test_limit_aug(path):
    stems, effect = arrays(path)["in/stems"], EFFECTS["limit_aug"]
    settings = meta(path)["configs"]["limitaug"]
    release = (settings["release_ms"],) * 2
    (values,) = effect.draw(
        {row: np.zeros(1) for row in effect.ROWS},
        mean_lufs=settings["target_lufs"],
        deviation_lu=0.0,
        target_lufs=settings["target_loudnorm_lufs"],
        release_ms=release,
    )
    found = loudness.integrated(stems.sum(0), RATE, like_pyloudnorm=True)
    assert abs(found - settings["mix_lufs"]) < 1e-5
    ours = effect.apply_all(stems, values, RATE)
    strided(path, "limitaug/stems", ours, stems.shape[-1])
    strided(path, "limitaug/mix", ours.sum(0), stems.shape[-1])


# Theirs -> ours: the effect, and where the names of its ranges or options differ.
CLASSES = {
    "RandomSwapLR": ("swap", {}),
    "RandomFlipPhase": ("polarity", {}),
    "RandomGain": ("gain", {"": "gain"}),
    "RandomPan": ("pan", {}),
    "RandomStereoWidener": ("stereo_widener", {}),
    "RandomParametricEQ": (
        "parametric_eq",
        {"num_bands": "bands", "cutoff_freq": "hz", "q_factor": "q"},
    ),
    "RandomVolumeAutomation": ("volume_automation", {}),
    "RandomPedalboardCompressor": ("compressor", {}),
    "RandomPedalboardDelay": ("delay", {"delay_seconds": "seconds", "delay_sconds": "seconds"}),
    "RandomPedalboardChorus": ("chorus", {}),
    "RandomPedalboardPhaser": ("phaser", {}),
    "RandomPedalboardDistortion": ("distortion", {}),
    "RandomPedalboardReverb": ("reverb", {"wet_dry": "wet"}),
    "RandomPedalboardLimiter": ("limiter", {}),
    "LimitAug": (
        "limit_aug",
        {
            "target_lufs_mean": "mean_lufs",
            "target_lufs_std": "deviation_lu",
            "target_loudnorm_lufs": "target_lufs",
        },
    ),
    "LoudnessNormalize": ("loudness_normalization", {"target_lufs_db": "target_lufs"}),
}
# Without any in AIMLESS's configs, or needless: a base class, SoX's reverb, mono made stereo (files
# are always read so).
WITHOUT = {"CPUBase", "RandomSoxReverb", "Mono2Stereo"}


def wanted_defaults(listed, renamed):
    """{our option: its default}, or one end of it as (0 or 1, value), from their arguments."""
    for name, text in listed["init_defaults"].items():
        value = float(text)
        if name in ("sample_rate", "p", "min_segment_seconds"):
            ours = {"p": "probability", "min_segment_seconds": "seconds"}.get(name)
            yield ours, None, value
        elif name in ("low", "high"):
            yield renamed[""], ("low", "high").index(name), value
        elif name[:4] in ("min_", "max_"):
            yield renamed.get(name[4:], name[4:]), ("min_", "max_").index(name[:4]), value
        else:
            yield renamed.get(name, name), None, value


@golden("torch/layouts/cpu_augmentations.json")
def test_defaults_are_theirs(path):
    classes = json.loads(path.read_text())
    assert set(classes) == CLASSES.keys() | WITHOUT
    for theirs, (name, renamed) in CLASSES.items():
        options = inspect.signature(EFFECTS[name].draw).parameters
        for ours, end, value in wanted_defaults(classes[theirs], renamed):
            if ours is None or (ours, end) == ("centre_frequency_hz", 1):
                continue  # the rate; the highest centre of a phaser, which is never drawn
            found = options[ours].default
            assert (found if end is None else found[end]) == value, (theirs, ours)
