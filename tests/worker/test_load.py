"""APP on the command line: it is found and seen for what it is, or it is said clearly why not."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from channels_bridge import AsyncConsumer, Router, SyncConsumer
from channels_bridge.shared.errors import ApplicationLoadError
from channels_bridge.worker.load import Application, detect, load, wrap
from channels_bridge.worker.settings import Settings

_numbers = itertools.count()
Write = Callable[[str], str]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a module; give its name, which no other test uses."""

    def write(text: str) -> str:
        name = f"loaded_{next(_numbers)}"
        (folder / f"{name}.py").write_text(text)
        return name

    return write


def loaded(app: str, folder: Path, interface: str = "auto", *, factory: bool = False) -> Application:
    return load(Settings(app=app, urls=(), app_dir=folder, interface=interface, factory=factory))


def refusal(app: str, folder: Path, interface: str = "auto", *, factory: bool = False) -> str:
    with pytest.raises(ApplicationLoadError) as caught:
        loaded(app, folder, interface, factory=factory)
    return str(caught.value)


ASGI = "async def app(scope, receive, send): pass\n"


# -- found -----------------------------------------------------------------------------------------------------


def test_module_and_attribute(folder: Path, write: Write) -> None:
    name = write(ASGI)
    app = loaded(f"{name}:app", folder)
    assert app == Application("asgi", sys.modules[name].app, f"{name}:app")
    assert not app.has_turns
    assert sys.path[0] == str(folder.resolve())
    loaded(f"{name}:app", folder)
    assert sys.path.count(str(folder.resolve())) == 1


def test_an_attribute_of_an_attribute_and_a_module_in_a_package(folder: Path) -> None:
    package = folder / f"package_{next(_numbers)}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "asgi.py").write_text("class site:\n    async def app(scope, receive, send): pass\n")
    assert loaded(f"{package.name}.asgi:site.app", folder).interface == "asgi"


def test_a_factory_is_called(folder: Path, write: Write) -> None:
    name = write(ASGI + "def make():\n    return app\n")
    assert loaded(f"{name}:make", folder, factory=True).target is sys.modules[name].app


# -- not found -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["module", "module:", ":app", "", ":"])
def test_no_colon(folder: Path, app: str) -> None:
    assert refusal(app, folder) == f"APP is module:attribute, as in project.asgi:application, not {app!r}"


def test_no_module(folder: Path) -> None:
    assert refusal("not_there_at_all:app", folder) == (
        f"cannot import 'not_there_at_all': there is no module 'not_there_at_all' in {folder.resolve()}"
        " or on the Python path (--app-dir says where to look)"
    )


def test_no_module_in_a_package(folder: Path) -> None:
    (folder / "there_is").mkdir()
    (folder / "there_is/__init__.py").touch()
    assert "there is no module 'there_is.not_there' in" in refusal("there_is.not_there.deeper:app", folder)


def test_a_module_that_imports_what_is_not_there(folder: Path, write: Write) -> None:
    name = write("import of_its_own_that_is_not_there\n")
    message = refusal(f"{name}:app", folder)
    assert message.startswith(f"cannot import {name!r}:\nTraceback")
    assert "No module named 'of_its_own_that_is_not_there'" in message
    assert f'{name}.py", line 1' in message


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("1 / 0\n", "ZeroDivisionError"),
        ("def broken(:\n", "SyntaxError"),
        ("import sys\nsys.exit('no settings')\n", "SystemExit: no settings"),
        ("raise ImportError('no good')\n", "ImportError: no good"),
        ("raise ModuleNotFoundError('without a name')\n", "ModuleNotFoundError: without a name"),
    ],
)
def test_a_module_that_fails_when_it_is_imported(folder: Path, write: Write, text: str, error: str) -> None:
    name = write(text)
    message = refusal(f"{name}:app", folder)
    assert message.startswith(f"cannot import {name!r}:\nTraceback")
    assert error in message


def test_no_attribute(folder: Path, write: Write) -> None:
    name = write(ASGI)
    assert refusal(f"{name}:application", folder) == f"module {name!r} has no attribute 'application'"
    assert refusal(f"{name}:app.deeper", folder) == f"module {name!r} has no attribute 'app.deeper'"


def test_not_callable(folder: Path, write: Write) -> None:
    name = write("app = {}\n")
    assert refusal(f"{name}:app", folder) == f"{name}:app is not callable: it is a dict"
    assert refusal(f"{name}:app", folder, "asgi3") == f"{name}:app is not callable: it is a dict"


@pytest.mark.parametrize("interface", ["auto", "asgi3"])
@pytest.mark.parametrize("made", ["Bridge", "type('Own', (Bridge,), {})"])
def test_a_bridge_belongs_in_the_server(folder: Path, write: Write, interface: str, made: str) -> None:
    name = write(f"from channels_bridge import Bridge\napp = {made}('ipc:///run/x/')\n")
    assert refusal(f"{name}:app", folder, interface) == (
        f"{name}:app is a Bridge, which belongs in the protocol server (uvicorn {name}:app); give the application that"
        " is to answer"
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def make():\n    raise KeyError('SECRET_KEY')\n", "KeyError: 'SECRET_KEY'"),
        ("import sys\ndef make():\n    sys.exit(1)\n", "SystemExit: 1"),
        ("def make(settings): pass\n", "missing 1 required positional argument: 'settings'"),
        ("make = {}\n", "'dict' object is not callable"),
    ],
)
def test_a_factory_that_fails(folder: Path, write: Write, text: str, error: str) -> None:
    name = write(text)
    message = refusal(f"{name}:make", folder, factory=True)
    assert message.startswith(f"the factory {name}:make failed:\nTraceback")
    assert error in message


def test_a_factory_that_gives_nothing(folder: Path, write: Write) -> None:
    name = write("def make(): pass\n")
    assert refusal(f"{name}:make", folder, factory=True) == f"{name}:make is not callable: it is a NoneType"


# -- what it is ------------------------------------------------------------------------------------------------


async def asgi3(scope: Any, receive: Any, send: Any) -> None: ...


async def asgi3_with_more(scope: Any, receive: Any, send: Any, **more: Any) -> None: ...


def asgi2(scope: Any) -> Any: ...


def consumer(type: str, channel_layer: Any, consumer_channel: str, send: Any) -> Any: ...


class Asgi3:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Asgi2:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class Raw:
    def __init__(self, type: str, channel_layer: Any, consumer_channel: str, send: Any) -> None: ...


class WithMore(Raw):
    def __init__(self, type: str, channel_layer: Any, consumer_channel: str, send: Any, *, more: int = 1) -> None: ...


class OfTheBase(AsyncConsumer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class OfTheSyncBase(SyncConsumer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


def anything(*args: Any) -> None: ...


def keywords(**kwargs: Any) -> None: ...


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (asgi3, "asgi3"),
        (Asgi3(), "asgi3"),
        (Asgi3().__call__, "asgi3"),
        (functools.partial(consumer, "websocket"), "asgi3"),
        (asgi3_with_more, "asgi3"),
        (asgi2, "asgi2"),
        (Asgi2, "asgi2"),
        (consumer, "consumer"),
        (Raw, "consumer"),
        (WithMore, "consumer"),
        (AsyncConsumer, "consumer"),
        (functools.partial(WithMore, more=2), "consumer"),
        (Router({}), "consumer"),
        (anything, ""),
        (keywords, ""),
        (functools.partial(anything, 1), ""),
        (lambda: None, ""),
        (dict, ""),
        (type, ""),
    ],
)
def test_what_it_is_is_found_by_its_parameters(target: Any, found: str) -> None:
    assert detect(target) == found


@pytest.mark.parametrize("target", [OfTheBase, OfTheSyncBase])
def test_a_subclass_of_the_base_classes_is_a_consumer_whatever_its_constructor_says(target: Any) -> None:
    assert detect(target) == "consumer"


@pytest.mark.parametrize(
    ("target", "interface", "has_turns"),
    [
        (asgi3, "asgi3", False),
        (asgi2, "asgi2", False),
        (consumer, "consumer", True),
        (anything, "asgi3", False),
        (anything, "asgi2", False),
        (anything, "consumer", True),
    ],
)
def test_what_is_said_is_taken_where_it_fits_or_cannot_be_seen(target: Any, interface: str, has_turns: bool) -> None:
    app = wrap(target, interface, "app")
    assert app.has_turns is has_turns
    assert app.interface == ("consumer" if has_turns else "asgi")
    assert (app.target is target) is (interface != "asgi2")


@pytest.mark.parametrize(
    ("target", "found", "interface"),
    [
        (asgi3, "asgi3", "consumer"),
        (asgi3, "asgi3", "asgi2"),
        (asgi2, "asgi2", "asgi3"),
        (Raw, "consumer", "asgi3"),
        (Router({}), "consumer", "asgi3"),
    ],
)
def test_what_is_said_and_does_not_fit_is_refused(target: Any, found: str, interface: str) -> None:
    with pytest.raises(ApplicationLoadError) as caught:
        wrap(target, interface, "m:app")
    assert str(caught.value) == f"m:app looks like {found}, but --interface says {interface}"


def test_what_cannot_be_told_is_asked_for() -> None:
    with pytest.raises(ApplicationLoadError) as caught:
        wrap(anything, "auto", "m:app")
    assert str(caught.value) == (
        "cannot tell what m:app is: an ASGI application takes (scope, receive, send), a consumer"
        " (type, channel_layer, consumer_channel, send), a function for --channels (message); say which with"
        " --interface, or --factory if it is a function that returns the application"
    )


def test_a_factory_that_was_not_said_to_be_one_is_no_riddle(folder: Path, write: Write) -> None:
    """A function without parameters is nothing but a factory."""
    name = write(ASGI + "def make():\n    return app\n")
    assert "--factory" in refusal(f"{name}:make", folder)


# -- for named channels ----------------------------------------------------------------------------------------


def task(message: dict[str, Any]) -> None: ...


class Task:
    async def __call__(self, message: dict[str, Any]) -> None: ...


def with_a_default(message: dict[str, Any], retries: int = 3) -> None: ...


@pytest.mark.parametrize(
    ("target", "interface", "found"),
    [
        (task, "auto", "function"),
        (task, "function", "function"),
        (Task(), "auto", "function"),
        (functools.partial(task), "auto", "function"),
        (with_a_default, "auto", "function"),
        (anything, "function", "function"),
        (asgi2, "asgi2", "asgi"),
        (asgi3, "auto", "asgi"),
        (consumer, "auto", "consumer"),
        (Router({}), "auto", "consumer"),
        (SyncConsumer, "auto", "consumer"),
    ],
)
def test_a_callable_with_one_parameter_is_a_function_there(target: Any, interface: str, found: str) -> None:
    app = wrap(target, interface, "m:app", is_background=True)
    assert app.interface == found
    assert app.has_turns is (found == "consumer")
    assert (app.target is target) is (interface != "asgi2")


def test_a_function_takes_messages_of_named_channels_only() -> None:
    with pytest.raises(ApplicationLoadError, match=r"m:app: a function takes .*; --channels says of which"):
        wrap(anything, "function", "m:app")
    with pytest.raises(ApplicationLoadError, match="m:app looks like consumer, but --interface says function"):
        wrap(consumer, "function", "m:app", is_background=True)


def test_a_function_serves_no_pool(folder: Path, write: Write) -> None:
    name = write("def task(message): pass\n")
    given = Settings(app=f"{name}:task", urls=(), app_dir=folder, channels=("a",))
    with pytest.raises(ApplicationLoadError, match=r":task is a function .* it cannot serve a pool \(--pools\)"):
        load(given)
    assert load(replace(given, pools=())).interface == "function"
