"""What Prometheus is told: the core's figures, at an address of their own. Loaded only where that is asked for.

The server is prometheus_client's, in threads of its own. The figures are taken in the bridge's loop, between two of
its turns: only there do they agree with each other, and the ledger balances in every scrape. A loop that does not
come to it within ``PATIENCE`` seconds is ``channels_bridge_up 0``.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..shared.addresses import TcpRange, parse
from ..shared.errors import AddressError
from ..shared.loop import Loop
from . import figures
from .link import Link

logger = logging.getLogger("channels_bridge.bridge")

PATIENCE = 2.0  # seconds; a scrape has 10
STOPPING = 1.0  # seconds for the server's thread; it needs 1 ms
PREFIX = "channels_bridge_"
ENDS = ("delivered", "shed", "expired", "dead_lettered")
POOL = {
    "workers": "Workers that serve the pool.",
    "connections": "Connections of the pool.",
    "waiting": "Connections that wait for a worker.",
    "queue": "Messages that no worker has been given yet.",
}

Taken = dict[str, Any]  # "workers", "pools", "ledgers", "statistics", "engine", "letters" as bridge/figures.py has them


def address_of(where: str, insecure_tcp: bool) -> TcpRange:
    """Read ``host:port`` or ``host:first-last``. Raises ``AddressError``; also for an address that strangers reach."""
    try:
        address = parse(f"tcp://{where}")
    except AddressError:
        raise AddressError(f"metrics: {where!r} should be host:port or host:first-last, 127.0.0.1:9100") from None
    assert isinstance(address, TcpRange)
    if not address.loopback and not insecure_tcp:
        raise AddressError(
            f"metrics: {where} can be reached from other machines, and asks for no password: use 127.0.0.1, or, where"
            " a private network or a firewall keeps strangers out, say so with Config(insecure_tcp=True)"
        )
    return address


class Exporter:
    """The server. Raises ``AddressError`` where no port is free. :meth:`stop` it, or :meth:`forget` it after a fork."""

    def __init__(self, address: TcpRange, link: Link, loop: Loop) -> None:
        registry = CollectorRegistry()
        registry.register(Figures(InLoop(link, loop)))
        ProcessCollector(registry=registry)
        self._server, self._thread = _listen(address, registry)
        self.port: int = self._server.server_port
        logger.info("metrics are at http://%s:%d/metrics", address.host, self.port)

    def stop(self) -> None:
        """Close, and give the port back."""
        with contextlib.suppress(RuntimeError):  # Python is ending, and starts no thread any more (3.12)
            threading.Thread(target=self._server.shutdown, daemon=True).start()  # it waits for the server's thread
        with contextlib.suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)  # which this wakes
        self._thread.join(STOPPING)
        self._server.server_close()

    def forget(self) -> None:
        """In a forked child: let go of the parent's socket, which stays the parent's."""
        self._server.socket.close()


def _listen(address: TcpRange, registry: CollectorRegistry) -> tuple[Any, threading.Thread]:
    trouble: OSError | None = None
    for port in address.ports:
        try:
            return start_http_server(port, address.host.strip("[]"), registry)
        except OSError as error:
            trouble = error
    hint = "give a range, host:first-last, for several processes" if len(address.ports) == 1 else "widen the range"
    where = str(address).removeprefix("tcp://")
    raise AddressError(f"metrics: {where}: no port is free; {hint} ({trouble})")


class InLoop:
    """Takes the figures in the bridge's loop, for a thread that waits for them."""

    def __init__(self, link: Link, loop: Loop) -> None:
        self._link = link
        self._loop = loop

    def __call__(self) -> Taken | None:
        """Give the figures; None where the loop is too busy, or has ended. Not from the loop itself."""
        done = threading.Event()
        found: list[Taken] = []

        def take() -> None:
            try:
                found.append(taken(self._link))
            except Exception:  # a bug of ours: it must not end the server's loop
                logger.exception("the figures cannot be taken")
            done.set()

        try:
            self._loop.from_thread(take)
        except RuntimeError:  # it has ended
            return None
        return found[0] if done.wait(PATIENCE) and found else None


def taken(link: Link) -> Taken:
    """Take all figures at once, in the bridge's loop."""
    core, operating = link.core, link.operating
    return {
        "workers": figures.workers(core),
        "pools": figures.pools(core),
        "ledgers": figures.ledgers(core),
        "statistics": figures.statistics(core),
        "engine": figures.engine(operating.engine),
        "letters": figures.letters(operating.letters),
    }


class Figures(Collector):
    """Makes metrics of figures. ``take`` gives them, or None."""

    def __init__(self, take: Callable[[], Taken | None]) -> None:
        self._take = take

    def collect(self) -> Iterable[Metric]:
        """Give all metrics; called for each scrape, in a thread of the server's."""
        found = self._take()
        yield GaugeMetricFamily(f"{PREFIX}up", "Whether the bridge's event loop answers.", 0 if found is None else 1)
        if found is not None:
            yield from _of_messages(found["ledgers"])
            yield from _of_pools(found["pools"])
            yield from _of_workers(found["workers"])
            yield from _of_process(found)


def _of_messages(ledgers: list[figures.Row]) -> Iterator[Metric]:
    accepted = CounterMetricFamily(f"{PREFIX}messages_accepted", "Messages for consumers.", labels=["pool"])
    ended = CounterMetricFamily(f"{PREFIX}messages_ended", "What became of them.", labels=["pool", "how"])
    in_flight = GaugeMetricFamily(f"{PREFIX}messages_in_flight", "Messages that are kept now.", labels=["pool"])
    refused = CounterMetricFamily(
        f"{PREFIX}refused", "Connections that the bridge itself has ended.", labels=["pool", "reason"]
    )
    for row in ledgers:
        pool = row["pool"]
        accepted.add_metric([pool], row["accepted"])
        in_flight.add_metric([pool], row["in_flight"])
        for how in ENDS:
            ended.add_metric([pool, how], row[how])
        for reason, count in row["refused"].items():
            refused.add_metric([pool, reason], count)
    return iter((accepted, ended, in_flight, refused))


def _of_pools(pools: list[figures.Row]) -> Iterator[Metric]:
    for key, text in POOL.items():
        metric = GaugeMetricFamily(f"{PREFIX}pool_{key}", text, labels=["pool"])
        for row in pools:
            metric.add_metric([row["name"]], row[key])
        yield metric


def _of_workers(workers: list[figures.Row]) -> Iterator[Metric]:
    states = GaugeMetricFamily(f"{PREFIX}links", "Processes linked with this bridge.", labels=["role", "state"])
    for (role, state), count in Counter((row["role"], row["state"]) for row in workers).items():
        states.add_metric([role, state], count)
    yield states
    turns = sum(row["turns_out"] for row in workers)
    yield GaugeMetricFamily(f"{PREFIX}turns_out", "Turns that workers run now.", turns)
    oldest = max((row["oldest"] for row in workers), default=0.0)
    yield GaugeMetricFamily(f"{PREFIX}oldest_turn_seconds", "For how long the oldest turn has been running.", oldest)


def _of_process(found: Taken) -> Iterator[Metric]:
    for name, count in found["statistics"].items():
        yield CounterMetricFamily(f"{PREFIX}{name}", f"As {name} in bridge/core/statistics.py.", count)
    letters, engine = found["letters"], found["engine"]
    yield GaugeMetricFamily(f"{PREFIX}dead_letters", "Dead letters that are kept.", letters["count"])
    yield CounterMetricFamily(f"{PREFIX}dead_letters_dropped", "Dropped for want of room.", letters["dropped"])
    if engine["url"]:
        yield GaugeMetricFamily(f"{PREFIX}engine_connected", "Whether the engine is there.", int(engine["connected"]))
