"""Every error that leaves this package, and whose fault it is.

::

    ChannelsBridgeError
    +-- ConfigurationError       the operator's: a setting, an address, an APP that cannot be loaded
    |   +-- AddressError         an address that is malformed, taken, too long or unsafe
    |   +-- ApplicationLoadError APP cannot be imported, or is not what --interface says
    +-- ProtocolError
    |   +-- LocalProtocolError   (also a RuntimeError) ours, or the application's: what may not be sent
    |   |   +-- InvalidName      (also a TypeError, as Channels has it) no name of a channel or group
    |   +-- RemoteProtocolError  the peer's: bytes that are not a frame, or a frame out of place
    +-- ApplicationError         the application raised, in its worker; its traceback is in the worker's log
    +-- ConnectionAborted        a response that began cannot be completed (worker lost, bridge stopping)
    +-- ChannelFull              a bounded channel took no more
    +-- ChannelUnknown           nobody is behind the channel (any more)
    +-- BridgeUnavailable        (also a ConnectionError) no bridge answered in time
    +-- ClientDisconnected       (also an OSError) the client is gone, what was sent went nowhere
    +-- SoftTimeLimitExceeded    raised in a sync handler that has run for too long
    +-- TimeLimitExceeded        in the log, where a handler was given up: nothing that it still does has an effect

Decoding raises ``RemoteProtocolError`` and nothing else, whatever the bytes are.
"""


class ChannelsBridgeError(Exception):
    """Root of all errors of this package."""


class ConfigurationError(ChannelsBridgeError):
    """A setting is wrong; the message says which one, and what to do."""


class AddressError(ConfigurationError):
    """An address is malformed, taken, too long for a Unix socket, or open to strangers."""


class ApplicationLoadError(ConfigurationError):
    """APP cannot be imported, or it is not an application of the wanted interface."""


class ProtocolError(ChannelsBridgeError):
    """Something was sent that the protocol does not allow."""


class LocalProtocolError(ProtocolError, RuntimeError):
    """We, or the application that we host, tried to send something malformed or out of order.

    A ``RuntimeError`` too, which is what uvicorn raises from ``send()`` then.
    """


class InvalidName(LocalProtocolError, TypeError):
    """Not the name of a channel or group; the message shows the rule. A ``TypeError`` too, which Channels raises."""


class RemoteProtocolError(ProtocolError):
    """The peer sent bytes that are not a frame of this protocol."""


class ApplicationError(ChannelsBridgeError):
    """The application raised in its worker. Raised in the protocol server, so that it answers as ever."""


class ConnectionAborted(ChannelsBridgeError):
    """A response that began cannot be completed: the server has to cut the connection, not to end it."""


class ChannelFull(ChannelsBridgeError):
    """A bounded channel has no room for the message; it was not accepted."""


class ChannelUnknown(ChannelsBridgeError):
    """Nobody is behind the channel: its connection or its process has ended. Raised where the sender asked for it."""


class BridgeUnavailable(ChannelsBridgeError, ConnectionError):
    """No bridge could be reached, or none answered, in time. What was to be sent may not have arrived."""


class ClientDisconnected(ChannelsBridgeError, OSError):
    """The client is gone. An ``OSError``, as ASGI 2.4 asks of ``send()`` on a closed connection."""


class SoftTimeLimitExceeded(ChannelsBridgeError):
    """The handler has run for longer than its ``soft_time_limit``. Raised in the thread of a sync one, at any line.

    Who catches it and returns has ended the turn in order: it commits. Else the turn has failed.
    """

    def __init__(self, text: str = "this handler has run for longer than it may") -> None:
        super().__init__(text)


class TimeLimitExceeded(ChannelsBridgeError):
    """The handler has run for longer than its ``time_limit``: the turn has failed, whatever the handler still does.

    Raised in the thread of a sync one as well, at any line, so that it ends.
    """

    def __init__(self, text: str = "this handler was given up: it has run for longer than its time limit") -> None:
        super().__init__(text)
