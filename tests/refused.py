"""Weights that have to be refused by `xumx convert`."""

from xumx_jax import cli


def convert(path, tmp_path, capsys):
    """`xumx convert` of a file that it has to refuse, in one line that names it -> that line."""
    assert cli.main(["convert", str(path), str(tmp_path / "out.safetensors")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("xumx: error: ") and path.name in said and said.count("\n") == 1, said
    assert not (tmp_path / "out.safetensors").exists() and "unexpected" not in said
    return said
