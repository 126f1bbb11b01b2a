"""What clients notice when workers end: the bridge, ``uvicorn --workers 2``, and daphne with Channels 4 and Redis.

    python benchmarks/disruption.py [--quick] [--json] [--case NAME ...] [--side NAME ...] [--server KIND] [--sockets N]
                                    [--logs FOLDER]

So many sockets send 5 numbered messages a second each (rig/talkers.py); the consumer counts its socket's messages,
and answers with number and count. Meanwhile its processes are

rolled    replaced, one after the other (SIGHUP; daphne: restarted)
killed    one at random is killed by SIGKILL every 500 ms (daphne: 500 ms after it is back)
all       all are killed at once
frozen    one is stopped by SIGSTOP, and goes on after 15 s
recycled  growing: each message costs 10 KB that are never given back; ours has --max-memory-per-child, the others have
          no such option: one at random is ended by SIGTERM now and then
overload  each message burns so much CPU that the rate is 5 times what two workers can do; 20 more clients a second
          want to connect, of which our bridge lets 20 in and has to refuse the others

``dropped``: sockets that the server closed or lost; the client connects again at once, and what should have been said
meanwhile waits. ``lost``: messages without an answer, or that the consumer's count has forgotten. ``duplicated``:
answered or counted twice. ``refused``: handshakes with another answer than 101. A stall is from when a message was due
to its answer, in milliseconds. Ours is uvicorn with the bridge, and ``channels-worker -c 2``.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # for `python benchmarks/disruption.py`, from anywhere

from benchmarks.rig import measure  # noqa: E402
from benchmarks.rig.dialogue import Dialogue  # noqa: E402
from benchmarks.rig.sites import SITES, TEND, WORKERS, Site  # noqa: E402
from benchmarks.rig.sockets import allow_files  # noqa: E402

from channels_bridge.testing.processes import HOST, SERVERS  # noqa: E402

PARTS = ("channels-bridge", "uvicorn", "uvloop", "daphne", "channels", "channels_redis", "redis", "pyzmq", "msgpack")
RATE = 5.0  # messages a second of each socket
KILLS = 0.5  # seconds between two
FREEZE = 15.0  # seconds; a bridge gives a worker up after 10
BEFORE = 0.5  # seconds of peace
AFTER = 1.0
OVERLOAD = 5
NEWCOMERS = 20.0  # a second, while there is an overload

STALLS = ("p50", "p99", "max")
SHOWN = ("messages", "dropped", "lost", "duplicated", "disordered", "refused", *STALLS)

Figures = dict[str, float]
Said = dict[str, dict[str, dict[str, Any]]]  # side -> case -> what its clients said


@dataclass(frozen=True, slots=True)
class Case:
    """One disruption: ``disrupt(site, seconds)``, seconds being ``quick`` in such a run; 0: until it is done once."""

    name: str
    disrupt: Callable[[Site, float], None]
    seconds: float
    quick: float
    in_quick: str = "ours"  # who has a part in quick runs: "all", "ours", or "" for nobody who is not asked to
    patience: float = 15.0  # seconds for what was said to be answered
    overloaded: bool = False
    leak: int = 0  # bytes that each message costs for ever


def rolled(site: Site, seconds: float) -> None:
    """At least once, and until the time is over."""
    end = time.monotonic() + seconds
    while True:
        site.roll()
        site.wait(BEFORE)
        if time.monotonic() >= end:
            return


def killed(site: Site, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        site.kill()
        site.wait(KILLS)


def all_killed(site: Site, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        site.kill_all()
        site.wait(2 * BEFORE)
        site.wait_ready()
        if time.monotonic() >= end:
            return


def frozen(site: Site, seconds: float) -> None:
    with site.one_frozen():
        site.wait(seconds)


def recycled(site: Site, seconds: float) -> None:
    before, end = set(site.pids()), time.monotonic() + seconds
    while time.monotonic() < end:
        site.recycle()
        site.wait(random.uniform(0.3, 2.0))
    if before.issubset(site.pids()):
        raise RuntimeError(f"{site.name}: nobody was recycled")


def overloaded(site: Site, seconds: float) -> None:
    site.wait(seconds)


CASES = (
    Case("rolled", rolled, 15.0, 0.0),
    Case("killed", killed, 60.0, 8.0),
    Case("all", all_killed, 10.0, 0.0, in_quick="all"),
    Case("frozen", frozen, FREEZE, FREEZE),
    Case("recycled", recycled, 30.0, 8.0, leak=10_000),
    Case("overload", overloaded, 5.0, 1.0, in_quick="", patience=90.0, overloaded=True),
)

LOSSLESS = tuple(case.name for case in CASES if not case.overloaded)
TARGETS = (
    *(
        measure.Target(case, f"ours_{figure}", 0, least=False)
        for case in LOSSLESS
        for figure in ("dropped", "lost", "duplicated", "disordered")
    ),
    *(measure.Target(case, "ours_p99", 250.0, least=False) for case in ("rolled", "killed")),
    measure.Target("overload", "ours_newcomers_unanswered", 0, least=False),
    measure.Target("overload", "ours_refused_uncounted", 0, least=False),
)


@dataclass(frozen=True, slots=True)
class Options:
    """Of a run."""

    sockets: int
    quick: bool
    server: str
    logs: Path | None
    asked: frozenset[str]  # cases by name; none: what is usual

    def wants(self, side: type[Site], case: Case) -> bool:
        """Say whether this case is run on this side."""
        usual = not self.quick or case.in_quick in {"all", side.name}
        return case.name in self.asked if self.asked else usual


def measure_case(site: Site, case: Case, options: Options) -> dict[str, Any]:
    """Run a case with clients of its own; give what they say."""
    site.wait_ready()
    site.wait_empty()
    before = site.refusals()
    burn = OVERLOAD * WORKERS / (options.sockets * RATE) if case.overloaded else 0.0
    with Dialogue("benchmarks.rig.talkers") as talkers:
        talkers.ask(open=options.sockets, host=HOST, port=site.port)
        talkers.ask(rate=RATE, burn=burn, leak=case.leak, newcomers=NEWCOMERS if case.overloaded else 0.0)
        site.wait(BEFORE)
        case.disrupt(site, case.quick if options.quick else case.seconds)
        if not case.overloaded:
            site.wait(AFTER)
        with ThreadPoolExecutor(1) as other:
            said = other.submit(talkers.ask, patience=case.patience)
            while not said.done():
                site.wait(TEND)
        clients = said.result()
        clients["figures"]["counted_refusals"] = site.refusals() - before
        return clients


def measure_site(site: Site, cases: Sequence[Case], options: Options) -> dict[str, dict[str, Any]]:
    """Run the cases one after the other; give what the clients said of each."""
    said: dict[str, dict[str, Any]] = {}
    with site.up():
        for case in cases:
            print(f"{time.strftime('%H:%M:%S')} {site.name}: {case.name} ...", file=sys.stderr)
            try:
                said[case.name] = measure_case(site, case, options)
            finally:
                if options.logs is not None:
                    (options.logs / f"{site.name}-{case.name}.log").write_text(site.logs())
    return said


def run(sides: Sequence[type[Site]], options: Options) -> Said:
    """Measure all sides; give side -> case -> what its clients said."""
    measured: Said = {}
    for side in sides:
        own = [case for case in CASES if options.wants(side, case)]
        with tempfile.TemporaryDirectory() as folder:
            measured[side.name] = measure_site(side(Path(folder), options.server, options.sockets), own, options)
    return measured


def flat(measured: Said) -> dict[str, Figures]:
    """Give case -> <side>_<figure>, and <figure>_<peer>_ratio of the stalls, ours over the peer's."""
    by_case: dict[str, Figures] = {}
    for case in CASES:
        figures = {side: of[case.name]["figures"] for side, of in measured.items() if case.name in of}
        if not figures:
            continue
        by_case[case.name] = {f"{side}_{name}": value for side, of in figures.items() for name, value in of.items()}
        if "ours" in figures:
            ours = figures["ours"]
            refused = ours["refused"] + ours["newcomers_refused"]
            by_case[case.name]["ours_refused_uncounted"] = abs(refused - ours["counted_refusals"])
        for side in figures.keys() - {"ours"} if "ours" in figures else ():
            pairs = {name: (figures["ours"][name], figures[side][name]) for name in STALLS}
            by_case[case.name] |= {f"{name}_{side}_ratio": our / their for name, (our, their) in pairs.items() if their}
    return by_case


def report(measured: Said, figures: Mapping[str, Figures]) -> str:
    """Give the table, how sockets were dropped, and the claims beside what was measured."""
    head = ("case", "side", "messages", "dropped", "lost", "duplicated", "out of order", "refused", "p50 ms", "p99 ms",
            "max ms")  # fmt: skip
    said = [(case.name, side, of[case.name]) for case in CASES for side, of in measured.items() if case.name in of]
    rows = [(case, side, *(f"{one['figures'][name]:.0f}" for name in SHOWN)) for case, side, one in said]
    closes = [
        f"{case}, {side}: sockets closed with {', '.join(f'{code} ({n})' for code, n in one['closes'].items())}"
        for case, side, one in said
        if one["closes"]
    ]
    knocks = [f"{case}, {side}: {_newcomers(one['figures'])}" for case, side, one in said if case == "overload"]
    comparable = [target for target in TARGETS if target.figure in figures.get(target.case, {})]
    claims = measure.claims(comparable, figures)
    return "\n".join([measure.table(head, rows), "", *closes, *knocks, "", claims])


def _newcomers(figures: Figures) -> str:
    opened, refused, silent, longest = (figures[f"newcomers{part}"] for part in ("", "_refused", "_unanswered", "_max"))
    counted = f"{figures['counted_refusals']:.0f} refusals were counted by the server"
    knocks = f"{opened} newcomers were let in (in {longest:.0f} ms at most), {refused} refused, {silent} had no answer"
    return f"{knocks}; {counted}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a minute: short, no overload, peers in one case")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--side", action="append", choices=[side.name for side in SITES])
    parser.add_argument("--server", choices=SERVERS, default="uvicorn", help="that the bridge runs in")
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--logs", type=Path, help="a folder for what all processes said")
    return parser.parse_args()


def main() -> None:
    chosen = parse()
    sides = [side for side in SITES if chosen.side is None or side.name in chosen.side]
    allow_files(chosen.sockets)  # the servers inherit it
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all processes are ended
    asked = frozenset[str](chosen.case or ())
    measured = run(sides, Options(chosen.sockets, chosen.quick, chosen.server, chosen.logs, asked))
    figures = flat(measured)
    print(report(measured, figures))
    if chosen.json:
        print(measure.as_json("disruption", measure.versions(*PARTS), figures))


if __name__ == "__main__":
    main()
