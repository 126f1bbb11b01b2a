"""What travels between a bridge and a worker: one named tuple per kind of frame.

Named tuples and not frozen dataclasses, because a frame is made and taken apart for every message: building
one costs 0.25 us against 1.1 us for the slotted dataclass, and msgpack packs a tuple as it is.

``conn`` is the bridge's counter for a connection and never used again; ``epoch`` counts its assignments; ``seq``
numbers the messages for its consumer. ``event`` is an ASGI message, packed by :func:`.wire.pack_event`, so
that a journal, a group and a retry carry the same bytes and none of them is packed twice.
"""

from __future__ import annotations

from typing import NamedTuple

# -- the link --------------------------------------------------------------------------------------------------


class Hello(NamedTuple):
    """Worker -> bridge, first of all: who I am and what I serve."""

    role: str  # "worker"; "layer", "operator" (these host no connections); a bridge connected to itself says no such
    boot: int  # 64 random bits per worker process
    name: str  # for people: host and process id
    pools: list[str]
    turns: bool  # True: consumers, one turn per message. False: ASGI applications, which have no turns
    slots: int  # turns that run at once; 0: no bound (ASGI applications)
    connections: int  # connections hosted at once; 0: no bound
    kinds: list[str] = []  # of connections that it takes: "http", "websocket"; none: all  # noqa: RUF012


class Welcome(NamedTuple):
    """Bridge -> worker: the answer to HELLO. Times are seconds, sizes bytes; the bridge's settings hold for both."""

    link_epoch: int  # to be echoed in the envelope of everything that follows
    boot: int  # 64 random bits per bridge process; part of its channel names
    lease: float
    beat: float
    max_message_bytes: int
    turn_bytes: int


class Refuse(NamedTuple):
    """Bridge -> worker: no, and trying again at once is of no use."""

    code: str  # "version", "role", "name", "pools", "links"
    text: str  # for people: what to do


class Reset(NamedTuple):
    """Bridge -> worker: I do not know this link (any more). Drop everything of mine and say HELLO anew."""

    reason: str


class Beat(NamedTuple):
    """Both ways, when nothing else was said for a while. The bridge answers with the worker's own time."""

    sent_at: float  # the sender's clock
    echo: float  # bridge -> worker: the sent_at that this answers
    oldest: float  # worker -> bridge: seconds for which the oldest running turn has been running


class Drain(NamedTuple):
    """Worker -> bridge: no new connections, please; what I have I finish."""


class Goodbye(NamedTuple):
    """Both ways: I am leaving now. What I still own is the other's to deal with."""

    reason: str


# -- a connection: bridge -> worker ----------------------------------------------------------------------------


class Adopt(NamedTuple):
    """Host this connection from message ``next_seq`` on."""

    conn: int
    epoch: int
    scope: bytes  # wire.pack_scope
    next_seq: int
    window: int  # bytes that may be under way to the client at first; CREDIT extends it
    attempt: int  # as in MESSAGE
    state: bytes  # of the consumer, as its last COMMIT left it; empty: it begins anew
    events: list[bytes]  # messages next_seq, next_seq + 1, ... as if each had come as a MESSAGE


class Message(NamedTuple):
    """One message for the consumer of a connection."""

    conn: int
    epoch: int
    seq: int
    attempt: int  # 1, or more where it was given to a worker before
    event: bytes


class Credit(NamedTuple):
    """Bytes, counted from ADOPT, that may be sent towards the client. A total, never a difference."""

    conn: int
    epoch: int
    total: int


class Cancel(NamedTuple):
    """The connection is over: drop what is queued for it; its application may end in its own time."""

    conn: int
    epoch: int
    reason: str  # "closed", "gone" (the server raised on send), "moved" (it lives on with another worker)


class FanOut(NamedTuple):
    """One message for the consumers of many connections, carried once."""

    event: bytes
    targets: list[int]  # flat: conn, epoch, seq, conn, epoch, seq ...; each as a MESSAGE with attempt 1


# -- a connection: worker -> bridge ----------------------------------------------------------------------------


class Output(NamedTuple):
    """What an application without turns did since the last one: received, sent, perhaps ended.

    One frame for all of it, as each is a part of every request: an answer with its end is one frame, an echo with
    its acknowledgement too. With none of the three it asks for the first message, where ADOPT brought none. A consumer
    uses it for what it sends outside of its turns.
    """

    conn: int
    epoch: int
    acked: int  # it has received the messages up to this one; 0: it says nothing of that
    events: list[bytes]  # ASGI messages for the client
    outcome: str  # "": it goes on; "returned"; "raised"; "disconnected" (it let ClientDisconnected through)
    text: str  # what it raised


class Unresumable(NamedTuple):
    """I cannot make a consumer of this state: it is another release's. Give the connection to somebody else."""

    conn: int
    epoch: int
    text: str


class Resumed(NamedTuple):
    """A consumer was made of the state that came in ADOPT, and lives: what ends this worker from now on is not that."""

    conn: int
    epoch: int


class Failed(NamedTuple):
    """The consumer raised in this turn, or took too long: nothing of the turn happens, the connection ends."""

    conn: int
    epoch: int
    seq: int
    outcome: str  # "raised", "timeout"
    text: str


class Save(NamedTuple):
    """An application without turns commits: what it has received and sent, and what it keeps. All of it or nothing.

    From its first one on it is resumable: messages count as handled when a SAVE, and no OUTPUT, says so.
    """

    conn: int
    epoch: int
    acked: int  # it is done with the messages up to this one; 0: it says nothing of that
    events: list[bytes]  # ASGI messages for the client
    state: bytes  # opaque to the bridge; empty: as it was


# -- the channel layer -----------------------------------------------------------------------------------------
#
# A process is a worker or a layer client. ``route`` leads an ANSWER back to who asked: [call], to which the bridge
# adds [link epoch, bridge boot] when it passes the frame on. Empty: no answer is wanted, as in a COMMIT.


class GroupAdd(NamedTuple):
    """Make the channel a member of the group. Who gave the channel its name keeps the membership."""

    group: str
    channel: str
    route: list[int]


class GroupDiscard(NamedTuple):
    """End a membership; no error if there was none."""

    group: str
    channel: str
    route: list[int]


class GroupSend(NamedTuple):
    """Give the message to every member that you have, except those excluded."""

    group: str
    event: bytes
    exclude: list[str]
    told: list[int]  # boots of the bridges that its sender tells; the first of them tells the engine. In a COMMIT: none
    route: list[int]


class ChannelSend(NamedTuple):
    """Give the message to who is behind the channel: a consumer, a client, a process, a listener of a named channel."""

    channel: str
    event: bytes
    capacity: int  # messages that may wait in the channel, this one among them; 0: as its keeper has it
    expiry: float  # seconds that it may wait; 0: as its keeper has it
    route: list[int]


class Answer(NamedTuple):
    """What became of a frame with this route."""

    route: list[int]
    code: str  # "" done; "full": the channel took no more; "unknown": nobody is behind it


class Peers(NamedTuple):
    """Process -> bridge: these bridges I am linked with. The first is my home: it has my groups."""

    bridges: list[int]  # boots


class Subscribe(NamedTuple):
    """Process -> its home: channels of mine are in this group."""

    group: str
    route: list[int]


class Unsubscribe(NamedTuple):
    """Process -> its home: none of mine is any more."""

    group: str


class Listen(NamedTuple):
    """Process -> bridge: of this named channel I take so many messages, counted since I listen. -1: no more."""

    channel: str
    total: int


LayerFrame = GroupAdd | GroupDiscard | GroupSend | ChannelSend
Effect = bytes | LayerFrame  # bytes: an ASGI message for the client


class Relay(NamedTuple):
    """What a turn did to other bridges. Bridge -> worker -> those bridges; or from bridge to bridge by the engine."""

    origin: int  # boot of the bridge that applied the commit
    number: int  # of that bridge's relays; who has had it does nothing, and answers again
    to: list[int]  # boots; by the engine: those that have it already
    effects: list[LayerFrame]


class Relayed(NamedTuple):
    """The relay has arrived. The worker says so when all of its targets have."""

    origin: int
    number: int


class Listening(NamedTuple):
    """Bridge -> other bridges by the engine: somebody here listens on these named channels."""

    bridge: int  # boot
    channels: list[str]


ON_LOSS = ("replay", "skip", "close")  # what becomes of a turn whose worker is lost


class Commit(NamedTuple):
    """The end of a turn: everything it did, in order. Applied whole or not at all."""

    conn: int
    epoch: int
    seq: int
    done: bool  # False: an early commit (flush); the turn goes on and holds its slot
    effects: list[Effect]
    state: bytes  # of a resumable consumer from now on, opaque to the bridge; empty: as it was
    on_loss: str  # "": not resumable; else one of ON_LOSS


# -- operators -------------------------------------------------------------------------------------------------


class Query(NamedTuple):
    """Operator -> bridge: tell me, or do something about dead letters (bridge/operating.py)."""

    call: int  # the operator's own number; comes back in each REPORT
    what: str  # "status", "letters", "letter", "replay", "drop"
    names: list[str]  # ids of dead letters


class Report(NamedTuple):
    """Bridge -> operator: an answer, or a piece of one. They are put together by keys, lists one behind the other."""

    call: int
    event: bytes  # wire.pack_event of a map whose "type" is "operator." and what was asked, or "operator.error"
    more: bool  # another piece follows


# -- framing ---------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """A piece of a frame that is too long for an envelope; the piece itself is the second ZeroMQ frame."""

    more: bool


Frame = (
    Hello | Welcome | Refuse | Reset | Beat | Drain | Goodbye
    | Adopt | Message | Credit | Cancel | FanOut
    | Output | Commit | Failed | Unresumable | Save | Resumed
    | GroupAdd | GroupDiscard | GroupSend | ChannelSend | Answer
    | Peers | Subscribe | Unsubscribe | Listen | Relay | Relayed | Listening
    | Query | Report
)  # fmt: skip
