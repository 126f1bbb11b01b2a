"""Patterns and what they match; the consumer that is picked; what is answered where none fits."""

from __future__ import annotations

from typing import Any

import pytest

from channels_bridge import AsyncConsumer, Router, SyncConsumer
from channels_bridge.shared.errors import ConfigurationError
from channels_bridge.testing import bridged
from channels_bridge.worker.router import NotFound
from played_server import Call, Event, fetch, http_scope, websocket_scope


class One(AsyncConsumer):
    pass


class Two(SyncConsumer):
    pass


class Sockets(AsyncConsumer):
    type = "websocket"


class Requests(AsyncConsumer):
    type = "http"


# -- patterns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "arguments"),
    [
        ("/", "/", {}),
        ("/chat/", "/chat/", {}),
        ("/chat/", "/chat", None),
        ("/chat/", "/chat/x", None),
        ("/room/<name>/", "/room/lobby/", {"name": "lobby"}),
        ("/room/<name>/", "/room/a b é%41/", {"name": "a b é%41"}),
        ("/room/<name>/", "/room//", None),
        ("/room/<name>/", "/room/a/b/", None),
        ("/room/<str:name>/", "/room/a/", {"name": "a"}),
        ("/user/<int:id>/", "/user/0042/", {"id": 42}),
        ("/user/<int:id>/", "/user/-1/", None),
        ("/user/<int:id>/", "/user/x/", None),
        ("/file/<path:rest>", "/file/a/b/c.txt", {"rest": "a/b/c.txt"}),
        ("/file/<path:rest>", "/file/", None),
        ("/<a>/<int:b>/<path:c>/end", "/x/1/y/z/end", {"a": "x", "b": 1, "c": "y/z"}),
        ("/<a>-<b>.html", "/x-y.html", {"a": "x", "b": "y"}),
        ("/dots.are+dots(", "/dots.are+dots(", {}),
        ("/dots.are", "/dotsXare", None),
        ("/line", "/line\n", None),
        ("/<name>", "/with\nline", {"name": "with\nline"}),
    ],
)
def test_patterns(pattern: str, path: str, arguments: dict[str, Any] | None) -> None:
    factory, found = Router({pattern: One}).select("http", path)
    assert (factory, found) == ((NotFound, {}) if arguments is None else (One, arguments))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("chat/", "a pattern begins with '/', as a path does"),
        ("", "a pattern begins with '/', as a path does"),
        ("/<uuid:id>/", "'uuid' is none of str, int, path"),
        ("/<name", "a parameter is <name>, <int:name> or <path:name>"),
        ("/name>", "a parameter is <name>, <int:name> or <path:name>"),
        ("/<1name>/", "a parameter is <name>, <int:name> or <path:name>"),
        ("/<a><<b>/", "a parameter is <name>, <int:name> or <path:name>"),
        ("/<:a>/<b>", "a parameter is <name>, <int:name> or <path:name>"),
        ("/<a>/<a>/", "'a'"),
    ],
)
def test_patterns_that_make_no_sense_are_said_at_once(pattern: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Router({pattern: One})
    assert str(caught.value).startswith(f"route {pattern!r}: ")
    assert message in str(caught.value)


# -- the pick --------------------------------------------------------------------------------------------------


def test_the_first_pattern_that_fits_wins() -> None:
    router = Router([("/a/<name>", One), ("/a/b", Two), ("/<path:rest>", Two)])
    assert router.select("http", "/a/b") == (One, {"name": "b"})
    assert router.select("http", "/b") == (Two, {"rest": "b"})
    assert router.factories == [One, Two, Two]


def test_routes_may_be_any_pairs_or_mapping() -> None:
    assert Router(("/", One) for _ in range(1)).select("http", "/")[0] is One
    assert Router({"/": One}).select("websocket", "/")[0] is One


def test_a_consumer_with_a_type_gets_connections_of_that_type_only() -> None:
    router = Router([("/", Sockets), ("/", Requests)])
    assert router.select("websocket", "/")[0] is Sockets
    assert router.select("http", "/")[0] is Requests
    assert Router([("/", Sockets)]).select("http", "/")[0] is NotFound


class Background(AsyncConsumer):
    type = "channel"


def test_a_pattern_without_a_slash_is_a_named_channel() -> None:
    router = Router({"/": One, "thumbnails": Background, "mail": Two})
    assert router.select("channel", "thumbnails") == (Background, {})
    assert router.select("channel", "mail") == (Two, {})
    assert router.select("channel", "other")[0] is NotFound
    for kind in ("http", "websocket"):
        assert router.select(kind, "thumbnails")[0] is NotFound


def test_a_path_is_no_channel_and_parameters_are_for_channels_too() -> None:
    router = Router({"/<path:rest>": One, "user.<int:id>": Background})
    assert router.select("channel", "/x")[0] is NotFound
    assert router.select("channel", "user.7") == (Background, {"id": 7})


@pytest.mark.parametrize(
    ("pattern", "factory", "message"),
    [
        ("thumbnails", Sockets, "its consumer no other type"),
        ("thumb/nails", Background, "a channel's name has none"),
        ("/thumbnails/", Background, "is found by a channel's name, not a path"),
    ],
)
def test_a_channel_and_a_type_that_do_not_fit_are_said(pattern: str, factory: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Router({pattern: factory})
    assert str(caught.value).startswith(f"route {pattern!r}: ")
    assert message in str(caught.value)


def test_the_consumers_of_routers_within_are_its_own() -> None:
    assert Router([("/a", One), ("/b", Router({"/b": Two, "c": Background}))]).factories == [One, Two, Background]


def test_a_router_is_no_consumer_by_itself() -> None:
    with pytest.raises(ConfigurationError, match=r"select\(type, path\)"):
        Router({})("http", None, "", None)


# -- through a worker ------------------------------------------------------------------------------------------


class Greeter(AsyncConsumer):
    async def http_request(self, message: Event, name: str, number: int = 0) -> None:
        assert self.url_kwargs == self.scope["url_route"]["kwargs"]
        await self.send({"type": "http.response.start", "status": 200})
        await self.send({"type": "http.response.body", "body": f"{name} {number}".encode()})

    async def websocket_connect(self, message: Event, name: str) -> None:
        await self.send({"type": "websocket.send", "text": name})

    async def websocket_receive(self, message: Event) -> None:
        await self.send({"type": "websocket.send", "text": f"{self.url_kwargs['name']}: {message['text']}"})


@pytest.mark.anyio
async def test_arguments_reach_the_first_handler() -> None:
    router = Router({"/<name>/": Greeter, "/<name>/<int:number>/": Greeter})
    async with bridged(router, same_loop=True) as bridge:
        assert (await fetch(bridge, "/é/")).body == "é 0".encode()
        assert (await fetch(bridge, "/a/7/")).body == b"a 7"
        async with Call(bridge, websocket_scope("/ann/")) as call:
            assert (await call.connect())["type"] == "websocket.accept"
            assert await call.hear() == "ann"
            call.say("hi")
            assert await call.hear() == "ann: hi"


@pytest.mark.anyio
async def test_a_path_that_nothing_fits_is_not_found() -> None:
    async with bridged(Router({}), same_loop=True) as bridge:
        response = await fetch(bridge, "/x")
        assert (response.status, response.body) == (404, b"Not Found\n")
        assert response.headers[b"content-length"] == b"10"
        async with Call(bridge, http_scope("/x", "POST")) as call:
            call.give({"type": "http.request", "body": b"x", "more_body": True})
            call.give({"type": "http.request", "body": b"y"})
            await call.end()
            assert call.sent[0]["status"] == 404
        async with Call(bridge, websocket_scope("/x")) as call:
            assert await call.connect() == {"type": "websocket.close", "code": 1000}
            assert await call.end() is None


@pytest.mark.anyio
async def test_routers_may_be_nested() -> None:
    inner = Router({"/<name>/": Greeter})
    async with bridged(Router([("/<path:rest>", inner)]), same_loop=True) as bridge:
        assert (await fetch(bridge, "/a/")).body == b"a 0"
