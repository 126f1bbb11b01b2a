"""APP on the command line -> an application: find it, see what it is, say clearly what is wrong."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..shared.errors import ApplicationLoadError
from .asgi import asgi2
from .consumer import AsyncConsumer, SyncConsumer
from .router import Router
from .settings import Settings

CHANNELS1 = "channels1"
CHANNELS1_NAMES = ("channels", "channels.asgi", "channels.delay", "channels.sessions", "channels.generic.websockets")
CONSUMER_PARAMETERS = 4  # type, channel_layer, consumer_channel, send
LAYER = ("channels_bridge.worker.legacy.layer", "BridgeLayer")  # the same, as most load no Django
BRIDGE = ("channels_bridge.bridge.app", "Bridge")  # by its names, as a worker loads no code of the other half


@dataclass(frozen=True, slots=True)
class Application:
    """What a worker hosts. ``target``: an ASGI 3 application, a consumer factory, or a function for named channels."""

    interface: str  # "asgi", "consumer" or "function"
    target: Callable[..., Any]
    name: str
    channels: tuple[str, ...] = ()  # named channels that it is for by itself: of a Channels 1 routing
    kinds: tuple[str, ...] | None = None  # of connections that it is for; None: all

    @property
    def has_turns(self) -> bool:
        """True for consumers."""
        return self.interface == "consumer"


def load(settings: Settings) -> Application:
    """Import ``settings.app``. Raises ``ApplicationLoadError`` that says what is wrong and where."""
    if settings.interface == CHANNELS1:
        return _load_channels1(settings)
    target = _found(settings)
    app = wrap(target, settings.interface, settings.app, is_background=bool(settings.channels))
    if app.interface == "function" and settings.pools:
        raise ApplicationLoadError(f"{settings.app} is a function for named channels: it cannot serve a pool (--pools)")
    return app


def _load_channels1(settings: Settings) -> Application:
    """Load a Channels 1 project, with its imports made possible before."""
    if importlib.util.find_spec("django") is None:
        raise ApplicationLoadError('--interface channels1 needs Django: pip install "channels-bridge[django]"')
    from .legacy import loading  # loads Django: most workers do without

    _make_importable(settings)
    loading.prepare(django_shims=settings.django_shims)
    loaded = loading.load(_found(settings), settings.app, settings.only_channels, settings.exclude_channels)
    channels = (*loaded.channels, *settings.channels)
    return Application("consumer", loaded.target, settings.app, tuple(dict.fromkeys(channels)), loaded.kinds)


def _make_importable(settings: Settings) -> str:
    """Put the folder of APP on the Python path, and give its name."""
    directory = str(settings.app_dir.resolve())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    return directory


def _found(settings: Settings) -> Any:
    """Import what ``settings.app`` names."""
    module_name, colon, attribute = settings.app.partition(":")
    if not colon or not module_name or not attribute:
        raise ApplicationLoadError(f"APP is module:attribute, as in project.asgi:application, not {settings.app!r}")
    directory = _make_importable(settings)
    target: Any = _import(module_name, directory)
    try:
        for name in attribute.split("."):
            target = getattr(target, name)
    except AttributeError:
        raise ApplicationLoadError(f"module {module_name!r} has no attribute {attribute!r}") from None
    if settings.factory:
        target = _call_factory(settings.app, target)
    return target


def _import(module_name: str, directory: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise ApplicationLoadError(
                f"cannot import {module_name!r}: there is no module {error.name!r} in {directory} or on the Python path"
                " (--app-dir says where to look)"
            ) from None
        is_channels1 = error.name is not None and error.name in CHANNELS1_NAMES
        advice = "; for a project of Channels 1 add --interface channels1" if is_channels1 else ""
        raise ApplicationLoadError(f"cannot import {module_name!r}:\n{traceback.format_exc()}{advice}") from error
    except (Exception, SystemExit) as error:
        raise ApplicationLoadError(f"cannot import {module_name!r}:\n{traceback.format_exc()}") from error


def _call_factory(app: str, factory: Callable[[], Any]) -> Any:
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise ApplicationLoadError(f"the factory {app} failed:\n{traceback.format_exc()}") from error


def wrap(target: Any, interface: str, name: str, *, is_background: bool = False) -> Application:
    """Make an object an application. ``interface``: one of settings.INTERFACES, "auto" to find out.

    ``is_background``: it is for named channels, where a callable with one parameter is a function that takes a message.
    """
    _refuse_mistaken(target, name)
    if not callable(target):
        raise ApplicationLoadError(f"{name} is not callable: it is a {type(target).__name__}")
    found = detect(target)
    if is_background and found == "asgi2" and interface != "asgi2":
        found = "function"
    if interface == "auto":
        interface = found
        if not found:
            raise ApplicationLoadError(
                f"cannot tell what {name} is: an ASGI application takes (scope, receive, send), a consumer"
                " (type, channel_layer, consumer_channel, send), a function for --channels (message); say which with"
                " --interface, or --factory if it is a function that returns the application"
            )
    elif found and found != interface:
        raise ApplicationLoadError(f"{name} looks like {found}, but --interface says {interface}")
    if interface in ("consumer", "function"):
        if interface == "function" and not is_background:
            raise ApplicationLoadError(f"{name}: a function takes messages of named channels; --channels says of which")
        return Application(interface, target, name)
    if interface == "asgi2":
        double: Any = target
        return Application("asgi", asgi2(double), name)
    return Application("asgi", target, name)


def _refuse_mistaken(target: Any, name: str) -> None:
    """Raise ``ApplicationLoadError`` for what belongs elsewhere."""
    classes = {(cls.__module__, cls.__name__) for cls in type(target).__mro__}
    if BRIDGE in classes:
        raise ApplicationLoadError(
            f"{name} is a Bridge, which belongs in the protocol server (uvicorn {name}); give the application that is"
            " to answer"
        )
    if LAYER in classes:
        raise ApplicationLoadError(f"{name} is a layer of Channels 1: add --interface channels1")


def detect(target: Any) -> str:
    """Find out by the number of parameters: "asgi3", "asgi2" or "consumer"; "" where that does not tell."""
    if isinstance(target, Router) or (inspect.isclass(target) and issubclass(target, AsyncConsumer | SyncConsumer)):
        return "consumer"
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return ""
    kinds = {parameter.kind for parameter in parameters}
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return ""
    by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    required = [p for p in parameters if p.default is p.empty and p.kind not in by_name]
    return {1: "asgi2", 3: "asgi3", CONSUMER_PARAMETERS: "consumer"}.get(len(required), "")
