"""What a million songs cost, and what binds a training run on 256 chips: arithmetic, no cluster.

    python bench/simulate_scale.py          writes its tables into docs/scale.md with --write

What is measured: how fast each network separates on two CPU cores (`usual_speed` of the models),
what a file costs beside its music, and a batch the input pipeline (bench/RESULTS.md). What is
counted: the operations of a network, by tracing it. What is published: peak rates and links
(ACCELERATORS, with sources). What is assumed, and an option each: the share of the peak that is
reached, prices, sizes of files.
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from scale_arithmetic import Level, Step, all_reduce_seconds, flops_of, worker_seconds

from xumx_jax import files
from xumx_jax.models import MODELS, build
from xumx_jax.models.interface import optional, variable_shapes
from xumx_jax.separation.engine import usual_overlap

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "scale.md"
CORES = 2  # that `usual_speed` was measured on
CHIPS = 256
BACKWARD = 3  # a step's operations per forward pass: the gradient takes twice as many
GB, TB = 1e9, 1e12


class Accelerator(NamedTuple):
    """A chip as its maker publishes it.

    teraflops  of products of bfloat16, dense
    levels     links among 256 of them: how many at each level, and what each sends per second
    dollars    an hour, as an example
    source     of all but the price
    """

    teraflops: float
    levels: tuple[Level, ...]
    dollars: float
    source: str


# Latencies are orders of magnitude; arrays here are so large that they do not matter.
ACCELERATORS = {
    "H100 SXM": Accelerator(
        989, (Level(8, 450 * GB, 3e-6), Level(32, 50 * GB, 1e-5)), 3.0,
        "NVIDIA's data sheets of H100 (NVLink, 900 GB/s in both directions together) and DGX H100 "
        "(a network card of 400 Gb/s for each GPU)",
    ),
    "TPU v5e": Accelerator(
        197, (Level(256, 200 * GB, 1e-6),), 1.2,
        "cloud.google.com/tpu/docs/v5e (400 GB/s in both directions together)",
    ),
    "TPU v5p": Accelerator(
        459, (Level(256, 600 * GB, 1e-6),), 4.2,
        "cloud.google.com/tpu/docs/v5p (1200 GB/s in both directions together)",
    ),
}  # fmt: skip


class Network(NamedTuple):
    """A network with its default arguments.

    speed    seconds of music per second on CORES cores, measured
    flops    of a second of music, forward, without overlap of chunks
    overlap  of chunks in separation
    """

    sources: int
    rate: int
    parameters: int
    speed: float
    flops: float
    overlap: float


def network(name: str) -> Network:
    model = build(name)
    length = model.segment.chunk(model.segment.usual)
    mix = jax.ShapeDtypeStruct((1, model.channels, length), np.float32)
    variables = variable_shapes(model)
    flops = flops_of(lambda v, x: model.apply(v, x).wave, variables, mix)
    return Network(
        len(model.sources),
        model.sample_rate,
        sum(leaf.size for leaf in jax.tree.leaves(variables["params"])),
        optional(model, "usual_speed")["cpu"],
        flops * model.sample_rate / length,
        usual_overlap(model, None) if optional(model, "engine") == "chunked" else 0.0,
    )


# {what a catalogue's files take: its row in the table of RESULTS.md, in seconds}
MEASURED = {
    "overhead": "beside its music, each file",
    "decode": "CPU, a minute of MP3 decoded",
    "encode": "CPU, a minute of one stem as FLAC",
}


def measured_seconds(name: str) -> float:
    """A figure of MEASURED."""
    row = re.search(rf"^\| {MEASURED[name]} \| ([\d.]+) s \|", results(), re.M)
    if row is None:
        raise SystemExit("bench/RESULTS.md: no figures of `make bench-cluster` in it")
    return float(row[1])


def results() -> str:
    return (HERE / "RESULTS.md").read_text()


def input_cpu_seconds() -> float:
    """CPU seconds in which a host reads a second of one stem, from the table in RESULTS.md."""
    text = results()
    said = re.search(r"Batches of (\d+) x (\d+) stems x (\d+) s from 16-bit WAV", text)
    row = re.search(r"^\| ours, tf-packed \| [\d.]+ \| ([\d.]+) \|", text, re.M)
    if said is None or row is None:
        raise SystemExit("bench/RESULTS.md: no figures of `make bench-loader` in it")
    return float(row[1]) / 1000 / np.prod([int(number) for number in said.groups()])


class Separation(NamedTuple):
    """What a catalogue takes: hours of a core, or of an accelerator; bytes in and out."""

    core_hours: float
    chip_hours: float
    bytes_in: float
    bytes_out: float


def separation(net: Network, chip: Accelerator, given: argparse.Namespace) -> Separation:
    music = given.songs * given.minutes * 60  # seconds
    rate = chip.teraflops * 1e12 * given.utilisation * (1 - net.overlap) / net.flops
    # one after the other, as the worker of a cluster does
    host = (given.decode_seconds + net.sources * given.encode_seconds) / 60
    hours = (
        worker_seconds(given.songs, music, speed, given.overhead_seconds) / 3600
        for speed in (net.speed / CORES, 1 / (1 / rate + host))
    )
    out = music * net.sources * net.rate * 2 * 2 * given.flac_ratio
    return Separation(*hours, music * given.kbps * 1000 / 8, out)


def training(net: Network, chip: Accelerator, given: argparse.Namespace, read: float) -> Step:
    """A step on CHIPS chips; `read` is CPU seconds for a second of a stem."""
    music = given.per_chip * given.seconds
    compute = BACKWARD * net.flops * music / (chip.teraflops * 1e12 * given.utilisation)
    exchange = all_reduce_seconds(4 * net.parameters, chip.levels)
    stems = music * net.sources  # seconds of them, read anew for every step
    reading = stems * net.rate * 2 * 2 / (given.read_gb * GB)
    return Step(compute, exchange, max(stems * read / given.cores_per_chip, reading))


def catalogue_table(networks: dict[str, Network], given: argparse.Namespace) -> str:
    name, chip = next(iter(ACCELERATORS.items()))
    lines = [
        f"| network | core hours | $ | hours of {name} | $ | out, TB | a month of storage, $ | "
        "sent out, $ |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for key, net in networks.items():
        found = separation(net, chip, given)
        cells = (
            found.core_hours, found.core_hours * given.core_dollars, found.chip_hours,
            found.chip_hours * chip.dollars, found.bytes_out / TB,
            found.bytes_out / GB * given.storage_dollars,
            found.bytes_out / GB * given.egress_dollars,
        )  # fmt: skip
        lines.append(f"| `{key}` | {' | '.join(map(rounded, cells))} |")
    first, net = next(iter(networks.items()))
    hours = separation(net, chip, given).chip_hours
    at_once = separation(net, chip._replace(teraflops=math.inf), given).chip_hours
    lines += ["", f"Of the {rounded(hours)} hours of `{first}` on an {name}, it computes "
              f"{rounded(hours - at_once)}."]  # fmt: skip
    return "\n".join(lines)


def training_table(networks: dict[str, Network], given: argparse.Namespace) -> str:
    read = input_cpu_seconds()
    lines = [
        f"| network | gradient, MB | {' | '.join(ACCELERATORS)} | input |",
        f"|---|--:|{'---|' * len(ACCELERATORS)}--:|",
    ]
    for key, net in networks.items():
        steps = [training(net, chip, given, read) for chip in ACCELERATORS.values()]
        cells = [
            f"{1000 * one.compute:.1f} + {1000 * one.exchange:.1f}, {one.bound}, "
            f"{100 * one.efficiency:.0f} %"
            for one in steps
        ]
        size = f"{4 * net.parameters / 1e6:.0f}"
        lines.append(f"| `{key}` | {size} | {' | '.join(cells)} | {1000 * steps[0].input:.2f} |")
    return "\n".join(lines)


def rounded(value: float) -> str:
    """Three digits, and a thousand's comma."""
    digits = max(0, 2 - int(np.floor(np.log10(max(value, 1e-9)))))
    value = float(f"{value:.3g}")
    return f"{value:,.{min(digits, 2)}f}"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default, words in (
        ("songs", 1e6, "in the catalogue"),
        ("minutes", 4.0, "of a song"),
        ("kbps", 320.0, "of the files that come in"),
        ("flac-ratio", 0.6, "of what goes out to 16-bit WAV of the same length"),
        ("overhead-seconds", measured_seconds("overhead"), "of a worker, a file beside its music"),
        ("decode-seconds", measured_seconds("decode"), "of a core, a minute of music coming in"),
        ("encode-seconds", measured_seconds("encode"), "of a core, a minute of a stem going out"),
        ("utilisation", 0.2, "share of the peak rate that is reached"),
        ("core-dollars", 0.04, "an hour of a CPU core"),
        ("storage-dollars", 0.023, "a month of a GB"),
        ("egress-dollars", 0.09, "a GB that leaves the provider"),
        ("per-chip", 4.0, "examples of a batch on each chip"),
        ("seconds", 6.0, "of an example"),
        ("cores-per-chip", 8.0, "CPU cores of the host for each chip"),
        ("read-gb", 1.0, "GB that a host reads per second for each chip"),
    ):
        made.add_argument(
            f"--{name}", type=float, default=default, help=f"{words} (default: %(default)g)"
        )
    made.add_argument(
        "--hour", action="append", default=[], metavar="NAME=DOLLARS", help="price of a chip's hour"
    )
    made.add_argument("--networks", nargs="+", choices=list(MODELS), default=list(MODELS))
    made.add_argument("--write", action="store_true", help="the tables into docs/scale.md")
    return made


def main(arguments: list[str] | None = None) -> int:
    made = parser()
    given = made.parse_args(arguments)
    for each in given.hour:
        name, _, dollars = each.partition("=")
        if name not in ACCELERATORS or not dollars:
            made.error(f"--hour {each}: wanted one of {', '.join(ACCELERATORS)}, then =DOLLARS")
        ACCELERATORS[name] = ACCELERATORS[name]._replace(dollars=float(dollars))
    networks = {name: network(name) for name in given.networks}
    tables = {
        "catalogue": catalogue_table(networks, given),
        "training": training_table(networks, given),
    }
    if given.write:
        text = DOCS.read_text()
        for name, table in tables.items():
            begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
            before, _, rest = text.partition(begin)
            text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
        files.write(DOCS, text)
    for table in tables.values():
        print(f"{table}\n")
    print(
        json.dumps(
            {
                "benchmark": "simulate_scale",
                "networks": {k: v._asdict() for k, v in networks.items()},
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
