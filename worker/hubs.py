"""The hubs of this process: those of workers, in the workers' own loops, and those that have a thread each.

Layers of the same URLs share one, from whatever loop and thread. A hub with a thread ends when no layer is left.
"""

from __future__ import annotations

import atexit
import itertools
import os
import threading
from collections.abc import Collection, Sequence
from functools import partial
from importlib.util import find_spec

import anyio

from ..shared.addresses import default_url, parse
from ..shared.config import Config
from ..shared.endpoint import now, running_loop, sleep
from ..shared.loop import Signal
from .core.channels import Waiter
from .hub import Hub, settle
from .links import Links, make_hello

IDLE = 1.0  # seconds for which a hub outlives the last of its layers: scripts make one after the other
FLUSH = 0.5  # seconds for calls that are under way when a hub ends
LAST_WORDS = 0.02  # seconds for libzmq to hand the last frames to the system
LOOK = 0.005  # seconds between two looks at those calls
ENDING = 2.0  # seconds to wait for a hub's thread


class ThreadHub(Hub):
    """A hub whose loop runs in a daemon thread."""

    def __init__(self, urls: Sequence[str], config: Config) -> None:
        super().__init__(Links(urls, make_hello("layer"), config))
        self._layers = 0  # that use it
        self._left_at = 0.0
        self._ending = False
        self._closers: list[Waiter] = []  # who wait for the end
        self._changed: Signal | None = None
        self._runner = threading.Thread(target=self._main, name="channels-bridge-layer", daemon=True)

    def start(self) -> None:
        """Begin. What is asked for meanwhile is done as soon as the loop runs."""
        self._runner.start()

    def join(self) -> None:
        """Note that one more layer uses it. In any thread that holds the registry's lock."""
        self.later(partial(self._count, 1))

    def quit(self, owner: int) -> None:
        """As :meth:`Hub.quit`."""
        super().quit(owner)
        self.later(partial(self._count, -1))

    def end(self, waiter: Waiter) -> None:
        """As :meth:`Hub.end`."""
        self.later(partial(self._end_if_unused, waiter))

    def stop(self) -> None:
        """End, whoever uses it."""
        self.later(self._end)

    def wait(self) -> None:
        """Block until the thread has ended."""
        self._runner.join(ENDING)

    def _count(self, difference: int) -> None:
        self._layers += difference
        self._left_at = now()

    def _end_if_unused(self, waiter: Waiter) -> None:
        if self._layers or self.over:
            settle(waiter)
        else:
            self._closers.append(waiter)
            self._end()

    def _end(self) -> None:
        self._ending = True
        if self._changed is not None:
            self._changed.set()

    def may_end(self) -> bool:
        """Say whether it is to end: nobody has used it for a while, or somebody says so."""
        unused = not self._layers and now() - self._left_at >= IDLE
        return not self._crossing and (self._ending or unused)

    def _main(self) -> None:
        try:
            options = {"use_uvloop": find_spec("uvloop") is not None}
            anyio.run(self._serve, backend="asyncio", backend_options=options)
        finally:
            _registry.remove(self)
            self.close()  # once more: of what was posted to a loop that has ended, too
            for waiter in self._closers:
                settle(waiter)

    async def _serve(self) -> None:
        loop = running_loop()
        self._changed = loop.signal()
        self._left_at = now()
        await self.links.start(loop)
        self.open(loop)
        while not _registry.retire(self):
            with anyio.move_on_after(IDLE / 4):
                await self._changed.wait()
        deadline = now() + FLUSH
        while len(self._exchange.calls) and self.links.ready and now() < deadline:
            await sleep(LOOK)
        self.close()
        self.links.close("closed")
        await sleep(LAST_WORDS)


class Membership:
    """A layer's part in a hub: it joins when it is used first, and quits when it is closed or collected.

    ``fixed``: the hub, if that is a worker's for its consumers.
    """

    __slots__ = ("_is_fixed", "joined", "owner", "urls")

    def __init__(self, urls: Collection[str] | None, fixed: Hub | None = None) -> None:
        self.urls = urls
        self.owner = next(_owners)  # what the channels are known by that end with the layer
        self.joined = fixed
        self._is_fixed = fixed is not None

    def hub(self) -> Hub:
        """Give the hub. Raises ``ConfigurationError``."""
        hub = self.joined
        if hub is None or (hub.over and not self._is_fixed):
            hub = _registry.join(self)
        return hub

    def quit(self) -> None:
        """Leave the hub, from any thread and from a finalizer."""
        hub, self.joined = self.joined, None
        if hub is not None:
            hub.quit(self.owner)

    def close(self, waiter: Waiter) -> bool:
        """Leave the hub, which ends if it was the last; the waiter is settled then. False: there was none to leave."""
        hub = self.joined
        if hub is None or hub.over or self._is_fixed:
            return False
        self.quit()
        hub.end(waiter)
        return True


_owners = itertools.count(1)


class Registry:
    """The hubs of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # nothing that a finalizer calls takes it
        self._threads: dict[frozenset[str], ThreadHub] = {}
        self._workers: list[Hub] = []  # newest last
        self._forgotten: list[Hub] = []  # kept, as a child that closes their descriptors takes them from its parent

    def enter(self, hub: Hub) -> None:
        """Let layers ride on a worker's hub."""
        with self._lock:
            self._workers.append(hub)

    def leave(self, hub: Hub) -> None:
        """End that; again is no error."""
        with self._lock:
            self._workers = [other for other in self._workers if other is not hub]

    def join(self, membership: Membership) -> Hub:
        """Give a layer its hub: of its URLs; without any a worker's, else that of the default URL."""
        with self._lock:
            if membership.joined is None or membership.joined.over:
                membership.joined = self._find(membership.urls)
            return membership.joined

    def _find(self, urls: Collection[str] | None) -> Hub:
        for worker in reversed(self._workers):
            if urls is None or frozenset(urls) == worker.links.places:
                return worker
        key = frozenset(urls or (str(parse(default_url())),))
        hub = self._threads.get(key)
        if hub is None:
            hub = self._threads[key] = ThreadHub(sorted(key), Config())
            hub.start()
        hub.join()
        return hub

    def retire(self, hub: ThreadHub) -> bool:
        """Take a hub out that is to end, unless a layer has joined it in this moment."""
        with self._lock:
            if hub.may_end():
                self._remove(hub)
                return True
        return False

    def remove(self, hub: ThreadHub) -> None:
        """Take a hub out that has ended; again is no error."""
        with self._lock:
            self._remove(hub)

    def _remove(self, hub: ThreadHub) -> None:
        self._threads = {key: other for key, other in self._threads.items() if other is not hub}

    def stop(self) -> None:
        """End all hubs that have a thread: the interpreter exits."""
        with self._lock:
            hubs = list(self._threads.values())
        for hub in hubs:
            hub.stop()
        for hub in hubs:
            hub.wait()

    def forget(self) -> None:
        """In a forked child: the hubs are the parent's, and its threads are not here."""
        self._lock = threading.Lock()
        self._forgotten += [*self._threads.values(), *self._workers]
        for hub in self._forgotten:
            hub.forget()
        self._threads, self._workers = {}, []


_registry = Registry()
enter, leave = _registry.enter, _registry.leave
atexit.register(_registry.stop)
os.register_at_fork(after_in_child=_registry.forget)
