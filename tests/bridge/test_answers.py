"""What the client sees when the bridge answers, row by row of the table in the design."""

from __future__ import annotations

import pytest

from channels_bridge.bridge.answers import ANSWERS, answer, private_code
from played_server import Event, http_scope, websocket_scope

NEVER_SENT = {1005, 1006, 1015}  # RFC 6455, 7.4.1


@pytest.mark.parametrize(
    ("case", "status", "code", "reason"),
    [
        ("no-worker", 503, 1013, "no-worker"),
        ("worker-lost", 502, 1011, "worker-lost"),
        ("drain", 503, 1012, "drain"),
        ("failed", 500, 1011, "error"),
        ("poison", 500, 1011, "poison"),
        ("slow", 503, 1013, "slow"),
        ("too-big", 413, 1009, "too-big"),
    ],
)
def test_each_case_has_its_status_and_its_code(case: str, status: int, code: int, reason: str) -> None:
    http = answer(case, http_scope(), begun=False, retry_after=2)
    assert http is not None
    assert [event["type"] for event in http] == ["http.response.start", "http.response.body"]
    assert http[0]["status"] == status
    assert (b"content-length", b"%d" % len(http[1]["body"])) in http[0]["headers"]
    close = {"type": "websocket.close", "code": code, "reason": reason}
    assert answer(case, websocket_scope(), begun=True, retry_after=2) == [close]


@pytest.mark.parametrize("case", ANSWERS)
def test_a_response_that_began_has_no_answer(case: str) -> None:
    assert answer(case, http_scope(), begun=True, retry_after=2) is None


@pytest.mark.parametrize("case", ANSWERS)
def test_a_handshake_is_refused_with_the_status_where_the_server_can(case: str) -> None:
    events = answer(case, websocket_scope(), begun=False, retry_after=2)
    assert events is not None
    assert [event["type"] for event in events] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert events[0]["status"] == ANSWERS[case].status


@pytest.mark.parametrize("extensions", [None, {}, {"tls": {}}])
@pytest.mark.parametrize("case", ANSWERS)
def test_elsewhere_it_is_accepted_and_closed_as_a_plain_refusal_is_a_403(case: str, extensions: Event | None) -> None:
    events = answer(case, websocket_scope(extensions=extensions), begun=False, retry_after=2)
    assert events is not None
    assert [event["type"] for event in events] == ["websocket.accept", "websocket.close"]
    assert events[1]["code"] == ANSWERS[case].code


@pytest.mark.parametrize("scope", [http_scope(), websocket_scope()])
@pytest.mark.parametrize("case", ANSWERS)
def test_what_is_worth_another_try_says_when(case: str, scope: Event) -> None:
    events = answer(case, scope, begun=False, retry_after=7)
    assert events is not None
    assert ((b"retry-after", b"7") in events[0]["headers"]) == ANSWERS[case].retry == (ANSWERS[case].status == 503)


def test_codes_and_reasons_may_be_sent() -> None:
    assert {row.code for row in ANSWERS.values()}.isdisjoint(NEVER_SENT)
    assert all(len(row.reason.encode()) <= 123 for row in ANSWERS.values())


@pytest.mark.parametrize(
    ("code", "private"),
    [(1000, 1000), (1001, 4001), (1009, 4009), (1011, 4011), (1012, 4012), (1013, 4013), (3000, 3000), (4999, 4999)],
)
def test_the_codes_for_servers_that_take_only_private_ones(code: int, private: int) -> None:
    assert private_code(code) == private
