"""The table of names: it has what Channels 1 offered, and whatever it says that runs is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from channels_bridge.bridge.migration.channels1 import MODULES, PRIVATE
from channels_bridge.bridge.migration.others import LAYERS

ROOT = Path(__file__).resolve().parent.parent.parent.parent

# What projects import of Channels 1.1.8, module by module.
SURFACE = {
    "channels": "Channel Group route route_class include channel_layers DEFAULT_CHANNEL_LAYER __version__"
    " default_app_config",
    "channels.asgi": "get_channel_layer channel_layers ChannelLayerManager ChannelLayerWrapper"
    " InvalidChannelLayerError",
    "channels.channel": "Channel Group",
    "channels.message": "Message PendingMessageStore pending_message_store",
    "channels.routing": "Router Route route RouteClass route_class Include include null_consumer connect_consumer",
    "channels.sessions": "channel_session http_session channel_and_http_session enforce_ordering"
    " session_for_reply_channel wait_channel_name requeue_messages",
    "channels.auth": "transfer_user channel_session_user http_session_user channel_session_user_from_http"
    " channel_and_http_session_user_from_http channel_session http_session channel_and_http_session",
    "channels.security.websockets": "allowed_hosts_only AllowedHostsOnlyOriginValidator BaseOriginValidator",
    "channels.exceptions": "ConsumeLater ResponseLater RequestTimeout RequestAborted DenyConnection"
    " ChannelSocketException WebsocketCloseException SendNotAvailableOnDemultiplexer",
    "channels.signals": "consumer_started consumer_finished worker_ready worker_process_ready",
    "channels.handler": "AsgiRequest AsgiHandler ViewConsumer",
    "channels.staticfiles": "StaticFilesHandler StaticFilesConsumer",
    "channels.generic": "BaseConsumer",
    "channels.generic.base": "BaseConsumer",
    "channels.generic.websockets": "WebsocketConsumer JsonWebsocketConsumer WebsocketMultiplexer"
    " WebsocketDemultiplexer",
    "channels.binding": "Binding",
    "channels.binding.base": "Binding BindingMetaclass CREATE UPDATE DELETE",
    "channels.binding.websockets": "WebsocketBinding WebsocketBindingWithMembers",
    "channels.delay.models": "DelayedMessage",
    "channels.delay.worker": "Worker",
    "channels.worker": "Worker WorkerGroup",
    "channels.test": "ChannelTestCase TransactionChannelTestCase Client WSClient HttpClient apply_routes"
    " ChannelLiveServerTestCase",
    "channels.tests": "ChannelTestCase TransactionChannelTestCase Client WSClient HttpClient apply_routes"
    " ChannelLiveServerTestCase",
    "channels.management.commands.runserver": "Command",
    "channels.management.commands.runworker": "Command",
    "channels.delay.management.commands.rundelay": "Command",
}

# Imports all of it in a project as ``--interface channels1`` starts it, and prints what is missing.
PROGRAM = """
import importlib, json, sys
from channels_bridge.worker.legacy.aliases import install
install()
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                    "django.contrib.staticfiles", "channels", "channels.delay"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CHANNEL_LAYERS={"default": {"BACKEND": "asgiref.inmemory.ChannelLayer", "ROUTING": []}},
)
import django
django.setup()
missing = []
for module, names in json.load(sys.stdin).items():
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        missing.append(f"{module}: {error}")
        continue
    missing += [f"{module}.{name}" for name in names if not hasattr(found, name)]
print(json.dumps(missing))
"""


def test_all_that_channels_1_offered_has_a_verdict() -> None:
    missing = [
        f"{module}.{name}" for module, names in SURFACE.items() for name in names.split() if name not in MODULES[module]
    ]
    assert missing == []


def test_what_is_to_be_known_is_told_wherever_it_is_no_plain_yes() -> None:
    rules = [rule for names in MODULES.values() for rule in names.values()]
    assert [rule for rule in rules if rule.verdict != "runs" and not rule.text.endswith(".")] == []
    assert [rule for rule in rules if len(rule.text) > 120] == []
    assert [text for text in PRIVATE.values() if not text.endswith(".")] == []


def test_whatever_runs_is_there() -> None:
    promised = {
        module: [name for name in names if names[name].verdict != "change"] for module, names in MODULES.items()
    }
    promised = {module: names for module, names in promised.items() if names or not MODULES[module]}
    for name in LAYERS:
        module, _, attribute = name.rpartition(".")
        promised.setdefault(module or name, []).extend([attribute] if attribute[:1].isupper() else [])
    promised.pop("asgiref")
    env = {**os.environ, "PYTHONPATH": str(ROOT / ".src")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(promised),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
