"""The recipes of examples/cluster: each is what its scheduler reads, and does what it says."""

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import songs
import yaml

from xumx_jax.training.monitor.logs import read_metrics

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "cluster"
# Of `man sbatch`: those that are used, and what their values look like.
SBATCH = {
    "job-name": r"\w+", "nodes": r"\d+", "ntasks-per-node": r"\d+", "gpus-per-node": r"\d+",
    "cpus-per-task": r"\d+", "time": r"\d+:\d\d:\d\d", "signal": r"TERM@\d+", "no-kill": "",
    "open-mode": "append|truncate",
}  # fmt: skip
TINY = [*songs.SMALL, "--config.train.batch_size=4", "--config.log.pictures_every=0"]


def run(name, tmp_path, *arguments, timeout=60, **environment) -> subprocess.CompletedProcess:
    """Run a recipe with the programs in `tmp_path` before all others."""
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    return subprocess.run(
        ["bash", RECIPES / name, *map(str, arguments)],
        env=os.environ | {"PATH": path, "PYTHON": sys.executable} | environment,
        capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def program(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
    (folder / name).chmod(0o755)


def test_each_is_explained_by_the_docs():
    text = (ROOT / "docs" / "train" / "cluster.md").read_text()
    assert {f"`examples/cluster/{path.name}`" for path in RECIPES.iterdir() if path.is_file()} <= {
        *re.findall(r"`examples/cluster/[\w.]+`", text)
    }


@pytest.mark.parametrize("name", ["local.sh", "slurm.sbatch", "tpu_pod.sh"])
def test_shell_reads_them(name):
    checked = subprocess.run(["bash", "-n", RECIPES / name], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert os.access(RECIPES / name, os.X_OK)


def test_options_of_sbatch():
    lines = re.findall(r"^#SBATCH (.*)$", (RECIPES / "slurm.sbatch").read_text(), re.M)
    given = dict(re.fullmatch(r"--([\w-]+)=?(.*)", line).groups() for line in lines)
    assert set(given) == set(SBATCH) and len(lines) == len(given)
    for name, value in given.items():
        assert re.fullmatch(SBATCH[name], value), name
    # all come before the first command, or sbatch does not read them
    text = (RECIPES / "slurm.sbatch").read_text()
    assert text.rindex("#SBATCH") < text.index("\nset ")


@pytest.mark.parametrize(
    "statuses, starts, status",
    [
        ([0], [4], 0),
        ([75, 0], [4, 2], 0),  # of three nodes that are left, two are used
        ([2], [4], 2),  # an error that would come again
        ([134, 1, 137], [4, 2, 2], 137),
    ],
)
def test_slurm_starts_again_on_the_nodes_that_are_left(tmp_path, statuses, starts, status):
    """With an srun that ends as told: from the second start on, node 3 answers no more."""
    program(tmp_path, "scontrol", 'printf "n%s\\n" 1 2 3 4')
    program(
        tmp_path,
        "srun",
        f"""cd {shlex.quote(str(tmp_path))}
        if [[ $1 == --overlap ]]; then [[ $* != *=n3* || ! -e steps ]]; exit; fi
        echo "$@" >> steps
        statuses=({" ".join(map(str, statuses))})
        exit "${{statuses[$(wc -l < steps) - 1]}}" """,
    )
    job = {"SLURM_JOB_NODELIST": "n[1-4]", "SLURM_JOB_NUM_NODES": "4", "SLURM_NTASKS_PER_NODE": "8"}
    ran = run("slurm.sbatch", tmp_path, "--config", "a b", RESTARTS="2", **job)
    assert ran.returncode == status, ran.stderr
    steps = [shlex.split(line) for line in (tmp_path / "steps").read_text().splitlines()]
    assert [f"--nodes={count}" for count in starts] == [step[0] for step in steps]
    assert [f"--ntasks={8 * count}" for count in starts] == [step[1] for step in steps]
    nodes = {4: "--nodelist=n1,n2,n3,n4", 2: "--nodelist=n1,n2"}
    assert [nodes[count] for count in starts] == [step[3] for step in steps]
    assert steps[0][-5:] == ["train.py", "--distributed", "--config", "a", "b"]


def test_slurm_says_when_no_node_is_left(tmp_path):
    program(tmp_path, "scontrol", "echo n1")
    program(tmp_path, "srun", "exit 1")
    ran = run("slurm.sbatch", tmp_path, SLURM_JOB_NODELIST="n1", SLURM_JOB_NUM_NODES="1")
    assert ran.returncode == 1 and ran.stderr == "no node answers\n"


@pytest.mark.parametrize("statuses, status", [([75, 0], 0), ([2], 2), ([255, 255], 255)])
def test_a_slice_of_tpus_is_tried_again(tmp_path, statuses, status):
    program(
        tmp_path,
        "gcloud",
        f"""cd {shlex.quote(str(tmp_path))}
        printf "%s\\n" "$*" >> calls
        statuses=({" ".join(map(str, statuses))})
        exit "${{statuses[$(wc -l < calls) - 1]}}" """,
    )
    slice_of = {"TPU": "mine", "ZONE": "z", "RESTARTS": "1", "PAUSE": "0"}
    ran = run("tpu_pod.sh", tmp_path, "--config.data.root=a b", **slice_of)
    assert ran.returncode == status
    calls = (tmp_path / "calls").read_text().splitlines()
    command = r"cd xumx_jax && exec python3 train.py --distributed --config.data.root=a\ b"
    wanted = f"compute tpus tpu-vm ssh mine --zone=z --worker=all --command={command}"
    assert calls == [wanted] * len(statuses)
    assert run("tpu_pod.sh", tmp_path).returncode != 0  # which slice?


def test_kubernetes_takes_the_job_and_its_names_fit():
    """The Job within it by Kubernetes' own schema; of the JobSet, what has to agree with it."""
    validate = pytest.importorskip("kubernetes_validate")
    (jobset,) = yaml.safe_load_all((RECIPES / "jobset.yaml").read_text())
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (hosts,) = jobset["spec"]["replicatedJobs"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}} | hosts["template"]
    validate.validate(job, validate.latest_version(), strict=True)
    broken = job | {"spec": job["spec"] | {"parallelism": "four"}}
    with pytest.raises(validate.ValidationError):
        validate.validate(broken, validate.latest_version(), strict=True)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    name = jobset["metadata"]["name"]
    assert (
        variables["JAX_COORDINATOR_ADDRESS"].split(":")[0] == f"{name}-{hosts['name']}-0-0.{name}"
    )
    spec = job["spec"]
    assert int(variables["JAX_NUM_PROCESSES"]) == spec["parallelism"] == spec["completions"]
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    words = shlex.split(container["args"][0].split("exec xumx train ")[1])
    import train

    config, workdir, distributed = train.parse(words)
    assert config.train.store.startswith("s3://") and not distributed
    (mount,) = container["volumeMounts"]
    assert str(workdir).startswith(mount["mountPath"])


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_local_processes_train_as_one(tmp_path):
    root = songs.make(tmp_path / "songs")
    flags = {"XLA_FLAGS": "--xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    data = ["--config.data.engine=threads", f"--config.data.root={root}"]
    length = ["--config.train.steps_per_epoch=2", "--config.train.epochs=1"]
    ran = run(
        "local.sh", tmp_path, "--config", "configs/xumx.py:tiny", "--workdir", tmp_path / "run",
        *TINY, *data, *length, timeout=180, **flags,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    steps = [r["step"] for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if "lr" in r]
    assert steps == [1, 2, 2]  # and the epoch


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="wanted: ray")
def test_on_ray_a_killed_process_is_replaced(tmp_path):
    """Two actors on this machine train; one is killed, and two others go on from the checkpoint."""
    root, workdir = songs.make(tmp_path / "songs"), tmp_path / "run"
    words = [RECIPES / "ray_train.py", "--processes", "2", "--room-seconds", "20", "--"]
    words += ["--config", "configs/xumx.py:tiny", "--workdir", workdir, *TINY]
    words += [f"--config.data.root={root}", "--config.data.engine=threads"]
    words += ["--config.train.steps_per_epoch=120", "--config.train.epochs=1"]
    words += ["--config.train.save_steps=10"]
    flags = {"XLA_FLAGS": "--xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    flags |= {"RAY_TMPDIR": str(tmp_path)} if len(str(tmp_path)) < 60 else {}
    with subprocess.Popen(
        [sys.executable, *map(str, words)], env=os.environ | flags, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    ) as driver:  # fmt: skip
        try:
            first = next(line for line in driver.stdout if line.startswith("process 1 of 2"))
            log, deadline = workdir / "metrics.jsonl", time.monotonic() + 180
            while not (log.is_file() and '"saved"' in log.read_text()):
                assert time.monotonic() < deadline and driver.poll() is None
                time.sleep(0.1)
            os.kill(int(first.split()[5]), signal.SIGKILL)
            said, _ = driver.communicate(timeout=180)
        finally:
            if driver.poll() is None:
                os.killpg(driver.pid, signal.SIGKILL)
    assert driver.returncode == 0, said
    assert "warning: a process was lost (start 1)" in said and "resuming after step" in said, said
    last = [r["step"] for r in read_metrics(log) if "lr" in r]
    assert max(last) == 120


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="wanted: ray")
def test_where_no_ray_cluster_answers_is_one_line():
    words = [sys.executable, RECIPES / "ray_train.py", "--processes", "1"]
    words += ["--address", "127.0.0.1:9"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2, ran.stderr
    (line,) = ran.stderr.splitlines()
    assert line == (
        "ray_train: error: --address 127.0.0.1:9: Connection refused; "
        "wanted the head of a Ray cluster"
    )
