"""One ZeroMQ socket on asyncio, uvloop or trio. The only file that names an event loop, and the only use of zmq.

The rules, each of which a naive integration breaks:

* One owner, one thread, plain sockets, every call DONTWAIT; nothing is awaited per message.
* ``ZMQ_FD`` is one *edge* for both directions, and any call on the socket may swallow it: EVENTS is read again after
  each burst of receiving and after each send. At most ``BURST`` messages are taken per wake-up, then others run.
* Close: stop watching the descriptor first. libzmq frees it later, and its number may be in use again by then. No
  ``term()``: it could block the loop.
* No ZMTP heartbeats: with a full receive pipe they abort the process (libzmq #3596, #4830). Beats are frames of ours.
* No routing ids of our own, HANDOVER off; a peer's identity travels in HELLO.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import anyio
import anyio.from_thread
import zmq

from . import clock, wire
from .errors import AddressError
from .loop import Loop, Promise, Signal, SignalPromise, Task, is_closed
from .network import standing_in

logger = logging.getLogger("channels_bridge.endpoint")

BURST = 64
DRAIN = 16  # bursts that are taken at once when a peer has ended
POLLIN, POLLOUT, DONTWAIT = int(zmq.POLLIN), int(zmq.POLLOUT), int(zmq.DONTWAIT)  # plain: enum arithmetic is slow
EVENTS, RCVMORE = int(zmq.EVENTS), int(zmq.RCVMORE)
SNDMORE = DONTWAIT | int(zmq.SNDMORE)
KEEPALIVE = {zmq.TCP_KEEPALIVE: 1, zmq.TCP_KEEPALIVE_IDLE: 10, zmq.TCP_KEEPALIVE_INTVL: 5, zmq.TCP_KEEPALIVE_CNT: 3}
ROUTER_OPTIONS = {
    zmq.ROUTER_MANDATORY: 1,  # a gone peer is an error (EHOSTUNREACH), not a silent drop
    zmq.SNDHWM: 10000, zmq.RCVHWM: 10000,  # fuses; what bounds memory is credit
    zmq.MAXMSGSIZE: wire.MAX_FRAME, zmq.LINGER: 0, zmq.HANDSHAKE_IVL: 5000, zmq.BACKLOG: 512, zmq.HEARTBEAT_IVL: 0,
}  # fmt: skip
DEALER_OPTIONS = {
    zmq.IMMEDIATE: 1,  # queue nothing while disconnected: the next bridge process must not get it
    zmq.RCVHWM: 0,  # the bridge's credit bounds it; a full pipe would stop the socket
    zmq.SNDHWM: 1000, zmq.LINGER: 0, zmq.RECONNECT_IVL: 100, zmq.RECONNECT_IVL_MAX: 2000, zmq.CONNECT_TIMEOUT: 3000,
    zmq.MAXMSGSIZE: wire.MAX_FRAME, zmq.HEARTBEAT_IVL: 0,
}  # fmt: skip


now, sleep = clock.now, clock.sleep


class PeerGone(Exception):
    """The ROUTER has no such peer any more."""


# -- event loops -----------------------------------------------------------------------------------------------


class _AsyncioSignal:
    __slots__ = ("_create_future", "_waiters")

    def __init__(self, create_future: Callable[[], asyncio.Future[None]]) -> None:
        self._create_future = create_future
        self._waiters: list[asyncio.Future[None]] | None = None  # made when somebody waits: most never do

    def set(self) -> None:
        waiters, self._waiters = self._waiters, None
        if waiters is not None:
            for future in waiters:
                if not future.done():
                    future.set_result(None)

    def wait(self) -> asyncio.Future[None]:
        future = self._create_future()
        self._waiters = [*(other for other in self._waiters or () if not other.done()), future]
        return future


class _AsyncioLoop:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.from_thread: Callable[[Callable[[], object]], object] = self._loop.call_soon_threadsafe
        self.call_soon: Callable[[Callable[[], object]], object] = self._loop.call_soon
        self.promise: Callable[[], Promise] = self._loop.create_future

    def is_current(self) -> bool:  # get_running_loop() makes a system call (CPython 3.11)
        return threading.get_ident() == self._thread and self._loop.is_running()

    def is_over(self) -> bool:
        return self._loop.is_closed()

    def signal(self) -> Signal:
        return _AsyncioSignal(self._loop.create_future)

    def is_ending(self, error: BaseException, cancelled: bool) -> bool:
        if isinstance(error, asyncio.CancelledError):
            return cancelled
        return isinstance(error, KeyboardInterrupt) or is_closed(self, error, cancelled)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Task:
        return self._loop.create_task(coroutine)

    def watch(self, fd: int, function: Callable[[], None]) -> Callable[[], None]:
        self._loop.add_reader(fd, function)

        def stop() -> None:
            if not self._loop.is_closed():
                self._loop.remove_reader(fd)

        return stop


class _TrioSignal:
    __slots__ = ("_tasks", "_trio")

    def __init__(self, trio: Any) -> None:
        self._trio = trio
        self._tasks: list[Any] = []

    def set(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            self._trio.lowlevel.reschedule(task)

    async def wait(self) -> None:
        task = self._trio.lowlevel.current_task()
        self._tasks.append(task)

        def abort(_: object) -> Any:
            self._tasks.remove(task)
            return self._trio.lowlevel.Abort.SUCCEEDED

        await self._trio.lowlevel.wait_task_rescheduled(abort)


class _TrioLoop:
    def __init__(self, trio: Any) -> None:
        self._trio = trio
        self._token = trio.lowlevel.current_trio_token()
        self.from_thread: Callable[[Callable[[], object]], object] = self._token.run_sync_soon
        self.call_soon = self.from_thread
        self.promise: Callable[[], Promise] = lambda: SignalPromise(self.signal())

    def is_current(self) -> bool:
        try:
            return self._trio.lowlevel.current_trio_token() is self._token
        except RuntimeError:
            return False

    def is_over(self) -> bool:
        try:
            self._token.run_sync_soon(bool)
        except self._trio.RunFinishedError:
            return True
        return False

    def signal(self) -> Signal:
        return _TrioSignal(self._trio)

    def is_ending(self, error: BaseException, cancelled: bool) -> bool:
        return isinstance(error, self._trio.Cancelled | KeyboardInterrupt) or is_closed(self, error, cancelled)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Task:
        scope = anyio.CancelScope()

        async def run() -> None:
            with scope:
                await coroutine

        self._trio.lowlevel.spawn_system_task(run)
        return scope

    def watch(self, fd: int, function: Callable[[], None]) -> Callable[[], None]:
        lowlevel = self._trio.lowlevel
        stopped = False  # cancellation comes too late for a task that has not begun: it would wait for a closed fd

        async def watch() -> None:
            try:
                while not stopped:
                    await lowlevel.wait_readable(fd)
                    if not stopped:
                        function()
            except self._trio.ClosedResourceError:
                pass

        task = self.spawn(watch())

        def stop() -> None:
            nonlocal stopped
            stopped = True
            if self.is_current():  # else the run is over, and its tasks with it
                task.cancel()
                lowlevel.notify_closing(fd)

        return stop


def running_loop() -> Loop:
    """Give the loop that runs in this thread. ``RuntimeError`` if none does."""
    trio = sys.modules.get("trio")  # not imported here: a server on asyncio should not pay for it
    if trio is not None and trio.lowlevel.in_trio_run():
        return _TrioLoop(trio)
    return _AsyncioLoop()


async def run_in_thread(function: Callable[[], Any], limiter: anyio.CapacityLimiter) -> Any:
    """Run blocking code in a thread and wait for what it returns or raises."""
    return await anyio.to_thread.run_sync(function, limiter=limiter)


def wait_in_loop(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """From a thread of :func:`run_in_thread`: have the loop run this, and wait for it. Elsewhere do nothing."""
    with contextlib.suppress(RuntimeError):  # a thread of the user's own
        anyio.from_thread.run(function)


# -- sockets ---------------------------------------------------------------------------------------------------

_contexts: dict[int, zmq.Context[zmq.Socket[bytes]]] = {}  # process id -> this process's own context


def _context() -> zmq.Context[zmq.Socket[bytes]]:
    """Give this process's context. Not ``Context.instance()``: user code may do as it likes with that one."""
    context = _contexts.get(os.getpid())
    if context is None:
        # libzmq numbers peers and jitters with rand() and never seeds it
        ctypes.CDLL(None).srand(int.from_bytes(os.urandom(4), "big"))
        context = _contexts[os.getpid()] = zmq.Context()
    return context


def _socket(kind: int, options: dict[Any, int], url: str) -> zmq.Socket[bytes]:
    socket = _context().socket(kind)
    for option, value in options.items():
        socket.setsockopt(option, value)
    for option, value in KEEPALIVE.items() if url.startswith("tcp://") else ():
        socket.setsockopt(option, value)
    if "[" in url:
        socket.setsockopt(zmq.IPV6, 1)
    return socket


class Endpoint:
    """A socket whose messages go to ``on_message``, in bursts, from the loop.

    Make one with :func:`bind` or :func:`connect`, then :meth:`start` it in the loop that is to own it.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._loop: Loop | None = None
        self._on_message: Callable[[list[bytes]], None] = lambda message: None
        self._on_writable: Callable[[], None] | None = None
        self._stop: Callable[[], None] = lambda: None
        self._monitor: Endpoint | None = None
        self._poke_due = False  # one is scheduled for the next turn of the loop
        self.closed = False

    def start(self, loop: Loop, on_message: Callable[[list[bytes]], None]) -> None:
        """Begin to receive."""
        self._loop, self._on_message = loop, on_message
        self._stop = loop.watch(int(self._socket.getsockopt(zmq.FD)), self._poke)
        self._poke_soon()  # the edge may have come before the watch

    def when_writable(self, function: Callable[[], None]) -> None:
        """Call the function once, when a DEALER has a peer and room. After start."""
        assert self._loop is not None
        self._on_writable = function
        self._poke_soon()

    def on_disconnect(self, function: Callable[[], None]) -> None:
        """Call the function when a peer's connection ends: within milliseconds of a process's death. After start.

        It does not say which. The monitor has its own endpoint: one that nobody reads freezes every socket (#3575).
        """
        assert self._loop is not None
        self._monitor = Endpoint(self._socket.get_monitor_socket(int(zmq.EVENT_DISCONNECTED)))
        self._monitor.start(self._loop, lambda message: function())

    def _poke_soon(self) -> None:
        if not self._poke_due and self._loop is not None:
            self._poke_due = True
            self._loop.call_soon(self._poke)

    def _poke(self) -> None:
        self._poke_due = False
        if self.closed:
            return
        try:
            self._burst()
        except Exception:  # a bug of ours; without the edge that we took the socket would stall for ever
            logger.exception("an error in handling a message; going on with the next")
        finally:
            self._again()

    def drain(self) -> None:
        """Take what is readable now, in several bursts if need be: before a peer's end is acted upon."""
        for _ in range(DRAIN):
            if not self.closed and self._events() & POLLIN:
                self._poke()

    def _events(self) -> int:
        return int(self._socket.getsockopt(EVENTS))

    def _burst(self) -> None:
        socket = self._socket
        events = self._events()
        taken = 0
        while events & POLLIN and taken < BURST:
            message = [socket.recv(DONTWAIT)]
            while socket.getsockopt(RCVMORE):
                message.append(socket.recv(DONTWAIT))
            taken += 1
            self._on_message(message)
            if self.closed:
                return
            events = self._events()
        if events & POLLOUT and self._on_writable is not None:
            writable, self._on_writable = self._on_writable, None
            writable()

    def _again(self) -> None:
        """See whether our own calls have swallowed an edge; if so, go on in the next turn of the loop."""
        wanted = POLLIN if self._on_writable is None else POLLIN | POLLOUT
        if not self.closed and not self._poke_due and self._events() & wanted:
            self._poke_soon()

    def send(self, frames: Sequence[bytes]) -> bool:
        """Send a message, or return False if it does not fit now (:meth:`when_writable` tells when it may).

        Raises ``PeerGone`` where a ROUTER has no such peer. Never wait for a ROUTER: any peer makes it writable.
        """
        if self.closed:
            raise PeerGone
        try:
            *first, last = frames
            for frame in first:
                self._socket.send(frame, SNDMORE, copy=len(frame) < wire.BODY)
            self._socket.send(last, DONTWAIT, copy=len(last) < wire.BODY)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            raise PeerGone from error
        finally:
            self._again()
        return True

    def forget(self) -> None:
        """In a forked child: do nothing more with what is the parent's."""
        self.closed = True

    def close(self, linger: float = 0.0) -> None:
        """Stop receiving and close; ``linger`` seconds are left, in the background, for what is still queued."""
        if self.closed:
            return
        self.closed = True
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close()
        self._stop()
        self._socket.close(int(linger * 1000))


def bind(url: str) -> Endpoint:
    """Bind a ROUTER. Raises ``AddressError`` if the address is taken or cannot be had."""
    if (network := standing_in()) is not None:
        return network.bind(url)
    own_user = {zmq.IPC_FILTER_UID: os.getuid()} if url.startswith("ipc://") else {}
    socket = _socket(zmq.ROUTER, ROUTER_OPTIONS | own_user, url)
    before = os.umask(0o177)  # a Unix socket is created with mode 0777 less this
    try:
        socket.bind(url)
    except zmq.ZMQError as error:
        socket.close(0)
        raise AddressError(f"cannot listen on {url}: {error}") from error
    finally:
        os.umask(before)
    return Endpoint(socket)


def connect(url: str) -> Endpoint:
    """Connect a DEALER, now or as soon as somebody listens. Raises ``AddressError`` for an impossible address."""
    if (network := standing_in()) is not None:
        return network.connect(url)
    socket = _socket(zmq.DEALER, DEALER_OPTIONS, url)
    try:
        socket.connect(url)
    except zmq.ZMQError as error:
        socket.close(0)
        raise AddressError(f"cannot connect to {url}: {error}") from error
    return Endpoint(socket)
