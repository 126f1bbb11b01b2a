"""Imports, and where names are used."""

from __future__ import annotations

from pathlib import Path

from scanned import names, scanned, told

WEBSOCKET = "channels.generic.websockets.WebsocketConsumer"


def test_each_imported_name_has_its_place(tmp_path: Path) -> None:
    source = """\
    import json, channels.generic.websockets as g
    from channels import Group as G, Channel
    from channels import (
        route,
    )
    from channels.sessions import *
    """
    assert names(scanned(tmp_path, source)) == [
        (1, 14, "channels.generic.websockets"),
        (2, 22, "channels.Group"),
        (2, 34, "channels.Channel"),
        (4, 5, "channels.route"),
        (6, 31, "channels.sessions.*"),
    ]


def test_uses_are_found_by_whatever_name(tmp_path: Path) -> None:
    source = """\
    import channels
    import channels.generic.websockets as g
    from channels import Group as G
    from channels.sessions import *

    class Chat(g.WebsocketConsumer):
        @channel_session
        def receive(self, message):
            raise channels.exceptions.DenyConnection()

    def get():
        return [G(name) for name in "ab"], channels.__version__
    """
    assert names(scanned(tmp_path, source))[4:] == [
        (6, 12, WEBSOCKET),
        (7, 6, "channels.sessions.channel_session"),
        (9, 15, "channels.exceptions.DenyConnection"),
        (12, 13, "channels.Group"),
        (12, 40, "channels.__version__"),
    ]


def test_words_are_not_enough(tmp_path: Path) -> None:
    source = '''
    """from channels import Group"""
    # from channels import Group
    from django.contrib.auth.models import Group
    from .channels import route
    text = "import channels"
    Group.objects.get(name="x")
    def channel_session(x): return x
    @channel_session
    def f(channels): return channels.Group
    '''
    assert scanned(tmp_path, source) == ()


def test_names_of_the_project_that_lead_to_channels(tmp_path: Path) -> None:
    files = {
        "core/__init__.py": "",
        "core/compat.py": "from channels import Group as Crowd",
        "chat/views.py": "from core.compat import Crowd\nfrom core import compat\nCrowd('x')\ncompat.Crowd('y')",
    }
    findings = [finding for finding in scanned(tmp_path, files) if finding.file == "chat/views.py"]
    assert names(tuple(findings)) == [(1, 25, "channels.Group"), (3, 1, "channels.Group"), (4, 1, "channels.Group")]


def test_classes_that_derive_from_the_projects_own(tmp_path: Path) -> None:
    files = {
        "core/__init__.py": "",
        "core/consumers.py": "from channels.generic.websockets import WebsocketConsumer as W\nclass Base(W): pass",
        "chat/consumers.py": """\
            from core.consumers import Base
            class A(Base): pass
            class B(A): pass
            class C: pass
            class D(C): pass
        """,
    }
    findings = scanned(tmp_path, files)
    assert [(one.file, one.line, one.column, one.name) for one in findings] == [
        ("chat/consumers.py", 2, 9, WEBSOCKET),
        ("chat/consumers.py", 3, 9, WEBSOCKET),
        ("core/consumers.py", 1, 41, WEBSOCKET),
        ("core/consumers.py", 2, 12, WEBSOCKET),
    ]


def test_what_is_stored_or_deleted_is_not_used(tmp_path: Path) -> None:
    source = """\
    import channels
    channels.Group = None
    del channels.Group
    """
    assert names(scanned(tmp_path, source)) == [(1, 8, "channels")]


def test_a_class_of_the_project_as_a_decorator_or_metaclass_is_no_base(tmp_path: Path) -> None:
    source = """\
    from channels.generic.websockets import WebsocketConsumer
    class Chat(WebsocketConsumer): pass
    @Chat
    class Other(metaclass=Chat): pass
    """
    assert [line for line, _, _ in names(scanned(tmp_path, source))] == [1, 2]


def test_what_classes_of_the_project_have_inherited(tmp_path: Path) -> None:
    source = """\
    from channels.generic.websockets import WebsocketConsumer
    class Chat(WebsocketConsumer): pass
    class Other: pass
    routing = [Chat.as_route(path="^/chat/"), Other.as_route(), unknown.as_route()]
    Chat.group_send("x", text="y")
    Chat.path
    """
    assert names(scanned(tmp_path, source))[2:] == [(4, 12, f"{WEBSOCKET}.as_route"), (5, 1, f"{WEBSOCKET}.group_send")]


def test_commands_and_test_cases_are_classes_as_others(tmp_path: Path) -> None:
    source = """\
    from channels.management.commands.runserver import Command as RunserverCommand
    from channels.tests import ChannelTestCase
    class Command(RunserverCommand): pass
    class Tests(ChannelTestCase): pass
    """
    assert told(scanned(tmp_path, source)) == [
        (1, "channels.management.commands.runserver.Command", "differs"),
        (2, "channels.tests.ChannelTestCase", "runs"),
        (3, "channels.management.commands.runserver.Command", "differs"),
        (4, "channels.tests.ChannelTestCase", "runs"),
    ]


def test_later_channels_are_told_apart(tmp_path: Path) -> None:
    source = """\
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import ProtocolTypeRouter, route
    class Chat(AsyncWebsocketConsumer): pass
    application = ProtocolTypeRouter({"websocket": Chat})
    """
    findings = scanned(tmp_path, source)
    assert [(one.line, one.verdict, "not Channels 1" in one.text) for one in findings] == [
        (1, "change", True),
        (2, "change", True),
        (2, "runs", False),
        (3, "change", True),
        (4, "change", True),
    ]


def test_removed_helpers_of_django(tmp_path: Path) -> None:
    source = """\
    from django.utils import six
    from django.utils.encoding import python_2_unicode_compatible
    from django.utils.translation import *
    @python_2_unicode_compatible
    class Room: pass
    if isinstance(1, six.string_types): pass
    ugettext("x"), gettext("x")
    """
    lines = [
        (1, "six"),
        (2, "python_2_unicode_compatible"),
        (4, "python_2_unicode_compatible"),
        (6, "six"),
        (7, "ugettext"),
    ]
    for shims, verdict in ((False, "change"), (True, "differs")):
        found = [(line, name.rpartition(".")[2], said) for line, name, said in told(scanned(tmp_path, source, shims))]
        assert found == [(*line, verdict) for line in lines]
