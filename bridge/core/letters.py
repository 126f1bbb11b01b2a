"""A message that was set aside: two workers were lost with it."""

from __future__ import annotations

from typing import NamedTuple


class Letter(NamedTuple):
    """A dead letter: what is needed to hand the message to a worker again."""

    pool: str
    kind: str  # "http" or "websocket"
    scope: bytes  # wire.pack_scope
    state: bytes  # of its consumer
    on_loss: str
    turns: bool
    seq: int
    event: bytes
    attempts: int  # workers that were lost with it
    workers: list[str]  # their names, as far as known
    conn: int
