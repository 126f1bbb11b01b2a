"""Calls whose arguments decide."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from channels_bridge.bridge.migration.special import argument, channel_rule, is_true
from scanned import scanned


def call(source: str) -> ast.Call:
    node = ast.parse(source, mode="eval").body
    assert isinstance(node, ast.Call)
    return node


def test_arguments_by_place_or_name() -> None:
    def given(source: str) -> str | None:
        node = argument(call(source), 1, "b")
        return None if node is None else ast.unparse(node)

    assert [given(one) for one in ("f(1, 2)", "f(1, b=2)", "f(1)", "f(*x, 2)", "f(1, *x)", "f(**x)")] == [
        "2", "2", None, None, None, None,
    ]  # fmt: skip


def test_only_what_is_written_as_true_is() -> None:
    assert [is_true(one) for one in (*call("f(True, 1, False, x)").args, None)] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("name", "word"), [("websocket.keepalive", "Remove"), ("reply?abc", "new_channel"), ("with blank", "ASCII")]
)
def test_names_of_channels_that_cannot_be(name: str, word: str) -> None:
    rule = channel_rule(name)
    assert rule is not None
    assert rule.verdict == "change"
    assert word in rule.text


@pytest.mark.parametrize("name", ["websocket.connect", "chat.receive", "a-b_c.9", "daphne.response.x!y"])
def test_names_of_channels_that_can(name: str) -> None:
    assert channel_rule(name) is None


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("enforce_ordering(slight=True)", "channels.sessions.enforce_ordering(slight=True)"),
        ("enforce_ordering(None, True)", "channels.sessions.enforce_ordering(slight=True)"),
        ("Channel('a?b')", "channels.Channel('a?b')"),
        ("route('a b', f)", "channels.route('a b')"),
        ("route(['ok', 'websocket.keepalive'], f)", "channels.route('websocket.keepalive')"),
        ("models.ForeignKey(X)", "django.db.models.ForeignKey without on_delete"),
        ("models.OneToOneField('X', null=True)", "django.db.models.OneToOneField without on_delete"),
        ("Signal(providing_args=['x'])", "django.dispatch.Signal(providing_args=...)"),
    ],
)
def test_calls_that_need_a_change(tmp_path: Path, line: str, name: str) -> None:
    [finding] = [one for one in scanned(tmp_path, HEAD + line) if one.line > 4]
    assert (finding.line, finding.column, finding.name, finding.verdict) == (5, 1, name, "change")


@pytest.mark.parametrize(
    "line",
    [
        "enforce_ordering(slight=False)",
        "enforce_ordering(f)",
        "enforce_ordering",
        "other(enforce_ordering, slight=True)",
        "Channel('a.b')",
        "Channel(name)",
        "route(names, f)",
        "models.ForeignKey(X, models.CASCADE)",
        "models.ForeignKey(X, on_delete=models.CASCADE)",
        "models.ForeignKey(X, **more)",
        "models.CharField()",
        "Signal()",
        "Signal(use_caching=True)",
    ],
)
def test_calls_that_need_none(tmp_path: Path, line: str) -> None:
    assert [one for one in scanned(tmp_path, HEAD + line) if one.verdict != "runs"] == []


HEAD = """\
from channels import Channel, route
from channels.sessions import enforce_ordering
from django.db import models
from django.dispatch import Signal
"""
