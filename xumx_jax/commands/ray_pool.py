"""Many items through a pool of workers on a Ray cluster: one a GPU or TPU, or one for some cores.

Only the items travel, each a small dictionary that JSON can hold. Ray Data starts workers, replaces
those that die with their machine or without, and repeats what they had begun; so an item may be
done twice, and what is done with it must allow that. Whatever goes wrong with an item is for the
row that its worker returns; there are no exceptions.
"""

import importlib
import json
import logging
import platform
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from xumx_jax import runtime
from xumx_jax.commands.console import in_one_line
from xumx_jax.errors import UserError
from xumx_jax.versions import installed

# Packages that must be the same everywhere: stems must not depend on the machine that made them.
SAME = ("xumx_jax", "jax", "jaxlib", "flax")
CORES = 4  # of a worker without an accelerator; more than that hardly help one separation
LOOK_SECONDS = 120
_BLOCKS = 10_000  # the most parts that the items are sent in; what one worker loses when it dies


class Work(Protocol):
    """What a worker does; one is made in each, from its arguments, which may raise UserError.

    It is given as "module:Name", for the machine of the worker to import.
    """

    def __call__(self, item: dict) -> dict:
        """Do an item -> its row."""
        ...

    @staticmethod
    def failed(item: dict, error: str) -> dict:
        """The row of an item where no work could be made."""
        ...


def share(nodes: Sequence[dict], cores: int | None = None, cpu: bool = False) -> dict[str, Any]:
    """What one worker takes -> arguments of Ray, and besides "cores", its share of a machine's.

    That is one GPU or TPU where there are any, unless `cpu`; `cores` overrides the number of cores.
    "workers" is how many the machines have room for. Raises UserError if that is none.
    """
    if cores is not None and cores < 1:
        raise UserError(f"--worker-cores {cores}: wanted 1 or more")
    for kind, more in (("GPU", {"num_gpus": 1}), ("TPU", {"resources": {"TPU": 1}})):
        having = [node["Resources"] for node in nodes if node["Resources"].get(kind, 0) >= 1]
        if having and not cpu:
            each = min(int(one.get("CPU", 1) // one[kind]) for one in having)
            count = sum(int(one[kind]) for one in having)
            return {**more, "cores": cores or max(1, each), "workers": count}
    there = [int(node["Resources"].get("CPU", 0)) for node in nodes]
    there = [count for count in there if count]
    if not there:
        raise UserError("the cluster has no CPU cores to work on; start Ray with some (--num-cpus)")
    wanted = cores or min(CORES, *there)
    if wanted > max(there):
        raise UserError(f"--worker-cores {wanted}: the largest machine has {max(there)}")
    workers = sum(count // wanted for count in there)
    return {"num_cpus": wanted, "cores": wanted, "workers": workers}


def line(nodes: Sequence[dict], taken: dict[str, Any]) -> str:
    """A line about the cluster and its workers."""
    counts = {"machine": len(nodes), "worker": taken["workers"]}
    counts |= {"GPU": taken.get("num_gpus"), **taken.get("resources", {}), "core": taken["cores"]}
    told = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items() if count]
    return f"Ray: {', '.join(told[:2])} with {', '.join(told[2:])} each"


def check_nodes(nodes: Sequence[dict], look: str, *arguments) -> None:
    """Compare versions on all machines with those here, and call `look(*arguments)` there.

    It is a function as "module:name", which returns what is wrong with a machine, or None. Raises
    UserError with the first thing that is wrong; machines that die meanwhile are left out.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(_look)
    asked = {}
    for node in nodes:
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        options = dict(num_cpus=0, scheduling_strategy=place, max_retries=0)
        asked[task.options(**options).remote(look, arguments)] = node["NodeManagerHostname"]
    here = versions()
    for answer, host in asked.items():
        try:
            found, fault = ray.get(answer, timeout=LOOK_SECONDS)
        except GetTimeoutError:
            raise UserError(f"{host}: did not answer within {LOOK_SECONDS} s") from None
        except RayTaskError as error:
            reason = " ".join(str(error.cause or error).split())[-200:]
            raise UserError(f"{host}: cannot work: {reason}") from None
        except RayError:
            continue
        if reason := skew(here, found) or fault:
            raise UserError(f"{host}: {reason}")


def skew(here: dict[str, str], there: dict[str, str]) -> str | None:
    """The first version that differs on another machine, None if none does."""
    for name, wanted in here.items():
        if (found := there.get(name)) != wanted:
            found = found or "not installed"
            return f"{name} is {found}, and {wanted} here; wanted the same on all machines"
    return None


def versions() -> dict[str, str]:
    """Of what must be the same on all machines."""
    return {"Python": ".".join(platform.python_version_tuple()[:2]), **installed(SAME)}


def _look(look: str, arguments) -> tuple[dict[str, str], str | None]:
    here = versions()
    return here, _named(look)(*arguments)


def _named(name: str) -> Any:
    """What "module:name" stands for in this process."""
    module, _, attribute = name.partition(":")
    if module.startswith("pipelines."):
        from xumx_jax.commands import recipes

        recipes.add_place("evaluate")
    return getattr(importlib.import_module(module), attribute)


def rows(
    work: str, arguments: Sequence[Any], items: Sequence[dict], taken: dict[str, Any]
) -> Iterator[dict]:
    """Do all items, in any order -> the row of each.

    work, arguments  a `Work` as "module:Name", and what it is made from
    taken            what a worker takes, from `share`
    """
    import ray.data
    from ray.exceptions import RayError

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray._private.worker"):
        logging.getLogger(name).setLevel(logging.ERROR)
    taken = dict(taken)
    cores, workers = taken.pop("cores"), min(taken.pop("workers"), len(items))
    texts = [{"item": json.dumps(item)} for item in items]
    done = ray.data.from_items(texts, override_num_blocks=min(len(texts), _BLOCKS)).map_batches(
        _Actor,
        fn_constructor_args=(work, tuple(arguments), cores),
        batch_size=1,
        # more of them where machines come later, fewer where some go
        compute=ray.data.ActorPoolStrategy(
            min_size=1, initial_size=workers, max_tasks_in_flight_per_actor=2
        ),
        **taken,
    )
    try:
        for row in done.iter_rows():
            yield json.loads(row["row"])
    except RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise UserError(f"Ray ended the work: {last}; the same command goes on with it") from None


class _Actor:
    """A worker's process: its cores, what it makes, and rows for what it cannot make."""

    def __init__(self, work, arguments, cores):
        runtime.limit_cores(cores)
        made = _named(work)
        self._failed, self._fault = made.failed, ""
        try:
            self._work = made(*arguments)
        except Exception as error:  # it would end the whole run
            self._fault = " ".join(f"{in_one_line(error) or repr(error)}".split())

    def __call__(self, batch):
        import numpy as np

        found = [self._one(json.loads(text)) for text in batch["item"]]
        return {"row": np.array([json.dumps(row) for row in found], object)}

    def _one(self, item: dict) -> dict:
        return self._failed(item, self._fault) if self._fault else self._work(item)
