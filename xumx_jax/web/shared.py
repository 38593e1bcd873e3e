"""What all requests share: settings, the store, the workers, and what is counted."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from anyio import CapacityLimiter
from starlette.requests import Request

from xumx_jax.web.settings import Settings
from xumx_jax.web.store import Store
from xumx_jax.web.worker import Workers


@dataclass
class Shared:
    """State of a running server.

    offered    {name: what `weights.load` takes} of `models.offered`
    draining   set once the server is being stopped: streams end, uploads are cut off
    streams    open event streams by client
    responses  by status
    uploaded   bytes that came as uploads
    probing    child processes that look at uploads, and
    making     threads that encode and mix: few, since they take cores from the model
    """

    settings: Settings
    store: Store
    workers: Workers
    offered: dict[str, str | None]
    draining: threading.Event = field(default_factory=threading.Event)
    streams: Counter = field(default_factory=Counter)
    responses: Counter = field(default_factory=Counter)
    uploaded: int = 0
    probing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    making: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    started: float = field(default_factory=time.time)

    def answered(self, status: int) -> None:
        """Count a response. Called in the event loop alone, as all that changes the counts."""
        self.responses[status] += 1


def shared(request: Request) -> Shared:
    """The state of the server that a request came to."""
    return request.app.state.shared


def client_of(request: Request) -> str:
    """Whom a request counts against: an address."""
    return request.client.host if request.client else "unknown"
