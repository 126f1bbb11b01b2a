"""The names of Channels 1, by the modules that projects import them from, and what becomes of each.

What is not here is not carried over. ``tests/bridge/migration/test_channels1.py`` compares this with what there is.
"""

from __future__ import annotations

from .findings import RUNS, Rule

ORDERED = Rule("runs", "Messages of a socket are in order anyway: this costs nothing.")
PARKED = Rule("differs", "Nothing waits on a channel for its turn here: it finds nothing.")
BOTH = Rule("differs", "It gives message.user in receive and disconnect, too, which was anonymous there.")
BOUND = Rule("differs", "A client's create sets the bound fields only, and calls save() of the model.")
LATER = Rule("runs", "It works on every version of Django; after 1.9 the view answered 500.")
WORKER = Rule(
    "differs", "Workers are started by channels-worker or manage.py runworker; run() is for layers in memory."
)
LABEL = Rule(
    "differs", "The label of this app is channels_delay now: run manage.py migrate channels_delay --fake once."
)
LIVE = Rule("differs", "It starts channels-bridge serve once for a class, with one worker process.")
RUNSERVER = Rule(
    "differs", "It becomes channels-bridge serve: what overrides its server or worker threads is not called."
)
RUNDELAY = Rule("change", "Import it from channels.management.commands.rundelay.")
RUNWORKER = Rule("differs", "It becomes channels-worker: what overrides its making of workers is not called.")

_EXCEPTIONS = (
    "ConsumeLater",
    "ResponseLater",
    "RequestTimeout",
    "RequestAborted",
    "DenyConnection",
    "ChannelSocketException",
    "WebsocketCloseException",
    "SendNotAvailableOnDemultiplexer",
)
_SESSIONS = ("channel_session", "http_session", "channel_and_http_session")
_LIVE = {"ChannelLiveServerTestCase": LIVE}
_TESTING = {
    "base": ("ChannelTestCase", "TransactionChannelTestCase", "Client", "apply_routes"),
    "websocket": ("WSClient",),
    "http": ("HttpClient",),
    "liveserver": ("ChannelLiveServerTestCase",),
}


def _run(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, RUNS)


_TESTS = {name: _LIVE.get(name, RUNS) for names in _TESTING.values() for name in names}

# Module -> its names.
MODULES: dict[str, dict[str, Rule]] = {
    "channels": {
        **_run(
            "Channel",
            "Group",
            "route",
            "route_class",
            "include",
            "channel_layers",
            "DEFAULT_CHANNEL_LAYER",
            "__version__",
        ),
        "default_app_config": Rule("change", "Remove it: no supported Django reads default_app_config."),
    },
    "channels.apps": _run("ChannelsConfig"),
    "channels.asgi": _run(
        "get_channel_layer", "channel_layers", "ChannelLayerManager", "ChannelLayerWrapper", "InvalidChannelLayerError"
    ),
    "channels.channel": _run("Channel", "Group"),
    "channels.message": _run("Message", "PendingMessageStore", "pending_message_store"),
    "channels.routing": _run(
        "Router",
        "Route",
        "route",
        "RouteClass",
        "route_class",
        "Include",
        "include",
        "null_consumer",
        "connect_consumer",
    ),
    "channels.sessions": {
        **_run(*_SESSIONS, "session_for_reply_channel"),
        "enforce_ordering": ORDERED,
        "wait_channel_name": PARKED,
        "requeue_messages": PARKED,
    },
    "channels.auth": {
        **_run("transfer_user", "channel_session_user", "http_session_user", "channel_session_user_from_http"),
        "channel_and_http_session_user_from_http": BOTH,
        **_run(*_SESSIONS),
    },
    "channels.security": {},
    "channels.security.websockets": _run(
        "allowed_hosts_only", "AllowedHostsOnlyOriginValidator", "BaseOriginValidator"
    ),
    "channels.exceptions": {**_run(*_EXCEPTIONS), "ResponseLater": LATER},
    "channels.signals": _run("consumer_started", "consumer_finished", "worker_ready", "worker_process_ready"),
    "channels.handler": _run("AsgiRequest", "AsgiHandler", "ViewConsumer"),
    "channels.staticfiles": _run("StaticFilesHandler", "StaticFilesConsumer"),
    "channels.generic": _run("BaseConsumer"),
    "channels.generic.base": _run("BaseConsumer"),
    "channels.generic.websockets": _run(
        "WebsocketConsumer", "JsonWebsocketConsumer", "WebsocketMultiplexer", "WebsocketDemultiplexer"
    ),
    "channels.binding": _run("Binding"),
    "channels.binding.base": _run("Binding", "BindingMetaclass", "CREATE", "UPDATE", "DELETE"),
    "channels.binding.websockets": {"WebsocketBinding": BOUND, "WebsocketBindingWithMembers": BOUND},
    "channels.delay": {},
    "channels.delay.apps": {"DelayConfig": LABEL},
    "channels.delay.models": _run("DelayedMessage", "DelayedMessageQuerySet"),
    "channels.delay.worker": _run("Worker"),
    "channels.delay.management.commands.rundelay": {"Command": RUNDELAY},
    "channels.management": {},
    "channels.management.commands.rundelay": _run("Command"),
    "channels.management.commands": {},
    "channels.management.commands.runserver": {"Command": RUNSERVER},
    "channels.management.commands.runworker": {"Command": RUNWORKER},
    "channels.worker": {"Worker": WORKER, "WorkerGroup": WORKER},
    "channels.test": _TESTS,
    "channels.tests": _TESTS,
    **{f"channels.test.{module}": {name: _TESTS[name] for name in names} for module, names in _TESTING.items()},
    **{f"channels.tests.{module}": {name: _TESTS[name] for name in names} for module, names in _TESTING.items()},
}

# Names inside Channels 1 that are not meant for projects, and what does the same.
PRIVATE: dict[str, str] = {
    "channels.log": "Configure the logger django.channels in LOGGING instead.",
    "channels.utils": "It was private to Channels 1: write the function yourself.",
    "channels.hacks": "It was private to Channels 1: nothing is to be patched here; remove it.",
    "channels.package_checks": "It was private to Channels 1: remove it.",
}
