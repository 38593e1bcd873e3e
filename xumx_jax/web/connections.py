"""Connections whose requests come too slowly, or never: uvicorn alone would keep them open."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient(seconds: float) -> type[H11Protocol]:
    """A protocol that closes a connection on which no whole head of a request comes in time.

    How long bodies may take is the business of those who read them.
    """

    class Patient(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport):
            super().connection_made(transport)
            self._expect()

        def data_received(self, data):
            super().data_received(data)
            if self.cycle is None or self.cycle.response_complete:
                self._expect()
            else:
                self._stop()

        def connection_lost(self, exc):
            self._stop()
            super().connection_lost(exc)

        def _expect(self):
            if self._late is None:
                self._late = self.loop.call_later(seconds, self.transport.close)

        def _stop(self):
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Patient
