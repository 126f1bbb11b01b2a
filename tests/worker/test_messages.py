"""What an application may send, and when: every state with every message, and every malformed part."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from channels_bridge.shared.errors import LocalProtocolError, RemoteProtocolError
from channels_bridge.worker import messages
from channels_bridge.worker.messages import EXTENSIONS, State
from played_server import Event, http_scope, websocket_scope

Outgoing = messages.Outgoing

ALL: dict[str, Event] = {
    "http.response.start": {"status": 200},
    "http.response.body": {"body": b"x"},
    "http.response.pathsend": {"path": "/file"},
    "http.response.early_hint": {"links": [b"</a.css>; rel=preload"]},
    "http.response.push": {"path": "/a.css", "headers": []},
    "http.response.trailers": {"headers": []},
    "http.response.zerocopysend": {"file": 3},
    "websocket.accept": {},
    "websocket.send": {"text": "x"},
    "websocket.close": {},
    "websocket.http.response.start": {"status": 401},
    "websocket.http.response.body": {"body": b"x"},
    "http.request": {},
    "nonsense": {},
}
STATES = [value for value in vars(messages).values() if isinstance(value, State)]
HTTP = http_scope(extensions={name: {} for name in EXTENSIONS.values()})
WEBSOCKET = websocket_scope(extensions={name: {} for name in EXTENSIONS.values()})


def event(kind: str, **more: Any) -> Event:
    return {"type": kind, **ALL[kind], **more}


def fresh(scope: dict[str, Any], *sent: Event) -> Outgoing:
    outgoing = Outgoing(scope)
    for one in sent:
        outgoing.check(one)
    return outgoing


def test_the_states_are_the_table_below() -> None:
    table = {state.text: set(state.allowed) for state in STATES}
    assert table == {
        "nothing was sent": {"http.response.start", "http.response.early_hint", "http.response.push"},
        "the response was started": {"http.response.body", "http.response.pathsend", "http.response.push"},
        "the body is complete, trailers are to come": {"http.response.trailers"},
        "the socket was neither accepted nor refused": {
            "websocket.accept",
            "websocket.close",
            "websocket.http.response.start",
        },
        "the socket was accepted": {"websocket.send", "websocket.close"},
        "a denial response was started": {"websocket.http.response.body"},
        "the response is complete, or the socket closed": set(),
    }


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.text)
def test_every_state_with_every_message(state: State, kind: str) -> None:
    outgoing = Outgoing(HTTP if kind.startswith("http") else WEBSOCKET)
    outgoing.state = state
    if kind in state.allowed:
        assert outgoing.check(event(kind))["type"] == kind
        assert outgoing.state is state.allowed[kind]
        return
    with pytest.raises(LocalProtocolError) as caught:
        outgoing.check(event(kind))
    may = " or ".join(map(repr, state.allowed)) or "nothing more"
    assert str(caught.value) == f"{kind!r} cannot be sent now: {state.text}; what may come is {may}"
    assert outgoing.state is state


def test_a_body_in_parts() -> None:
    outgoing = fresh(HTTP, event("http.response.start"))
    for _ in range(3):
        outgoing.check(event("http.response.body", more_body=True))
        assert outgoing.state is messages.STARTED
    outgoing.check({"type": "http.response.body"})
    assert outgoing.state is messages.COMPLETE


def test_trailers_come_behind_the_body_where_they_were_announced() -> None:
    outgoing = fresh(HTTP, event("http.response.start", trailers=True), event("http.response.body"))
    assert outgoing.state is messages.TRAILING
    outgoing.check(event("http.response.trailers", headers=[(b"a", b"1")], more_trailers=True))
    assert outgoing.state is messages.TRAILING
    outgoing.check(event("http.response.trailers"))
    assert outgoing.state is messages.COMPLETE


def test_a_denial_response_in_parts() -> None:
    outgoing = fresh(WEBSOCKET, event("websocket.http.response.start"))
    outgoing.check(event("websocket.http.response.body", more_body=True))
    assert outgoing.state is messages.REFUSING
    outgoing.check(event("websocket.http.response.body"))
    assert outgoing.state is messages.COMPLETE


@pytest.mark.parametrize("extensions", [None, {}, {"tls": {}}])
@pytest.mark.parametrize(("kind", "extension"), EXTENSIONS.items())
def test_a_message_of_an_extension_needs_that_extension(kind: str, extension: str, extensions: Any) -> None:
    scope = http_scope(extensions=extensions) if kind.startswith("http") else websocket_scope(extensions=extensions)
    outgoing = Outgoing(scope)
    outgoing.state = next(state for state in STATES if kind in state.allowed)
    before = outgoing.state
    with pytest.raises(LocalProtocolError, match=f"'{kind}' needs the extension '{extension}', which the scope does"):
        outgoing.check(event(kind))
    assert outgoing.state is before


@pytest.mark.parametrize("kind", ["http.response.start", "websocket.http.response.start"])
@pytest.mark.parametrize("status", [None, "200", 200.0])
def test_a_status_is_an_integer(kind: str, status: object) -> None:
    outgoing = Outgoing(HTTP if kind.startswith("http") else WEBSOCKET)
    with pytest.raises(LocalProtocolError, match=f"{kind}: 'status' has to be an integer, not {status!r}"):
        outgoing.check({"type": kind, "status": status})


@pytest.mark.parametrize("kind", ["http.response.body", "websocket.http.response.body"])
def test_a_body_is_bytes(kind: str) -> None:
    outgoing = Outgoing(HTTP if kind.startswith("http") else WEBSOCKET)
    outgoing.state = messages.STARTED if kind.startswith("http") else messages.REFUSING
    with pytest.raises(LocalProtocolError, match=f"{kind}: 'body' has to be bytes, not str"):
        outgoing.check({"type": kind, "body": "text"})
    for body in (bytearray(b"x"), memoryview(b"x"), b"x"):
        outgoing.check({"type": kind, "body": body, "more_body": True})


@pytest.mark.parametrize(
    "payload",
    [{}, {"text": None, "bytes": None}, {"text": b"x"}, {"bytes": "x"}, {"text": 5}, {"text": 5, "bytes": b"x"}],
)
def test_a_message_has_text_or_bytes(payload: Event) -> None:
    outgoing = fresh(WEBSOCKET, event("websocket.accept"))
    with pytest.raises(LocalProtocolError, match="either 'text', a str, or 'bytes' has to be there"):
        outgoing.check({"type": "websocket.send", **payload})


@pytest.mark.parametrize(
    "payload", [{"text": ""}, {"bytes": b""}, {"text": "x", "bytes": None}, {"text": None, "bytes": bytearray(b"x")}]
)
def test_what_a_message_may_have(payload: Event) -> None:
    outgoing = fresh(WEBSOCKET, event("websocket.accept"))
    assert outgoing.check({"type": "websocket.send", **payload}) == {"type": "websocket.send", **payload}


@pytest.mark.parametrize("code", ["1000", 0, 999, 1004, 1005, 1006, 1015, 5000, 1000.0])
def test_a_code_that_cannot_be_sent_is_refused(code: Any) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        Outgoing(WEBSOCKET).check({"type": "websocket.close", "code": code})
    said = "is not a code that can be sent: 1000 to 4999, less 1004 to 1006"
    assert str(caught.value) == f"websocket.close: {code!r} {said}"


@pytest.mark.parametrize("code", [None, 1000, 1001, 1003, 1007, 1011, 1013, 3000, 4000, 4999])
def test_codes_that_can_be_sent(code: int | None) -> None:
    assert Outgoing(WEBSOCKET).check({"type": "websocket.close", "code": code})["code"] == code
    assert "code" not in Outgoing(WEBSOCKET).check({"type": "websocket.close"})


@pytest.mark.parametrize("kind", ["http.response.start", "websocket.accept", "websocket.http.response.start"])
def test_headers_become_lists_once_whatever_they_were(kind: str) -> None:
    outgoing = Outgoing(HTTP if kind.startswith("http") else WEBSOCKET)
    given = (iter(pair) for pair in [(b"A", b"1"), (b"a", b"\xff")])
    before = event(kind, headers=given)
    checked = outgoing.check(before)
    assert checked["headers"] == [[b"A", b"1"], [b"a", b"\xff"]]
    assert before["headers"] is given  # the application's own message is left alone


@pytest.mark.parametrize("pair", [("a", b"1"), (b"a", "1"), (b"a", 1), (bytearray(b"a"), b"1")])
def test_a_header_is_a_pair_of_bytes(pair: tuple[Any, Any]) -> None:
    with pytest.raises(LocalProtocolError, match=r"http\.response\.start: a header is a pair of bytes, not"):
        Outgoing(HTTP).check(event("http.response.start", headers=[pair]))


@pytest.mark.parametrize("headers", [[b"ab"], [(b"a",)], [(b"a", b"b", b"c")], {"a": "b"}, 5, None, [None]])
def test_headers_that_are_no_pairs_are_an_error_at_that_line(headers: Any) -> None:
    outgoing = Outgoing(HTTP)
    with pytest.raises((LocalProtocolError, ValueError, TypeError)):
        outgoing.check(event("http.response.start", headers=headers))
    assert outgoing.state is messages.OPENING


@pytest.mark.parametrize(("reason", "fits"), [("x" * 123, True), ("x" * 124, False), ("é" * 62, False), (None, True)])
def test_a_reason_fits_into_a_control_frame(reason: str | None, fits: bool) -> None:
    close = {"type": "websocket.close", "code": 1000, "reason": reason}
    if fits:
        assert Outgoing(WEBSOCKET).check(close) == close
    else:
        with pytest.raises(LocalProtocolError, match="123"):
            Outgoing(WEBSOCKET).check(close)


def test_a_mapping_that_is_no_dict_is_a_message_too() -> None:
    mapping: Any = MappingProxyType(event("http.response.start"))
    assert Outgoing(HTTP).check(mapping) == dict(mapping)


@pytest.mark.parametrize("nonsense", [{}, {"typ": "http.response.start"}, {"type": None}, {"type": 5}, {"type": []}])
def test_a_message_without_a_type_is_told_what_may_come(nonsense: Event) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be sent now: nothing was sent; what may come is"):
        Outgoing(HTTP).check(nonsense)


@pytest.mark.parametrize("nonsense", [None, "http.response.start", 5, b"", []])
def test_what_is_no_message_at_all_is_an_error_too(nonsense: Any) -> None:
    with pytest.raises(LocalProtocolError, match="a message is a dict with a 'type', not "):
        Outgoing(HTTP).check(nonsense)


# -- in another worker -----------------------------------------------------------------------------------------


def test_another_one_goes_on_where_this_one_stood() -> None:
    response = Outgoing({**HTTP, "extensions": {"http.response.trailers": {}}})
    response.check(event("http.response.start", trailers=True))
    response.check({"type": "http.response.body", "body": b"x", "more_body": True})
    other = Outgoing({**HTTP, "extensions": {"http.response.trailers": {}}})
    other.resume(response.kept())
    other.check({"type": "http.response.body", "body": b"y"})
    assert other.state is messages.TRAILING  # that there are trailers was known, too


@pytest.mark.parametrize(("kind", "states"), messages.STATES.items())
def test_every_state_has_a_name_of_its_own(kind: str, states: dict[str, messages.State]) -> None:
    for name, state in states.items():
        outgoing = Outgoing({"type": kind})
        outgoing.resume([name, False])
        assert outgoing.state is state
        assert outgoing.kept() == [name, False]
        assert outgoing.is_answered is (state not in (messages.OPENING, messages.HANDSHAKE))


@pytest.mark.parametrize("kept", [None, [], ["accepted"], ["open", False], ["started", False], [["accepted"], 0], 5])
def test_where_nobody_can_stand_is_refused(kept: object) -> None:
    outgoing = Outgoing(WEBSOCKET)
    with pytest.raises(RemoteProtocolError, match="is not where a connection can stand"):
        outgoing.resume(kept)
    assert outgoing.state is messages.HANDSHAKE
