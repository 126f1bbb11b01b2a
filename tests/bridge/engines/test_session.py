"""One session after the other, with connections that are played: what is subscribed, told, lost and counted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from channels_bridge.bridge.engines.engine import Statistics
from channels_bridge.bridge.engines.inbox import Inbox
from channels_bridge.bridge.engines.local import LocalEngine
from channels_bridge.bridge.engines.session import Plan, Publish, Receive, Session, Sessions, Subscribe, reason_of
from channels_bridge.bridge.engines.url import parse
from channels_bridge.shared.endpoint import running_loop
from engine_members import PATIENCE, Member, Told

pytestmark = pytest.mark.anyio


class Played:
    """A server: it writes down what each session does, and does what the test says."""

    limit = 1000

    def __init__(self) -> None:
        self.did: list[tuple[str, list[str]]] = []
        self.refuse: list[Exception] = []  # the next attempts to connect
        self.fail: dict[str, Exception] = {}  # what raises, once
        self.before: dict[str, Callable[[], object]] = {}  # what happens meanwhile, once
        self.silent = False

    @asynccontextmanager
    async def connect(self, receive: Receive) -> AsyncGenerator[Session]:
        if self.refuse:
            raise self.refuse.pop(0)
        self.receive = receive
        yield self

    async def _do(self, what: str, subjects: Sequence[str]) -> None:
        self.did.append((what, sorted(subjects)))
        self.before.pop(what, lambda: None)()
        await anyio.lowlevel.checkpoint()
        if what in self.fail:
            raise self.fail.pop(what)

    async def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        await self._do("publish", [subject for subject, _ in messages])

    async def subscribe(self, subjects: Sequence[str]) -> None:
        await self._do("subscribe", subjects)

    async def unsubscribe(self, subjects: Sequence[str]) -> None:
        await self._do("unsubscribe", subjects)

    async def ping(self) -> None:
        await self._do("ping", [])
        if self.silent:
            await anyio.sleep_forever()


class Stage:
    """Sessions with a played server, in the loop of the test."""

    def __init__(self, ping: float = 1000.0) -> None:
        self.server = Played()
        self.statistics = Statistics()
        self.inbox = Inbox(self.statistics)
        self.listener = Member(LocalEngine("local://unused"))
        self.inbox.open(running_loop(), self.listener)
        self.sessions = Sessions(Plan(parse("nats://x:pw@host"), self.server.connect, ping), self.inbox)


@asynccontextmanager
async def staged(stage: Stage) -> AsyncGenerator[Stage]:
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(stage.sessions.run)
            await stage.listener.heard("up")
            yield stage
            stage.sessions.stop()


def put(stage: Stage, *items: Publish | Subscribe) -> None:
    for item in items:
        assert stage.sessions.outbox.put(item, len(item.data) if isinstance(item, Publish) else 0)


async def test_a_session_begins_with_all_topics_and_ends_when_all_is_sent() -> None:
    stage = Stage()
    stage.inbox.topics |= {"a", "b"}
    async with staged(stage):
        put(stage, Publish("cb.x", b"1"), Publish("cb.y", b"2"))
        stage.server.receive("cb.a", b"hello")
        await stage.listener.has(Told("message", "a", b"hello"))
    assert stage.server.did[0] == ("subscribe", ["cb.a", "cb.b"])
    assert ("publish", ["cb.x", "cb.y"]) in stage.server.did
    assert stage.server.did[-1] == ("ping", [])


async def test_what_changes_while_it_subscribes_is_made_up_for() -> None:
    stage = Stage()
    stage.inbox.topics |= {"kept", "dropped"}

    def meanwhile() -> None:
        stage.inbox.topics.remove("dropped")
        stage.inbox.topics.add("added")

    stage.server.before["subscribe"] = meanwhile
    async with staged(stage):
        assert stage.server.did[1:3] == [("subscribe", ["cb.added"]), ("unsubscribe", ["cb.dropped"])]


async def test_what_was_in_hand_at_a_loss_is_counted_and_done() -> None:
    stage = Stage()
    async with staged(stage):
        stage.server.fail["publish"] = ConnectionError("cut")
        stage.inbox.topics.add("new")
        done = Subscribe("new", lambda: stage.listener.tell(Told("done")))
        put(stage, Publish("cb.a", b"1"), Publish("cb.b", b"2"), done, Publish("cb.c", b"3"))
        await stage.listener.heard("gap")
        reconnected = Told("gap", "reconnected: what others have sent in the meantime is lost")
        assert stage.listener.told == [Told("up"), Told("done"), Told("down", "cut"), Told("up"), reconnected]
        assert stage.statistics == Statistics(dropped=3, gaps=1, reconnects=1)
        assert [subjects for what, subjects in stage.server.did if what == "subscribe"][-1] == ["cb.new"]


async def test_a_server_that_does_not_answer_is_lost() -> None:
    stage = Stage(ping=0.02)
    async with staged(stage):
        stage.server.silent = True
        await stage.listener.heard("down")
        stage.server.silent = False
        assert stage.listener.told[1] == Told("down", "the server has not answered for 0.02 s")


async def test_why_it_cannot_connect_is_logged_once_and_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.server.refuse = [OSError("no pw for x"), OSError("no pw for x"), OSError("other")]
    async with staged(stage):
        assert [record.getMessage() for record in caplog.records] == [
            "cannot connect to the engine at nats://host, trying on: no *** for x",
            "cannot connect to the engine at nats://host, trying on: other",
        ]
        assert stage.sessions.problem == ""


async def test_it_ends_between_two_attempts() -> None:
    stage = Stage()
    stage.server.refuse = [OSError("no")] * 1000
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(stage.sessions.run)
            while stage.sessions.problem != "no":  # noqa: ASYNC110 - nothing is told
                await anyio.sleep(0.001)
            stage.sessions.stop()


async def test_stopped_before_it_runs_it_never_connects() -> None:
    stage = Stage()
    stage.sessions.stop()
    with anyio.fail_after(PATIENCE):
        await stage.sessions.run()
    assert stage.server.did == []


def test_the_reason_is_one_line() -> None:
    caused = ConnectionError("cannot connect")
    caused.__cause__ = OSError("refused")
    groups = ExceptionGroup("many", [ExceptionGroup("more", [caused]), ValueError("x")])
    assert reason_of(groups) == "cannot connect: refused"
    assert reason_of(TimeoutError()) == "TimeoutError"
    caused.__cause__ = OSError("connect")
    assert reason_of(caused) == "cannot connect"
