"""What a Channels 1 consumer may raise, and what each of it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .message import Message

NORMAL, FIRST_OF_APPLICATIONS, LAST = 1000, 3000, 4999  # RFC 6455, 7.4.2: what an application may close with


class ConsumeLater(Exception):
    """The message cannot be handled yet: it goes to the back of its channel, ten times at most."""


class ResponseLater(Exception):
    """A view will not answer: another consumer answers on the request's reply channel."""


class RequestTimeout(Exception):
    """The body of a request did not arrive in time. Answered 408."""


class RequestAborted(Exception):
    """The client went away while its body was read: there is nobody to answer."""


class DenyConnection(Exception):
    """Refuse a WebSocket, in ``websocket.connect`` only: its client gets 403."""


class ChannelSocketException(Exception):
    """Something to be done with the socket of a message, once its consumer has ended."""

    def run(self, message: Message) -> None:
        """Do it. Called with the message whose consumer has raised this."""


class WebsocketCloseException(ChannelSocketException):
    """Close the socket of this message.

    ``code``: None (1000), 1000, or 3000 to 4999; ``ValueError`` for another.
    """

    def __init__(self, code: int | None = None) -> None:
        super().__init__(code)
        if code is not None and not _is_allowed(code):
            raise ValueError(f"a consumer may close with 1000, or 3000 to 4999, not {code!r}")
        self._code = code

    def run(self, message: Message) -> None:
        """Close it."""
        if message.reply_channel is None:
            raise ValueError(f"WebsocketCloseException: a message on {message.channel} has no socket to close")
        message.reply_channel.send({"close": self._code or True})


def _is_allowed(code: object) -> bool:
    if not isinstance(code, int) or isinstance(code, bool):
        return False
    return code == NORMAL or FIRST_OF_APPLICATIONS <= code <= LAST


class SendNotAvailableOnDemultiplexer(Exception):
    """A demultiplexer cannot send by itself: its streams do, by the ``multiplexer`` that their consumers are given."""
