"""Metrics of a server in Prometheus' text format; none has a name or an id in it."""

import shutil
import time
from pathlib import Path

from xumx_jax.web.shared import Shared

_TYPES = {
    "xumx_jobs": ("gauge", "Jobs by state."),
    "xumx_ready": ("gauge", "Whether a model is loaded."),
    "xumx_device_info": ("gauge", "Devices that compute."),
    "xumx_event_streams": ("gauge", "Open event streams."),
    "xumx_responses_total": ("counter", "Responses by status."),
    "xumx_uploaded_bytes_total": ("counter", "Bytes of uploads."),
    "xumx_disk_free_bytes": ("gauge", "Free on the disk of the jobs."),
    "xumx_uptime_seconds": ("gauge", "Since the server was started."),
    "process_resident_memory_bytes": ("gauge", "Memory of the server."),
    "process_open_fds": ("gauge", "Open files of the server."),
}


def text(here: Shared) -> str:
    """All metrics, one line each, after their types."""
    state = here.workers.ready()
    found: dict[str, list[tuple[str, float]]] = {
        "xumx_jobs": [(f'{{state="{key}"}}', n) for key, n in here.store.counts().items()],
        "xumx_ready": [("", state["ready"])],
        "xumx_device_info": [(f'{{device="{escaped(one)}"}}', 1) for one in state["devices"]],
        "xumx_event_streams": [("", sum(dict(here.streams).values()))],
        "xumx_responses_total": [
            (f'{{status="{status}"}}', n) for status, n in sorted(dict(here.responses).items())
        ],
        "xumx_uploaded_bytes_total": [("", here.uploaded)],
        "xumx_disk_free_bytes": [("", shutil.disk_usage(here.settings.folder).free)],
        "xumx_uptime_seconds": [("", round(time.time() - here.started, 3))],
        **_process(),
    }
    lines = []
    for name, values in found.items():
        kind, words = _TYPES[name]
        lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{labels} {value + 0}" for labels, value in values]
    return "\n".join(lines) + "\n"


def escaped(value: str) -> str:
    """A label's value, as the format wants it."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _process() -> dict[str, list[tuple[str, float]]]:
    """Memory and open files, where the system tells them as Linux does."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
        files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    except (OSError, ValueError):
        return {}
    return {
        "process_resident_memory_bytes": [("", int(resident) * 1024)],
        "process_open_fds": [("", files)],
    }
