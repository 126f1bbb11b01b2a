"""What every engine has to do, against real servers that nobody harms."""

import threading
from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel
import pytest

from channels_bridge.bridge.engines.choice import open_engine
from channels_bridge.shared.endpoint import running_loop
from engine_members import Member, Told, member

pytestmark = pytest.mark.anyio

END = Told("message", "end", b"")


async def fence(sender: Member, receiver: Member) -> None:
    """Return when all that the sender has published so far on any topic was delivered, or never will be."""
    await receiver.subscribe("end")
    ends = receiver.told.count(END)
    await sender.publish("end", b"")
    await receiver.has(END, times=ends + 1)


async def test_a_message_arrives_at_all_others_that_have_the_topic(url: str) -> None:
    async with AsyncExitStack() as stack:
        a, b, c = [await stack.enter_async_context(member(url)) for _ in range(3)]
        await b.subscribe("g.1")
        await c.subscribe("g.1", "g.2")
        assert a.engine.publish("g.1", b"\x00binary\xff\r\n")
        assert a.engine.publish("g.2", b"")
        await c.has(Told("message", "g.1", b"\x00binary\xff\r\n"), Told("message", "g.2", b""))
        await b.has(Told("message", "g.1", b"\x00binary\xff\r\n"))
        await fence(a, b)
        assert b.messages == [("g.1", b"\x00binary\xff\r\n"), ("end", b"")]
        assert a.messages == []
        assert a.engine.statistics.published == 3
        assert b.engine.statistics.received == 2
        assert b.threads == {threading.get_ident()}


async def test_a_message_is_not_given_to_who_published_it(url: str) -> None:
    async with member(url) as a, member(url) as b:
        await a.subscribe("all")
        await b.subscribe("all")
        assert a.engine.publish("all", b"from a")
        await b.has(Told("message", "all", b"from a"))
        assert b.engine.publish("all", b"from b")
        await a.has(Told("message", "all", b"from b"))
        await fence(b, a)
        assert a.messages == [("all", b"from b"), ("end", b"")]


async def test_namespaces_do_not_meet(url: str) -> None:
    elsewhere = f"{url}x"
    async with member(url) as a, member(url) as b, member(elsewhere) as stranger:
        await b.subscribe("all")
        await stranger.subscribe("all")
        await a.publish("all", b"ours")
        await b.has(Told("message", "all", b"ours"))
        async with member(elsewhere) as other:
            await fence(other, stranger)
        assert stranger.messages == [("end", b"")]


async def test_five_thousand_messages_keep_their_order(url: str) -> None:
    """Two senders at once; the order is each sender's own."""
    async with member(url) as a, member(url) as b, member(url) as c:
        await c.subscribe("all")

        async def send(one: Member, name: int) -> None:
            for number in range(2500):
                await one.publish("all", b"%d %d" % (name, number))
                if number % 100 == 0:
                    await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(send, a, 0)
            group.start_soon(send, b, 1)
        await c.heard("message", 5000)
        got = [tuple(map(int, data.split())) for _, data in c.messages]
        assert [number for name, number in got if name == 0] == list(range(2500))
        assert [number for name, number in got if name == 1] == list(range(2500))


async def test_a_message_of_900_kib_arrives(url: str) -> None:
    data = bytes(range(256)) * 3600
    async with member(url) as a, member(url) as b:
        await b.subscribe("all")
        await a.publish("all", data)
        await a.publish("all", b"small")
        await b.has(Told("message", "all", b"small"))
        assert b.messages == [("all", data), ("all", b"small")]


async def test_who_was_told_that_it_is_subscribed_misses_nothing(url: str) -> None:
    async with member(url) as a, member(url) as b:
        for number in range(50):
            await b.subscribe(f"g.{number}")
            assert a.engine.publish(f"g.{number}", b"now")
            await b.has(Told("message", f"g.{number}", b"now"))


async def test_done_is_called_once_and_not_within_subscribe(url: str) -> None:
    async with member(url) as a:
        calls: list[int] = []
        a.engine.subscribe("x", lambda: calls.append(1))
        a.engine.subscribe("x", lambda: calls.append(2))
        assert calls == []
        await a.subscribe("y")
        assert sorted(calls) == [1, 2]


async def test_what_is_unsubscribed_does_not_come(url: str) -> None:
    async with member(url) as a, member(url) as b, member(url) as c:
        await b.subscribe("x", "y")
        await c.subscribe("x")
        await a.publish("x", b"1")
        await b.has(Told("message", "x", b"1"))
        b.engine.unsubscribe("x")
        b.engine.unsubscribe("never")
        await a.publish("x", b"2")
        await c.has(Told("message", "x", b"2"))
        await a.publish("y", b"3")
        await b.has(Told("message", "y", b"3"))
        assert b.messages == [("x", b"1"), ("y", b"3")]
        await b.subscribe("x")
        await a.publish("x", b"4")
        await b.has(Told("message", "x", b"4"))


async def test_the_last_of_subscribe_and_unsubscribe_counts(url: str) -> None:
    async with member(url) as a, member(url) as b:
        for _ in range(3):
            b.engine.subscribe("on", lambda: None)
            b.engine.unsubscribe("on")
            b.engine.subscribe("on", lambda: None)
            b.engine.subscribe("off", lambda: None)
            b.engine.unsubscribe("off")
        await b.subscribe("fence")
        await a.publish("off", b"")
        await a.publish("on", b"")
        await b.has(Told("message", "on", b""))
        await fence(a, b)
        assert b.messages == [("on", b""), ("end", b"")]


async def test_a_thousand_topics(url: str) -> None:
    topics = [f"g.{number:026x}" for number in range(1000)]
    async with member(url) as a, member(url) as b:
        await b.subscribe(*topics)
        for topic in topics:
            await a.publish(topic, topic.encode())
        await b.heard("message", 1000)
        assert sorted(b.messages) == [(topic, topic.encode()) for topic in topics]
        for topic in topics[1:]:
            b.engine.unsubscribe(topic)
        await a.publish(topics[500], b"gone")
        await a.publish(topics[0], b"there")
        await b.has(Told("message", topics[0], b"there"))
        assert b.engine.statistics.received == 1001


async def test_a_listener_that_raises_gets_the_next_message(url: str, caplog: pytest.LogCaptureFixture) -> None:
    class Raising(Member):
        def message(self, topic: str, data: bytes) -> None:
            super().message(topic, data)
            raise ValueError("a bug of the listener")

    b = Raising(open_engine(url))
    b.engine.start(running_loop(), b)
    async with member(url) as a:
        await b.heard("up")
        await b.subscribe("all")
        await a.publish("all", b"1")
        await a.publish("all", b"2")
        await b.has(Told("message", "all", b"2"))
    b.engine.stop()
    assert "a bug of the listener" in caplog.text


async def test_an_engine_knows_whether_it_is_connected(url: str) -> None:
    engine = open_engine(url)
    assert not engine.connected
    assert engine.problem == "not started"
    assert not engine.publish("all", b"")
    one = Member(engine)
    engine.start(running_loop(), one)
    await one.heard("up")
    assert engine.connected
    assert engine.problem == ""
    assert one.whats == ["up"]
    engine.stop()
    assert not engine.connected
    assert engine.problem
    assert not engine.publish("all", b"")
    assert engine.statistics.dropped == 2


async def test_after_stop_nothing_is_told(url: str) -> None:
    async with member(url) as a, member(url) as b:
        await b.subscribe("all")
        await a.publish("all", b"1")
        await b.has(Told("message", "all", b"1"))
        b.engine.stop()
        b.engine.stop()
        b.engine.subscribe("x", lambda: b.tell(Told("done")))
        b.engine.unsubscribe("all")
        await a.publish("all", b"2")
        async with member(url) as c:
            await fence(a, c)
        assert b.whats == ["up", "message"]


async def test_a_listener_may_stop_its_engine(url: str) -> None:
    class Stopping(Member):
        def message(self, topic: str, data: bytes) -> None:
            super().message(topic, data)
            self.engine.stop()

    b = Stopping(open_engine(url))
    b.engine.start(running_loop(), b)
    async with member(url) as a:
        await b.heard("up")
        await b.subscribe("all")
        for number in range(10):
            await a.publish("all", b"%d" % number)
        await b.heard("message")
        async with member(url) as c:
            await fence(a, c)
    assert b.messages == [("all", b"0")]


async def test_what_was_published_before_the_end_is_sent(url: str) -> None:
    async with member(url) as b:
        await b.subscribe("all")
        async with member(url) as a:
            assert [a.engine.publish("all", b"%d" % number) for number in range(500)] == [True] * 500
        await b.heard("message", 500)
        assert [data for _, data in b.messages] == [b"%d" % number for number in range(500)]


async def test_an_engine_may_stop_at_once(url: str) -> None:
    """In whatever state its thread is by then; the fixture looks for threads that are left."""
    for turns in range(6):
        async with member(url, wait=False):
            await anyio.sleep(turns * 0.002)


async def test_an_engine_may_be_stopped_before_it_was_started(url: str) -> None:
    engine = open_engine(url)
    engine.stop()
    assert not engine.connected
