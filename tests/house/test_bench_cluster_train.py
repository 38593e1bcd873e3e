"""`bench/cluster_train.py` and the arithmetic of `bench/simulate_scale.py`: by hand, and tried."""

import argparse
import json
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)

    def load(name):
        return __import__(name)

    yield load
    for name in ("scale_arithmetic", "simulate_scale", "cluster_train", "worker"):
        sys.modules.pop(name, None)


def test_exchanges_by_hand(module):
    scale = module("scale_arithmetic")
    # each of two sends half of 8 bytes, twice, at 2 bytes a second; and two messages of 1 s
    assert scale.all_reduce_seconds(8, [scale.Level(2, 2.0, 1.0)]) == 4 + 2
    assert scale.all_reduce_seconds(8, [scale.Level(2, 2.0, 1.0)], exchanges=3) == 4 + 6
    # four in pairs: what a pair exchanges above is the half of each
    levels = [scale.Level(2, 2.0), scale.Level(2, 1.0)]
    assert scale.all_reduce_seconds(8, levels) == 4 + 4
    assert scale.all_reduce_seconds(8, [scale.Level(1, 2.0, 1.0)]) == 0


@pytest.mark.parametrize(
    "parts, seconds, bound, efficiency",
    [
        ((3.0, 1.0, 2.0), 4.0, "compute", 0.75),
        ((1.0, 3.0, 2.0), 4.0, "all-reduce", 0.25),
        ((1.0, 3.0, 8.0), 8.0, "input", 0.125),
    ],
)
def test_what_binds_a_step(module, parts, seconds, bound, efficiency):
    step = module("scale_arithmetic").Step(*parts)
    assert (step.seconds, step.bound, step.efficiency) == (seconds, bound, efficiency)


def test_a_line_goes_through_its_points(module):
    constant, slope = module("scale_arithmetic").line_through([(1, 5.0), (2, 7.0), (4, 11.0)])
    assert constant == pytest.approx(3) and slope == pytest.approx(2)


def test_operations_by_hand(module):
    flops_of = module("scale_arithmetic").flops_of
    x, w = jax.ShapeDtypeStruct((5, 3), "float32"), jax.ShapeDtypeStruct((3, 3), "float32")
    assert flops_of(jnp.matmul, x, w) == 2 * 5 * 3 * 3
    loop = lambda w, x: jax.lax.scan(lambda x, _: (x @ w, None), x, None, 7)  # noqa: E731
    assert flops_of(jax.checkpoint(loop), w, x) == 7 * 2 * 5 * 3 * 3
    choice = lambda x, w: jax.lax.cond(x[0, 0] > 0, lambda: x @ w @ w, lambda: x @ w)  # noqa: E731
    assert flops_of(choice, x, w) == 2 * 2 * 5 * 3 * 3
    wave, taps = (jax.ShapeDtypeStruct(s, "float32") for s in ((1, 2, 10), (6, 2, 3)))
    convolve = lambda x, k: jax.lax.conv(x, k, (1,), "VALID")  # noqa: E731
    assert flops_of(convolve, wave, taps) == 2 * (2 * 3) * (6 * 8)


def test_songs_by_hand(module):
    """Speed 2 on two cores: a core hour for each hour of music; work as for a chip at its peak."""
    simulate = module("simulate_scale")
    words = ["--songs", "60", "--minutes", "1", "--overhead-seconds", "60", "--utilisation", "1"]
    words += ["--decode-seconds", "12", "--encode-seconds", "12"]  # of four stems: a minute in all
    given = simulate.parser().parse_args([*words, "--kbps", "8", "--flac-ratio", "0.5"])
    net = simulate.Network(4, 1000, 10, speed=2.0, flops=1e12, overlap=0.5)
    chip = simulate.Accelerator(2.0, (), 3.0, "")
    found = simulate.separation(net, chip, given)
    assert found == (1 + 1, 1 + 1 + 1, 3600 * 1000, 3600 * 4 * 1000 * 2 * 2 * 0.5)
    given = simulate.parser().parse_args(
        ["--per-chip", "2", "--seconds", "1", "--utilisation", "1", "--cores-per-chip", "4"]
    )
    step = simulate.training(net, chip, given, read=0.5)
    assert step == (3 * 2 / 2, 0, 2 * 1 * 4 * 0.5 / 4)
    given.read_gb = 1e-5  # eight seconds of stems of 4 kB, at 10 kB a second
    assert simulate.training(net, chip, given, read=0.5).input == pytest.approx(3.2)
    assert simulate.input_cpu_seconds() > 0


@pytest.mark.parametrize(
    "value, wanted", [(123456.0, "123,000"), (12.345, "12.3"), (1.2345, "1.23"), (0.0123, "0.01")]
)
def test_three_digits_are_shown(module, value, wanted):
    assert module("simulate_scale").rounded(value) == wanted


def test_an_unknown_chip_is_an_error(module, capsys):
    with pytest.raises(SystemExit, match="2"):
        module("simulate_scale").main(["--hour", "abacus=1"])
    assert "--hour abacus=1: wanted one of H100 SXM, TPU v5e" in capsys.readouterr().err


def numbers(row: str) -> list[float]:
    return [float(word.replace(",", "")) for word in re.findall(r"[\d,]*\.?\d+", row)]


@pytest.mark.slow
def test_tables_of_the_docs_are_those_that_are_printed(module, capsys):
    """To a tenth, as layers change; of two networks, since all of them take half a minute."""
    names = ["xumx", "bs_roformer"]
    assert module("simulate_scale").main(["--networks", *names]) == 0
    said = capsys.readouterr().out
    told = json.loads(said.splitlines()[-1])["networks"]
    assert told["xumx"]["speed"] == 20 and told["bs_roformer"]["overlap"] == 0.25
    docs = (BENCH.parent / "docs" / "scale.md").read_text()
    for name in names:
        rows, written = (re.findall(rf"^\| `{name}` (.*)$", text, re.M) for text in (said, docs))
        assert len(rows) == len(written) == 2
        for row, other in zip(rows, written, strict=True):
            assert numbers(row) == pytest.approx(numbers(other), rel=0.1)


def test_curves_are_compared(module):
    bench = module("cluster_train")
    found = {(*layout, 8): {"losses": [2.0, 4.0]} for layout in bench.LAYOUTS}
    found[2, 1, 8] = {"losses": [2.0002, 3.0]}
    first, worst = bench.differences(found, 8)
    assert first == pytest.approx(1e-4) and worst == pytest.approx(0.25)


def test_two_processes_by_arithmetic(module):
    """1 s and 0.5 s an example alone; 20 exchanges of 10 ms, and 0.3 s for their bytes."""
    bench = module("cluster_train")
    found = {(1, 1, b): {"seconds": 1 + 0.5 * b, "cpu_seconds": 0.4 * b} for b in (8, 4, 2)}
    found[2, 1, 8] = {
        "gradient_bytes": 4e6, "exchange_seconds": 0.31, "message_seconds": 0.01, "all_reduces": 20,
        "exchange_cpu_seconds": 0.42, "message_cpu_seconds": 0.02, "seconds": 7.0,
        "cpu_seconds": 3.0,
    }  # fmt: skip
    step = bench.predicted(found, 8, "seconds")
    assert step.compute == pytest.approx(1 + 0.5 * 4)
    assert step.exchange == pytest.approx(0.3 + 20 * 0.01)
    check = bench.errors(found, 8)
    assert check["seconds"]["error"] == pytest.approx(3.5 / 7 - 1)
    # of both processes together: 0.2 s of each for the bytes, and twenty times 0.01
    assert check["cpu_seconds"]["predicted"] == pytest.approx(0.4 * 4 + 0.2 + 20 * 0.01)
    assert check["cpu_seconds"]["measured"] == 1.5


@pytest.mark.parametrize("last, status", [(3.0, 0), (3.1, 1)])
def test_it_fails_if_curves_part(module, monkeypatch, capsys, last, status):
    bench = module("cluster_train")

    def run(layout, batch, options):
        seconds = batch / layout[0]
        facts = {"seconds": seconds, "cpu_seconds": 1.0 * batch, "gradient_bytes": 4}
        facts |= {"exchange_seconds": 0.2, "message_seconds": 0.1, "all_reduces": 1}
        facts |= {"exchange_cpu_seconds": 0.2, "message_cpu_seconds": 0.1}
        return facts | {"losses": [2.0, last if layout == (2, 2) else 3.0]}

    monkeypatch.setattr(bench, "run", run)
    assert bench.main(["--quick"]) == status
    said = capsys.readouterr()
    told = json.loads(said.out.splitlines()[-1])
    assert told["efficiency"]["2x1"] == 1 and told["arithmetic"]["seconds"]["measured"] == 2
    assert told["arithmetic"]["seconds"]["predicted"] == pytest.approx(2 + 0.1 + 0.1)
    assert "| 2 | 1 | 2.00 | 4.00 | 100 % | 2.00 | 1 |" in said.out
    assert ("the curves differ" in said.err) == bool(status)


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_steps_are_taken_and_timed(module):
    bench = module("cluster_train")
    options = argparse.Namespace(quick=True, hidden=8, seconds=0.2, steps=2)
    facts = bench.run((1, 2), 4, options)
    assert len(facts["losses"]) == 3 and facts["losses"][2] < facts["losses"][0]
    assert min(facts[key] for key in ("seconds", "cpu_seconds", "exchange_seconds")) > 0
    assert facts["all_reduces"] > 1 and facts["gradient_bytes"] > 1e6
