"""Published weights: fetched once, checked, converted; nothing left behind by a failure."""

import hashlib
import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from urllib.error import URLError

import jax
import numpy as np
import pytest
from foreign import SIZES, asteroid, nnabla, openunmix, write_h5, write_pth
from golden_files import HERE, golden
from toy_models import ToyWave

from xumx_jax import assets, cli, models, runtime
from xumx_jax.commands import console
from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.weights import combinations, converters, download, load, published, zoo
from xumx_jax.weights.bag import load_model
from xumx_jax.weights.converters.kinds import Kind
from xumx_jax.weights.converters.rules import Rule
from xumx_jax.weights.published import File, PublishedMember

SETTINGS = {"sample_rate": 16000, "n_fft": 16, "hop": 8}


@pytest.fixture
def server(serve, tmp_path, monkeypatch):
    """A local server that offers tiny weights as the published ones; counts requests."""
    folder = tmp_path / "served"
    folder.mkdir()
    write_h5(folder / "x-umx.h5", nnabla(**SIZES))
    write_pth(folder / "pretrained_xumx.pth", {"state_dict": asteroid(**SIZES)})
    for seed, target in enumerate(("speech", "noise")):
        write_pth(folder / f"{target}.pth", openunmix(channels=1, seed=seed))
    bodies = {path.name: path.read_bytes() for path in folder.iterdir()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0].lstrip("/")
            name = path if path in served.bodies else path.rsplit("/", 1)[-1]
            served.requests += 1
            self.send_response(served.status)
            self.send_header("Content-Length", str(served.lengths[name]))
            self.end_headers()
            self.wfile.write(served.bodies[name])

        def log_message(self, *_):
            pass

    served = serve(Handler)
    served.requests, served.status, served.bodies = 0, 200, bodies
    served.lengths = {name: len(body) for name, body in bodies.items()}

    def offer(name, **files):
        """Serve under a name of the zoo: files by target, `digest` of each by its file's name."""
        base = f"http://127.0.0.1:{served.server_port}/some/"
        kept = {target: File(base + path, digest) for target, (path, digest) in files.items()}
        (member,) = zoo.PUBLISHED[name].members
        member = replace(member, files=kept)
        if len(kept) > 1:
            member = replace(member, settings=SETTINGS)
        offered = replace(zoo.PUBLISHED[name], members=(member,))
        monkeypatch.setitem(zoo.PUBLISHED, name, offered)

    digests = {name: hashlib.sha256(body).hexdigest() for name, body in bodies.items()}
    sha1 = hashlib.sha1(bodies["x-umx.h5"]).hexdigest()
    offer("x-umx", **{"": ("x-umx.h5", f"sha1:{sha1}")})
    offer("xumx-asteroid", **{"": ("pretrained_xumx.pth?download=1", "")})
    both = {t: (f"{t}.pth", f"sha256:{digests[f'{t}.pth'][:8]}") for t in ("speech", "noise")}
    offer("umxse", **both)
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0)
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    return served


def shown(folder):
    """What lies there but the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


def test_weights_are_fetched_and_converted_once(server, tmp_path, capsys):
    seen = []
    path = zoo.fetch("x-umx", progress=lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "cache" / "x-umx.safetensors"
    assert shown(path.parent) == ["x-umx.h5", "x-umx.safetensors"]
    assert seen[-1] == (server.lengths["x-umx.h5"],) * 2
    loaded = load_model(path)
    assert loaded.info["kind"] == "xumx-nnabla" and loaded.info["licence"]
    assert "mean 5.79 dB (arXiv 2010.04228)" in loaded.info["score"]
    assert zoo.fetch("x-umx") == path == zoo.find("x-umx") == zoo.find()
    assert server.requests == 1
    assert capsys.readouterr().err == ""


def test_several_files_make_one_model(server, tmp_path, capsys):
    module, variables, info = load.load_module("umxse")
    assert module.sources == ("speech", "noise") and module.channels == 1
    assert (module.sample_rate, module.n_fft, module.hop) == (16000, 16, 8)
    assert info["path"] == str(tmp_path / "cache" / "umxse.safetensors")
    assert len(info["sha256"]) == 2 and "Voicebank" in info["licence"]
    server.status = 404  # and the network is not needed any more
    load.load_module("umxse")
    assert server.requests == 2
    assert "nobody" not in capsys.readouterr().err  # the first digits of their digests are known


def test_one_of_several_files_is_not_fetched_again(server, tmp_path):
    whole = server.bodies["noise.pth"]
    server.bodies["noise.pth"] = b"x" * len(whole)
    with pytest.raises(UserError, match=r"noise\.pth: SHA-256 is .*, wanted one that starts with"):
        zoo.fetch("umxse")
    assert not (tmp_path / "cache" / "umxse.safetensors").exists()
    names = sorted(path.name for path in (tmp_path / "cache" / "umxse").iterdir())
    assert names == ["speech.pth", "speech.pth.sha256"]
    server.bodies["noise.pth"] = whole
    zoo.fetch("umxse")
    assert server.requests == 3


def test_a_digest_that_nobody_published_is_kept_and_said(server, tmp_path, caplog):
    path = zoo.fetch("xumx-asteroid")
    digest = hashlib.sha256(server.bodies["pretrained_xumx.pth"]).hexdigest()
    kept = tmp_path / "cache" / "pretrained_xumx.pth.sha256"
    assert kept.read_text() == f"{digest}  pretrained_xumx.pth\n"
    said = caplog.text
    assert f"no digest has been published for pretrained_xumx.pth: its SHA-256, {digest}" in said
    # from now on another file under that address is refused
    path.unlink()
    (tmp_path / "cache" / "pretrained_xumx.pth").unlink()
    server.bodies["pretrained_xumx.pth"] = b"x" * server.lengths["pretrained_xumx.pth"]
    with pytest.raises(UserError, match=rf"SHA-256 is .*, wanted {digest} \(kept in .*\.sha256\)"):
        zoo.fetch("xumx-asteroid")


@pytest.mark.parametrize("left", [b"", b"\n", b"0123abc", b"\xff" * 64])
def test_a_kept_digest_that_is_damaged_is_written_again(server, tmp_path, caplog, left):
    """A kill may have left it empty."""
    path = zoo.fetch("xumx-asteroid")
    kept = tmp_path / "cache" / "pretrained_xumx.pth.sha256"
    content = kept.read_text()
    path.unlink()
    kept.write_bytes(left)
    caplog.clear()
    assert zoo.fetch("xumx-asteroid").is_file() and server.requests == 1
    assert kept.read_text() == content
    assert caplog.text.count("pretrained_xumx.pth.sha256: held no SHA-256, and is written") == 1


def test_a_row_of_several_models_is_a_bag(server, tmp_path, monkeypatch, capsys):
    """Any kinds of weights, each with a number or with numbers by source."""
    (one,), (other,) = (zoo.PUBLISHED[name].members for name in ("x-umx", "xumx-asteroid"))
    members = (replace(one, weight={"vocals": 1, "bass": 3}), replace(other, weight=1))
    row = published.Published("both", members, "theirs")
    monkeypatch.setitem(zoo.PUBLISHED, "both", row)
    path = zoo.find("both")
    assert path == tmp_path / "cache" / "both.bag"
    assert shown(tmp_path / "cache") == ["both", "both.bag"]
    assert shown(path) == ["0.safetensors", "1.safetensors", "bag.json"]
    found = load.load_bag("both")
    assert set(found.sources) == set(row.sources) == {"bass", "drums", "other", "vocals"}
    counts = {"bass": [0.75, 0.25], "vocals": [0.5, 0.5]}
    wanted = np.transpose([counts.get(name, [0, 1]) for name in found.sources]).tolist()
    assert found.weights.tolist() == wanted and len(found.members) == 2
    assert {member.info["licence"] for member in found.members} == {"theirs"}
    assert [member.info["kind"] for member in found.members] == ["xumx-nnabla", "xumx-asteroid"]
    alone = load.load_bag("x-umx").only
    jax.tree.map(np.testing.assert_array_equal, found.members[0].variables, alone.variables)
    assert cli.main(["models"]) == 0 and "both" in capsys.readouterr().out
    # as a folder it is a bag, too, and can be written elsewhere
    load.convert(str(path), tmp_path / "copy")
    assert load.load_weights(tmp_path / "copy").weights.tolist() == wanted
    with pytest.raises(UserError, match="2 models become a folder, in float32; use a folder"):
        load.convert(str(path), tmp_path / "copy.safetensors")
    (path / "bag.json").write_text('{"format": 1, "members": [{"file": "0.safetensors"}]}')
    with pytest.raises(UserError, match="bag.json: does not describe models with weights"):
        load.load_weights(path)


@pytest.mark.slow
def test_a_row_may_have_a_rule(server, monkeypatch, capsys):
    members = tuple(zoo.PUBLISHED[name].members[0] for name in ("x-umx", "xumx-asteroid"))
    row = published.Published("both", members, "theirs", combine="cdx")
    monkeypatch.setitem(zoo.PUBLISHED, "both", row)
    with pytest.raises(UserError, match="the rule cdx is for models for mono"):
        zoo.find("both")
    monkeypatch.setitem(combinations.COMBINATIONS, "cdx", combinations.mean)
    zoo.find("both")
    assert load.load_bag("both").combine == "cdx"
    assert cli.main(["models"]) == 0 and "combined by the rule cdx" in capsys.readouterr().out


def toy_arguments(tensors, info):
    """The sources are the files' targets, and no tensor shows the rate."""
    (width,) = {t.shape[-1] for name, t in tensors.items() if name.endswith("conv.weight")}
    return {"sources": info["targets"], "width": width, **info.get("settings", {})}


def toy_rules(model):
    """Each file has the output of one source: [1, 1, tap] and [1]."""
    sources = model["sources"]
    before = [f"{source}/" for source in sources] if len(sources) > 1 else [""]
    weights, biases = (tuple(f"{b}conv.{name}" for b in before) for name in ("weight", "bias"))
    return [
        Rule(
            "params/conv/kernel", weights, lambda *parts: np.concatenate(parts).transpose(2, 1, 0)
        ),
        Rule("params/conv/bias", biases, lambda *parts: np.concatenate(parts)),
    ]


@pytest.fixture
def toy(server, tmp_path, monkeypatch):
    """A kind of weights that is not Open-Unmix's, and a file of it for each source."""
    kind = Kind("toy_wave", r"()([^/]+/)?conv\.weight", toy_arguments, toy_rules)
    monkeypatch.setitem(models.MODELS, "toy_wave", ToyWave)
    monkeypatch.setitem(converters.KINDS, "toy", kind)
    for number, source in enumerate(published.FOUR):
        weight, bias = np.full((1, 1, 5), number, np.float32), np.full(1, -number, np.float32)
        path = write_pth(tmp_path / "theirs.pth", {"conv.weight": weight, "conv.bias": bias})
        for name in (f"{source}.pth", f"{source}/model.pth"):
            server.bodies[name] = path.read_bytes()
            server.lengths[name] = path.stat().st_size


def offer_toys(server, monkeypatch, *members, pattern="{}.pth", **fields):
    """Serve a row "toy"; each member is the sources of its files, `fields` are for all."""
    base = f"http://127.0.0.1:{server.server_port}/"
    made = (
        PublishedMember({s: File(base + pattern.format(s)) for s in sources}, "toy", sources)
        for sources in members
    )
    row = published.Published("toys", tuple(replace(one, **fields) for one in made), "theirs")
    monkeypatch.setitem(zoo.PUBLISHED, "toy", row)


@pytest.mark.parametrize("pattern", ["{}.pth", "{}/model.pth"])
def test_a_row_of_single_targets_is_a_bag(server, toy, monkeypatch, pattern):
    """The row says what a file's target is, and what no tensor shows."""
    singly = [(name,) for name in published.FOUR]
    settings = {"sample_rate": 16000}
    offer_toys(server, monkeypatch, *singly, pattern=pattern, settings=settings, chunk=900)
    found = load.load_bag("toy")
    assert found.sources == published.FOUR
    np.testing.assert_array_equal(found.weights, np.eye(4))
    for number, member in enumerate(found.members):
        wanted = {"sources": (published.FOUR[number],), "width": 5, "sample_rate": 16000}
        assert build("toy_wave", **member.args) == build("toy_wave", **wanted)
        assert member.info["kind"] == "toy" and member.info["separation"] == {"chunk_size": 900}
        np.testing.assert_array_equal(member.variables["params"]["conv"]["bias"], [-number])


def test_single_targets_go_beside_a_whole_model(server, toy, monkeypatch):
    offer_toys(server, monkeypatch, ("vocals", "drums"), ("vocals",), ("bass",))
    found = load.load_bag("toy")
    assert found.sources == ("vocals", "drums", "bass") and server.requests == 3
    np.testing.assert_array_equal(found.weights, [[0.5, 1, 0], [0.5, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("pattern", ["{}.pth", "{}/model.pth"])
def test_several_files_of_any_kind_make_one_model(server, toy, monkeypatch, pattern):
    offer_toys(server, monkeypatch, published.FOUR, pattern=pattern)
    module, variables, info = load.load_module("toy")
    assert module.sources == published.FOUR and info["kind"] == "toy"
    np.testing.assert_array_equal(variables["params"]["conv"]["bias"], [0, -1, -2, -3])
    np.testing.assert_array_equal(variables["params"]["conv"]["kernel"][3, 0], [0, 1, 2, 3])


def test_a_kept_download_is_converted_without_the_network(server):
    path = zoo.fetch("x-umx")
    path.unlink()
    assert zoo.fetch("x-umx") == path and path.is_file()
    assert server.requests == 1


def test_a_damaged_download_is_fetched_again(server):
    path = zoo.fetch("x-umx")
    path.unlink()
    path.with_suffix(".h5").write_bytes(b"damaged")
    assert zoo.fetch("x-umx").is_file()
    assert server.requests == 2


def test_a_bar_is_drawn(server, capsys):
    with console.shown_log():
        zoo.find("x-umx")
    assert "x-umx: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["cut off", "another file", "not there"])
def test_failed_downloads_leave_nothing_under_a_final_name(server, tmp_path, fault):
    whole = server.bodies["x-umx.h5"]
    if fault == "cut off":
        server.bodies["x-umx.h5"] = whole[:1000]
    elif fault == "another file":
        server.bodies["x-umx.h5"] = b"x" * len(whole)
    else:
        server.status = 404
    with pytest.raises(UserError, match=r"x-umx\.h5: (download|SHA-1)") as caught:
        zoo.fetch("x-umx")
    assert "\n" not in str(caught.value)
    kept = ["x-umx.h5.part"] if fault == "cut off" else []  # what the next call resumes with
    assert shown(tmp_path / "cache") == kept


def test_other_sources_than_said_are_refused(server, monkeypatch):
    (member,) = zoo.PUBLISHED["x-umx"].members
    member = replace(member, sources=("speech", "noise"))
    offered = replace(zoo.PUBLISHED["x-umx"], members=(member,))
    monkeypatch.setitem(zoo.PUBLISHED, "x-umx", offered)
    with pytest.raises(UserError, match="x-umx: its files hold bass, drums, other, vocals, not"):
        zoo.fetch("x-umx")


def test_models_are_listed_and_downloaded(server, tmp_path, capsys):
    assert cli.main(["models"]) == 0
    said = capsys.readouterr().out
    for name, model in zoo.PUBLISHED.items():
        assert name in said and model.licence in said and ", ".join(model.sources) in said
    assert "mean 5.79 dB" in said and "cached" not in said and server.requests == 0
    assert cli.main(["models", "--download", "umxse", "--download", "demo"]) == 0
    said = capsys.readouterr().out
    assert "umxse.safetensors" in said and "licence: see zenodo.org/records/3786908" in said
    assert "demo.safetensors" in said
    assert cli.main(["models"]) == 0
    assert capsys.readouterr().out.count("cached") == 1
    assert cli.main(["models", "--download", "umxxl"]) == 2
    assert "unknown model 'umxxl'; known: x-umx, xumx-asteroid" in capsys.readouterr().err


def test_rows_are_complete():
    for name, model in published.PUBLISHED.items():
        assert model.licence and model.what, name
        assert set(model.scores) in (set(), set(model.sources)), name
        for member in model.members:
            assert member.kind in converters.KINDS, name
            if len(member.files) > 1:
                assert tuple(member.files) == member.sources, name
                assert member.settings or not member.kind.startswith("openunmix"), name
            for file in member.files.values():
                assert file.url.startswith("https://")
    assert "NC" in published.PUBLISHED["umxl"].licence and zoo.DEFAULT != "umxl"
    means = {name: round(m.mean, 2) for name, m in published.PUBLISHED.items() if m.scores}
    assert means["umx"] == 5.33 and means["umxhq"] == 5.41 and means["umxl"] == 6.32
    assert means["mdx"] == 7.68  # as its author says elsewhere
    assert means["x-umx"] == 5.79 and means["xumxl-asteroid"] == 6.52


def test_the_readme_has_the_same_scores():
    """Of the models that it lists; the zoo's page, made from the rows, lists all."""
    rows = {}
    for line in (HERE.parent / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 8 and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = cells[2:7]
    assert {zoo.DEFAULT, assets.DEMO} < set(rows) <= set(zoo.names())
    for name in set(rows) - {assets.DEMO}:
        model = published.PUBLISHED[name]
        found = [float(cell) for cell in rows[name] if cell]
        wanted = [model.scores[stem] for stem in published.FOUR] if model.scores else []
        assert found == pytest.approx(wanted + [model.mean] * bool(wanted), abs=0.00501), name


@golden("torch/layouts/urls.json")
def test_addresses_are_those_on_record(path):
    wanted = json.loads(path.read_text())
    for name, files in wanted["openunmix"].items():
        ours = published.PUBLISHED[name].members[0].files
        found = {t: {"url": f.url, "sha256_prefix": f.digest[7:]} for t, f in ours.items()}
        assert found == files
    for theirs, name in (("XUMX", "xumx-asteroid"), ("XUMXL", "xumxl-asteroid")):
        assert (
            published.PUBLISHED[name].members[0].files[""].url == wanted["asteroid"][theirs]["url"]
        )


def test_default_falls_back_to_the_demo_and_says_so_in_one_line(tmp_path, monkeypatch, caplog):
    def offline(url, timeout):
        raise URLError("no route to host")

    monkeypatch.setattr(zoo.find, "__defaults__", (zoo.DEFAULT, tmp_path, offline))
    (member,) = load.load_bag(None).members
    assert member.info["path"] == str(assets.DEMO_FILE)
    assert member.info["fallback"]["wanted"] == "x-umx"
    assert "no route to host" in member.info["fallback"]["reason"]
    lines = caplog.text.splitlines()
    assert len(lines) == 1
    assert "published weights unavailable" in lines[0] and "no route to host" in lines[0]
    assert "using the bundled demo model" in lines[0]
    with pytest.raises(UserError, match="no route to host"):
        zoo.find("x-umx", tmp_path, offline)
    with pytest.raises(UserError, match="no route to host"):
        load.load_module()  # to be exported or trained on: no other model will do


def test_names(monkeypatch):
    assert zoo.find("demo") == assets.DEMO_FILE
    with pytest.raises(UserError, match="unknown model 'umxxl'; known: x-umx, .*, demo, or a path"):
        zoo.find("umxxl")


def test_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file.*cannot be used as a cache"):
        zoo.fetch("x-umx", tmp_path / "file" / "cache")


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("XUMX_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert runtime.cache_folder() == tmp_path / "xumx_jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert runtime.cache_folder().parts[-2:] == (".cache", "xumx_jax")
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "other"))
    assert runtime.cache_folder() == tmp_path / "other"
