"""The tree in the docstring is the tree of the classes."""

import inspect
import re

import pytest

from channels_bridge.shared import errors

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]


def drawn() -> dict[str, str]:
    """Read the drawing: name -> name of the parent."""
    parents: dict[str, str] = {}
    above: dict[int, str] = {}  # column -> last name drawn there
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"(?P<indent>[ |]*)(?:\+-- )?(?P<name>[A-Z]\w+)(?: |$)", line)
        if match is None or not line.startswith("    "):
            continue
        column = match.start("name")
        above[column] = match["name"]
        parents[match["name"]] = above.get(column - 4, "")
    return parents


def test_the_tree_in_the_docstring_is_complete_and_right() -> None:
    actual = {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}
    assert actual.pop("ChannelsBridgeError") == "Exception"
    found = drawn()
    assert found.pop("ChannelsBridgeError") == ""
    assert found == actual


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_ours_and_says_what_it_means(cls: type[errors.ChannelsBridgeError]) -> None:
    assert issubclass(cls, errors.ChannelsBridgeError)
    assert cls.__doc__
    assert str(cls("what to do")) == "what to do"


@pytest.mark.parametrize(
    ("cls", "familiar"),
    [
        (errors.LocalProtocolError, RuntimeError),
        (errors.ClientDisconnected, OSError),
        (errors.InvalidName, TypeError),
        (errors.InvalidName, errors.LocalProtocolError),
        (errors.BridgeUnavailable, ConnectionError),
    ],
)
def test_errors_that_servers_and_frameworks_catch_by_their_own_names(cls: type, familiar: type) -> None:
    """By uvicorn (RuntimeError), ASGI 2.4 (OSError), Channels (TypeError), and who tries again (ConnectionError)."""
    assert issubclass(cls, familiar)
