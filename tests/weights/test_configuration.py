"""The .yaml beside a checkpoint: which one it is, what it says, and what is asked for."""

import numpy as np
import pytest
import yaml
from foreign import write_pth
from foreign_modern import (
    AUDIO,
    BS,
    MDX,
    MEL,
    SC,
    STATES,
    VOCALS,
    WIDTHS,
    checkpoint,
    mdx23c,
    roformer,
    scnet,
)

from xumx_jax.errors import UserError
from xumx_jax.weights import converters
from xumx_jax.weights.converters import KINDS, configuration, htdemucs, readers
from xumx_jax.weights.load import load_weights
from xumx_jax.weights.published import PUBLISHED


def arguments(path, settings=None):
    """What is read of a file, without making its network."""
    weights = converters.completed(readers.read(path), settings=settings)
    return KINDS[converters.detect(weights.tensors)].arguments(weights.tensors, weights.info)


@pytest.mark.parametrize(
    "name", ["m_1.2.yaml", "m_1.2.yml", "m_1.2_config.yaml", "config_m_1.2.yaml"]
)
def test_names_of_configurations(tmp_path, name):
    (tmp_path / "other.yaml").write_text("model: {}")
    assert configuration.beside(tmp_path / "m_1.2.ckpt") is None
    (tmp_path / name).write_text("")
    assert configuration.beside(tmp_path / "m_1.2.ckpt") == tmp_path / name
    (tmp_path / "m_1.2.yaml").write_text("")
    (tmp_path / "m_1.2_config.yaml").write_text("")
    with pytest.raises(UserError, match="m_1.2.ckpt: .*m_1.2.yaml and .* are both called after it"):
        configuration.beside(tmp_path / "m_1.2.ckpt")


def test_the_only_configuration_of_the_only_checkpoint(tmp_path):
    path = tmp_path / "m.ckpt"
    path.write_bytes(b"x")
    (tmp_path / "config_vocals.yaml").write_text("models: ['a']")  # a bag of Demucs
    assert configuration.beside(path) is None
    (tmp_path / "config_vocals.yaml").write_text("model: {dim: 8}")
    assert configuration.beside(path) == tmp_path / "config_vocals.yaml"
    (tmp_path / "n.ckpt").write_bytes(b"x")
    assert configuration.beside(path) is None


def test_half_precision_and_a_misleading_configuration(tmp_path):
    """BS-RoFormer SW: its file has the keys of the other family, and no list of bands."""
    state = roformer()
    half = {name: tensor.astype(np.float16) for name, tensor in state.items()}
    said = {**BS, "num_bands": 60, "sample_rate": 44100, "sage_attention": True}
    config = {"model": said, "training": VOCALS, "inference": {"num_overlap": 2, "batch_size": 1}}
    del said["freqs_per_bands"]
    (tmp_path / "m.yaml").write_text(yaml.dump(config | {"audio": {"chunk_size": 352800}}))
    path = write_pth(tmp_path / "m.ckpt", {"state": {"state_dict": half}, "model_args": None})
    (found,) = load_weights(path).members
    assert found.name == "bs_roformer" and found.args["sources"] == ("vocals",)
    assert (found.args["hop"], found.args["widths"]) == (16, WIDTHS)
    assert found.info["separation"] == {"chunk_size": 352800, "num_overlap": 2}
    rounded = half["layers.0.0.layers.0.0.rotary_embed.freqs"].astype(np.float32)
    turns = found.variables["constants"]["time_frequencies"]
    np.testing.assert_array_equal(turns, rounded)
    assert (
        turns.dtype == np.float32
        and (turns != state["layers.0.0.layers.0.0.rotary_embed.freqs"]).any()
    )


def test_what_configurations_say(tmp_path):
    mel = {"dim": 8, "num_bands": 6, "sample_rate": 8000, "stft_n_fft": 128, "stft_hop_length": 32}
    config = {"model": {**mel, "skip_connection": True, "zero_dc": False}, "audio": {}}
    config["training"] = {"instruments": ["lead", "Back"]}
    found = arguments(checkpoint(tmp_path, roformer(MEL, stems=2), config))
    assert found["sources"] == ("lead", "back") and found["bands"] == 6 and found["hop"] == 32
    assert found["skips"] and not found["zero_dc"]

    config = {"audio": AUDIO, "model": MDX, "inference": {"dim_t": 32}}
    config["training"] = {"instruments": ["a", "b"], "target_instrument": None}
    found = arguments(checkpoint(tmp_path, mdx23c(), config))
    assert found["sources"] == ("a", "b") and found["act"] == "relu"
    sizes = [found[name] for name in ("n_fft", "hop", "sample_rate", "frames", "bins")]
    assert sizes == [64, 16, 8000, 32, 16]

    config = {"model": {**SC, "sources": ["x", "y"]}, "inference": {"normalize": True}}
    found = arguments(checkpoint(tmp_path, scnet(), config))
    assert found["sources"] == ("x", "y") and found["standardized_track"]
    assert (found["n_fft"], found["hop"], found["shares"]) == (128, 32, [0.2, 0.4, 0.4])


def test_htdemucs_has_a_section_of_its_name():
    training = {"samplerate": 44100, "segment": 11, "channels": 2, "instruments": ["a", "b"]}
    config = {"model": "htdemucs", "htdemucs": {"depth": 4, "t_lr": None}, "training": training}
    found = htdemucs.configured(config | {"audio": {"chunk_size": 485100}})
    said = {"depth": 4, "samplerate": 44100, "segment": 11, "audio_channels": 2}
    assert found == {"model_args": said, "settings": {"sources": ("a", "b")}, "separation": {}}
    with pytest.raises(UserError, match="model is 'hdemucs'; wanted htdemucs"):
        htdemucs.configured({"model": "hdemucs"})


@pytest.mark.parametrize(
    ("state", "known", "names"),
    [
        ("bs", {}, ("hop",)),
        ("mel", {"sample_rate": 8000}, ("hop",)),
        ("mdx", {}, ("n_fft", "hop")),
        ("mdx", {"n_fft": 64}, ("hop",)),
        ("scnet", {"n_fft": 128, "hop": 32}, ("shares",)),
    ],
)
def test_what_is_left_open_is_asked_for(tmp_path, state, known, names):
    """Both ways that the line names are ways."""
    path = checkpoint(tmp_path, STATES[state]())
    with pytest.raises(UserError, match=f"no tensor shows {' and '.join(names)}; ") as error:
        load_weights(path, settings=known)
    said = str(error.value)
    given = dict(word.split("=") for word in said.split() if "=" in word)
    assert set(given) == set(names) and said.startswith(f"{path}: ") and "\n" not in said
    settings = {name: yaml.safe_load(f"[{text}]") for name, text in given.items()}
    settings = {name: v if len(v) > 1 else v[0] for name, v in settings.items()}
    wanted = arguments(path, known | settings)
    path.with_suffix(".yaml").write_text(said[said.index(" {") : said.rindex("}") + 1])
    found = arguments(path, known)
    for name in names:
        assert list(np.ravel(found[name])) == list(np.ravel(wanted[name]))


def test_nothing_is_asked_where_all_published_agree():
    tensors = roformer((44100, 2048, 4))
    found = KINDS["mel_band_roformer"].arguments(tensors, {})
    assert (found["n_fft"], found["hop"], found["sources"]) == (2048, 441, ("vocals",))


def test_published_weights_never_ask():
    asked = {"bs_roformer": {"hop"}, "scnet": {"shares"}, "mdx23c": {"n_fft", "hop"}}
    for name, row in PUBLISHED.items():
        for member in row.members:
            assert not asked.get(member.kind, set()) - set(member.settings), name
