"""Between the core and the engine: topics and frames on one side, bytes on the other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..shared import wire
from ..shared.endpoint import now
from ..shared.errors import RemoteProtocolError
from ..shared.loop import Loop
from .core import actions

if TYPE_CHECKING:
    from .core.core import Core
    from .engines.engine import Engine

logger = logging.getLogger("channels_bridge.bridge")

COMPLAIN = 1.0  # seconds between two log lines about malformed messages
GAPS = 1.0  # seconds between two gaps that are told because of missing numbers


class EngineEnd:
    """A bridge's end of its engine. What the core asked for before :meth:`start` is done then."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._core: Core | None = None
        self._early: list[actions.Join | actions.Leave | actions.Publish] = []
        self._complained_at = -COMPLAIN
        self._gap_at = -GAPS

    def start(self, loop: Loop, core: Core) -> None:
        """Connect, in the background; a server that is not there is tried again."""
        self._core = core
        self._engine.start(loop, self)
        for action in self._early:
            self.perform(action)
        self._early.clear()

    def stop(self) -> None:
        """Disconnect."""
        self._core = None
        self._engine.stop()

    def perform(self, action: actions.Join | actions.Leave | actions.Publish) -> None:
        """Do what the core wants."""
        core = self._core
        if core is None:
            self._early.append(action)
        elif isinstance(action, actions.Join):
            topic = action.topic
            self._engine.subscribe(topic, lambda: core.layer.bus.joined(topic))
        elif isinstance(action, actions.Leave):
            self._engine.unsubscribe(action.topic)
        elif not self._engine.publish(action.topic, wire.pack_frame(action.frame)):
            core.layer.unpublished(action.frame)

    # -- what the engine tells ---------------------------------------------------------------------------------

    def message(self, topic: str, data: bytes) -> None:
        """Take what another bridge published."""
        if self._core is None:
            return
        moment, missed = now(), self._core.statistics.missed
        try:
            self._core.layer.by_engine(topic, wire.unpack_frame(data), moment)
            if self._core.statistics.missed > missed and moment - self._gap_at >= GAPS:
                self._gap_at = moment
                self.gap("messages of another machine did not arrive here")
        except RemoteProtocolError as error:
            self._core.statistics.malformed += 1
            if moment - self._complained_at >= COMPLAIN:
                self._complained_at = moment
                logger.warning("a malformed message of the engine was dropped: %s", error)

    def up(self) -> None:
        """Note that it is connected."""
        logger.info("the engine at %s is connected", self._engine.url)

    def down(self, reason: str) -> None:
        """Note that it is not."""
        logger.warning(
            "the engine at %s is lost (%s): groups and channels reach this machine only", self._engine.url, reason
        )

    def gap(self, reason: str) -> None:
        """Tell those that asked that messages may have been lost."""
        logger.warning("messages of other machines may have been lost: %s", reason)
        if self._core is not None:
            self._core.layer.gap(wire.pack_event({"type": "bridge.gap", "reason": reason}), now())
