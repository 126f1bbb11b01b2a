"""The pipe to whoever started this process, with both ends in the test."""

import os
import socket
from collections.abc import Iterator

import anyio
import pytest

from channels_bridge.shared.children import Word
from channels_bridge.shared.endpoint import running_loop
from channels_bridge.worker.parent import Parent

pytestmark = pytest.mark.anyio


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, its = socket.socketpair()
    with ours, its:
        yield ours, its


async def test_it_hears_what_is_said_and_its_end_is_noticed(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, its = pair
    gone = anyio.Event()
    parent = Parent(its.fileno(), running_loop(), gone.set)
    parent.say(Word.SERVING)
    parent.say(Word.RETIRING)
    assert ours.recv(10) == b"sr"
    assert not gone.is_set()
    ours.close()
    with anyio.fail_after(10.0):
        await gone.wait()


async def test_one_that_ends_without_listening_is_gone_all_the_same(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, its = pair
    gone = anyio.Event()
    parent = Parent(its.fileno(), running_loop(), gone.set)
    parent.say(Word.SERVING)
    ours.close()
    with anyio.fail_after(10.0):
        await gone.wait()
    parent.say(Word.RETIRING)


async def test_a_pipe_that_cannot_be_written_to_takes_no_words() -> None:
    reading, writing = os.pipe()
    gone = anyio.Event()
    parent = Parent(reading, running_loop(), gone.set)
    parent.say(Word.SERVING)
    os.close(writing)
    with anyio.fail_after(10.0):
        await gone.wait()
    os.close(reading)
