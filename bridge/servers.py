"""What single protocol servers cannot bear. Each rule names the server, and the version in which it was seen."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger("channels_bridge.bridge")


def cut(send: object) -> bool:
    """Cut the connection of a server that falls over an exception once the response began. False: raise it, as ever.

    daphne 4.2: it answers the exception, which fails as the response began, and with that the loop that looks at all
    applications ends: no exception on this server is answered any more.
    """
    function: Any = getattr(send, "func", None)  # daphne's is a functools.partial
    if not str(getattr(function, "__module__", "")).startswith("daphne"):
        return False
    logger.warning("a response that began cannot be completed: the connection is cut")
    arguments: Any = getattr(send, "args", ())
    arguments[0].transport.loseConnection()
    return True
