"""A message of ``http.request`` is what Django's views expect, and what they give becomes messages."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from django.core import signals
from django.core.exceptions import RequestDataTooBig
from django.core.handlers import base
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import get_script_prefix, path, reverse

from channels_bridge.worker.legacy.exceptions import RequestAborted, RequestTimeout, ResponseLater
from channels_bridge.worker.legacy.handler import AsgiHandler, AsgiRequest, ViewConsumer
from channels_bridge.worker.legacy.message import Message

REQUEST: dict[str, Any] = {
    "reply_channel": "reply.here!1",
    "http_version": "1.1",
    "method": "GET",
    "path": "/text",
    "root_path": "",
    "scheme": "http",
    "query_string": b"a=1&b=%C3%A9",
    "headers": [[b"host", b"example.com"], [b"cookie", b"a=b; c=d"]],
    "body": b"",
    "client": ["1.2.3.4", 55],
    "server": ["5.6.7.8", 80],
}
CLOSED: list[str] = []  # what responses have closed


class Layer:
    """Keeps what is sent. ``incoming``: what ``receive`` gives; ``gone``: the client has, after so many messages."""

    def __init__(self, incoming: list[Any] | None = None, gone: int | None = None) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.incoming: list[Any] = incoming or []
        self.asked: list[tuple[list[str], bool]] = []
        self._gone = gone

    def send(self, channel: str, message: dict[str, Any]) -> None:
        self.sent.append((channel, message))

    def receive(self, channels: list[str], block: bool = False) -> Any:
        self.asked.append((channels, block))
        part = self.incoming.pop(0) if self.incoming else None
        return (None, None) if part is None else (channels[0], part)

    def is_gone(self, channel: str) -> bool:
        return self._gone is not None and len(self.sent) >= self._gone


def message(layer: Any = None, **content: Any) -> Message:
    return Message({**REQUEST, **content}, "http.request", layer or Layer())


def request(**content: Any) -> Any:
    return AsgiRequest(message(**content))


# -- views -----------------------------------------------------------------------------------------------------


def text(_request: Any) -> HttpResponse:
    return HttpResponse("hí".encode())


def where(_request: Any) -> HttpResponse:
    return HttpResponse(f"{reverse('where')} {get_script_prefix()}".encode())


def big(_request: Any) -> HttpResponse:
    response = HttpResponse(b"x" * (2 * AsgiHandler.chunk_size + 5), headers={"X-Mixed-Case": "yes"})
    response.set_cookie("a", "b")
    response.set_cookie("c", "d")
    return response


class Parts:
    """An iterator that says when it is closed."""

    def __init__(self, *parts: Any) -> None:
        self._parts = iter(parts)

    def __iter__(self) -> Iterator[Any]:
        for part in self._parts:
            if isinstance(part, Exception):
                raise part
            yield part

    def close(self) -> None:
        CLOSED.append("parts")


def parts(_request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(Parts(b"one", "zwö", b"x" * (AsgiHandler.chunk_size + 1)))


def no_parts(_request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(Parts(), status=202)


def endless(_request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(Parts(*[b"again"] * 1000))


def breaking(_request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(Parts(b"one", ValueError("on the way")))


def breaking_at_once(_request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(Parts(ValueError("at once")))


async def generated() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


def async_parts(_request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(generated())


async def async_view(_request: Any) -> HttpResponse:
    return HttpResponse(b"async")


def file(_request: Any) -> FileResponse:
    return FileResponse(BytesIO(b"x" * (AsgiHandler.chunk_size + 1)))


def failing(_request: Any) -> HttpResponse:
    raise ValueError("of a view")


def later(request: Any) -> HttpResponse:
    raise request.ResponseLater


def uploaded(request: Any) -> HttpResponse:
    names = {name: file.read().decode() for name, file in request.FILES.items()}
    return HttpResponse(f"{request.POST.dict()} {names}".encode())


VIEWS = (
    text, where, big, parts, no_parts, endless, breaking, breaking_at_once, async_parts, async_view, file, failing,
    later, uploaded,
)  # fmt: skip


class Catching:
    """A middleware that answers whatever views raise, and counts responses."""

    responses = 0

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        response = self._get_response(request)
        Catching.responses += 1
        return response

    def process_exception(self, request: Any, exception: Exception) -> HttpResponse:
        return HttpResponse(f"caught: {exception}".encode())


@pytest.fixture(autouse=True)
def views() -> Iterator[None]:
    CLOSED.clear()
    urls = tuple(path(view.__name__, view, name=view.__name__) for view in VIEWS)
    with override_settings(ROOT_URLCONF=urls, ALLOWED_HOSTS=["example.com"]):
        yield


def answers(name: str, **content: Any) -> list[dict[str, Any]]:
    return list(AsgiHandler()(message(path=f"/{name}", **content)))


def body(replies: list[dict[str, Any]]) -> bytes:
    return b"".join(reply.get("content", b"") for reply in replies)


# -- requests --------------------------------------------------------------------------------------------------


def test_a_request_says_where_it_comes_from() -> None:
    found = request()
    assert found.META == {
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "a=1&b=%C3%A9",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/text",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "REMOTE_ADDR": "1.2.3.4",
        "REMOTE_HOST": "1.2.3.4",
        "REMOTE_PORT": 55,
        "SERVER_NAME": "5.6.7.8",
        "SERVER_PORT": "80",
        "HTTP_HOST": "example.com",
        "HTTP_COOKIE": "a=b; c=d",
    }
    assert (found.path, found.path_info, found.method) == ("/text", "/text", "GET")
    assert found.reply_channel.name == "reply.here!1"
    assert found.message["http_version"] == "1.1"
    assert found.GET.dict() == {"a": "1", "b": "é"}
    assert found.COOKIES == {"a": "b", "c": "d"}
    assert found.headers["Host"] == "example.com"
    assert found.get_host() == "example.com"
    assert found.build_absolute_uri() == "http://example.com/text?a=1&b=%C3%A9"
    assert found.ResponseLater is ResponseLater


def test_a_request_without_addresses() -> None:
    meta = request(client=None, server=None).META
    assert (meta["SERVER_NAME"], meta["SERVER_PORT"]) == ("unknown", "0")
    assert "REMOTE_ADDR" not in meta


def test_a_request_has_what_a_socket_leaves_out() -> None:
    """The session decorators make a request of a WebSocket's message."""
    content = {"reply_channel": "reply.here!1", "path": "/chat", "method": "FAKE"}
    found: Any = AsgiRequest(Message(content, "websocket.connect", Layer()))
    assert (found.method, found.GET.dict(), found.COOKIES, found.body) == ("FAKE", {}, {}, b"")


def test_the_scheme_is_the_servers() -> None:
    assert request(scheme="https").is_secure()
    assert not request(scheme="").is_secure()
    with override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")):
        assert request(headers=[[b"x-forwarded-proto", b"https"]]).is_secure()


@pytest.mark.parametrize(
    ("root_path", "path", "path_info"),
    [
        ("/sub", "/sub/v", "/v"),
        ("/sub", "/v", "/v"),
        ("/sub/", "/sub/v", "/v"),
        ("/sub", "/sub", "/"),
        ("/sub", "/subway", "/subway"),
        ("", "/sub/v", "/sub/v"),
    ],
)
def test_a_mounted_project(root_path: str, path: str, path_info: str) -> None:
    found = request(root_path=root_path, path=path)
    assert (found.path, found.path_info, found.META["SCRIPT_NAME"]) == (path, path_info, root_path)


def test_links_begin_where_the_project_is_mounted() -> None:
    assert body(answers("where")) == b"/where /"
    assert body(answers("where", root_path="/sub")) == b"/sub/where /sub/"
    with override_settings(FORCE_SCRIPT_NAME="/forced"):
        assert body(answers("where", root_path="/sub")) == b"/forced/where /forced/"
    assert body(answers("where")) == b"/where /"


@pytest.mark.parametrize(
    "headers",
    [
        [[b"X-One", b"1"], [b"host", b"a"]],
        [("x-one", "1"), ("Host", "a")],
        {"x-one": b"1", "host": b"a"},
        {b"x-one": "1", b"host": "a"},
    ],
)
def test_headers_are_pairs_or_a_dict(headers: Any) -> None:
    meta = request(headers=headers).META
    assert (meta["HTTP_X_ONE"], meta["HTTP_HOST"]) == ("1", "a")


def test_headers_of_one_name_are_joined() -> None:
    headers = [[b"x-two", b"1"], [b"x-two", b"2"], [b"cookie", b"a=b"], [b"cookie", b"c=d"], [b"x_two", b"3"]]
    found = request(headers=headers)
    assert found.META["HTTP_X_TWO"] == "1,2"
    assert found.COOKIES == {"a": "b", "c": "d"}


def test_a_query_that_is_no_text() -> None:
    assert request(query_string="a=é").GET.dict() == {"a": "é"}
    with pytest.raises(UnicodeDecodeError):
        request(query_string=b"\xff")
    assert [reply["status"] for reply in answers("text", query_string=b"\xff")] == [400]


def test_a_form() -> None:
    headers = [[b"content-type", b"application/x-www-form-urlencoded"], [b"content-length", b"7"]]
    found = request(method="post", headers=headers, body=b"a=1&b=2")
    assert found.method == "POST"
    assert found.POST.dict() == {"a": "1", "b": "2"}
    assert found.body == b"a=1&b=2"
    assert request(method="POST", headers=headers, body=b"a=1&b=2").read(3) == b"a=1"
    assert not found.FILES
    found.POST = {"set": "by a middleware"}
    assert found.POST == {"set": "by a middleware"}


def test_another_encoding() -> None:
    found = request(headers=[[b"content-type", b"text/plain; charset=latin-1"]], query_string=b"a=%E9")
    assert (found.encoding, found.GET["a"]) == ("latin-1", "é")


def test_an_upload_whose_length_nobody_has_said() -> None:
    lines = [b"--x", b'Content-Disposition: form-data; name="f"; filename="f.txt"', b"", b"inside", b"--x--", b""]
    headers = [[b"host", b"example.com"], [b"content-type", b"multipart/form-data; boundary=x"]]
    answer = answers("uploaded", method="POST", headers=headers, body=b"\r\n".join(lines))
    assert body(answer) == b"{} {'f': 'inside'}"


def test_a_body_that_is_too_long_for_the_settings() -> None:
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=3), pytest.raises(RequestDataTooBig):
        _ = request(body=b"1234").body


def test_an_ended_request_lets_go_of_its_body() -> None:
    found = request(body=b"1234")
    found.close()
    assert found._stream.closed


# -- bodies in parts -------------------------------------------------------------------------------------------


def test_a_body_goes_on_in_a_channel() -> None:
    layer = Layer([{"content": b"two", "more_content": True}, None, {"content": b"three"}])
    found: Any = AsgiRequest(message(layer, body=b"one", body_channel="body?1"))
    assert found.body == b"onetwothree"
    assert layer.asked == [(["body?1"], True)] * 3


def test_a_body_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsgiRequest, "body_receive_timeout", 0)
    with pytest.raises(RequestTimeout):
        request(body_channel="body?1")
    (reply,) = answers("text", body_channel="body?1")
    assert (reply["status"], reply["more_content"]) == (408, False)


def test_a_client_that_goes_within_its_body() -> None:
    with pytest.raises(RequestAborted):
        AsgiRequest(message(Layer([{"closed": True}]), body_channel="body?1"))
    assert list(AsgiHandler()(message(Layer([{"closed": True}]), body_channel="body?1"))) == []


# -- responses -------------------------------------------------------------------------------------------------


def test_a_response_is_one_message() -> None:
    assert answers("text") == [
        {
            "status": 200,
            "headers": [(b"Content-Type", b"text/html; charset=utf-8")],
            "content": "hí".encode(),
            "more_content": False,
        }
    ]


def test_a_long_response_is_cut() -> None:
    first, second, third = answers("big")
    assert set(first["headers"][:2]) == {(b"Content-Type", b"text/html; charset=utf-8"), (b"X-Mixed-Case", b"yes")}
    assert first["headers"][2:] == [(b"Set-Cookie", b"a=b; Path=/"), (b"Set-Cookie", b"c=d; Path=/")]
    assert [len(reply["content"]) for reply in (first, second, third)] == [524288, 524288, 5]
    assert [reply["more_content"] for reply in (first, second, third)] == [True, True, False]
    assert "status" not in second


def test_a_stream_goes_part_by_part() -> None:
    replies = answers("parts")
    assert [len(reply.get("content", b"")) for reply in replies] == [3, 4, 524288, 1, 0]
    assert [reply["more_content"] for reply in replies] == [True] * 4 + [False]
    assert [reply.get("status") for reply in replies] == [200, None, None, None, None]
    assert CLOSED == ["parts"]


def test_a_stream_of_nothing_has_a_status() -> None:
    (reply,) = answers("no_parts")
    assert (reply["status"], reply["more_content"]) == (202, False)


def test_a_part_is_made_when_it_is_asked_for() -> None:
    replies = AsgiHandler()(message(path="/endless"))
    assert isinstance(replies, Iterator)
    assert next(replies)["content"] == b"again"
    assert CLOSED == []
    replies.close()  # type: ignore[attr-defined]
    assert CLOSED == ["parts"]


def test_a_file_is_read_in_large_pieces() -> None:
    assert [len(reply.get("content", b"")) for reply in answers("file")] == [524288, 1, 0]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous:Warning")
def test_async_views_and_streams() -> None:
    assert body(answers("async_view")) == b"async"
    assert body(answers("async_parts")) == b"onetwo"


def test_a_view_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    (reply,) = answers("failing")
    assert (reply["status"], "of a view" in caplog.text) == (500, True)
    (reply,) = answers("unknown")
    assert reply["status"] == 404


def test_django_hears_of_a_request() -> None:
    heard: list[Any] = []

    def started(sender: Any, **kwargs: Any) -> None:
        heard.append((sender, kwargs["message"]["path"]))

    def finished(sender: Any, **_: Any) -> None:
        heard.append(sender)

    signals.request_started.connect(started)
    signals.request_finished.connect(finished)
    try:
        answers("text")
    finally:
        signals.request_started.disconnect(started)
        signals.request_finished.disconnect(finished)
    assert heard == [(AsgiHandler, "/text"), AsgiHandler]


def test_encoding_a_response_by_hand() -> None:
    """What a consumer does that answers a request later."""
    replies = AsgiHandler.encode_response(HttpResponse(b"late", status=201, content_type="text/plain"))
    assert list(replies) == [
        {"status": 201, "headers": [(b"Content-Type", b"text/plain")], "content": b"late", "more_content": False}
    ]


def test_cutting_content() -> None:
    assert list(AsgiHandler.chunk_bytes(b"")) == [(b"", True)]
    assert list(AsgiHandler.chunk_bytes(b"abc")) == [(b"abc", True)]
    exact = b"x" * AsgiHandler.chunk_size
    assert list(AsgiHandler.chunk_bytes(exact)) == [(exact, True)]
    assert list(AsgiHandler.chunk_bytes(exact + b"y")) == [(exact, False), (b"y", True)]


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_around_the_views(debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True, DEBUG=debug), caplog.at_level(logging.ERROR):
        (reply,) = answers("failing")
    assert (reply["status"], reply["headers"][0]) == (500, (b"Content-Type", b"text/plain; charset=utf-8"))
    assert (b"of a view" in reply["content"]) is debug
    assert "of a view" in caplog.text


# -- another consumer answers ----------------------------------------------------------------------------------


def test_a_view_may_leave_the_answer_to_others(caplog: pytest.LogCaptureFixture) -> None:
    finished: list[Any] = []

    def note(sender: Any, **_: Any) -> None:
        finished.append(sender)

    signals.request_finished.connect(note)
    try:
        assert answers("later") == []
    finally:
        signals.request_finished.disconnect(note)
    assert finished == [AsgiHandler]
    assert "ResponseLater" not in caplog.text


def test_no_middleware_answers_in_their_place() -> None:
    with override_settings(MIDDLEWARE=[f"{__name__}.Catching"]):
        assert body(answers("failing")) == b"caught: of a view"
        before = Catching.responses
        assert answers("later") == []
        assert Catching.responses == before + 1


# -- the consumer ----------------------------------------------------------------------------------------------


def consume(name: str, gone: int | None = None) -> Layer:
    layer = Layer(gone=gone)
    ViewConsumer()(message(layer, path=f"/{name}"))
    return layer


def test_views_are_a_consumer() -> None:
    layer = consume("text")
    assert [channel for channel, _ in layer.sent] == ["reply.here!1"]
    assert layer.sent[0][1]["content"] == "hí".encode()


def test_each_part_is_sent_at_once() -> None:
    """Within a consumer, too, where all else waits for its end."""
    from channels_bridge.worker.legacy.message import pending_message_store

    pending_message_store.prepare()
    try:
        assert len(consume("parts").sent) == 5
    finally:
        pending_message_store.send_and_flush()


def test_a_client_that_has_gone_ends_an_endless_response() -> None:
    assert len(consume("endless", gone=3).sent) == 3
    assert CLOSED == ["parts"]


def test_a_layer_that_cannot_tell_whether_a_client_is_there() -> None:
    class Mute:
        sent = 0

        def send(self, channel: str, message: dict[str, Any]) -> None:
            self.sent += 1

    layer = Mute()
    ViewConsumer()(message(layer, path="/parts"))
    assert layer.sent == 5


def test_a_response_that_breaks_off_does_not_keep_its_client_waiting() -> None:
    layer = Layer()
    with pytest.raises(ValueError, match="on the way"):
        ViewConsumer()(message(layer, path="/breaking"))
    assert [sent.get("status") for _, sent in layer.sent] == [200, None]
    assert layer.sent[-1][1] == {"abort": True}
    assert CLOSED == ["parts"]


def test_a_response_that_cannot_begin_is_an_error() -> None:
    layer = Layer()
    with pytest.raises(ValueError, match="at once"):
        ViewConsumer()(message(layer, path="/breaking_at_once"))
    assert [sent["status"] for _, sent in layer.sent] == [500]


def test_handlers_are_djangos() -> None:
    assert issubclass(AsgiHandler, base.BaseHandler)
    assert isinstance(ViewConsumer().handler, AsgiHandler)
