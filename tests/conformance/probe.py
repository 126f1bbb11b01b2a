"""The ASGI application under test: plays the scenario that a request names, and reports what it saw."""

from __future__ import annotations

from .scenarios import SCENARIOS
from .tap import Message, Receive, Send, Tap, lifespan


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Play one scenario's application."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send, scope.get("state"))
        return
    tap = Tap(scope, receive, send)
    tap.signal("started")
    name, variant, *_ = tap.run.split("~")
    scenario = SCENARIOS[name]
    if scenario.variants:
        tap.variant = scenario.variants[int(variant)]
    ended = "was cancelled"
    try:
        await scenario.app(tap)
        ended = "returned"
    except Exception as error:
        ended = f"raised {type(error).__name__}"
        raise
    finally:
        tap.report(ended)
