"""The ends of WebSockets: who closes, with what, and what the other side is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from ..scenario import Scenario
from ..tap import ProbeError

if TYPE_CHECKING:
    from ..tap import Message, Tap
    from ..wires import Wire

SETTLED = 0.2  # seconds in which a closed connection is noticed by everyone
PATIENCE = 1.6  # seconds; daphne looks once a second for applications that have ended
DISCONNECT = "websocket.disconnect"


class ClientCloses(Scenario):
    """The client's code and reason reach the application as far as the server passes them on."""

    variants = ("1000", "1001", "1008", "1011", "3000", "4999", "1000 reason", "4000 au revoir, café", "none")

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        await tap.receive_until(DISCONNECT)

    async def client(self, wire: Wire) -> None:
        code, _, reason = wire.variant.partition(" ")
        async with wire.websocket() as websocket:
            if await websocket.open():
                if code == "none":
                    await websocket.write(b"\x88\x80\x00\x00\x00\x00")  # a close frame with nothing in it
                    await websocket.rest()
                else:
                    await websocket.close_with(int(code), reason or None)


class ClientVanishes(Scenario):
    """A client that goes without a word."""

    variants = ("close", "reset")

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        await tap.receive_until(DISCONNECT)

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.text("last words")
                if wire.variant == "reset":
                    await anyio.sleep(0.05)  # a reset takes back what has not been read yet
                    await websocket.vanish()


class AppCloses(Scenario):
    """The application's code and reason reach the client as far as the server passes them on."""

    variants = (
        "bare",
        "1000",
        "1001",
        "1008",
        "1011",
        "1012",
        "1013",
        "3000",
        "4999",
        "1000 reason",
        "4000 au revoir, café",
        "nones",
        "1005",
        "999",
        "5000",
        "4000 too long a reason",
    )

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        message: Message = {"type": "websocket.close"}
        code, _, reason = tap.variant.partition(" ")
        if code.isdigit():
            message["code"] = int(code)
        if reason:
            message["reason"] = "x" * 200 if "too long" in reason else reason
        if code == "nones":
            message.update({"code": 1000, "reason": None})
        await tap.attempt(message)

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.rest_within(1.0)  # where the server refused the code, nothing happens


class ReceiveAfterClosing(Scenario):
    """What the application receives once it has closed the socket."""

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        await tap.send({"type": "websocket.close", "code": 4002, "reason": "enough"})
        await tap.try_receive()

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.rest()


class ReceiveAfterDisconnectFrame(Scenario):
    """After a disconnect a further ``receive`` does not return for ever at once: some applications would spin."""

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        await tap.receive_until(DISCONNECT)
        received = 0
        with anyio.move_on_after(SETTLED):
            try:
                while received < 1000:
                    await tap.receive_unnoted()
                    received += 1
            except Exception as error:
                tap.note("receive failed", type(error).__name__)
        tap.note("spins", received >= 1000)

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.close_with(1000)


class SendAfterClosing(Scenario):
    """Sending after one's own close is the application's error."""

    variants = ("text", "close", "accept")

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        await tap.send({"type": "websocket.close", "code": 1000})
        messages: dict[str, dict[str, Any]] = {
            "text": {"type": "websocket.send", "text": "too late"},
            "close": {"type": "websocket.close", "code": 4000},
            "accept": {"type": "websocket.accept"},
        }
        await tap.attempt(messages[tap.variant])
        tap.signal("attempted")

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await wire.wait("attempted")  # its answer to the close would race with the attempt
                await websocket.rest()


class SendAfterClientClosed(Scenario):
    """What is sent to a client that is gone is refused or swallowed, but does not hang or kill."""

    variants = ("closed", "vanished", "closed, disconnect unread")

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        if tap.variant.endswith("unread"):
            await tap.wait("gone")
            await anyio.sleep(SETTLED)
        else:
            await tap.receive_until(DISCONNECT)
        await tap.attempt_until_refused({"type": "websocket.send", "text": "anybody there?"})
        await tap.attempt({"type": "websocket.close", "code": 1000})

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                if wire.variant == "vanished":
                    await websocket.vanish()
                else:
                    await websocket.say_close(1001)
                wire.signal("gone")
                if wire.variant != "vanished":
                    await websocket.ending()  # granian sends on until the application has received the close


class DisconnectUnnoticed(Scenario):
    """Messages and the disconnect are there for an application that did not ask when they came, in order."""

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        await tap.wait("gone")
        await anyio.sleep(SETTLED)
        await tap.receive_until(DISCONNECT)

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.text("one")
                await websocket.text("two")
                await websocket.say_close(4003, "bye")
                wire.signal("gone")
                await websocket.rest()


class ExceptionAfterAccept(Scenario):
    """An exception ends an accepted socket as an error."""

    variants = ("at once", "after a message")

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        if tap.variant == "after a message":
            await tap.text("about to fail")
            await tap.receive()
        raise ProbeError("after the accept")

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                if wire.variant == "after a message":
                    await websocket.next()
                    await websocket.text("go on")
                await websocket.rest()


class ReturnsAfterAccept(Scenario):
    """An application that returns without closing its socket."""

    async def app(self, tap: Tap) -> None:
        await tap.accept()

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.rest_within(PATIENCE)


class MalformedAfterAccept(Scenario):
    """Messages that have no place in an open socket."""

    variants = ("accept", "unknown type", "no type", "http message", "number as text", "text as bytes")
    messages: ClassVar[dict[str, Message]] = {
        "accept": {"type": "websocket.accept"},
        "unknown type": {"type": "websocket.unheard-of"},
        "no type": {"text": "what"},
        "http message": {"type": "http.response.start", "status": 200, "headers": []},
        "number as text": {"type": "websocket.send", "text": 5},
        "text as bytes": {"type": "websocket.send", "bytes": "text"},
    }

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        message: dict[str, Any] = dict(self.messages[tap.variant])
        try:
            await tap.send(message)
        except Exception:
            tap.note("refused", message.get("type", "no type"))
            raise
        await tap.send({"type": "websocket.close"})

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.rest_within(PATIENCE)
