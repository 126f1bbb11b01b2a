"""Every default, with its reason beside it. Seconds are floats, sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import ConfigurationError

PROTOCOL = 1  # version of what travels between bridge and worker; docs/protocol.md
KIB = 1024
ENVELOPE = 1 * KIB  # bytes of a message around its payload: limits on messages are meant for the payload
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What an operator may set; both halves read it, each its part.

    Call :meth:`check` once before use: it raises ``ConfigurationError`` where settings contradict each other.
    """

    # -- liveness (shared/liveness.py has the arithmetic)
    beat: float = 1.0  # one frame a second costs nothing; a death is noticed by the socket, not by beats
    suspect: float = 3.0  # three lost beats: no new work for that worker, but nothing is taken from it
    lease: float = 8.0  # a worker that heard nothing for so long stops by itself ...
    verdict: float = 10.0  # ... two seconds before the bridge gives its connections away
    hello: float = 5.0  # a peer that connects and does not introduce itself is forgotten
    tick: float = 0.05  # how often timers are looked at: the resolution of every deadline here

    # -- waiting for a worker
    http_queue: float = 5.0  # a browser's user waits that long; a load balancer gives up at 10 s and more
    park: float = 30.0  # an open socket outlives a rolling deploy of its pool
    drain: float = 30.0  # what gunicorn and Kubernetes give a process to finish in
    retry_after: int = 2  # seconds; sent with every 503

    # -- waiting for an application; 0: as long as it likes, which is for protocol servers and proxies to bound
    handshake: float = 0.0  # to accept or refuse a socket: daphne's --websocket_connect_timeout
    answer: float = 0.0  # to begin its answer to a request: daphne's --http-timeout

    # -- overload: who comes beyond these is answered at once (503, 1013)
    max_connections: int = 0  # of one bridge process; 0: as many as it has file descriptors for
    max_handshakes: int = 4096  # sockets that are not accepted yet: a second's worth for a fast application
    max_queue: int = 4096  # new connections of one pool that wait, for a worker or for a slot of theirs
    queue_delay: float = 5.0  # the longest wait before one that is let in: as http_queue

    # -- bounds of one connection
    max_message_bytes: int = 16 * MIB  # uvicorn's --ws-max-size
    journal_messages: int = 32  # uvicorn's --ws-max-queue: as much as a server keeps without a bridge
    journal_bytes: int = 128 * KIB  # two reads of 64 KiB in flight keep a loopback link busy
    window_bytes: int = 256 * KIB  # what may be on its way to a client: 1 ms at 256 MB/s
    turn_bytes: int = 32 * MIB  # what one turn may send before it commits
    state_bytes: int = 64 * KIB  # of a resumable consumer: it is packed after each turn, and kept by the bridge
    slow_client: float = 60.0  # without taking a byte of a full window: nginx's send_timeout
    turn_window: int = 8  # turns of one connection that may be out at once, if slots are free

    # -- the channel layer
    slow_member: str = "drop_new"  # what a full member of a group loses: this message, its oldest one ("drop_old"), or
    # its connection ("close": 1013, reason slow)
    capacity: int = 1000  # messages that wait in a named channel at one bridge
    # pattern as in fnmatch -> capacity; the first that fits holds
    channel_capacity: Mapping[str, int] = field(default_factory=dict[str, int])
    channel_expiry: float = 60.0  # that they wait, as in Channels
    channel_bytes: int = 16 * MIB  # in one named channel

    # -- bounds of a process
    dead_letters: int = 1000  # kept for an operator; a message that kills workers tends to come again
    dead_letter_bytes: int = 16 * MIB  # of all of them: as much as one message may have
    background_bytes: int = 64 * MIB  # in all named channels
    buffered_bytes: int = 6 * MIB  # all journals together; beyond, each connection keeps one message
    max_links: int = 1024  # workers, and other processes with a channel layer, connected to one bridge process

    # -- the wire (bytes of one ZeroMQ frame; shared/wire.py)
    insecure_tcp: bool = False  # tcp:// off the loopback is refused unless this says that a firewall does it

    def check(self) -> Config:
        """Return self, or raise ``ConfigurationError`` that names the setting at fault."""
        for name in _SECONDS:
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be more than 0 seconds")
        if not self.beat < self.suspect < self.lease < self.verdict:
            raise ConfigurationError(
                "liveness needs beat < suspect < lease < verdict, but they are "
                f"{self.beat}, {self.suspect}, {self.lease} and {self.verdict} seconds"
            )
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be at least 1")
        if self.handshake < 0 or self.answer < 0:
            raise ConfigurationError("handshake and answer must be 0 seconds, for no limit, or more")
        if self.max_connections < 0:
            raise ConfigurationError("max_connections must be 0, for no bound, or more")
        if any(capacity < 1 for capacity in self.channel_capacity.values()):
            raise ConfigurationError(f"channel_capacity must be at least 1 for each pattern: {self.channel_capacity}")
        if self.slow_member not in SLOW_MEMBER:
            raise ConfigurationError(f"slow_member is one of {', '.join(SLOW_MEMBER)}, not {self.slow_member!r}")
        return self


SLOW_MEMBER = ("drop_new", "drop_old", "close")
_SECONDS = (
    "beat", "suspect", "lease", "verdict", "hello", "tick", "http_queue", "park", "drain", "channel_expiry",
    "queue_delay", "slow_client",
)  # fmt: skip
_COUNTS = (
    "max_message_bytes", "journal_messages", "journal_bytes", "window_bytes", "turn_bytes", "state_bytes",
    "turn_window", "capacity", "channel_bytes", "background_bytes", "max_handshakes", "max_queue", "dead_letters",
    "dead_letter_bytes",
)  # fmt: skip
