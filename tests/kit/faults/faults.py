"""The fixture: sites, and one after the other of them, with the fault one step later each time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from itertools import count
from typing import Any

from channels_bridge.bridge.app import Pools
from channels_bridge.shared.config import Config
from channels_bridge.testing.faults.plan import At
from channels_bridge.testing.faults.site import URL, Site
from channels_bridge.worker.load import wrap
from channels_bridge.worker.settings import Settings

Scenario = Callable[[Site], Awaitable[object]]
LAST = 8  # steps that a failure's note shows
MOST = 5000  # steps of a scenario: one that takes more never ends


class Faults:
    """Makes sites. Needs no pytest: the fixture ``faults`` is one of these."""

    @contextlib.asynccontextmanager
    async def site(
        self,
        app: object,
        *,
        workers: int = 2,
        pools: Pools | None = None,
        config: Config | None = None,
        interface: str = "auto",
        **settings: Any,
    ) -> AsyncGenerator[Site]:
        """Give a bridge with so many workers that host ``app``, all in the running event loop.

        ``app``: an application object: a consumer, a Router, an ASGI application; each worker uses the same. ``pools``,
        ``config`` and ``settings`` as :func:`.bridged` has them. While the site is there, all of this process has
        its clock and its network: one site at a time, and no ``bridged`` beside it.

        At the end clients leave, and ``AssertionError`` says so if anything of their connections is left.
        """
        name = getattr(app, "__qualname__", type(app).__name__)
        application = wrap(app, interface, name, is_background=bool(settings.get("channels")))
        served = () if pools is None or callable(pools) else sorted({*pools.values()} - {"default"})
        names = () if application.interface == "function" else ("default", *served)
        made = Settings(app=name, urls=(URL,), pools=names, config=config or Config(), **settings)
        async with Site(application, made, pools).run(workers) as site:
            yield site

    async def every_step(
        self,
        scenario: Scenario,
        app: object,
        fault: str | Callable[[At], object] = "kill",
        *,
        steps: Iterable[int] = (),
        **site: Any,
    ) -> int:
        """Run the scenario again and again, each time on a new site and with the fault one step later.

        ``fault``: the name of a method of :class:`.At`, or what calls one: ``lambda at: at.freeze(15)``. ``steps``:
        only at these; by default at all that there are, which ends with the first run that is over before its fault.
        ``site``: as :meth:`site` has it. Returns the number of runs with a fault. What the scenario raises goes on,
        with a note that says at which step the fault was, and how to repeat it.
        """
        runs = 0
        for step in steps or count(1):
            async with self.site(app, **site) as one:
                _plan(one.at(step), fault)
                try:
                    await scenario(one)
                    one.plan.clear()
                    await one.end()
                except BaseException as error:
                    _note(error, one, fault, step)
                    raise
            if not one.plan.happened and not steps:
                return runs
            assert step < MOST, f"the scenario takes more than {MOST} steps: does it end?"
            runs += 1
        return runs


def _plan(at: At, fault: str | Callable[[At], object]) -> None:
    if callable(fault):
        fault(at)
    else:
        getattr(at, fault)()


def _note(error: BaseException, site: Site, fault: object, number: int) -> None:
    """Say in the failure which fault it came from."""
    if not site.plan.happened:
        error.add_note(f"before any fault: it was to be at step {number}")
        return
    near = site.steps[max(0, number - LAST) : number + LAST]
    told = "\n".join(f"  {'>' if step.number == number else ' '} {step}" for step in near)
    error.add_note(f"with the fault {fault!r} at step {number}; steps=[{number}] repeats this one alone\n{told}")
