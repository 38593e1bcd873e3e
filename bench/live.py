"""Time live separation: full-size X-UMX and Open-Unmix that look back only, random weights.

    make bench-live        ARGS="--seconds 30 --cores 2"

A hop of 1024 samples at 44.1 kHz lasts 23.2 ms: a step of one frame has to be quicker. The signal
is pushed hop by hop as fast as possible, then in small blocks when they are due, as a sound card
would, where a push that takes longer than its block would be audible. Fails unless the stems
equal those of a Separator for the whole signal.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time

import numpy as np
from worker import machine, peak_mib

from separate import RATE, music

LIMIT = 1e-5
BLOCK = 256  # samples, of the pushes that are timed as a sound card would push
MODELS = {"xumx": "X-UMX", "umx": "Open-Unmix"}
WAYS = (
    {"rate": RATE},
    {"rate": RATE, "hops": 4},
    {"rate": RATE, "background": True},
    {"rate": 48_000},
)


def made(name: str):
    """Build a model of full size that looks back only -> (module, variables)."""
    import jax
    import jax.numpy as jnp

    from xumx_jax.models import build

    module = build(name, unidirectional=True)
    return module, jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 2, 8192)))


def run(live, mix: np.ndarray, size: int, paced: bool = False) -> tuple[np.ndarray, dict]:
    """Push [channel, time] in blocks of `size` -> (stems, facts); `paced`: each when it is due."""
    live.push(mix[:, : live.model.n_fft])  # nothing counted is the first of its kind
    live.finish()
    parts, took, begin = [], [], time.perf_counter()
    worked = time.process_time()
    for at in range(0, mix.shape[1], size):
        block = mix[:, at : at + size]
        if paced:
            time.sleep(max(0, begin + (at + size) / live.rate - time.perf_counter()))
        start = time.perf_counter()
        parts.append(live.push(block))
        took.append(1000 * (time.perf_counter() - start))
    worked = time.process_time() - worked
    parts.append(live.finish())
    stems = np.concatenate([np.stack(list(part.values())) for part in parts], axis=-1)
    seconds = mix.shape[1] / live.rate
    return stems[..., live.latency :], {
        "pushes": took,
        "factor": sum(took) / 1000 / seconds,
        "cpu": worked / seconds,
    }


def stated(took: list[float]) -> str:
    median, worst = statistics.median(took), max(took)
    return f"{median:.2f} | {np.percentile(took, 99):.2f} | {worst:.2f}"


def described(options: dict) -> str:
    words = [f"{options['rate'] / 1000:g} kHz"]
    words += [f"{options['hops']} frames a step"] if "hops" in options else []
    return ", ".join(words + ["background"] * ("background" in options))


def measure(name: str, mix: np.ndarray, paced_seconds: float) -> tuple[list[str], list[str], dict]:
    """All ways of one model -> (rows of the first table, rows of the second, facts)."""
    from xumx_jax.audio import resample
    from xumx_jax.separation.separator import Separator
    from xumx_jax.separation.umx.live import Live

    module, variables = made(name)
    separator = Separator(module, variables, niter=0)
    rows, paced_rows, facts = [], [], {}
    for options in WAYS:
        begin = time.perf_counter()
        live = Live(module, variables, **options)
        began = time.perf_counter() - begin
        rate, hops = options["rate"], options.get("hops", 1)
        signal = resample(mix, RATE, rate)
        # at another rate as many samples as make each push bring about a step
        size = round(module.hop * hops * rate / module.sample_rate)
        stems, fact = run(live, signal, size)
        whole = np.stack(list(separator(signal, rate).values()))
        difference = float(np.abs(stems - whole).max())
        if not difference <= LIMIT:
            raise SystemExit(f"{name}, {described(options)}: the stems differ by {difference:.1e}")
        fact |= {"latency_ms": 1000 * live.latency_seconds, "difference": difference}
        facts[described(options)] = fact
        rows.append(
            f"| {MODELS[name]}, {described(options)} | {fact['latency_ms']:.1f} | "
            f"{1000 * size / rate:.1f} | {stated(fact['pushes'])} | {fact['factor']:.2f} | "
            f"{fact['cpu']:.2f} | {1 / fact['factor']:.1f} | {difference:.0e} | {began:.1f} |"
        )
        if rate == RATE and hops == 1 and paced_seconds:
            signal = signal[:, : int(RATE * paced_seconds)]
            took = run(live, signal, BLOCK, paced=True)[1]["pushes"]
            late = sum(one > 1000 * BLOCK / RATE for one in took)
            facts[described(options)]["late"] = late / len(took)
            paced_rows.append(
                f"| {MODELS[name]}, {described(options)} | {stated(took)} | {late} of {len(took)} |"
            )
    return rows, paced_rows, facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30, help="length of the signal")
    parser.add_argument("--paced", type=float, default=10, help="of it, pushed when due; 0: none")
    parser.add_argument("--cores", type=int, default=1, help="how many to use")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # before JAX counts them
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    import jax

    mix = music(options.seconds)
    before = os.getloadavg()[0]
    results = {name: measure(name, mix, options.paced) for name in MODELS}
    print(f"{machine()}, load {before:.1f} before, {os.getloadavg()[0]:.1f} after;", end=" ")
    print(f"jax {jax.__version__}, Python {platform.python_version()}; {options.seconds:g} s of")
    print(f"stereo, hop by hop; {peak_mib():.0f} MiB at most, whole tracks for comparison included")
    print("\n| | latency ms | a push lasts, ms | takes: median ms | p99 ms | max ms", end=" ")
    print("| real-time factor | of CPU time | x real time | difference | ready after s |")
    print("|---" * 11 + "|")
    print("\n".join(row for rows, _, _ in results.values() for row in rows))
    if options.paced:
        print(f"\nIn real time, {BLOCK} samples ({1000 * BLOCK / RATE:.1f} ms) a push:\n")
        print("| | takes: median ms | p99 ms | max ms | longer than it lasts |")
        print("|---" * 5 + "|")
        print("\n".join(row for _, rows, _ in results.values() for row in rows))
    result = {"bench": "live", "cores": options.cores}
    names = {"factor": "real_time_factor", "cpu": "real_time_factor_cpu"}
    for key in ("factor", "cpu", "latency_ms", "difference", "late"):
        result[names.get(key, key)] = {
            f"{name}, {way}": float(f"{fact[key]:.3g}")
            for name, (_, _, facts) in results.items()
            for way, fact in facts.items()
            if key in fact
        }
    result["load"] = round(before, 2)
    sys.stdout.flush()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
