"""What settings say of Channels."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels_bridge.bridge.migration.others import BOTH, FORMER
from channels_bridge.bridge.migration.settings import backend_rule
from channels_bridge.worker.legacy import asgi
from scanned import names, scanned, told


def test_settings_of_a_project(tmp_path: Path) -> None:
    source = """\
    INSTALLED_APPS = (
        "django.contrib.auth",
        "channels",
    )
    INSTALLED_APPS += ("channels.delay",)
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "asgi_redis.RedisChannelLayer",
            "CONFIG": {"hosts": [("localhost", 6379)]},
            "ROUTING": "site.routing.channel_routing",
        },
    }
    CHANNEL_SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    CHANNELS_WS_PROTOCOLS = ["graphql"]
    """
    assert told(scanned(tmp_path, source)) == [
        (3, "INSTALLED_APPS: channels", "runs"),
        (5, "INSTALLED_APPS: channels.delay", "differs"),
        (6, "settings.CHANNEL_LAYERS", "runs"),
        (8, "BACKEND: asgi_redis.RedisChannelLayer", "differs"),
        (10, "ROUTING: site.routing.channel_routing", "runs"),
        (13, "settings.CHANNEL_SESSION_ENGINE", "runs"),
        (14, "settings.CHANNELS_WS_PROTOCOLS", "runs"),
    ]


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ('CHANNEL_LAYERS["default"]["BACKEND"] = "asgi_ipc.IPCChannelLayer"', 1, 40),
        ('CHANNEL_LAYERS["default"] = {"BACKEND": "asgi_ipc.IPCChannelLayer"}', 1, 41),
        ('CHANNEL_LAYERS = dict(default=dict(BACKEND="asgi_ipc.IPCChannelLayer"))', 1, 44),
        ('CHANNEL_LAYERS: dict = {"default": {"BACKEND": "asgi_ipc.IPCChannelLayer"}}', 1, 48),
        ('class Base:\n  CHANNEL_LAYERS = {"default": {"BACKEND": "asgi_ipc.IPCChannelLayer"}}', 2, 44),
        ('LAYER = "asgi_ipc.IPCChannelLayer"\nCHANNEL_LAYERS = {"default": {"BACKEND": LAYER}}', 1, 9),
        ('CHANNEL_LAYERS = {"x": {"BACKEND": env("L", "asgi_ipc.IPCChannelLayer")}}', 1, 45),
        ('override_settings(CHANNEL_LAYERS={"x": {"BACKEND": "asgi_ipc.IPCChannelLayer"}})', 1, 52),
    ],
)
def test_layers_however_they_are_written(tmp_path: Path, source: str, line: int, column: int) -> None:
    found = [one for one in names(scanned(tmp_path, source)) if one[2].startswith("BACKEND")]
    assert found == [(line, column, "BACKEND: asgi_ipc.IPCChannelLayer")]


def test_a_backend_that_is_computed(tmp_path: Path) -> None:
    for value in ('os.environ["LAYER"]', "5", "LAYER"):
        source = f'from x import LAYER\nCHANNEL_LAYERS = {{"default": {{"BACKEND": {value}}}}}'
        assert told(scanned(tmp_path, source)) == [(2, "settings.CHANNEL_LAYERS", "runs"), (2, "BACKEND", "differs")]


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        ("asgi_redis.RedisChannelLayer", "differs"),
        ("asgi_redis.RedisLocalChannelLayer", "differs"),
        ("asgi_redis.core.RedisChannelLayer", "differs"),
        ("asgi_ipc.IPCChannelLayer", "differs"),
        ("asgi_rabbitmq.RabbitmqChannelLayer", "differs"),
        ("asgiref.inmemory.ChannelLayer", "differs"),
        ("channels_bridge.worker.legacy.ChannelLayer", "runs"),
        ("channels_redis.core.RedisChannelLayer", "change"),
        ("channels.layers.InMemoryChannelLayer", "change"),
        ("channels_postgres.core.PostgresChannelLayer", "change"),
        ("site.layers.Own", "change"),
    ],
)
def test_backends(path: str, verdict: str) -> None:
    assert backend_rule(path, is_routed=False).verdict == verdict


def test_backends_of_later_channels_are_told_apart_from_own_ones() -> None:
    assert "not Channels 1" in backend_rule("channels_redis.core.RedisChannelLayer", is_routed=False).text
    assert "not Channels 1" not in backend_rule("site.layers.Own", is_routed=False).text


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ('{"BACKEND": "channels_redis.core.RedisChannelLayer", "ROUTING": "site.routes"}', "differs"),
        ('dict(BACKEND="channels_redis.core.RedisChannelLayer", ROUTING=routes)', "differs"),
        ('{"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {}}', "change"),
        ('{"BACKEND": "channels_postgres.core.PostgresChannelLayer", "ROUTING": "site.routes"}', "change"),
    ],
)
def test_only_layers_of_channels_1_have_a_routing(tmp_path: Path, source: str, verdict: str) -> None:
    found = told(scanned(tmp_path, f'CHANNEL_LAYERS = {{"default": {source}}}'))
    assert [said for _, name, said in found if name.startswith("BACKEND")] == [verdict]


def test_the_worker_maps_the_same_layers() -> None:
    assert {*asgi.FORMER} == {*FORMER, *BOTH}


def test_settings_that_are_read_or_overridden(tmp_path: Path) -> None:
    source = """\
    from django.conf import settings as s
    s.CHANNEL_LAYERS["default"]
    with override_settings(CHANNELS_WS_PROTOCOLS=[], INSTALLED_APPS=["channels"]): pass
    """
    assert names(scanned(tmp_path, source)) == [
        (2, 1, "settings.CHANNEL_LAYERS"),
        (3, 24, "settings.CHANNELS_WS_PROTOCOLS"),
        (3, 66, "INSTALLED_APPS: channels"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "CHANNEL_LAYERS.x = 1",
        'x.y: str = "a.b"',
        "def f():\n  CHANNEL_LAYERS = {}",
        'DATABASES = {"default": {"BACKEND": "asgi_redis.RedisChannelLayer"}}',
        'OTHER_APPS = ["channels"]',
        "x.CHANNEL_LAYERS",
        'CACHES["default"]["BACKEND"] = "asgi_redis.RedisChannelLayer"',
        "CHANNEL_LAYERS: dict",
        "MIDDLEWARE_CLASSES = MIDDLEWARE = []",
        'MIDDLEWARE = ["django.contrib.auth.middleware.AuthenticationMiddleware"]',
    ],
)
def test_what_is_no_setting_of_channels(tmp_path: Path, source: str) -> None:
    assert scanned(tmp_path, source) == ()


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ('CHANNEL_SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"', "cookies"),
        ("MIDDLEWARE_CLASSES = []", "MIDDLEWARE"),
        ('MIDDLEWARE = ["a.B", "django.contrib.auth.middleware.SessionAuthenticationMiddleware"]', "Remove"),
        ('ASGI_APPLICATION = "site.asgi.application"', "not Channels 1"),
        ('INSTALLED_APPS = ["daphne"]', "not Channels 1"),
    ],
)
def test_settings_that_need_a_change(tmp_path: Path, source: str, word: str) -> None:
    [finding] = scanned(tmp_path, source)
    assert finding.verdict == "change"
    assert word in finding.text


@pytest.mark.parametrize(
    ("layers", "verdict", "word"),
    [
        ("from asgi_redis import RedisChannelLayer\nclass Own(RedisChannelLayer): pass", "differs", "is served"),
        ("import asgi_ipc\nclass Base(asgi_ipc.IPCChannelLayer): pass\nclass Own(Base): pass", "differs", "is served"),
        ("from channels_bridge.worker.legacy import ChannelLayer as L\nclass Own(L): pass", "differs", "is served"),
        ("from asgi_rabbitmq import RabbitmqLocalChannelLayer as Own", "change", "No such layer"),
        ("from asgi_redis.core import BaseRedisChannelLayer as L\nclass Own(L): pass", "change", "No such layer"),
        ("from asgiref.inmemory import ChannelLayer as L\nclass Own(L): pass", "change", "No such layer"),
        ("class Own: pass", "change", "No such layer"),
    ],
)
def test_layers_of_the_project(tmp_path: Path, layers: str, verdict: str, word: str) -> None:
    backend = 'CHANNEL_LAYERS = {"default": {"BACKEND": "core.layers.Own"}}'
    findings = scanned(tmp_path, {"core/__init__.py": "", "core/layers.py": layers, "settings.py": backend})
    [finding] = [one for one in findings if one.name == "BACKEND: core.layers.Own"]
    assert finding.verdict == verdict
    assert word in finding.text
