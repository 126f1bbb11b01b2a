"""What the commands have in common: their options, their exit codes, what they print."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import click

from ...shared.addresses import ENVIRONMENT, default_url
from ...shared.errors import ConfigurationError
from ...shared.wire import is_one_of
from .asking import Answer, Line, Silent, reaching

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from rich.table import Table

T = TypeVar("T")

UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h
NOTHING = 1  # nothing was found, or not all went well
WIDE = 160  # columns where the output is no terminal: nothing is cut off for whoever reads it with grep


class Unavailable(click.ClickException):
    """No bridge answers."""

    exit_code = UNAVAILABLE


def bridge_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options by which a command finds bridges, and says what it has found."""
    url = click.option(
        "-b",
        "--bridge",
        "urls",
        multiple=True,
        metavar="URL",
        envvar=ENVIRONMENT,
        help="Where bridges listen for workers: ipc:///directory/ or tcp://host:port."
        "  [default: a private directory of this user]",
    )
    as_json = click.option("-j", "--json", "as_json", is_flag=True, help="Print one JSON object.")
    return url(as_json(command))


def run(urls: Sequence[str], task: Callable[[list[Line]], Awaitable[T]]) -> T:
    """Reach the bridges, run the task with the lines to those that answer, and give what it returns.

    Raises ``Unavailable`` where none does, and ``click.UsageError`` for an address that cannot be.
    """
    asked = list(urls) or [default_url()]

    async def main() -> T:
        async with reaching(asked) as lines:
            ready = [line for line in lines if line.is_ready]
            for line in lines:
                if not line.is_ready:
                    click.echo(f"{line.url} does not answer: {line.trouble or 'it is busy, or stopped'}", err=True)
            if not ready:
                raise Unavailable(
                    f"no bridge answers at {', '.join(asked)}: is the server up, with this address?"
                    f" Say where with -b URL or ${ENVIRONMENT}"
                )
            return await task(ready)

    try:
        return anyio.run(main)
    except Silent as error:
        raise Unavailable(str(error)) from error
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error


async def ask_all(lines: Sequence[Line], what: str, names: Sequence[str] = ()) -> list[tuple[Line, Answer]]:
    """Ask each bridge; one that falls silent is named on stderr. Raises ``Silent`` where all do."""
    answers: list[tuple[Line, Answer]] = []
    trouble: Silent | None = None
    for line in lines:
        try:
            answers.append((line, await line.ask(what, names)))
        except Silent as error:
            trouble = error
            click.echo(str(error), err=True)
    if trouble is not None and not answers:
        raise trouble
    return answers


def print_json(value: Any) -> None:
    """Print one JSON object."""
    click.echo(json.dumps(plain(value), ensure_ascii=False))


def plain(value: Any) -> Any:
    """Make a value JSON can hold: bytes that are text become text, others ``{"base64": ...}``."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if is_one_of(value, (dict,)):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if is_one_of(value, (list, tuple)) else value


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Make a table of texts; what is a number stands at the right."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for place, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[place], int | float) for row in rows)
        made.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row))
    return made


def show(*parts: Any) -> None:
    """Print tables and lines for people."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=WIDE)
    for part in parts:
        console.print(part)


def seconds(value: float) -> str:
    """Write a time for people: 42 s, 7 min, 3.5 h, 2.0 d."""
    for unit, size in (("d", 86400.0), ("h", 3600.0)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value / 60:.0f} min" if value >= 120 else f"{value:.0f} s"
