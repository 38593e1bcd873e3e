"""What `augment.py` measures: the step with augmentations and they alone, or effects.

python bench/augment_side.py step|effects BATCH SECONDS ROUNDS QUICK
"""

import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from augment import BOTH, STEP, STEP_WITH_BOTH

from train import RATE, songs

sys.path.append(str(Path(__file__).parents[1]))
RESPONSES, TAIL = 20, 1.5  # how many impulse responses, seconds


def taking_turns(tasks: dict[str, Callable], rounds: int) -> dict[str, dict[str, float]]:
    """Run `task(round)` of each in turn, once uncounted -> medians of the seconds."""
    found: dict[str, list] = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            began, worked = time.perf_counter(), time.process_time()
            task(number)
            worked = time.process_time() - worked
            found[name].append({"cpu_seconds": worked, "seconds": time.perf_counter() - began})
    return {
        name: {key: statistics.median(turn[key] for turn in turns[1:]) for key in turns[0]}
        for name, turns in found.items()
    }


def write_responses(folder: Path) -> None:
    """Noise that dies away."""
    import soundfile

    draw, time_ = np.random.default_rng(0), np.arange(round(TAIL * RATE)) / RATE
    for number in range(RESPONSES):
        fading = 0.1 * np.exp(-5 * time_)[:, None] * draw.normal(size=(len(time_), 2))
        soundfile.write(folder / f"{number}.wav", fading, RATE, subtype="FLOAT")


def inside(batch: int, seconds: float, rounds: int, quick: bool) -> dict:
    """The step, with and without augmentations, and every augmentation alone."""
    import jax
    import jax.numpy as jnp
    from accelerator import ROWS
    from accelerator_jax import model_of
    from train_jax import adapter

    from xumx_jax import augment
    from xumx_jax.training import step

    stems = songs(batch, seconds)
    on_device = jax.device_put(stems)
    with tempfile.TemporaryDirectory() as folder:
        write_responses(Path(folder))
        options = {name: {} for name in augment.AUGMENTATIONS} | {"impulse": {"folder": folder}}
        chosen = {name: augment.build([(name, options[name])]) for name in options}
    chosen[BOTH] = chosen["speed"] + chosen["pitch"]

    def alone(augmentations):
        compiled = jax.jit(
            lambda stems, first: augment.apply(augmentations, stems, 0, first + jnp.arange(batch))
        )
        return lambda number: jax.block_until_ready(compiled(on_device, number * batch))

    def stepping(augmentations):
        module, variables = model_of(ROWS["xumx"], quick)
        module = module.clone(axis_name=step.AXIS)
        advance, now, _ = adapter(module, variables, stems, augmentations=augmentations)

        def run(_):
            nonlocal now
            now, values = advance(now)
            jax.block_until_ready(now)
            if not np.isfinite(values["loss"]):
                raise SystemExit("the loss is not finite")

        return run

    tasks = {STEP: stepping(()), STEP_WITH_BOTH: stepping(chosen[BOTH])}
    return taking_turns(tasks | {name: alone(each) for name, each in chosen.items()}, rounds)


def on_host(batch: int, seconds: float, rounds: int, quick: bool) -> dict:
    """Every effect whose package is installed, applied to every stem of a batch."""
    from pipelines.mixing import effects
    from pipelines.mixing.plan import draw
    from pipelines.mixing.recipe import Recipe

    samples = round(seconds * RATE)
    # more than is needed: some effects shorten what they get
    stems = songs(batch, 2 * seconds).swapaxes(2, 3).copy().swapaxes(2, 3)

    def task(name):
        effect = effects.EFFECTS[name]
        recipe = Recipe(effects=((name, {"probability": 1.0}),))

        def example(waves, index):
            plan = draw(recipe, 0, index, [1] * len(waves))
            if hasattr(effect, "apply_all"):
                ((_, values),) = plan.effects
                effect.apply_all(waves[..., :samples].copy(), values[0], RATE)
                return
            for source, wave in enumerate(waves):
                chain = effects.chain_of(plan.effects, source)
                lengths = effects.lengths_of(chain, samples)
                effects.apply(chain, wave[:, : lengths[0]].copy(), RATE, lengths)

        def run(number):
            for row, waves in enumerate(stems):
                example(waves, number * batch + row)

        return run

    def installed(effect) -> bool:
        package, _ = getattr(effect, "NEEDS", (None, None))
        return package is None or importlib.util.find_spec(package) is not None

    usable = [name for name, effect in effects.EFFECTS.items() if installed(effect)]
    if missing := set(effects.EFFECTS) - set(usable):
        print(f"not installed, what these need: {', '.join(sorted(missing))}", file=sys.stderr)
    return taking_turns({name: task(name) for name in usable}, rounds)


def main(what: str, batch: str, seconds: str, rounds: str, quick: str) -> None:
    measured = {"step": inside, "effects": on_host}[what]
    print(json.dumps(measured(int(batch), float(seconds), int(rounds), quick == "1")))


if __name__ == "__main__":
    main(*sys.argv[1:])
