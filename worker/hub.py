"""Between the layers of a process, in whatever loop or thread they are used, and its links, which live in one loop."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable
from functools import partial

from ..shared import names
from ..shared.endpoint import now
from ..shared.errors import BridgeUnavailable
from ..shared.frames import LayerFrame
from ..shared.loop import Loop
from .core.calls import DONE
from .core.channels import Bounds, Channel, Waiter
from .crossing import Crossing
from .links import Links

GREETING = 1.0  # seconds that a new channel waits for the first link: without a bridge it can still be used here


class ChannelName(str):
    """The name of a channel of this process, which ends with this object. A copy is a plain ``str``."""

    __slots__ = ("__weakref__", "boot", "box", "hub")
    boot: int  # of the process, which alone can receive on it
    box: Channel
    hub: Hub

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, ("".join(self),)


class Hub:
    """The channel layer of one process, or of one set of URLs in it. ``links`` are started by who makes it."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.over = False  # nothing crosses any more
        self._exchange = links.exchange
        self._crossing: Crossing[Callable[[], None]] = Crossing(self._do)
        self._thread: int | None = None  # where its loop runs
        self._numbers = itertools.count(1)
        self.greeted = True  # the bridges know this process, or had their time to; a worker begins with that

    def open(self, loop: Loop) -> None:
        """Begin, in the loop that has the links."""
        self._thread = threading.get_ident()
        self._crossing.open(loop)

    def detach(self) -> None:
        """Let go of a loop that has ended, until :meth:`open` in another; what comes meanwhile waits."""
        self._thread = None
        self._crossing.detach()

    @property
    def is_here(self) -> bool:
        """Say whether this is the thread of the hub's loop, in which nobody may block."""
        return threading.get_ident() == self._thread

    def close(self) -> None:
        """End, in the hub's loop: what waits to cross is done first."""
        self._crossing.empty()
        self.over = True
        self._end_all()

    def _do(self, function: Callable[[], None]) -> None:
        function()
        if self.over:  # it came too late: nobody would ever be told
            self._end_all()

    def _end_all(self) -> None:
        """Tell those who wait that it is over."""
        self._exchange.end()

    def forget(self) -> None:
        """In a forked child: the loop, the thread and the sockets are the parent's."""
        self.over = True
        self._exchange.forget()
        self.links.forget()

    # -- what layers call, from any thread ---------------------------------------------------------------------

    def post(self, function: Callable[[], None]) -> None:
        """Do this in the loop; at once if this is its thread. Raises ``BridgeUnavailable`` if the loop has ended."""
        if threading.get_ident() == self._thread:
            self._do(function)
        elif not self._crossing.put(function):
            raise BridgeUnavailable(self.why_no_answer(0.0))

    def later(self, function: Callable[[], None]) -> None:
        """Do this in the loop, but not at once: finalizers run in the middle of anything."""
        self._crossing.put(function)

    def call(self, frame: LayerFrame, waiter: Waiter, timeout: float) -> None:
        """Settle the waiter with a code when this is done, or was not within ``timeout`` seconds."""
        moment = now()
        self.post(partial(self._exchange.call, frame, waiter, moment + timeout, moment))

    def tell(self, frame: LayerFrame) -> None:
        """Do this; nobody asks what becomes of it. In the hub's loop."""
        self._exchange.tell(frame, now())

    def receive(self, channel: str, waiter: Waiter, bounds: Bounds) -> None:
        """Settle the waiter with the next message of the channel. :meth:`leave` if it waits no more."""
        copied = type(channel) is not ChannelName
        self.post(partial(self._exchange.receive, channel, waiter, now(), copied=copied, bounds=bounds))

    def leave(self, waiter: Waiter) -> None:
        """Note that nobody waits any more: a message that came is for the next."""
        leave = partial(self._exchange.leave, waiter, now())
        if self.is_here:
            leave()
        else:
            self._crossing.put(leave)

    def leave_box(self, box: Channel, waiter: Waiter) -> None:
        """The same for one that waits by :meth:`Box.wait`."""
        if box.leave(waiter, now()):
            self.post(partial(self._exchange.match, box))

    def give_back(self, channel: str) -> None:
        """Listen no more on a named channel: messages that nobody here has taken are for others. In the hub's loop."""
        self._exchange.give_back(channel, now())

    def new_channel(self, prefix: str, owner: int, bounds: Bounds) -> ChannelName:
        """Make a channel of this process. Raises ``InvalidName``."""
        name = names.process_channel(prefix, self._exchange.boot, next(self._numbers))
        channel = ChannelName(name)
        channel.boot, channel.hub = self._exchange.boot, self
        channel.box = self._exchange.open(name, owner, bounds)
        weakref.finalize(channel, self.later, partial(self._close_channel, name)).atexit = False
        return channel

    def greet(self, waiter: Waiter) -> None:
        """Settle the waiter when the first links are up, or have had ``GREETING`` seconds for it."""
        moment = now()
        self.post(partial(self._exchange.greet, waiter, moment + GREETING, moment))

    def use(self, channel: str, bounds: Bounds) -> None:
        """Keep a channel of this process whose name is used as a copy."""
        if type(channel) is not ChannelName and names.parse_process(channel) == self._exchange.boot:
            self.post(partial(self._use, channel, bounds))

    def flush(self, waiter: Waiter) -> None:
        """End this process's channels and memberships; settle the waiter when that is done."""
        self.post(self._exchange.flush)
        self.post(partial(settle, waiter))

    def quit(self, owner: int) -> None:
        """End what is of one layer: it is closed, or collected. From any thread, and from a finalizer."""
        self.later(partial(self._exchange.end, owner))

    def end(self, waiter: Waiter) -> None:
        """End now rather than later, if no layer uses it; settle the waiter then, or at once."""
        self.later(partial(settle, waiter))

    def _use(self, channel: str, bounds: Bounds) -> None:
        self._exchange.use(channel, now(), copied=True, bounds=bounds)

    def _close_channel(self, name: str) -> None:
        self._exchange.close(name, now())

    @property
    def boot(self) -> int:
        """What channels of this process are named after."""
        return self._exchange.boot

    def why_no_answer(self, timeout: float) -> str:
        """Say, for a person, what a call has waited for in vain, and what to do."""
        where = ", ".join(self.links.urls)
        if self.over:
            return f"the channel layer at {where} was closed"
        if self.links.ready:
            return f"the bridge at {where} did not answer within {timeout:g} s: it is overloaded, or frozen"
        reason = f" ({self.links.trouble})" if self.links.trouble else ""
        return (
            f"no bridge at {where} within {timeout:g} s{reason}: is the server with the Bridge up, and does it have"
            " the same url? $CHANNELS_BRIDGE_URL is the default of both; without it that of channels-bridge serve is"
            " private"
        )


def settle(waiter: Waiter) -> None:
    """Wake who has waited for nothing but that something is done."""
    waiter.result = DONE
    waiter.settle()
