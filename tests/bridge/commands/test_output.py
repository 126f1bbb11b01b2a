"""What all commands share: how they say that nobody is there, and what they print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from channels_bridge.bridge.commands import asking, output
from channels_bridge.bridge.commands.asking import Silent
from channels_bridge.bridge.commands.output import Unavailable, plain, print_json, run, seconds, show, table
from commands_site import command, running
from halves import directory


async def boots(lines: list[Any]) -> list[str]:
    return [(await line.ask("status"))["boot"] for line in lines]


def test_the_task_gets_every_bridge_that_answers() -> None:
    with directory() as url, directory() as other, running(url, url, other):
        assert len(set(run([url, other], boots))) == 3


def test_without_a_url_it_is_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with directory() as url, running(url):
        monkeypatch.setattr(output, "default_url", lambda: url)
        assert len(run([], boots)) == 1


@pytest.mark.parametrize("args", [("status",), ("letters",), ("letters", "replay", "--all"), ("letters", "drop", "x")])
def test_where_no_bridge_answers_it_is_said_what_to_do(args: tuple[str, ...]) -> None:
    with directory() as url:
        done = command(*args, "-b", url)
    assert done.exit_code == 69
    assert done.output == (
        f"Error: no bridge answers at {url}: is the server up, with this address?"
        " Say where with -b URL or $CHANNELS_BRIDGE_URL\n"
    )


def test_an_address_that_cannot_be_is_a_wrong_use() -> None:
    done = command("status", "-b", "http://x")
    assert done.exit_code == 2
    assert "'http://x' is not an address" in done.output


def test_a_bridge_that_falls_silent_is_no_traceback() -> None:
    async def silent(_: object) -> None:
        raise Silent("it is gone")

    with directory() as url, running(url), pytest.raises(Unavailable, match="it is gone"):
        run([url], silent)


def test_one_bridge_that_falls_silent_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, more: bool) -> None:
        """Take a report, and never send it."""

    monkeypatch.setattr(asking, "GREETS", 0.2)
    with directory() as url, running(url, url) as [silent, _]:
        monkeypatch.setattr(silent.operating, "report", nothing)
        done = command("status", "-j", "-b", url)
        assert done.exit_code == 0
        assert len(json.loads(done.stdout)["bridges"]) == 1
        assert "no answer for 0.2 s" in done.stderr


def test_bytes_become_text_where_they_are() -> None:
    value = {"a": b"text", b"b": [b"\xff", ("x", 1, None)], "c": {"d": 1.5, "e": True}}
    assert plain(value) == {"a": "text", "b": [{"base64": "/w=="}, ["x", 1, None]], "c": {"d": 1.5, "e": True}}


def test_one_object_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": b"\xc3\xa4"})
    printed = capsys.readouterr().out
    assert printed == '{"a": "ä"}\n'
    assert json.loads(printed) == {"a": "ä"}


def test_tables_keep_what_is_long_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Markup of rich in what users send is text."""
    show(table("Title", ("id", "count", "time"), [("0123456789abcdef" * 5, 12, 0.25), ("[red]x[/red]", 3, 1.0)]), "end")
    printed = capsys.readouterr().out
    for part in ("Title", "0123456789abcdef" * 5, "[red]x[/red]", "12", "0.2", "end"):
        assert part in printed
    show(table("Empty", ("id",), []))
    assert "Empty" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.2, "0 s"), (119.0, "119 s"), (120.0, "2 min"), (3600.0, "1.0 h"), (86400.0 * 2.5, "2.5 d")],
)
def test_times_are_written_for_people(value: float, text: str) -> None:
    assert seconds(value) == text
