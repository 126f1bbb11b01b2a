"""The hubs of this process: those of workers, those of the main thread's event loops, those that have a thread each.

Async code in the main thread, where servers and scripts have their loop, gets a hub in that loop: a message then
wakes one thread and not two. All else, sync layers and loops of other threads (asgiref's ``async_to_sync`` makes one
for each call), shares a hub with a thread of its own. When a loop ends before the layers that have used its hub, the
hub goes on in a thread, with its channels and groups. Layers of the same URLs share either; between the two, messages
go by way of the bridge. A hub ends when no layer is left.
"""

from __future__ import annotations

import atexit
import itertools
import os
import threading
from collections.abc import Callable, Collection
from functools import partial
from importlib.util import find_spec

import anyio

from ..shared.addresses import default_url, parse
from ..shared.config import Config
from ..shared.endpoint import now, running_loop, sleep
from ..shared.loop import Loop, Signal, Task
from .core.channels import Waiter
from .hub import Hub, settle
from .links import Links, make_hello

IDLE = 1.0  # seconds for which a hub outlives the last of its layers: scripts make one after the other
FLUSH = 0.5  # seconds for calls that are under way when a hub ends
LAST_WORDS = 0.02  # seconds for libzmq to hand the last frames to the system
LOOK = 0.005  # seconds between two looks at those calls
ENDING = 2.0  # seconds to wait for a hub's thread


class SharedHub(Hub):
    """A hub of layers that come and go. :meth:`start_here` it in a loop, or :meth:`start_thread`."""

    def __init__(self, urls: frozenset[str], config: Config) -> None:
        super().__init__(Links(sorted(urls), make_hello("layer"), config))
        self.key = urls
        self.greeted = False
        self.began_here = False  # in a loop of the main thread
        self._layers = 0  # that use it
        self._left_at = 0.0
        self._ending = False
        self._exiting = False
        self._closers: list[Waiter] = []  # who wait for the end
        self._changed: Signal | None = None
        self._loop: Loop | None = None  # where it began
        self._task: Task | None = None  # there
        self._runner: threading.Thread | None = None

    # -- layers ------------------------------------------------------------------------------------------------

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

    # -- life --------------------------------------------------------------------------------------------------

    @property
    def has_thread(self) -> bool:
        """Say whether it runs in a thread of its own."""
        return self._runner is not None

    @property
    def is_usable(self) -> bool:
        """Say whether what runs in this thread now can use it without a detour, or at all."""
        return not self.over and (self._runner is not None or (self._loop is not None and self._loop.is_current()))

    @property
    def is_left(self) -> bool:
        """Say whether its loop was closed without a word."""
        return not self.over and self._runner is None and self._loop is not None and self._loop.is_over()

    def start_thread(self) -> None:
        """Begin in a daemon thread. What is asked for meanwhile is done as soon as its loop runs."""
        self._runner = threading.Thread(target=self._run, name="channels-bridge-layer", daemon=True)
        self._runner.start()

    def start_here(self) -> None:
        """Begin in the loop that runs in this thread."""
        self.began_here = True
        self._loop = running_loop()
        self._task = self._loop.spawn(self._live_here())

    def move(self) -> None:
        """Go on in a thread, the loop has ended; or end, if no layer is left that could use it."""
        self.links.close("moved")
        if self._layers and not self._ending:
            self.detach()
            self.start_thread()
        else:
            self._finish()

    def stop(self) -> None:
        """End, whoever uses it: the interpreter exits. :meth:`wait` for it."""
        self._exiting = True
        if self.has_thread:
            self.later(self._end)
        else:
            self.links.close("closed")
            self._finish()

    def _end_all(self) -> None:
        """As :meth:`Hub._end_all`. At the exit nobody is told: the threads that wait end without a word, too."""
        if not self._exiting:
            super()._end_all()

    def wait(self) -> None:
        """Block until its thread has ended."""
        if self._runner is not None:
            self._runner.join(ENDING)

    async def _live_here(self) -> None:
        try:
            await self._serve()
        except GeneratorExit:  # the task is thrown away: at the interpreter's end, or with a loop that was just left
            raise
        except BaseException:  # cancelled: the loop ends
            self.move()
            raise
        self.links.close("closed")
        self._finish()

    def _run(self) -> None:
        try:
            options = {"use_uvloop": find_spec("uvloop") is not None}
            anyio.run(self._live_in_thread, backend="asyncio", backend_options=options)
        finally:
            self._finish()

    async def _live_in_thread(self) -> None:
        try:
            await self._serve()
        finally:
            self.links.close("closed")
        self.close()
        await sleep(LAST_WORDS)

    async def _serve(self) -> None:
        """Be there for the layers, until it may end."""
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

    def _finish(self) -> None:
        """Leave nobody waiting; again is no error: it is for what was posted to a loop that has ended, too."""
        _registry.remove(self)
        self.close()
        closers, self._closers = self._closers, []
        for waiter in closers:
            settle(waiter)


class Membership:
    """A layer's part in a hub, or in two: it joins when it is used first, and quits when it is closed or collected.

    ``fixed``: the hub, if that is a worker's for its consumers. ``is_async``: the layer is used in event loops.
    ``config``: of a hub that has to be made for it.
    """

    __slots__ = ("_here", "_is_async", "_is_fixed", "config", "joined", "owner", "urls")

    def __init__(
        self,
        urls: Collection[str] | None,
        fixed: Hub | None = None,
        *,
        is_async: bool = False,
        config: Config | None = None,
    ) -> None:
        self.urls = urls
        self.config = config or Config()
        self.owner = next(_owners)  # what the channels are known by that end with the layer
        self.joined = fixed
        self._here: list[SharedHub] = []  # that began in the main thread's loops, one of which runs at a time
        self._is_fixed = fixed is not None
        self._is_async = is_async

    def hub(self) -> Hub:
        """Give the hub for this thread. Raises ``ConfigurationError``."""
        for here in self._here:
            if here.is_usable:
                return here
        hub = self.joined
        if hub is not None and (self._is_fixed or not (hub.over or self._may_be_here(hub))):
            return hub
        return self._join()

    def _may_be_here(self, hub: Hub) -> bool:
        """Say whether this thread may have a better one than that, which another has joined."""
        return self._is_async and isinstance(hub, SharedHub) and not hub.began_here and _registry.in_main_thread

    def _join(self) -> Hub:
        if self._is_async and _registry.in_main_thread:
            hub = _registry.join_here(self)
            if hub is not None:
                self._here = [*(here for here in self._here if not here.over), hub]
                return hub
        return _registry.join(self)

    def quit(self) -> list[Hub]:
        """Leave, from any thread and from a finalizer. Gives what was left."""
        hubs: list[Hub] = [*self._here, *([] if self.joined is None else [self.joined])]
        self.joined, self._here = None, []
        for hub in hubs:
            hub.quit(self.owner)
        return hubs

    def close(self) -> list[Hub]:
        """Leave, and give the hubs that may end by that: :meth:`Hub.end` says when they have."""
        return [] if self._is_fixed else [hub for hub in self.quit() if not hub.over]


_owners = itertools.count(1)


class Registry:
    """The hubs of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # nothing that a finalizer calls takes it
        self._main_thread = threading.main_thread().ident
        self._shared: list[SharedHub] = []
        self._workers: list[Hub] = []  # newest last
        self._forgotten: list[Hub] = []  # kept, as a child that closes their descriptors takes them from its parent

    @property
    def in_main_thread(self) -> bool:
        """Say whether the caller is."""
        return threading.get_ident() == self._main_thread

    def enter(self, hub: Hub) -> None:
        """Let layers ride on a worker's hub from when its links have been started; its URLs are the default now."""
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
                membership.joined = self._find(membership)
            return membership.joined

    def join_here(self, membership: Membership) -> SharedHub | None:
        """Give the hub of the main thread's running loop; None: a worker's is as near."""
        self._sweep()
        with self._lock:
            if self._worker(membership.urls) is not None:
                return None
            return self._shared_hub(membership, lambda hub: hub.began_here and hub.is_usable, SharedHub.start_here)

    def _find(self, membership: Membership) -> Hub:
        worker = self._worker(membership.urls)
        if worker is not None:
            return worker
        return self._shared_hub(membership, lambda hub: hub.has_thread and not hub.over, SharedHub.start_thread)

    def _shared_hub(
        self, membership: Membership, fits: Callable[[SharedHub], bool], start: Callable[[SharedHub], None]
    ) -> SharedHub:
        """Join the hub of these URLs that fits; without one, make it and start it."""
        key = self._key(membership.urls)
        found = next((hub for hub in self._shared if hub.key == key and fits(hub)), None)
        if found is None:
            found = SharedHub(key, membership.config)
            self._shared.append(found)
            start(found)
        found.join()
        return found

    def _sweep(self) -> None:
        """Save the hubs of loops that were closed without a word."""
        for hub in [hub for hub in self._shared if hub.is_left]:
            hub.move()

    def _worker(self, urls: Collection[str] | None) -> Hub | None:
        for worker in reversed(self._workers):
            if worker.links.started and (urls is None or frozenset(urls) == worker.links.places):
                return worker
        return None

    def _key(self, urls: Collection[str] | None) -> frozenset[str]:
        if urls is None and self._workers:  # that of a worker that starts: its application may use a layer already
            return self._workers[-1].links.places
        return frozenset(urls or (str(parse(default_url())),))

    def of_boot(self, boot: int) -> Hub | None:
        """Give the hub whose channels are named after this; None: they are another process's."""
        with self._lock:
            hubs: list[Hub] = [*self._shared, *self._workers]
        return next((hub for hub in hubs if hub.boot == boot), None)

    def retire(self, hub: SharedHub) -> bool:
        """Take a hub out that is to end, unless a layer has joined it in this moment."""
        with self._lock:
            if hub.may_end():
                self._remove(hub)
                return True
        return False

    def remove(self, hub: SharedHub) -> None:
        """Take a hub out that has ended; again is no error."""
        with self._lock:
            self._remove(hub)

    def _remove(self, hub: SharedHub) -> None:
        self._shared = [other for other in self._shared if other is not hub]

    def stop(self) -> None:
        """End all hubs of layers: the interpreter exits."""
        with self._lock:
            hubs = list(self._shared)
        for hub in hubs:
            hub.stop()
        for hub in hubs:
            hub.wait()

    def forget(self) -> None:
        """In a forked child: the hubs are the parent's, and its threads are not here."""
        self._lock = threading.Lock()
        self._main_thread = threading.main_thread().ident
        self._forgotten += [*self._shared, *self._workers]
        for hub in self._forgotten:
            hub.forget()
        self._shared, self._workers = [], []


_registry = Registry()
enter, leave, of_boot = _registry.enter, _registry.leave, _registry.of_boot
atexit.register(_registry.stop)
os.register_at_fork(after_in_child=_registry.forget)
