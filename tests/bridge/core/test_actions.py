import inspect
import typing

from channels_bridge.bridge.core import actions
from channels_bridge.bridge.link import Link
from channels_bridge.shared.addresses import parse
from channels_bridge.shared.config import Config

ACTIONS = set(typing.get_args(actions.Action))


def test_every_action_is_named_in_the_union() -> None:
    classes = {cls for _, cls in inspect.getmembers(actions, inspect.isclass) if cls.__module__ == actions.__name__}
    assert classes == ACTIONS
    assert all(issubclass(cls, tuple) and cls.__doc__ for cls in classes)


def test_the_link_can_do_whatever_the_core_may_want() -> None:
    assert set(Link(parse("ipc:///nowhere/"), Config())._performers) == ACTIONS
