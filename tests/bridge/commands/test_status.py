"""``channels-bridge status``, for people and as JSON."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from channels_bridge.bridge.commands.output import show
from channels_bridge.bridge.commands.status import parts
from channels_bridge.shared.config import Config
from commands_site import command, running
from halves import directory

ANSWER: dict[str, Any] = {
    "url": "ipc:///run/chat/bridge-0.sock", "pid": 4711, "version": "1.2.3", "uptime": 7200.0, "boot": "b0",
    "workers": [
        {"name": "web:1", "role": "worker", "state": "ready", "pools": ["default", "cpu"], "connections": 5,
         "turns_out": 3, "slots": 8, "oldest": 130.0},
        {"name": "web:2", "role": "layer", "state": "ready", "pools": [], "connections": 0, "turns_out": 0, "slots": 0,
         "oldest": 0.0},
        {"name": "me:3", "role": "operator", "state": "ready", "pools": [], "connections": 0, "turns_out": 0,
         "slots": 0, "oldest": 0.0},
    ],
    "pools": [{"name": "cpu", "workers": 1, "connections": 77, "waiting": 66, "queue": 55}],
    "channels": [{"name": "thumbnail", "listeners": 0, "waiting": 33}],
    "ledgers": [{"pool": "cpu", "accepted": 100, "delivered": 91, "shed": 2, "expired": 3, "dead_lettered": 4,
                 "in_flight": 0, "balance": 0, "refused": {"overload": 42}}],
    "statistics": {"fenced": 0, "lost_workers": 19},
    "engine": {"url": "nats://nats:4222", "connected": False, "problem": "no route to host"},
    "dead_letters": {"count": 4, "dropped": 0},
}  # fmt: skip


def test_people_see_workers_pools_and_the_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    show(*parts(ANSWER))
    printed = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    for line in (
        "ipc:///run/chat/bridge-0.sock pid 4711, 1.2.3, up 2.0 h",
        "web:1 worker ready default, cpu 5 3 of 8 2 min",
        "web:2 layer ready 0 0 0 s",
        "cpu 1 77 66 55",
        "cpu 100 91 2 3 4 0 0",
        "cpu overload 42",
        "thumbnail 0 33",
        "lost workers 19",
        "dead letters: 4",
        "engine nats://nats:4222: no route to host",
    ):
        assert line in lines
    assert "me:3" not in printed
    assert "fenced" not in printed


def test_what_is_not_there_takes_no_room(capsys: pytest.CaptureFixture[str]) -> None:
    ledgers: list[dict[str, Any]] = [{**ANSWER["ledgers"][0], "refused": {}}]
    engine = {"url": "", "connected": False, "problem": ""}
    show(*parts({**ANSWER, "channels": [], "ledgers": ledgers, "statistics": {"fenced": 0}, "engine": engine}))
    printed = capsys.readouterr().out
    assert not any(word in printed for word in ("Refused", "Counted", "Named", "engine"))


def test_a_running_bridge_is_shown() -> None:
    with directory() as url, running(url):
        done = command("status", "-b", url)
    assert done.exit_code == 0
    assert f"{url}bridge-0.sock  pid {os.getpid()}" in done.output
    assert "dead letters: 0" in done.output


def test_json_has_every_bridge_and_ledgers_that_balance() -> None:
    with directory() as url, running(url, url, config=Config()):
        done = command("status", "-j", "-b", url)
    found = json.loads(done.output)
    assert [bridge["pid"] for bridge in found["bridges"]] == [os.getpid()] * 2
    assert [ledger["balance"] for bridge in found["bridges"] for ledger in bridge["ledgers"]] == [0, 0]
    assert "type" not in found["bridges"][0]
