"""What whoever starts the server decides: places, models and limits."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

MEGABYTE = 1 << 20


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Settings:
    """Settings of a server. Every limit exists so that no stranger can exhaust what is shared.

    folder          for the database and the jobs' folders
    models          names or paths that jobs may ask for, the default first
    device          one of `runtime.DEVICES`
    host, port      where it listens; port 0 takes a free one
    hosts           further names under which clients reach it, as behind a proxy ("Host" headers)
    proxies         addresses of proxies whose X-Forwarded-For is believed; "*": any
    token           what clients must present, None where anybody may use it (loopback alone)
    keep_seconds    for which results are kept after a job has ended
    max_bytes       of an upload
    max_seconds     of a track
    length_wanted   refuse uploads that do not say their length
    max_queue       jobs that wait, of all clients
    max_per_client  jobs that wait or run, of one client
    max_streams     open event streams of one client
    min_free_bytes  on the disk of `folder`, below which uploads are refused
    idle_seconds    without a byte of an upload, after which it is cut off
    grace_seconds   that open responses get when the server is asked to stop
    example         have the bundled clip as a job: see `xumx_jax.web.example`
    long_seconds    tracks longer than this let shorter ones pass between their blocks
    """

    folder: Path
    models: tuple[str, ...] = ()
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    keep_seconds: float = 7 * 86400.0
    max_bytes: int = 1024 * MEGABYTE
    max_seconds: float = 180 * 60.0
    length_wanted: bool = False
    max_queue: int = 100
    max_per_client: int = 20
    max_streams: int = 20
    min_free_bytes: int = 1024 * MEGABYTE
    idle_seconds: float = 30.0
    grace_seconds: float = 3.0
    example: bool = False
    long_seconds: float = 600.0
