"""Scopes on their way to a worker: everything crosses that can be used there, and nothing else."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import Any

import pytest

from channels_bridge.bridge import scopes
from channels_bridge.bridge.scopes import EXTENSIONS, clean_scope
from channels_bridge.shared.wire import pack_scope, unpack_scope
from played_server import Event, http_scope, websocket_scope


@pytest.fixture(autouse=True)
def _nothing_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "_said", set[str]())


def crossed(scope: Any, same_machine: bool = True) -> Event:
    return dict(unpack_scope(pack_scope(clean_scope(scope, same_machine))))


@pytest.mark.parametrize("scope", [http_scope("/é/%41"), websocket_scope("/", subprotocols=["a", "b"])])
def test_a_servers_scope_crosses_as_it_is(scope: Event) -> None:
    before = {**scope, "headers": list(scope["headers"])}
    assert crossed(scope) == before
    assert scope == before  # the server's own is left alone


@pytest.mark.parametrize(
    "headers",
    [
        [(b"a", b"1"), (b"a", b"2"), (b"B", b"\xff")],
        [[b"a", b"1"], [b"b", b"2"]],
        [],
    ],
)
def test_headers_keep_their_order_their_case_and_their_kind(headers: list[Any]) -> None:
    assert crossed(http_scope(headers=headers))["headers"] == headers


def test_headers_may_be_one_shot_iterables_of_one_shot_pairs() -> None:
    headers = (iter(pair) for pair in [(b"a", b"1"), (b"b", b"2")])
    assert crossed(http_scope(headers=headers))["headers"] == [[b"a", b"1"], [b"b", b"2"]]


@pytest.mark.parametrize("client", [("::1", 5), ["::1", 5], None, ("unix", None)])
def test_client_and_server_stay_what_they_are(client: Any) -> None:
    scope = crossed(http_scope(client=client, server=client))
    assert scope["client"] == client
    assert type(scope["server"]) is type(client)


def test_absent_keys_stay_absent_and_empty_ones_empty() -> None:
    scope: dict[str, Any] = {"type": "http", "path": "/", "headers": [], "root_path": "", "http_version": "2"}
    assert crossed(scope) == scope


def test_the_servers_state_stays_with_the_server() -> None:
    assert "state" not in crossed(http_scope(state={"pool": object()}))


def test_only_extensions_that_can_be_carried_cross() -> None:
    others = {"http.response.zerocopysend", "http.response.debug"}
    offered: dict[str, Any] = {name: {} for name in EXTENSIONS | others}
    assert crossed(http_scope(extensions=offered))["extensions"].keys() == EXTENSIONS
    elsewhere = crossed(http_scope(extensions=offered), same_machine=False)
    assert EXTENSIONS - elsewhere["extensions"].keys() == {"http.response.pathsend"}


@pytest.mark.parametrize("extensions", [None, {}])
def test_no_extensions_stay_none(extensions: Any) -> None:
    assert crossed(http_scope(extensions=extensions))["extensions"] == extensions


def test_the_tls_extension_crosses_with_its_values() -> None:
    tls = {"server_cert": "PEM", "client_cert_chain": ["PEM"], "tls_version": 0x0304, "cipher_suite": None}
    assert crossed(http_scope(extensions={"tls": tls}))["extensions"] == {"tls": tls}


def test_what_middleware_added_crosses_if_it_can(caplog: pytest.LogCaptureFixture) -> None:
    added: dict[str, Any] = {"user_id": 7, "session": {"a": [1, 2.5, None, b"x"]}, "router": object()}
    scope = crossed(http_scope(**added))
    assert (scope["user_id"], scope["session"]) == (7, added["session"])
    assert "router" not in scope
    assert caplog.messages == ["scope['router'] (object) cannot be sent to workers and is left out"]


def test_what_is_left_out_is_said_once_per_key(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        crossed(http_scope(endpoint=print))
    crossed(http_scope(app=object(), endpoint=print))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "scope['endpoint'] (builtin_function_or_method)" in caplog.text
    assert "scope['app']" in caplog.text


def test_a_key_that_is_no_string_is_left_out() -> None:
    assert crossed({**http_scope(), 5: "x"}) == http_scope()


def test_a_mapping_that_is_no_dict_is_a_scope_too() -> None:
    scope = MappingProxyType(http_scope())
    assert crossed(scope) == dict(scope)
