"""What of a server's scope crosses the process boundary.

Everything but ``state``, which the worker's own lifespan gives, and those extensions that need the server's
process: a file descriptor or a hook into its socket cannot be sent. What cannot be packed (an object that
middleware put there) is left out, and said once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..shared.errors import LocalProtocolError
from ..shared.wire import pack_event

logger = logging.getLogger("channels_bridge.bridge")

EXTENSIONS = frozenset({
    "websocket.http.response",
    "http.response.early_hint",
    "http.response.pathsend",
    "http.response.push",
    "http.response.trailers",
    "tls",
})  # fmt: skip

_STANDARD = frozenset({
    "type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path", "headers",
    "client", "server", "subprotocols", "extensions",
})  # fmt: skip
_said: set[str] = set()  # keys whose loss was logged


def clean_scope(scope: Mapping[str, Any], same_machine: bool) -> dict[str, Any]:
    """Give a copy of the scope that can be packed, with all in it that an application can use elsewhere."""
    clean = dict(scope)
    clean.pop("state", None)
    extensions = clean.get("extensions")
    if extensions:
        offered = EXTENSIONS if same_machine else EXTENSIONS - {"http.response.pathsend"}
        clean["extensions"] = {name: value for name, value in extensions.items() if name in offered}
    if not clean.keys() <= _STANDARD:
        for key in clean.keys() - _STANDARD:
            if not _packs(key, clean[key]):
                del clean[key]
    return clean


def _packs(key: str, value: object) -> bool:
    try:
        pack_event({"type": "", key: value})
    except LocalProtocolError:
        if key not in _said:
            _said.add(key)
            logger.warning("scope[%r] (%s) cannot be sent to workers and is left out", key, type(value).__name__)
        return False
    return True
