"""Faults at every step: a bridge and its workers in one event loop, on a network and a clock that a test plays.

The pytest fixture ``faults`` is a :class:`Faults`. docs/testing.md leads through it.
"""

from channels_bridge.testing.faults.clients import Aborted, Closed, Response, WebSocket
from channels_bridge.testing.faults.faults import Faults
from channels_bridge.testing.faults.plan import At
from channels_bridge.testing.faults.site import Site
from channels_bridge.testing.faults.worker import FaultyWorker

__all__ = ["Aborted", "At", "Closed", "Faults", "FaultyWorker", "Response", "Site", "WebSocket"]
