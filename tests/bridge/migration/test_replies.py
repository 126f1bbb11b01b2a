"""Names that reply channels had."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanned import scanned, told


@pytest.mark.parametrize(
    "source",
    [
        "message.reply_channel.name.startswith('daphne.response')",
        "name.startswith(('x', 'daphne.response.'))",
        "name.split('!')[0] == 'daphne.response.abc'",
        "'daphne.response' in name",
        "reply.startswith('http.response!')",
        "message.reply_channel.name.partition('!')[0] in ('websocket.send', 'x')",
        "message['reply_channel'] != 'websocket.send'",
        "channel == 'websocket.send!x'",
    ],
)
def test_who_compares_with_them_is_told(tmp_path: Path, source: str) -> None:
    found = [one for one in scanned(tmp_path, f"import channels\n{source}") if one.name.startswith("reply channel: ")]
    assert [one.verdict for one in found] == ["differs"]
    assert "reply." in found[0].text


@pytest.mark.parametrize(
    "source",
    [
        "message['type'] == 'websocket.send'",
        "event['type'].startswith('http.response')",
        "channel == 'websocket.sending'",
        "channel == 'http.request'",
        "channel.startswith()",
        "startswith('daphne.response')",
        "send({'type': 'websocket.send'})",
        "channel == 5",
    ],
)
def test_other_comparisons(tmp_path: Path, source: str) -> None:
    assert len(scanned(tmp_path, f"import channels\n{source}")) == 1


def test_without_channels_1_they_mean_nothing(tmp_path: Path) -> None:
    assert scanned(tmp_path, "name.startswith('daphne.response')") == ()


CONFIG = """\
CHANNEL_LAYERS = {"default": {"BACKEND": "asgi_redis.RedisChannelLayer", "CONFIG": {"channel_capacity": %s}}}
"""


@pytest.mark.parametrize(
    ("key", "name", "verdict"),
    [
        ("'http.request'", "http.request", "runs"),
        ("'http.res*'", "http.res*", "runs"),
        ("'http.response*'", "http.response*", "differs"),
        ("'http.response!*'", "http.response!*", "differs"),
        ("'websocket.send*'", "websocket.send*", "differs"),
        ("'daphne.response*'", "daphne.response*", "differs"),
        ("re.compile(r'^websocket\\.send\\!.+')", r"^websocket\.send\!.+", "differs"),
        ("re.compile(r'chat\\..*', re.I)", r"chat\..*", "runs"),
    ],
)
def test_patterns_of_capacities(tmp_path: Path, key: str, name: str, verdict: str) -> None:
    expected = (1, f"channel_capacity: {name}", verdict)
    assert told(scanned(tmp_path, CONFIG % f"{{{key}: 10}}"))[2:] == [expected]
    named = CONFIG.replace("CHANNEL", "CAPACITY = {%s: 10}; CHANNEL") % (key, "CAPACITY")
    assert expected in told(scanned(tmp_path, named))


@pytest.mark.parametrize("value", ["{**x}", "{x: 1}", "{f(1): 1}", "dict(a=1)", "None"])
def test_capacities_that_cannot_be_seen(tmp_path: Path, value: str) -> None:
    assert len(scanned(tmp_path, CONFIG % value)) == 2


def test_capacities_are_no_routes(tmp_path: Path) -> None:
    source = 'CAPACITY = {"http.request": 200, "http.response!*": 10, "websocket.send!*": 20}'
    assert scanned(tmp_path, source) == ()
