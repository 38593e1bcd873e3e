"""Every command in the documentation is one that the programs take."""

import glob
import re
import shlex
from importlib.util import find_spec

import jax
import pytest
from documentation import DOCS, ROOT, docs_module, pages, shell_lines

from configs import command_line
from xumx_jax.models import MODELS, build, model_class
from xumx_jax.models.interface import fields, optional, variable_shapes
from xumx_jax.training import config_checks

tables = docs_module("tables")
COMMANDS = ("separate", "web", "serve", "convert", "models", "export", "doctor", "plot")
TEXTS = ["README.md", "MODEL_CARD.md", *(f"docs/{page}" for page in pages())]
# of programs whose parsers are not ours, or are made where they run
OTHERS = {
    "--processes",  # pipelines.songs
    *("--head", "--array"),  # Ray, SLURM; --port is the launcher's too
    *("--manual_dir", "--data_dir", "--config"),  # pipelines.records: of tensorflow-datasets
    *("--songs", "--first-seed", "--seconds", "--rate", "--engine"),  # pipelines.songs
    *("--material", "--without-missing", "--held-out"),
    *("--out", "--model", "--table"),  # docs/make_picture.py, docs/make_slicq.py
    *("--minutes", "--core-dollars", "--utilisation"),  # bench/simulate_scale.py
    *("--overhead-seconds", "--cores-per-chip", "--read-gb"),
    *("--device", "--batch", "--precision", "--rounds", "--also"),  # bench/
    *("--build-arg", "--detach", "--env", "--gpus", "--publish", "--read-only", "--rm"),  # docker
    *("--tag", "--tmpfs", "--volume"),
    "--xla_cpu_multi_thread_eigen",
}


@pytest.mark.parametrize("path", TEXTS)
def test_programs_and_files_exist(path):
    text = (ROOT / path).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:`|^ +)make ([a-z-]+)", text, re.M)) <= targets
    scripts = re.findall(r"python ((?:[a-z_]+/)*[a-z_]+\.py)", text)
    for name in [*scripts, *re.findall(r"\b(?:configs|examples|bench)/[a-z_]+\.[a-z]+", text)]:
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"python -m ((?:pipelines|xumx_jax)[a-z_.]*)", text):
        assert find_spec(name) is not None, name


@pytest.mark.parametrize("path", TEXTS)
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", (ROOT / path).read_text(), flags=re.M | re.S)
    made = {DOCS / page for page in docs_module("hooks").ROOT_PAGES}
    for target in re.findall(r"\]\((?!http|#)([^)#\s]+)", text):
        place = (ROOT / path).parent.joinpath(target).resolve()
        assert place.is_file() or place in made, target


def known_options():
    made = {"--help", "--debug"} | OTHERS
    for name in (*COMMANDS, "evaluate", "train", "slicq_search", "films", "launch"):
        made |= tables.options_of(tables.parser_of(name))
    return made


@pytest.mark.parametrize("path", TEXTS)
def test_options_exist(path):
    text = (ROOT / path).read_text()
    text = text.replace("--config.", "--config ").replace("-->", "").replace("<!--", "")
    found = {name.rstrip("-_") for name in re.findall(r"(?<![\w-])--[a-z][a-z_-]*", text)}
    assert found <= known_options()


def config_overrides():
    return [
        (path, found)
        for path in TEXTS
        for found in re.findall(r"--config\.([\w.]+)", (ROOT / path).read_text())
    ]


@pytest.mark.parametrize("path, key", config_overrides())
def test_config_keys_exist(path, key):
    known = set(command_line.flatten(command_line.base().to_dict()))
    known |= {f"model.args.{name}" for model in MODELS for name in fields(model_class(model))}
    made_up = path.startswith("docs/extend/")  # of what the page adds, whose test runs it
    assert key in known or key.endswith(("KEY", "OPTION")) or made_up, path


def commands():
    return [(path, line) for path in TEXTS for line in shell_lines((ROOT / path).read_text())]


@pytest.mark.parametrize("path, line", commands())
def test_commands_are_understood(path, line, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shlex.split(re.sub(r"\s<\s\S+", "", line))
    if words[:2] == ["python", "separate.py"]:
        words = ["xumx", "separate", *words[2:]]
    if words[:2] in (["xumx", "train"], ["xumx", "evaluate"]):
        words = ["python", f"{words[1]}.py", *words[2:]]
    if words[0] == "xumx":
        tables.parser_of(words[1]).parse_args(words[2:])
    elif words[:2] == ["python", "evaluate.py"]:
        tables.parser_of("evaluate").parse_args(words[2:])
    elif "train.py" in words:
        given, rest = tables.parser_of("train").parse_known_args(
            words[words.index("train.py") + 1 :]
        )
        config_checks.check(command_line.override(command_line.read(given.config), rest))
    elif words[0] == "python":
        assert words[1] == "-m" or glob.glob(words[1]), line
    else:
        assert words[0] in ("make", "pip", "source"), line


@pytest.mark.parametrize("page", pages())
def test_files_that_are_named_exist(page):
    """Also those of the walks, which are named from xumx_jax/ on."""
    text = re.sub(r"^```.*?^```", "", (DOCS / page).read_text(), flags=re.M | re.S)
    new = set(re.findall(r'^```python title="([^"]+)"', (DOCS / page).read_text(), re.M))
    found = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", text))
    first = {"xumx_jax", "pipelines", "configs", "bench", "docs", "examples", "tests"}
    rooms = {path.name for path in (ROOT / "xumx_jax").iterdir()}
    for name in found - new:
        if name.split("/")[0] in first:
            assert (ROOT / name).exists(), name
        elif name.split("/")[0] in rooms:
            assert (ROOT / "xumx_jax" / name).exists(), name


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert listed == {*pages(), *docs_module("hooks").ROOT_PAGES}


@pytest.mark.parametrize("page", pages())
def test_first_line_is_the_title(page):
    assert re.match(r"# \S", (DOCS / page).read_text())


def test_every_data_set_has_its_layout():
    from pipelines.datasets import DATASETS

    layouts = (DOCS / "train" / "data.md").read_text().split("## Layouts")[1].split("##")[0]
    assert set(re.findall(r"^\| `(\w+)`", layouts, re.M)) == set(DATASETS)


def test_every_kind_of_weights_is_listed():
    from xumx_jax.weights.converters import KINDS

    text = (DOCS / "weights" / "convert.md").read_text()
    assert sorted(re.findall(r"^\| `(\w[\w-]*)`", text, re.M)) == sorted(KINDS)


def test_every_name_of_the_zoo_has_its_reason():
    from xumx_jax.weights import zoo

    named = {}
    for text in (DOCS / "use" / "models.md", ROOT / "README.md"):
        rows = [line for line in text.read_text().splitlines() if line.startswith("| `")]
        found = [name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[1])]
        named[text.name] = set(found)
    assert named["models.md"] == set(zoo.names())
    assert zoo.DEFAULT in named["README.md"] and named["README.md"] <= set(zoo.names())


def test_the_glossary_is_in_order():
    words = re.findall(r"^\*\*(.+?)\.\*\*", (DOCS / "glossary.md").read_text(), re.M)
    assert len(words) > 60 and words == sorted(set(words), key=str.lower)


def rows_of_networks() -> dict[str, list[str]]:
    """{key of MODELS: cells} of the table of networks."""
    text = (DOCS / "use" / "models.md").read_text().partition("## The networks")[2]
    rows = [row.strip("|").split("|") for row in text.splitlines() if row.startswith("| ")]
    return {cells[1].strip(" `"): [cell.strip() for cell in cells] for cells in rows[1:]}


def test_every_model_is_among_the_networks():
    from xumx_jax.weights.published import PUBLISHED

    found = rows_of_networks()
    assert set(found) == set(MODELS)
    for name, (*_, speed, score) in found.items():
        usual = optional(build(name), "usual_speed")
        assert speed == ("not measured" if usual is None else str(usual["cpu"])), name
        if score not in ("no weights", "none published"):
            mean, row = re.match(r"([\d.]+) \(`([\w-]+)`", score).groups()
            assert mean == f"{PUBLISHED[row].mean:.2f}", name


@pytest.mark.slow
def test_sizes_of_networks_are_those_of_their_defaults():
    for name, cells in rows_of_networks().items():
        shapes = jax.tree.leaves(variable_shapes(build(name))["params"])
        assert cells[3] == f"{sum(leaf.size for leaf in shapes) / 1e6:.1f}", name


def test_the_zoo_says_which_networks():
    rows = tables.make("zoo")
    assert "| 2 <code>demucs</code>, 2 <code>hdemucs</code> |" in rows
    assert "| 1 <code>umx</code> |" in rows
