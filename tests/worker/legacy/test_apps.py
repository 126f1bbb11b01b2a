"""Channels 1 is an application, whatever its place in INSTALLED_APPS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import AppConfig, apps
from django.core.management import get_commands, load_command_class
from django.template import engines
from django.test import override_settings

from channels_bridge.worker.legacy.apps import ChannelsConfig, read_templates_anew, take_over
from channels_bridge.worker.legacy.binding.base import BindingMetaclass
from channels_bridge.worker.legacy.management.commands.runserver import Command
from channels_bridge.worker.legacy.signals import consumer_started

# In a process of its own, as it is one with the aliases. It prints who has runserver, and the labels.
PROJECT = """
import sys
from channels_bridge.worker.legacy import aliases
aliases.install()
import django
from django.apps import apps
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=sys.argv[1].split(","),
    CHANNEL_LAYERS={},
    STATIC_URL="/static/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()
from django.core.management import get_commands
print(get_commands()["runserver"], *sorted(config.label for config in apps.get_app_configs()))
if apps.is_installed("channels_bridge.worker.legacy.delay"):
    from channels.delay.models import DelayedMessage
    print(DelayedMessage._meta.db_table, type(DelayedMessage._meta.pk).__name__)
"""
DELAY = "channels.delay_delayedmessage AutoField"
OURS = "channels_bridge.worker.legacy"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BindingMetaclass, "register_immediately", BindingMetaclass.register_immediately)


def test_it_is_installed_under_its_old_label() -> None:
    config = apps.get_app_config("channels")
    assert (type(config), config.name) == (ChannelsConfig, OURS)
    assert type(AppConfig.create(f"{OURS}.apps.ChannelsConfig")) is ChannelsConfig


def test_bindings_follow_their_models_once_it_is_ready() -> None:
    assert BindingMetaclass.register_immediately


def test_runserver_is_ours() -> None:
    get_commands.cache_clear()  # as tests do that override INSTALLED_APPS
    apps.get_app_config("channels").ready()
    assert get_commands()["runserver"] == OURS
    assert isinstance(load_command_class(OURS, "runserver"), Command)


@pytest.mark.parametrize(
    ("owner", "then"),
    [
        ("django.core", OURS),
        ("django.contrib.staticfiles", OURS),
        (OURS, OURS),
        ("livereload", "livereload"),
    ],
)
def test_whose_runserver_it_replaces(owner: str, then: str) -> None:
    commands: dict[str, Any] = {"runserver": owner, "migrate": "django.core"}
    take_over(commands)
    assert commands == {"runserver": then, "migrate": "django.core"}


def test_a_project_without_that_command() -> None:
    commands: dict[str, Any] = {}
    take_over(commands)
    assert commands == {}


@pytest.mark.system
@pytest.mark.parametrize(
    ("installed", "printed"),
    [
        ("channels,django.contrib.staticfiles", f"{OURS} channels staticfiles"),
        ("django.contrib.staticfiles,channels", f"{OURS} channels staticfiles"),
        ("channels.apps.ChannelsConfig", f"{OURS} channels"),
        (OURS, f"{OURS} channels"),
        ("channels,channels.delay", f"{OURS} channels channels_delay\n{DELAY}"),
        ("channels.delay,channels", f"{OURS} channels channels_delay\n{DELAY}"),
        (f"{OURS},{OURS}.delay", f"{OURS} channels channels_delay\n{DELAY}"),
    ],
)
def test_an_unmodified_project(installed: str, printed: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROJECT, installed],
        cwd=tmp_path,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (printed, "")


@pytest.mark.parametrize("debug", [True, False])
def test_edited_templates_are_seen_in_development(debug: bool, tmp_path: Path) -> None:
    """Django keeps them in memory, and its reloader, which is not at work here, forgets those that were edited."""
    loaders = ["django.template.loaders.cached.Loader", ["django.template.loaders.filesystem.Loader"]]
    settings = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [tmp_path],
        "OPTIONS": {"loaders": [loaders]},
    }
    template = tmp_path / "page.txt"
    try:
        with override_settings(DEBUG=debug, TEMPLATES=[settings]):
            apps.get_app_config("channels").ready()
            template.write_text("before")
            assert engines["django"].get_template("page.txt").render() == "before"
            template.write_text("after")
            consumer_started.send(sender=None, environ={})
            assert engines["django"].get_template("page.txt").render() == ("after" if debug else "before")
    finally:
        consumer_started.disconnect(read_templates_anew)
        from channels_bridge.worker.legacy.message import pending_message_store

        pending_message_store.send_and_flush()
