"""Gives a starting Python the aliases of Channels 1, if the program that has started it had them.

Another environment's Python finds this, too: there it does nothing. The ``sitecustomize`` that this one hides is run.
"""

from __future__ import annotations

import sys
from pathlib import Path


def begin() -> None:
    """Install the aliases, then run the other ``sitecustomize``, if there is one."""
    try:
        from channels_bridge.worker.legacy.aliases import install_as_told
    except ImportError:  # another environment
        pass
    else:
        install_as_told()
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != here]
    own = sys.modules.pop("sitecustomize")
    try:
        __import__("sitecustomize")
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = own


if __name__ == "sitecustomize":
    begin()
