"""``channels-bridge letters``: messages that two workers were lost with. Look at them, run them again, drop them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import anyio
import click

from ...shared.wire import is_one_of
from ..replays import PATIENCE
from .asking import Line, Silent
from .output import NOTHING, ask_all, bridge_options, print_json, run, show, table

COLUMNS = ("id", "when", "pool", "path", "message", "number", "lost with it", "again of")
NAMES = {"event": "message", "seq": "number", "workers": "lost with it"}  # a letter's keys, where the list says else
SECRET = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"sec-websocket-protocol"})  # headers
HIDDEN = b"(hidden; --secrets shows it)"
WAITING = 2 * PATIENCE  # seconds between two outcomes: one replay's bound, and some

Row = dict[str, Any]


class ListUnlessSaid(click.Group):
    """A group that lists where no command is said."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, with ``list`` in front of what names no command."""
        known = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if known else ["list", *args])


@click.group(cls=ListUnlessSaid)
def letters() -> None:
    """List the dead letters; or show, replay or drop some.

    A dead letter is a message that two workers were lost with: it was set aside, and its socket closed with 1011.
    Exit code 1: there is no such letter, or a replay came to nothing; 69: no bridge answers.
    """


@letters.command("list")
@bridge_options
def list_letters(urls: Sequence[str], as_json: bool) -> None:
    """List them, oldest first."""
    found = run(urls, _list)
    if as_json:
        print_json({"letters": found})
    elif found:
        show(table("Dead letters", COLUMNS, [_row(letter) for letter in found]))
    else:
        click.echo("there are no dead letters")


@letters.command("show")
@click.argument("name", metavar="ID")
@click.option("--secrets", is_flag=True, help="Show the values of cookies and of other headers that log people in.")
@bridge_options
def show_letter(name: str, secrets: bool, urls: Sequence[str], as_json: bool) -> None:
    """Show one of them, with all that is known of it."""

    async def ask(lines: list[Line]) -> list[Row]:
        return [letter for _, answer in await ask_all(lines, "letter", [name]) for letter in answer["letters"]]

    found = run(urls, ask)
    if not found:
        raise click.ClickException(f"there is no dead letter {name}: channels-bridge letters lists them")
    letter = found[0] if secrets else _hide(found[0])
    if as_json:
        print_json(letter)
    else:
        show(*parts(letter))


@letters.command("replay")
@click.argument("names", metavar="[ID...]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay all that there are.")
@bridge_options
def replay_letters(names: Sequence[str], everything: bool, urls: Sequence[str], as_json: bool) -> None:
    """Hand them to workers again, and wait for what comes of it.

    The consumer is made anew with the state that it had, gets the message and a disconnect; what it sends to its client
    goes nowhere. A letter that was handled is gone, another stays. One that costs a worker its life is a new letter.
    """
    _act("replay", names, everything, urls, as_json, "returned")


@letters.command("drop")
@click.argument("names", metavar="[ID...]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Drop all that there are.")
@bridge_options
def drop_letters(names: Sequence[str], everything: bool, urls: Sequence[str], as_json: bool) -> None:
    """Forget them."""
    _act("drop", names, everything, urls, as_json, "dropped")


# -- asking ----------------------------------------------------------------------------------------------------


async def _list(lines: list[Line]) -> list[Row]:
    """Give the letters of all bridges; those of a shared folder once."""
    found = {letter["id"]: letter for _, answer in await ask_all(lines, "letters") for letter in answer["letters"]}
    return [found[name] for name in sorted(found)]


def _act(what: str, names: Sequence[str], everything: bool, urls: Sequence[str], as_json: bool, good: str) -> None:
    """Do something about letters, each at the first bridge that has it; exit with 1 unless all went well."""
    if bool(names) == everything:
        raise click.UsageError(f"which ones? channels-bridge letters {what} ID..., or --all")

    async def act(lines: list[Line]) -> list[Row]:
        return await _spread(lines, what, None if everything else names)

    rows = run(urls, act)
    if as_json:
        print_json({"letters": rows})
    for row in () if as_json else rows:
        click.echo(f"{row['id']}: {row['outcome']}" + (f", {row['text']}" if row["text"] else ""))
    if not rows and not as_json:
        click.echo("there are no dead letters")
    if not rows or any(row["outcome"] != good for row in rows):
        raise click.exceptions.Exit(NOTHING)


async def _spread(lines: list[Line], what: str, names: Sequence[str] | None) -> list[Row]:
    """Ask each bridge for those that it has, all bridges at once. ``names``: None for all."""
    has: dict[str, Line] = {}  # id -> the first bridge that has it
    for line, answer in await ask_all(lines, "letters"):
        for letter in answer["letters"]:
            has.setdefault(letter["id"], line)
    wanted = sorted(has) if names is None else list(dict.fromkeys(names))
    outcomes = {name: _outcome(name, "unknown", "there is no such letter") for name in wanted}

    async def ask(line: Line, mine: list[str]) -> None:
        try:
            for row in (await line.ask(what, mine, WAITING))["letters"]:
                outcomes[row["id"]] = row
        except Silent as error:
            outcomes.update({name: _outcome(name, "unanswered", str(error)) for name in mine})

    async with anyio.create_task_group() as group:
        for line in lines:
            mine = [name for name in wanted if has.get(name) is line]
            if mine:
                group.start_soon(ask, line, mine)
    return list(outcomes.values())


def _outcome(name: str, outcome: str, text: str) -> Row:
    return {"id": name, "outcome": outcome, "text": text}


# -- showing ---------------------------------------------------------------------------------------------------


def _row(letter: Row) -> tuple[object, ...]:
    names = ", ".join(letter["workers"])
    where, what = letter["path"], letter["event"]
    return (letter["id"], _when(letter), letter["pool"], where, what, letter["seq"], names, letter["again_of"])


def _when(letter: Row) -> str:
    return datetime.fromtimestamp(letter["at"]).astimezone().isoformat(" ", "seconds")


def _hide(letter: Row) -> Row:
    scope = letter["scope"]
    headers = [[name, HIDDEN if name in SECRET else value] for name, value in scope.get("headers", ())]
    return {**letter, "scope": {**scope, "headers": headers}}


def parts(letter: Row) -> list[str]:
    """Give the lines that show a letter."""
    known = {key: value for key, value in letter.items() if key not in {"scope", "message", "at", "type", "state"}}
    if not known["again_of"]:
        del known["again_of"]
    lines = [f"{'when':12} {_when(letter)}"]
    lines += [f"{NAMES.get(key, key.replace('_', ' ')):12} {_text(value)}" for key, value in known.items()]
    if letter["state"] != b"":
        lines.append(f"{'state':12} {letter['state']!r}")
    for part in ("message", "scope"):
        lines += [part, *(f"    {key:20} {value!r}" for key, value in letter[part].items())]
    return lines


def _text(value: Any) -> str:
    """Write what the bridge says of a letter; what could steer a terminal, as Python has it."""
    text = ", ".join(value) if is_one_of(value, (list,)) else str(value)
    return text if text.isprintable() else repr(text)
