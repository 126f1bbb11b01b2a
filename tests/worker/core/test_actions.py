import inspect
import typing

from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.shared.loop import Loop
from channels_bridge.worker.core import actions
from channels_bridge.worker.link import Link, Owner

ACTIONS = set(typing.get_args(actions.Action))


def test_every_action_is_named_in_the_union() -> None:
    classes = {cls for _, cls in inspect.getmembers(actions, inspect.isclass) if cls.__module__ == actions.__name__}
    assert classes == ACTIONS | set(typing.get_args(actions.LayerAction))
    assert all(issubclass(cls, tuple) and cls.__doc__ for cls in classes)


def test_the_link_can_do_whatever_the_session_may_want() -> None:
    hello = frames.Hello("worker", 1, "w", ["default"], False, 0, 0)
    no_loop = typing.cast("Loop", None)  # nothing is opened here
    nobody = typing.cast("Owner", None)  # nothing is told
    link = Link("ipc:///nowhere", hello, Config(), no_loop, nobody)
    assert set(link._performers) == ACTIONS
