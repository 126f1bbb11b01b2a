"""docs/consumers.md: its code runs, its own tests pass, and what it says of turns, requests and errors is so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from channels_bridge import AsyncConsumer, Router
from channels_bridge.shared.errors import ApplicationError, LocalProtocolError
from channels_bridge.testing import bridged
from halves import bridging, directory, hosting
from played_server import Call, websocket_scope

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "consumers.md"
Message = dict[str, Any]
Talk = Callable[..., Any]  # of conftest.py


def code_of_page() -> dict[str, Any]:
    """Run the page's Python blocks one after the other, as one module, and return what they define."""
    text = PAGE.read_text()
    module = [""] * (text.count("\n") + 1)  # each line at its place on the page, so that a traceback leads there
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        first = text.count("\n", 0, block.start(1))
        code = block[1].splitlines()
        module[first : first + len(code)] = code
    namespace: dict[str, Any] = {"__name__": "consumers_md"}
    exec(compile("\n".join(module), PAGE, "exec", dont_inherit=True), namespace)
    return namespace


CODE = code_of_page()
TESTS = [name for name in CODE if name.startswith("test_")]
CONSUMERS = {name for name, value in CODE.items() if getattr(value, "__module__", "") == "consumers_md"} - {*TESTS}


@pytest.mark.parametrize("name", TESTS)
def test_the_tests_of_the_page(name: str) -> None:
    asyncio.run(CODE[name]())


def test_nothing_on_the_page_is_left_out_here() -> None:
    assert TESTS == ["test_hello", "test_chat", "test_gallery"]
    assert sorted(CONSUMERS) == [
        "ChatConsumer",
        "Echo",
        "GalleryConsumer",
        "HelloConsumer",
        "Index",
        "NewsConsumer",
        "ReportConsumer",
        "SearchConsumer",
        "SearchesConsumer",
        "ShoppingConsumer",
        "ThumbnailConsumer",
        "WordsConsumer",
        "make_report",
        "search",
        "words_in",
    ]


@asynccontextmanager
async def talking(talk: Talk, consumer: object, kind: str = "websocket", **scope: Any) -> AsyncGenerator[Any]:
    """Give one connection of a consumer."""
    async with bridged(consumer) as application, talk(application, kind, "/", **scope) as client:
        yield client


def test_the_raw_echo(talk: Talk) -> None:
    async def main() -> None:
        async with talking(talk, CODE["Echo"]) as client:
            await client.connect()
            await client.say("hello")
            assert await client.hear() == "hello"
            await client.end()

    asyncio.run(main())


# -- turns -----------------------------------------------------------------------------------------------------


def test_what_was_flushed_is_not_taken_back(talk: Talk) -> None:
    async def main() -> None:
        async with talking(talk, CODE["ReportConsumer"]) as client:
            await client.connect()
            await client.say("bees")
            assert [await client.hear(), await client.hear()] == ["working on it", "All about bees"]
            await client.say("")
            assert await client.hear() == "working on it"
            assert (await client.get("websocket.close"))["code"] == 1011

    asyncio.run(main())


def test_a_handler_that_catches_its_limit_ends_in_order(talk: Talk) -> None:
    hasty = type("Hasty", (CODE["WordsConsumer"],), {"soft_time_limit": 0.1})

    async def main() -> None:
        async with talking(talk, hasty) as client:
            await client.connect()
            await client.say("one two")
            assert await client.hear() == "one, two"
            await client.say("word " * 1000)
            heard = (await client.hear()).split(", ")
            assert heard[0] == "word"
            assert heard[-1] == "and more"
            assert len(heard) < 20

    asyncio.run(main())


@pytest.mark.anyio
async def test_an_async_handler_that_catches_its_limit_ends_in_order_on_either_loop() -> None:
    hasty = type("Hasty", (CODE["SearchesConsumer"],), {"soft_time_limit": 0.1})
    found: list[str] = []

    async def search(shelf: str, words: str) -> str:
        """Find quickly what is near, and nothing elsewhere."""
        if found:
            await anyio.sleep_forever()
        found.append(shelf)
        return f"{words} in {shelf}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CODE["SearchesConsumer"].websocket_receive.__globals__, "search", search)
        async with bridged(hasty, same_loop=True) as application, Call(application, websocket_scope()) as call:
            await call.connect()
            call.say("bees")
            assert await call.hear() == "bees in fiction, and more"


class Fragile(AsyncConsumer):
    """Tells the group and its client what it is told, then fails if that was "fail"."""

    async def websocket_connect(self, message: Message) -> None:
        await self.channel_layer.group_add("fragile", self.consumer_channel)

    async def websocket_receive(self, message: Message) -> None:
        await self.channel_layer.send_group("fragile", {"type": "said", "text": message["text"]})
        await self.send({"type": "websocket.send", "text": "sent"})
        if message["text"] == "fail":
            raise ValueError("as told")

    async def said(self, message: Message) -> None:
        await self.send({"type": "websocket.send", "text": message["text"]})


def test_a_turn_that_fails_has_not_happened(talk: Talk) -> None:
    async def main() -> None:
        async with (
            bridged(Fragile) as application,
            talk(application, "websocket", "/") as failing,
            talk(application, "websocket", "/") as other,
        ):
            await failing.connect()
            await other.connect()
            await failing.say("fail")
            assert (await failing.get("websocket.close"))["code"] == 1011  # and not "sent"
            await other.say("well")
            assert [await other.hear(), await other.hear()] == ["sent", "well"]  # and not "fail"

    asyncio.run(main())


def test_outside_of_a_turn_it_happens_at_once(talk: Talk) -> None:
    class Clock(AsyncConsumer):
        async def websocket_connect(self, message: Message) -> None:
            self.task = asyncio.create_task(self.tick())

        async def tick(self) -> None:
            while True:
                await asyncio.sleep(0.001)
                await self.send({"type": "websocket.send", "text": "tick"})

        async def websocket_disconnect(self, message: Message) -> None:
            self.task.cancel()

    async def main() -> None:
        async with talking(talk, Clock) as client:
            await client.connect()
            assert [await client.hear() for _ in range(3)] == ["tick"] * 3
            await client.end()

    asyncio.run(main())


# -- resumable consumers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("ShoppingConsumer", ["1 in your basket", "2 in your basket", "3 in your basket"]),
        ("SearchConsumer", ["a", "a and b", "a and b and c"]),
    ],
)
def test_a_connection_outlives_its_worker(talk: Talk, name: str, answers: list[str]) -> None:
    heard: list[str] = []

    async def main() -> None:
        with directory() as url, bridging(url) as bridge:
            async with talk(bridge, "websocket", "/") as client:
                for number, word in enumerate("abc"):  # each by another worker
                    async with hosting(CODE[name], url) as node:
                        if not number:
                            await client.connect()
                        await client.say(word)
                        heard.append(await client.hear())
                        await node.drain(0.1)
                await client.put("websocket.disconnect", code=1001)

    asyncio.run(main())
    assert heard == answers


# -- base classes ----------------------------------------------------------------------------------------------


class Door(AsyncConsumer):
    """Refuses, or opens with a subprotocol, or waits with that; the arguments of the URL are there in every turn."""

    ends: list[str]

    async def websocket_connect(self, message: Message, how: str) -> None:
        self.auto_accept = how != "wait"  # type: ignore[misc]
        if how == "refuse":
            await self.send({"type": "websocket.close"})
        elif how == "json":
            await self.send({"type": "websocket.accept", "subprotocol": "json"})
        elif how == "wait":
            await self.channel_layer.send(self.consumer_channel, {"type": "open.now"})

    async def open_now(self, message: Message) -> None:
        await self.send({"type": "websocket.accept", "subprotocol": self.url_kwargs["how"]})

    async def websocket_disconnect(self, message: Message) -> None:
        self.ends.append(self.url_kwargs["how"])


@pytest.mark.parametrize("how", ["refuse", "json", "wait", "default"])
def test_a_socket_is_refused_or_accepted(talk: Talk, how: str) -> None:
    Door.ends = []

    async def main() -> None:
        app = Router({"/<how>/": Door})
        async with bridged(app) as application, talk(application, "websocket", f"/{how}/") as client:
            await client.put("websocket.connect")
            if how == "refuse":
                await client.get("websocket.close")
            else:
                accept = await client.get("websocket.accept")
                assert accept.get("subprotocol") == {"json": "json", "wait": "wait"}.get(how)
            await client.end()

    asyncio.run(main())
    assert Door.ends == [how]


# -- requests --------------------------------------------------------------------------------------------------


def test_a_stream_of_events_needs_no_loop(talk: Talk) -> None:
    async def main() -> None:
        async with (
            bridged(CODE["NewsConsumer"]) as application,
            talk(application, "http", "/", method="GET") as listener,
            talk(application, "http", "/", method="POST") as speaker,
        ):
            await listener.put("http.request", body=b"")
            assert (await listener.get("http.response.start"))["status"] == 200
            assert (await listener.get("http.response.body"))["body"] == b": hello\n\n"
            await speaker.put("http.request", body=b"it ", more_body=True)
            await speaker.put("http.request", body=b"rains")
            assert (await speaker.get("http.response.start"))["status"] == 204
            item = await listener.get("http.response.body")
            assert (item["body"], item["more_body"]) == (b"data: it rains\n\n", True)
            await listener.put("http.disconnect")

    asyncio.run(main())


# -- errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flush", [False, True])
def test_a_request_whose_handler_raises(talk: Talk, flush: bool) -> None:
    """The server is told by an exception, as it is by any application: it answers 500, or cuts what began."""

    class Raising(AsyncConsumer):
        async def http_request(self, message: Message) -> None:
            await self.send({"type": "http.response.start", "status": 200, "headers": []})
            await self.send({"type": "http.response.body", "body": b"half", "more_body": True})
            if flush:
                await self.flush()
            raise ValueError("as told")

    async def main() -> None:
        async with talking(talk, Raising, "http", method="GET") as client:
            await client.put("http.request", body=b"")
            if flush:
                await client.get("http.response.start")
                await client.get("http.response.body")
            with pytest.raises(ApplicationError, match="ValueError: as told"):
                await client.get("nothing more")

    asyncio.run(main())


def test_an_error_is_raised_at_the_line_at_fault(talk: Talk) -> None:
    class Careless(AsyncConsumer):
        async def websocket_receive(self, message: Message) -> None:
            try:
                if message["text"] == "kind":
                    await self.send({"type": "http.response.start", "status": 200})
                elif message["text"] == "group":
                    await self.channel_layer.group_add("no group", self.consumer_channel)
                else:
                    await self.channel_layer.send_group("group", {"type": "x", "value": object()})
            except LocalProtocolError as error:
                await self.send({"type": "websocket.send", "text": str(error)})

    async def main() -> None:
        async with talking(talk, Careless) as client:
            await client.connect()
            await client.say("kind")
            assert "'http.response.start' cannot be sent now" in await client.hear()
            await client.say("group")
            assert "'no group' is not a group name" in await client.hear()
            await client.say("value")
            assert "the value of 'value' in a message of type 'x' cannot be sent" in await client.hear()

    asyncio.run(main())


def test_a_message_without_a_handler_ends_the_connection(talk: Talk) -> None:
    class Deaf(AsyncConsumer):
        async def websocket_receive(self, message: Message) -> None:
            await self.channel_layer.send(self.consumer_channel, {"type": "no.such"})

    async def main() -> None:
        async with talking(talk, Deaf) as client:
            await client.connect()
            await client.say("hello")
            assert (await client.get("websocket.close"))["code"] == 1011

    asyncio.run(main())


def test_a_send_to_a_client_that_is_gone(talk: Talk) -> None:
    seen: list[str] = []

    class Late(AsyncConsumer):
        async def websocket_disconnect(self, message: Message) -> None:
            await self.send({"type": "websocket.send", "text": "wait!"})
            seen.append(message["type"])

    async def main() -> None:
        async with talking(talk, Late) as client:
            await client.connect()
            await client.end()

    asyncio.run(main())
    assert seen == ["websocket.disconnect"]


def test_where_nothing_fits() -> None:
    async def main() -> httpx.Response:
        async with bridged(CODE["application"]) as application:
            app: Any = application
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
                return await client.get("/nowhere/")

    assert asyncio.run(main()).status_code == 404
