"""``channels-bridge status``: what every bridge process has and does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from .asking import Answer, Line
from .output import ask_all, bridge_options, print_json, run, seconds, show, table

POOL = ("workers", "connections", "waiting", "queue")
LEDGER = ("accepted", "delivered", "shed", "expired", "dead_lettered", "in_flight", "balance")
WORKER = ("name", "role", "state", "pools", "connections", "turns", "oldest turn")


@click.command()
@bridge_options
def status(urls: Sequence[str], as_json: bool) -> None:
    """Show bridges, workers, pools and the ledger of messages.

    Exit code 69 says that no bridge answers.
    """
    answers = run(urls, _ask)
    if as_json:
        print_json({"bridges": answers})
        return
    for answer in answers:
        show(*parts(answer))


async def _ask(lines: list[Line]) -> list[Answer]:
    answers = [answer for _, answer in await ask_all(lines, "status")]
    for answer in answers:
        del answer["type"]
    return answers


def parts(answer: Answer) -> list[Any]:
    """Give what is shown of one bridge process."""
    title = f"{answer['url']}  pid {answer['pid']}, {answer['version']}, up {seconds(answer['uptime'])}"
    shown: list[Any] = [
        title,
        table("Workers", WORKER, [_worker(row) for row in answer["workers"] if row["role"] != "operator"]),
        table("Pools", ("pool", *POOL), [(row["name"], *(row[key] for key in POOL)) for row in answer["pools"]]),
        table("Messages", ("pool", *map(_words, LEDGER)), [_ledger(row) for row in answer["ledgers"]]),
    ]
    named = [
        (row["name"], row["listeners"], row["waiting"]) for row in answer.get("channels", ())
    ]  # older ones tell none
    if named:
        shown.append(table("Named channels", ("channel", "listeners", "waiting"), named))
    refused = [(row["pool"], why, count) for row in answer["ledgers"] for why, count in row["refused"].items()]
    if refused:
        shown.append(table("Refused", ("pool", "why", "count"), refused))
    counted = [(_words(name), count) for name, count in answer["statistics"].items() if count]
    if counted:
        shown.append(table("Counted", ("what", "count"), counted))
    return [*shown, f"dead letters: {answer['dead_letters']['count']}", *_engine(answer["engine"])]


def _worker(row: dict[str, Any]) -> tuple[object, ...]:
    turns = f"{row['turns_out']} of {row['slots']}" if row["slots"] else str(row["turns_out"])
    where = ", ".join(row["pools"])
    return (row["name"], row["role"], row["state"], where, row["connections"], turns, seconds(row["oldest"]))


def _ledger(row: dict[str, Any]) -> tuple[object, ...]:
    return (row["pool"], *(row[key] for key in LEDGER))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _engine(engine: dict[str, Any]) -> list[str]:
    if not engine["url"]:
        return []
    return [f"engine {engine['url']}: {'connected' if engine['connected'] else engine['problem'] or 'not connected'}"]
