"""What is done with replies, groups and layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanned import names, scanned, told

HEAD = """\
from channels import Channel, Group, channel_layers
from channels.asgi import get_channel_layer
"""


def found(folder: Path, source: str) -> list[tuple[int, str, str]]:
    """Give what is found below the imports, these names themselves left out."""
    plain = {"channels.Channel", "channels.Group", "channels.channel_layers", "channels.asgi.get_channel_layer"}
    findings = told(scanned(folder, HEAD + source))
    return [
        (line - 2, name, verdict)
        for line, name, verdict in findings
        if line > 2 and (name not in plain or verdict != "runs")
    ]


def test_replies_and_what_is_sent_at_once(tmp_path: Path) -> None:
    source = """\
def consume(message):
    message.reply_channel.send({"text": "x"})
    Channel("x").send({}, immediately=True)
    Group("x").send({}, True)
    Group("x").send({}, immediately=False)
    raise message.request.ResponseLater()
    message.channel_session["x"] = message.http_session
"""
    assert found(tmp_path, source) == [
        (2, "channels.message.Message.reply_channel", "runs"),
        (3, "send(immediately=True)", "runs"),
        (4, "send(immediately=True)", "runs"),
        (6, "channels.handler.AsgiRequest.ResponseLater", "runs"),
        (7, "channels.message.Message.channel_session", "runs"),
        (7, "channels.message.Message.http_session", "runs"),
    ]


@pytest.mark.parametrize(
    ("method", "verdict"),
    [
        ("group_channels", "change"),
        ("global_statistics", "change"),
        ("channel_statistics", "change"),
        ("receive_twisted", "change"),
        ("receive_many", "runs"),
    ],
)
def test_methods_that_only_layers_have(tmp_path: Path, method: str, verdict: str) -> None:
    assert found(tmp_path, f"anything.{method}()") == [(1, f"channel_layer.{method}", verdict)]


@pytest.mark.parametrize(
    "layer",
    ["get_channel_layer()", 'channel_layers["default"]', "message.channel_layer", "layer", "again"],
)
def test_methods_of_what_is_seen_to_be_a_layer(tmp_path: Path, layer: str) -> None:
    source = f"""\
layer = get_channel_layer()
again = layer
{layer}.send('a?b', {{}})
{layer}.send('a', {{}})
{layer}.group_add('a', b)
{layer}.new_channel('x?')
{layer}.flush()
"""
    assert found(tmp_path, source) == [
        (3, "channel_layer.send", "change"),
        (4, "channel_layer.send", "runs"),
        (5, "channel_layer.group_add", "runs"),
        (6, "channel_layer.new_channel", "differs"),
        (7, "channel_layer.flush", "differs"),
    ]


@pytest.mark.parametrize(
    "source", ["x.send({})", "socket.receive()", "file.flush()", "x[0].send('a?b')", "a = a\na.flush()", "x.add('y')"]
)
def test_methods_of_other_things(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, source) == []


@pytest.mark.parametrize(
    ("source", "verdicts"),
    [
        ("Group('x').add('chat.receive')", ["change"]),
        ("g = Group('x')\ng.add(Channel('chat.receive'))", ["change"]),
        ("Group('x').add(channel='chat.receive')", ["change"]),
        ("Group('x').add('daphne.response.a!b')", []),
        ("Group('x').add(name)", []),
        ("Group('x').add(Channel(name))", []),
        ("Group('x').discard('chat.receive')", []),
        ("set().add('chat.receive')", []),
    ],
)
def test_only_replies_can_be_in_a_group(tmp_path: Path, source: str, verdicts: list[str]) -> None:
    assert [verdict for _, _, verdict in found(tmp_path, source)] == verdicts


@pytest.mark.parametrize(
    "source",
    [
        "Group('x').add()",
        "Group('x').add(5)",
        "Group('x').add(Channel())",
        "Group('x').add(Group('y'))",
        "for a in b:\n  a.send('x')",
        "user.is_authenticated(request=request)",
        "import tasks\ntasks.reply_channel\ntasks.ResponseLater",
        "self.reply_channel = None",
    ],
)
def test_what_is_written_otherwise(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, source) == []


@pytest.mark.parametrize("channel", ["name", "5", "b'a?b'", ""])
def test_a_layer_that_sends_to_what_cannot_be_seen(tmp_path: Path, channel: str) -> None:
    assert found(tmp_path, f"get_channel_layer().send({channel})") == [(1, "channel_layer.send", "runs")]


BASED = """\
from channels.tests.base import TransactionChannelTestCase as C
class B(C): pass
class T(B):
  def test(self):
    def inner(): Group('x').add(Channel('y'))
"""
MEMBERS = [("channels.Group.add", "runs")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from channels.test import ChannelTestCase as C\nclass T(C):\n  def test(self): Group('x').add('y')", MEMBERS),
        (BASED, MEMBERS),
        ("from asgiref.inmemory import ChannelLayer\nlayer = ChannelLayer()\nGroup('x').add('y')", MEMBERS),
        (
            "from channels.test import ChannelLiveServerTestCase as C\nclass T(C):\n  def t(self): Group('x').add('y')",
            [("channels.Group.add", "change")],
        ),
        (
            "from channels.test import ChannelTestCase\nclass T(ChannelTestCase): pass\nGroup('x').add('y')",
            [("channels.Group.add", "change")],
        ),
    ],
)
def test_in_memory_all_channels_can_be_in_a_group(tmp_path: Path, source: str, expected: list[tuple[str, str]]) -> None:
    assert [(name, said) for _, name, said in found(tmp_path, source) if name.endswith(".add")] == expected


def test_in_memory_layers_can_be_asked(tmp_path: Path) -> None:
    test = "from channels.test import ChannelTestCase\nclass T(ChannelTestCase):\n  def test(self):\n"
    asked = [f"layer.{name}()" for name in ("group_channels", "global_statistics", "channel_statistics")]
    source = f"{test}    {'; '.join(asked)}; layer.receive_twisted()\n"
    assert [said for _, name, said in found(tmp_path, source) if name.startswith("channel_layer")] == [
        "runs", "runs", "runs", "change",
    ]  # fmt: skip


def test_without_channels_1_these_words_mean_nothing(tmp_path: Path) -> None:
    source = "def f(message):\n    message.reply_channel.send({}, immediately=True)\n    x.group_channels()"
    assert scanned(tmp_path, source) == ()
    routed = {"a.py": source, "b.py": "x = {'websocket.receive': 'a.f'}"}
    assert len(scanned(tmp_path, routed)) == 4
    both = {"a.py": source, "b.py": "from channels import Group"}
    assert names(scanned(tmp_path, both)) == [
        (2, 5, "channels.message.Message.reply_channel"),
        (2, 5, "send(immediately=True)"),
        (3, 5, "channel_layer.group_channels"),
        (1, 22, "channels.Group"),
    ]


def test_layers_of_later_channels_are_not_meant(tmp_path: Path) -> None:
    later = """\
from channels.layers import get_channel_layer as later
self.channel_layer.group_add('a', 'b')
message.reply_channel
"""
    assert found(tmp_path, later) == [
        (1, "channels.layers.get_channel_layer", "change"),
        (3, "channels.message.Message.reply_channel", "runs"),
    ]
