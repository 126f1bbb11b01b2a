"""In development, apps' static files are served by the views' own workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path, re_path

from channels_bridge.worker.legacy.handler import ViewConsumer
from channels_bridge.worker.legacy.message import Message
from channels_bridge.worker.legacy.routing import Router
from channels_bridge.worker.legacy.staticfiles import STATIC, StaticFilesConsumer, StaticFilesHandler, are_served


class Layer:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, channel: str, message: dict[str, Any]) -> None:
        self.sent.append(message)


def view(request: Any) -> HttpResponse:
    return HttpResponse(f"view of {request.path}".encode())


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "a file.txt").write_text("static")
    urls = (path("view", view), re_path("^static/view$", view))
    with override_settings(STATICFILES_DIRS=[tmp_path], ROOT_URLCONF=urls):
        yield


def message(path: str, layer: Any = None, **content: Any) -> Message:
    content = {"reply_channel": "reply.here!1", "method": "GET", "path": path, **content}
    return Message(content, "http.request", layer or Layer())


def answer(path: str, **content: Any) -> tuple[int, bytes]:
    replies = list(StaticFilesHandler()(message(path, **content)))
    return replies[0]["status"], b"".join(reply.get("content", b"") for reply in replies)


def test_a_static_file() -> None:
    assert answer("/static/a file.txt") == (200, b"static")


def test_the_url_of_a_file_is_decoded() -> None:
    assert StaticFilesHandler().file_path("/static/css/a%20file.txt") == "css/a file.txt"


def test_a_file_that_was_not_changed() -> None:
    replies = list(StaticFilesHandler()(message("/static/a file.txt")))
    modified = dict(replies[0]["headers"])[b"Last-Modified"]
    assert answer("/static/a file.txt", headers=[[b"if-modified-since", modified]]) == (304, b"")


def test_what_is_below_is_no_view() -> None:
    assert answer("/static/view")[0] == 404


def test_all_else_is_for_the_views() -> None:
    assert answer("/view") == (200, b"view of /view")
    assert answer("/staticview")[0] == 404


def test_files_on_another_host_are_not_ours() -> None:
    with override_settings(STATIC_URL="https://cdn.example.com/static/"):
        assert answer("/static/view") == (200, b"view of /static/view")


def test_wrong_settings_are_told() -> None:
    with override_settings(STATIC_URL=None), pytest.raises(ImproperlyConfigured):
        StaticFilesHandler()


def test_the_consumer_answers_with_files() -> None:
    layer = Layer()
    StaticFilesConsumer()(message("/static/a file.txt", layer))
    assert [sent.get("content") for sent in layer.sent] == [b"static", None]


@pytest.mark.parametrize(
    ("variable", "debug", "served"),
    [
        (None, True, True),
        (None, False, False),
        ("always", False, True),
        ("never", True, False),
    ],
)
def test_who_serves_them(variable: str | None, debug: bool, served: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if variable is not None:
        monkeypatch.setenv(STATIC, variable)
    else:
        monkeypatch.delenv(STATIC, raising=False)
    router = Router([])
    with override_settings(DEBUG=debug):
        assert are_served() is served
        router.check_default()
        match = router.match(message("/"))
    assert match is not None
    assert type(match[0]) is (StaticFilesConsumer if served else ViewConsumer)


def test_nobody_serves_them_without_the_app() -> None:
    with override_settings(DEBUG=True, INSTALLED_APPS=["django.contrib.contenttypes"]):
        assert not are_served()
