"""One ZeroMQ socket on each of the three loops: nothing is lost, stalls, starves others or outlives its end."""

import gc
import itertools
import os
import stat
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Self

import anyio
import anyio.lowlevel
import pytest
import zmq

from channels_bridge.shared import endpoint, wire
from channels_bridge.shared.endpoint import BURST, Endpoint, PeerGone, bind, connect, running_loop
from channels_bridge.shared.errors import AddressError
from channels_bridge.shared.loop import Loop

pytestmark = pytest.mark.anyio

PATIENCE = 30.0  # seconds until a test that hangs is called failed; none waits for as long


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"ipc://{tmp_path_factory.mktemp('e') / 's'}"


class Box:
    """What an endpoint has received; a task can wait for more of it."""

    def __init__(self, loop: Loop) -> None:
        self.messages: list[list[bytes]] = []
        self._more = loop.signal()

    def put(self, message: list[bytes]) -> None:
        self.messages.append(message)
        self._more.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(PATIENCE):
            while not condition():
                await self._more.wait()

    async def has(self, number: int) -> None:
        await self.until(lambda: len(self.messages) >= number)


class Duo:
    """A ROUTER and a DEALER that know each other."""

    def __init__(self, url: str) -> None:
        self.loop = running_loop()
        self.at_router, self.at_dealer = Box(self.loop), Box(self.loop)
        self.router, self.dealer = bind(url), connect(url)
        self.peer = b""

    async def __aenter__(self) -> Self:
        self.router.start(self.loop, self.at_router.put)
        self.dealer.start(self.loop, self.at_dealer.put)
        await send(self.dealer, [b"hello"])
        await self.at_router.has(1)
        self.peer = self.at_router.messages.pop()[0]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.dealer.close()
        self.router.close()
        await turns(3)  # trio: the watching tasks end


async def send(dealer: Endpoint, frames: list[bytes]) -> None:
    """Send, and wait for a peer or for room where there is none."""
    while not dealer.send(frames):
        await writable(dealer)


async def writable(dealer: Endpoint) -> None:
    event = anyio.Event()
    dealer.when_writable(event.set)
    with anyio.fail_after(PATIENCE):
        await event.wait()


async def turns(number: int) -> None:
    for _ in range(number):
        await anyio.lowlevel.checkpoint()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so: for what nobody calls us about."""
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.lowlevel.checkpoint()


# -- messages --------------------------------------------------------------------------------------------------


async def test_there_and_back(url: str) -> None:
    async with Duo(url) as duo:
        assert duo.dealer.send([b"question", b"body"])
        await duo.at_router.has(1)
        assert duo.at_router.messages == [[duo.peer, b"question", b"body"]]
        assert duo.router.send([duo.peer, b"answer"])
        await duo.at_dealer.has(1)
        assert duo.at_dealer.messages == [[b"answer"]]


async def test_long_frames_are_not_copied_and_arrive(url: str) -> None:
    """From wire.BODY bytes on libzmq sends from our own buffer."""
    bodies = [bytes([n]) * size for n, size in enumerate((wire.BODY - 1, wire.BODY, wire.PIECE, wire.MAX_FRAME))]
    async with Duo(url) as duo:
        for body in bodies:
            assert duo.dealer.send([b"envelope", body])
            assert duo.router.send([duo.peer, b"envelope", body])
        await duo.at_router.has(4)
        await duo.at_dealer.has(4)
        assert duo.at_router.messages == [[duo.peer, b"envelope", body] for body in bodies]
        assert duo.at_dealer.messages == [[b"envelope", body] for body in bodies]


async def test_many_messages_in_order_both_ways_at_once(url: str) -> None:
    """Each call on the socket may swallow the one edge that its descriptor gives: a naive watcher stalls here."""
    number = 20_000
    async with Duo(url) as duo:

        async def upwards() -> None:
            for n in range(number):
                await send(duo.dealer, [b"%d" % n])

        async def downwards() -> None:
            for n in range(number):
                assert duo.router.send([duo.peer, b"%d" % n])  # SNDHWM 10,000: the dealer reads on meanwhile
                if n % 100 == 0:
                    await turns(1)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(upwards)
                group.start_soon(downwards)
                await duo.at_router.has(number)
                await duo.at_dealer.has(number)
        expected = [b"%d" % n for n in range(number)]
        assert [message[1] for message in duo.at_router.messages] == expected
        assert [message[0] for message in duo.at_dealer.messages] == expected


async def test_whoever_answers_each_message_at_once_keeps_up(url: str) -> None:
    number = 5_000
    async with Duo(url) as duo:
        answered = duo.at_router.put

        def answer(message: list[bytes]) -> None:
            answered(message)
            duo.router.send(message)

        duo.router._on_message = answer
        for n in range(number):
            await send(duo.dealer, [b"%d" % n])
        await duo.at_dealer.has(number)
        assert [message[0] for message in duo.at_dealer.messages] == [b"%d" % n for n in range(number)]


async def test_two_dealers_are_told_apart(url: str) -> None:
    async with Duo(url) as duo:
        other, received = connect(url), Box(duo.loop)
        other.start(duo.loop, received.put)
        await send(other, [b"me too"])
        await duo.at_router.has(1)
        peer, _ = duo.at_router.messages[0]
        assert peer != duo.peer
        assert duo.router.send([peer, b"for the other"])
        assert duo.router.send([duo.peer, b"for the one"])
        await received.has(1)
        await duo.at_dealer.has(1)
        assert (duo.at_dealer.messages, received.messages) == ([[b"for the one"]], [[b"for the other"]])
        other.close()


async def test_a_dealer_may_be_there_first(url: str) -> None:
    """What it would send is not queued for whoever comes: the next bridge process must not get it."""
    loop = running_loop()
    dealer, received = connect(url), Box(loop)
    dealer.start(loop, received.put)
    assert not dealer.send([b"to nobody"])
    router, arrived = bind(url), Box(loop)
    router.start(loop, arrived.put)
    await writable(dealer)
    assert dealer.send([b"to somebody"])
    await arrived.has(1)
    assert [message[1] for message in arrived.messages] == [b"to somebody"]
    dealer.close()
    router.close()


async def test_a_message_beyond_the_limit_cuts_the_connection_and_hurts_nobody_else(url: str) -> None:
    async with Duo(url) as duo:
        stranger = connect(url)
        stranger.start(duo.loop, lambda message: None)
        await writable(stranger)
        assert stranger.send([bytes(wire.MAX_FRAME + 1)])
        assert duo.dealer.send([b"still here"])
        await duo.at_router.has(1)
        assert [message[1:] for message in duo.at_router.messages] == [[b"still here"]]
        stranger.close()


# -- fairness --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answering", [False, True])
async def test_a_long_queue_leaves_turns_to_others(url: str, answering: bool) -> None:
    """At most BURST messages are handled between two turns of anybody else, whether each is answered or not."""
    number = 40 * BURST
    async with Duo(url) as duo:
        handled = duo.at_router.put
        at_turn: list[int] = []  # messages that had been handled when a bystander had a turn
        over = False

        def handle(message: list[bytes]) -> None:
            handled(message)
            if answering:
                duo.router.send(message)

        def bystander() -> None:
            at_turn.append(len(duo.at_router.messages))
            if not over:
                duo.loop.call_soon(bystander)

        duo.router._stop()  # let the queue grow first
        duo.router._on_message = lambda message: None
        for n in range(number):
            await send(duo.dealer, [b"%d" % n])
        duo.router.start(duo.loop, handle)
        duo.loop.call_soon(bystander)
        await duo.at_router.has(number)
        over = True
        await turns(3)
        assert max(after - before for before, after in itertools.pairwise(at_turn)) <= 2 * BURST


async def test_before_a_peers_end_is_acted_upon_all_that_it_said_is_taken(url: str) -> None:
    """More than one burst at once: its last words count."""
    number = 5 * BURST
    async with Duo(url) as duo:
        duo.router._stop()
        for n in range(number):
            assert duo.dealer.send([b"%d" % n])
        duo.dealer.close(linger=5.0)
        taken = duo.at_router.messages
        with anyio.fail_after(PATIENCE):
            while len(taken) < number:
                duo.router.drain()
                await turns(1)
        assert [message[1] for message in taken] == [b"%d" % n for n in range(number)]
        before = len(taken)
        duo.router.drain()
        duo.router.close()
        duo.router.drain()
        assert len(taken) == before


# -- errors ----------------------------------------------------------------------------------------------------


async def test_an_error_in_a_handler_is_logged_and_stalls_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Duo(url) as duo:
        take = duo.at_router.put

        def handle(message: list[bytes]) -> None:
            if message[1] == b"bad":
                raise ValueError("a bug of ours")
            take(message)

        duo.router._on_message = handle
        for text in (b"one", b"bad", b"two", b"bad", b"three"):
            await send(duo.dealer, [text])
        await duo.at_router.has(3)
        assert [message[1] for message in duo.at_router.messages] == [b"one", b"two", b"three"]
    assert len([record for record in caplog.records if record.exc_info]) == 2


def is_gone(router: Endpoint, peer: bytes) -> bool:
    try:
        router.send([peer, b"still there?"])
    except PeerGone:
        return True
    return False


# -- peers that go ---------------------------------------------------------------------------------------------


async def test_a_disconnect_is_hinted_and_then_sending_says_who_is_gone(url: str) -> None:
    """Within milliseconds of the peer's end, with no beat and no timeout."""
    async with Duo(url) as duo:
        hinted = anyio.Event()
        duo.router.on_disconnect(hinted.set)
        assert duo.router.send([duo.peer, b"before"])
        duo.dealer.close()
        with anyio.fail_after(PATIENCE):
            await hinted.wait()
        await until(lambda: is_gone(duo.router, duo.peer))  # it forgets the peer a moment before or after the hint


async def test_a_dealer_is_told_that_its_router_is_gone(url: str) -> None:
    async with Duo(url) as duo:
        hinted = anyio.Event()
        duo.dealer.on_disconnect(hinted.set)
        duo.router.close()
        with anyio.fail_after(PATIENCE):
            await hinted.wait()


async def test_sending_to_a_peer_that_never_was(url: str) -> None:
    router = bind(url)
    router.start(running_loop(), lambda message: None)
    with pytest.raises(PeerGone):
        router.send([b"\x00nobody", b"x"])
    router.close()


async def test_a_full_pipe_says_no_and_then_when_there_is_room(url: str) -> None:
    """A bridge that does not read: the worker's socket takes so much, refuses, and goes on when it is read."""
    async with Duo(url) as duo:
        duo.router._stop()
        taken = 0
        while duo.dealer.send([b"%d" % taken, bytes(100)]):
            taken += 1
        assert taken > 100
        duo.router.start(duo.loop, duo.at_router.put)
        await writable(duo.dealer)
        assert duo.dealer.send([b"%d" % taken, bytes(100)])
        await duo.at_router.has(taken + 1)
        assert [message[1] for message in duo.at_router.messages] == [b"%d" % n for n in range(taken + 1)]


# -- closing ---------------------------------------------------------------------------------------------------


async def test_nothing_comes_after_close(url: str) -> None:
    async with Duo(url) as duo:
        for n in range(10):
            assert duo.dealer.send([b"%d" % n])
        duo.router.close()
        await turns(5)
        assert duo.at_router.messages == []
        with pytest.raises(PeerGone):
            duo.router.send([duo.peer, b"x"])
        duo.router.close()  # again is no error


async def test_closing_while_a_message_is_handled_ends_the_burst(url: str) -> None:
    async with Duo(url) as duo:
        take = duo.at_router.put

        def handle(message: list[bytes]) -> None:
            take(message)
            duo.router.close()

        duo.router._stop()
        for n in range(10):
            assert duo.dealer.send([b"%d" % n])
        duo.router.start(duo.loop, handle)
        await duo.at_router.has(1)
        await turns(5)
        assert [message[1] for message in duo.at_router.messages] == [b"0"]


async def test_an_endpoint_may_be_closed_in_the_same_breath_as_it_was_started(url: str) -> None:
    """On trio its watcher has not had its first step then; it must not watch a descriptor that may be another's."""
    for _ in range(50):
        router = bind(url)
        router.start(running_loop(), lambda message: None)
        router.on_disconnect(lambda: None)
        router.close()
        await turns(2)


async def test_lingering_lets_the_last_words_out(url: str) -> None:
    async with Duo(url) as duo:
        for n in range(100):
            assert duo.dealer.send([b"%d" % n, bytes(1000)])
        duo.dealer.close(linger=5.0)
        await duo.at_router.has(100)


async def test_a_forked_child_lets_go_of_what_is_its_parents(url: str) -> None:
    """It neither sends nor closes: the socket goes on in the parent."""
    async with Duo(url) as duo:
        socket = duo.router._socket
        child = Endpoint(socket)  # as the copy of it in the child
        child.forget()
        child.close()
        with pytest.raises(PeerGone):
            child.send([duo.peer, b"x"])
        assert not socket.closed
        assert duo.dealer.send([b"still here"])
        await duo.at_router.has(1)


async def test_opening_and_closing_leaks_no_descriptor(url: str) -> None:
    """Libzmq frees them in a thread of its own, some moments later."""

    def open_descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with Duo(url):
        pass
    before = open_descriptors()
    for _ in range(200):
        async with Duo(url) as duo:
            duo.router.on_disconnect(lambda: None)
    await until(lambda: open_descriptors() <= before + 10)


async def test_a_closed_endpoint_is_forgotten(url: str) -> None:
    async with Duo(url) as duo:
        gone = weakref.ref(duo.dealer)
    del duo
    await turns(5)
    gc.collect()
    assert gone() is None


# -- addresses -------------------------------------------------------------------------------------------------


async def test_a_socket_file_is_its_users_alone(url: str) -> None:
    router = bind(url)
    assert stat.S_IMODE(Path(url.removeprefix("ipc://")).stat().st_mode) == 0o600
    assert os.umask(0o022) == os.umask(0o022)
    router.close()


async def test_an_address_that_is_taken() -> None:
    router = bind("tcp://127.0.0.1:*")
    taken = router._socket.get_string(zmq.LAST_ENDPOINT)
    with pytest.raises(AddressError, match=f"cannot listen on {taken}: Address already in use"):
        bind(taken)
    router.close()


@pytest.mark.parametrize("bad", ["tcp://127.0.0.1", "ipc:///" + "x" * 200, "foo://x"])
async def test_addresses_that_cannot_be(bad: str) -> None:
    with pytest.raises(AddressError, match="cannot listen on"):
        bind(bad)
    with pytest.raises(AddressError, match="cannot connect to"):
        connect(bad)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_over_tcp(host: str) -> None:
    loop = running_loop()
    try:
        router = bind(f"tcp://{host}:*")
    except AddressError:
        pytest.skip(f"this machine has no {host}")
    arrived = Box(loop)
    router.start(loop, arrived.put)
    dealer = connect(router._socket.get_string(zmq.LAST_ENDPOINT))
    dealer.start(loop, lambda message: None)
    await send(dealer, [b"x"])
    await arrived.has(1)
    dealer.close()
    router.close()


FORKS = """
import os
from channels_bridge.shared import endpoint
context = endpoint._context()
assert endpoint._context() is context
child = os.fork()
if child == 0:
    os._exit(0 if endpoint._context() is not context else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_makes_a_context_of_its_own() -> None:
    """Sockets do not survive a fork; a server that forks its workers must not find its parent's here."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


# -- what else is asked of the loop ----------------------------------------------------------------------------


async def test_blocking_code_runs_in_a_thread() -> None:
    here = threading.get_ident()
    limiter = anyio.CapacityLimiter(1)
    assert await endpoint.run_in_thread(threading.get_ident, limiter) != here

    def fail() -> None:
        raise ValueError("from the thread")

    with pytest.raises(ValueError, match="from the thread"):
        await endpoint.run_in_thread(fail, limiter)


async def test_a_thread_may_wait_for_something_in_the_loop() -> None:
    seen: list[int] = []

    async def work() -> None:
        await turns(3)
        seen.append(threading.get_ident())

    await endpoint.run_in_thread(lambda: endpoint.wait_in_loop(work), anyio.CapacityLimiter(1))
    assert seen == [threading.get_ident()]


async def test_a_thread_of_the_users_own_has_nothing_to_wait_in() -> None:
    seen: list[int] = []

    async def work() -> None:
        seen.append(1)

    thread = threading.Thread(target=endpoint.wait_in_loop, args=(work,))
    thread.start()
    await until(lambda: not thread.is_alive())
    assert seen == []


async def test_the_clock_goes_forward() -> None:
    moments = [endpoint.now() for _ in range(100)]
    assert moments == sorted(moments)
