"""Which consumer gets a message."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from channels_bridge.worker.legacy import routing
from channels_bridge.worker.legacy.handler import ViewConsumer
from channels_bridge.worker.legacy.memory import ChannelLayer
from channels_bridge.worker.legacy.message import Message
from channels_bridge.worker.legacy.routing import Include, Route, RouteClass, Router, include, route, route_class
from channels_bridge.worker.legacy.staticfiles import StaticFilesConsumer

HERE = __name__


def consumer(message: Message, **arguments: Any) -> None:
    """Be a consumer."""


def other(message: Message) -> None:
    """Be another one."""


class Generic:
    """Is a class that says for which channels it is."""

    @classmethod
    def channel_names(cls) -> set[str]:
        return {"websocket.connect", "websocket.receive"}


ROUTES = [route("inner", consumer)]
MAPPING = {"inner": consumer}
NOTHING = 1


def message(channel: str, **content: Any) -> Message:
    return Message(content, channel, ChannelLayer())


def match(routes: Any, channel: str, **content: Any) -> Any:
    return Router(routes).match(message(channel, **content))


# -- routes ----------------------------------------------------------------------------------------------------


def test_the_names_of_projects_are_these_classes() -> None:
    assert (route, route_class, include) == (Route, RouteClass, Include)


def test_by_channel() -> None:
    routes = [route("a", consumer), route(b"b", other), route(["c", "d"], consumer)]
    assert match(routes, "a") == match(routes, "c") == match(routes, "d") == (consumer, {})
    assert match(routes, "b") == (other, {})
    assert match(routes, "e") is None
    assert Router(routes).channels == {"a", "b", "c", "d"}


def test_the_first_that_matches_wins() -> None:
    assert match([route("a", consumer), route("a", other)], "a") == (consumer, {})
    routes = [route("a", consumer, path="/x"), route("a", other)]
    assert match(routes, "a", path="/y") == (other, {})


def test_filters_match_from_the_beginning_and_all_of_them_must() -> None:
    routes = [route("a", consumer, path=r"/chat", command=b"^join$")]
    assert match(routes, "a", path="/chat/room", command="join") == (consumer, {})
    assert match(routes, "a", path=b"/chat/room", command=b"join") == (consumer, {})
    assert match(routes, "a", path="x/chat", command="join") is None
    assert match(routes, "a", path="/chat", command="leave") is None
    assert match(routes, "a", path="/chat") is None


def test_named_groups_become_arguments() -> None:
    routes = [route("a", consumer, path=r"^/(?P<room>\w+)/", method=r"(?P<method>GET|POST)")]
    assert match(routes, "a", path="/blue/", method="GET") == (consumer, {"room": "blue", "method": "GET"})
    optional = [route("a", consumer, path=r"/(?P<room>\d+)?")]
    assert match(optional, "a", path="/") == (consumer, {"room": None})


def test_a_route_can_be_asked_by_itself() -> None:
    assert route("a", consumer).match(message("a")) == (consumer, {})
    assert include([route("a", consumer)]).match(message("b")) is None


def test_groups_without_a_name_are_refused() -> None:
    for make in (lambda: route("a", consumer, path=r"/(\w+)/"), lambda: include([], path=r"/(\w+)/(?P<a>x)")):
        with pytest.raises(ValueError, match="has a group without a name"):
            make()
    assert match([route("a", consumer, path=r"/(?:\w+)/")], "a", path="/x/") == (consumer, {})


@pytest.mark.parametrize("value", [5, 5.0, None, True, b"\xff5", "\ud800", [5], {"a": 5}])
def test_no_value_makes_matching_fail(value: Any) -> None:
    """A message with another one than text ended a worker of Channels 1."""
    assert match([route("a", consumer, key="nothing like it")], "a", key=value) is None
    assert match([route("a", consumer, key=".*5|.")], "a", key=value) is not None
    assert match([include([route("a", consumer)], key=".?")], "a", key=value) is not None


def test_bytes_that_are_not_ascii_are_matched_as_they_are() -> None:
    assert match([route("a", consumer, query_string=rb"^x=(?P<x>.)$")], "a", query_string=b"x=\xe4") == (
        consumer,
        {"x": "\xe4"},
    )


def test_consumers_by_dotted_path() -> None:
    assert match([route("a", f"{HERE}.consumer")], "a") == (consumer, {})
    for path in (f"{HERE}.missing", "missing.module.consumer", "nodots"):
        with pytest.raises(ImproperlyConfigured, match=re.escape(f"cannot import the consumer {path!r}")):
            route("a", path)
    with pytest.raises(ImproperlyConfigured, match="is not callable"):
        route("a", f"{HERE}.NOTHING")


def test_classes_say_for_which_channels_they_are() -> None:
    for given in (Generic, f"{HERE}.Generic"):
        routes = [route_class(given, path="^/a")]
        assert Router(routes).channels == {"websocket.connect", "websocket.receive"}
        assert match(routes, "websocket.receive", path="/a") == (Generic, {})
        assert match(routes, "websocket.disconnect", path="/a") is None
    with pytest.raises(ValueError, match="takes a class with channel_names"):
        route_class(consumer)


def test_a_route_says_what_it_does() -> None:
    assert str(route(["b", "a"], consumer)) == "a/b -> consumer"


# -- includes --------------------------------------------------------------------------------------------------


def test_what_an_include_has_matched_its_routes_do_not_see_and_the_consumer_does() -> None:
    inner = [route("a", consumer, path=r"^/stream/(?P<name>\w+)")]
    routes = [include(inner, path=r"^/live/(?P<kind>\w+)")]
    it = message("a", path="/live/tv/stream/one")
    assert Router(routes).match(it) == (consumer, {"kind": "tv", "name": "one"})
    assert it["path"] == "/live/tv/stream/one"
    assert match(routes, "a", path="/stream/one") is None
    assert match(routes, "a", path="/live/tv") is None


def test_the_inner_argument_wins() -> None:
    routes = [include([route("a", consumer, path=r"/(?P<x>\d)")], path=r"/(?P<x>\d)")]
    assert match(routes, "a", path="/1/2") == (consumer, {"x": "2"})


def test_includes_in_includes() -> None:
    routes = [include([include([route("a", consumer, path="^c$")], path="^b")], path="^a"), route("a", other)]
    assert match(routes, "a", path="abc") == (consumer, {})
    assert match(routes, "a", path="abd") == (other, {})
    assert Router(routes).channels == {"a"}


@pytest.mark.parametrize("given", [ROUTES, tuple(ROUTES), MAPPING, f"{HERE}.ROUTES", f"{HERE}.MAPPING"])
def test_what_routing_may_be(given: Any) -> None:
    assert match(given, "inner") == (consumer, {})
    assert match([include(given)], "inner") == (consumer, {})
    assert match([include(given, path="/x")], "inner", path="/xy") == (consumer, {})


@pytest.mark.parametrize("given", [1, None, f"{HERE}.NOTHING", "missing.module", HERE])
def test_what_it_may_not_be(given: Any) -> None:
    with pytest.raises(ImproperlyConfigured):
        Router(given)


class Own:
    """Is a route that a project has made for itself."""

    def match(self, message: Message) -> Any:
        return (other, {"seen": message["path"]}) if message.channel.name == "own" else None

    def channel_names(self) -> set[str]:
        return {"own"}


def test_routes_of_a_projects_own_making() -> None:
    assert match([Own()], "own", path="/a/b") == (other, {"seen": "/a/b"})
    assert match([include([Own()], path="/a")], "own", path="/a/b") == (other, {"seen": "/b"})
    assert Router([include([Own()])]).channels == {"own"}
    assert match([Own()], "other") is None


# -- the routes that are always there --------------------------------------------------------------------------


def test_what_a_project_does_not_route_is_answered() -> None:
    router = Router([])
    router.check_default()
    assert router.channels == {"http.request", "websocket.connect", "websocket.receive", "websocket.disconnect"}
    found = router.match(message("http.request", path="/"))
    assert found is not None
    assert type(found[0]) is ViewConsumer
    layer = ChannelLayer()
    for channel, sent in (
        ("websocket.connect", ("reply", {"accept": True})),
        ("websocket.receive", (None, None)),
        ("websocket.disconnect", (None, None)),
    ):
        it = Message({"reply_channel": "reply", "path": "/"}, channel, layer)
        found = router.match(it)
        assert found is not None
        found[0](it, **found[1])
        assert layer.receive(["reply"]) == sent
    routing.connect_consumer(message("websocket.connect"))


def test_they_stand_behind_those_of_the_project() -> None:
    routes = (route(channel, consumer, path="^/a") for channel in ("websocket.connect", "http.request"))
    router = Router(list(routes))
    for _ in range(2):  # the second time is without effect
        router.check_default()
    assert router.match(message("websocket.connect", path="/a")) == (consumer, {})
    assert router.match(message("http.request", path="/a")) == (consumer, {})
    assert router.match(message("websocket.connect", path="/b")) == (routing.connect_consumer, {})
    assert router.match(message("websocket.receive", path="/a")) == (routing.null_consumer, {})
    found = router.match(message("http.request", path="/b"))
    assert found is not None
    assert type(found[0]) is ViewConsumer
    assert len(router.root) == 5


@override_settings(DEBUG=True)
def test_the_http_consumer_can_be_another_one() -> None:
    router = Router([])
    router.check_default(http_consumer=consumer)
    assert router.match(message("http.request")) == (consumer, {})
    router = Router([])
    router.check_default()
    found = router.match(message("http.request"))
    assert found is not None
    assert type(found[0]) is StaticFilesConsumer
